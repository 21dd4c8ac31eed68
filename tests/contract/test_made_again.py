"""What `transport/base.py` promises when a topic is deleted and made again."""

from __future__ import annotations

from typing import Any

import pytest

from fastkafka.transport.base import Committed, TopicPartition
from tests.contract.brokers import Broker, on_each
from tests.contract.members import Member, Members, becomes_true

on_each_that_deletes = on_each(embedded="it deletes no topics")

QUICK: dict[str, Any] = {"metadata_max_age_ms": 300}
WAYS = [
    pytest.param({"metadata_max_age_ms": 300_000}, id="client-learns-late"),
    pytest.param(QUICK, id="client-learns-early"),
    pytest.param({"group_protocol": "consumer"}, id="KIP-848"),
]
"""Who notices first that the topic is gone: nobody, the client, the coordinator."""


NEW = [b"new-%d" % number for number in range(9)]
"""What is in the topic that was made again."""


async def reads(member: Member, broker: Broker, topic: str, count: int) -> None:
    """Let a member read so many records, and commit all of them."""
    await broker.fill(topic, [b"old"] * count)
    await member.until(lambda: len(member.values()) == count)
    await member.consumer.commit(TopicPartition(topic, 0), count, "noted")
    member.may_lose = True


async def make_again(broker: Broker, topic: str) -> None:
    """Delete a topic, make another one of its name, and fill that."""
    await broker.remove(topic)
    await broker.create(topic)
    await broker.fill(topic, NEW)


@on_each_that_deletes
@pytest.mark.parametrize("way", WAYS)
async def test_a_running_member_stops_and_the_next_one_reads_all_of_the_new_topic(
    broker: Broker, members: Members, way: dict[str, Any]
) -> None:
    topic = await broker.topic()
    first = await members.join(topic, group=topic, **way)
    await reads(first, broker, topic, 5)

    await make_again(broker, topic)
    await first.until(lambda: bool(first.errors))
    await first.consumer.stop(10.0)

    error = first.errors[0]
    assert (error.fatal, error.code) == (True, "INCONSISTENT_TOPIC_ID")
    assert str(error) == (
        f"{topic}[0]: the topic was deleted and made again, and the group's offset 5 "
        "is of the old one. What the group had not read of that is gone. To go on "
        'where the new one begins or at its end, set `on_gap` to "earliest" or '
        '"latest"; or set the group\'s offset with kafka-consumer-groups.sh '
        "--reset-offsets."
    )
    assert await broker.committed(topic, topic) == {}
    second = await members.join(topic, group=topic)
    await second.until(lambda: second.values() == NEW)


@on_each_that_deletes
@pytest.mark.parametrize("way", WAYS)
async def test_a_running_member_goes_on_at_the_beginning_where_that_is_wanted(
    broker: Broker, members: Members, way: dict[str, Any]
) -> None:
    topic = await broker.topic()
    where = TopicPartition(topic, 0)
    member = await members.join(topic, group=topic, on_gap="earliest", **way)
    await reads(member, broker, topic, 5)

    await make_again(broker, topic)
    await member.until(lambda: member.values()[-9:] == NEW)
    member.consumer.finished(where, 2)

    async def two_are_committed() -> bool:
        return await broker.committed(topic, topic) == {0: 2}

    await becomes_true(two_are_committed)
    (gap,) = member.events
    assert (gap.kind, gap.what, gap.offset) == ("made_again", f"{topic}[0]", 0)
    assert gap.text.startswith(
        f"{topic}[0]: the topic was deleted and made again, and the group's offset 5 "
        "is of the old one. The new log has the offsets 0 to "
    )
    assert gap.text.endswith("; by `on_gap='earliest'` the group goes on at 0.")
    assert member.errors == []


@on_each_that_deletes
async def test_latest_skips_nothing_of_the_new_topic_either(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    first = await members.join(topic, group=topic, start_at="latest")
    await reads(first, broker, topic, 5)
    await make_again(broker, topic)
    await first.until(lambda: bool(first.errors))
    await first.consumer.stop(10.0)

    second = await members.join(topic, group=topic, start_at="latest")

    await second.until(lambda: second.values() == NEW)


@on_each_that_deletes
async def test_a_group_that_has_read_nothing_goes_on_in_the_new_topic(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    member = await members.join(topic, group=topic, **QUICK)
    member.may_lose = True

    await make_again(broker, topic)

    await member.until(lambda: member.values() == NEW)
    assert member.errors == []


@on_each_that_deletes
async def test_without_a_group_the_new_topic_is_read_from_its_beginning(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    member = await members.join(topic, group=None)
    await broker.fill(topic, [b"old"] * 5)
    await member.until(lambda: len(member.values()) == 5)

    await make_again(broker, topic)

    await member.until(lambda: member.values()[-9:] == NEW)
    assert member.events[-1].text == (
        f"{topic}[0]: the topic was deleted and made again. "
        "It is read from its beginning, 0."
    )


@on_each_that_deletes
async def test_offsets_that_outlive_their_topic_are_a_gap_that_stops_the_next_member(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    first = await members.join(topic, group=topic)
    await reads(first, broker, topic, 5)
    await first.consumer.stop(10.0)
    before = await broker.commits(topic, topic)
    await make_again(broker, topic)
    await broker.commit(topic, topic, before)  # as a backup of offsets does

    second = members.consumer(topic, group=topic)
    await second.consumer.start()
    await second.until(lambda: bool(second.errors))
    await second.consumer.stop(10.0)

    assert str(second.errors[0]).startswith(
        f"{topic}[0]: the topic was deleted and made again, and the group's offset 5 "
        "is of the old one."
    )
    assert second.values() == []
    assert await broker.commits(topic, topic) == before


@on_each_that_deletes
@pytest.mark.parametrize(("on_gap", "start"), [("earliest", 0), ("latest", 9)])
async def test_offsets_that_outlive_their_topic_are_passed_where_that_is_wanted(
    broker: Broker, members: Members, on_gap: str, start: int
) -> None:
    topic = await broker.topic()
    where = TopicPartition(topic, 0)
    first = await members.join(topic, group=topic)
    await reads(first, broker, topic, 5)
    await first.consumer.stop(10.0)
    before = await broker.commits(topic, topic)
    await make_again(broker, topic)
    await broker.commit(topic, topic, before)

    second = await members.join(topic, group=topic, on_gap=on_gap)
    await broker.fill(topic, [b"9"])
    await second.until(lambda: len(second.values()) == 10 - start)

    assert second.committed == {where: None}
    assert second.offsets() == list(range(start, 10))
    over = " 9 offsets are passed over." if start else ""
    assert [event.text for event in second.events] == [
        f"{topic}[0]: the topic was deleted and made again, and the group's offset 5 "
        "is of the old one. The new log has the offsets 0 to 9; by "
        f"`on_gap={on_gap!r}` the group goes on at {start}.{over}"
    ]


@on_each_that_deletes
async def test_an_offset_that_somebody_sets_in_the_new_topic_counts(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    first = await members.join(topic, group=topic)
    await reads(first, broker, topic, 5)
    await first.consumer.stop(10.0)
    await make_again(broker, topic)
    await broker.commit(topic, topic, {0: (7, "")})

    second = await members.join(topic, group=topic)
    await second.until(lambda: second.values() == NEW[7:])

    assert second.committed == {TopicPartition(topic, 0): Committed(7, "")}
    assert second.errors == []
