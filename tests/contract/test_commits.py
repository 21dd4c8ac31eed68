"""What `transport/base.py` promises of commits: what is finished, and revokes."""

from __future__ import annotations

import logging
from collections.abc import Collection

import pytest

from fastkafka.transport.base import TopicPartition
from tests.contract.brokers import Broker, on_each
from tests.contract.members import Members, becomes_true

MAKES_TOPICS = "it makes a topic when it is asked for one"
CANNOT_GROW = "its topics get no more partitions"


def numbered(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


async def test_what_is_finished_is_committed_in_the_interval(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    await broker.fill(topic, numbered(5))
    member = await members.join(topic, group=topic)
    await member.until(lambda: len(member.values()) == 5)

    member.consumer.finished(TopicPartition(topic, 0), 3)

    async def three_are_committed() -> bool:
        return await broker.committed(topic, topic) == {0: 3}

    await becomes_true(three_are_committed)


@on_each(memory="nothing takes time there")
async def test_how_long_commits_and_polls_took_is_known(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    await broker.fill(topic, numbered(5))
    member = await members.join(topic, group=topic)
    await member.until(lambda: len(member.values()) == 5)
    before = member.consumer.state()
    assert before.commit_seconds == 0
    assert before.poll_seconds > 0

    await member.consumer.commit(TopicPartition(topic, 0), 3, "")

    after = member.consumer.state()
    assert after.commits == before.commits + 1
    assert after.commit_seconds > 0


async def test_the_next_member_starts_at_what_is_finished(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    await broker.fill(topic, numbered(5))
    first = await members.join(topic, group=topic)
    await first.until(lambda: len(first.values()) == 5)

    first.consumer.finished(TopicPartition(topic, 0), 3)
    await first.consumer.stop(10.0)
    assert await broker.committed(topic, topic) == {0: 3}

    second = await members.join(topic, group=topic)
    await second.until(lambda: len(second.values()) == 2)
    assert second.values() == [b"3", b"4"]


async def test_nothing_is_committed_that_is_not_finished(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic(2)
    await broker.fill(topic, numbered(5))
    first = await members.join(topic, group=topic)
    await first.until(lambda: len(first.values()) == 5)
    first.consumer.taken(TopicPartition(topic, 0), 5, 5)

    await first.consumer.stop(10.0)

    assert await broker.committed(topic, topic) == {}
    second = await members.join(topic, group=topic)
    await second.until(lambda: second.values() == numbered(5))


async def test_what_is_committed_never_moves_backward(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    await broker.fill(topic, numbered(5))
    member = await members.join(topic, group=topic)
    await member.until(lambda: len(member.values()) == 5)
    where = TopicPartition(topic, 0)

    async def four_are_committed() -> bool:
        return await broker.committed(topic, topic) == {0: 4}

    member.consumer.finished(where, 4)
    await becomes_true(four_are_committed)
    member.consumer.finished(where, 2)
    await member.consumer.stop(10.0)

    assert await broker.committed(topic, topic) == {0: 4}


async def test_a_revoke_waits_for_the_listener_then_commits_then_lets_go(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic(2)
    for partition in range(2):
        await broker.fill(topic, numbered(4), partition=partition)
    first = await members.join(topic, group=topic)
    await first.until(lambda: len(first.values()) == 8)

    first.may_give_up.clear()
    second = members.consumer(topic, group=topic)
    await second.consumer.start()
    await first.until(lambda: bool(first.revokes))
    assert second.assigned == set()
    (moving,) = first.revokes[0]
    first.consumer.finished(moving, 3)
    first.may_give_up.set()

    await second.until(lambda: second.assigned == {moving})
    assert (await broker.committed(topic, topic))[moving.partition] == 3
    await second.until(lambda: bool(second.values()))
    assert second.values() == [b"3"]
    assert first.assigned == {TopicPartition(topic, 1 - moving.partition)}


async def test_a_revoke_waits_no_longer_than_its_timeout(
    broker: Broker, members: Members, caplog: pytest.LogCaptureFixture
) -> None:
    topic = await broker.topic(2)
    first = await members.join(topic, group=topic, revoke_timeout=0.2)

    first.may_give_up.clear()  # it never will
    with caplog.at_level(logging.WARNING, "fastkafka.transport"):
        second = await members.join(topic, group=topic)
        await second.until(lambda: len(second.assigned) == 1)

    (moved,) = second.assigned
    assert (
        "Handlers did not end within 0 s of a revoke; what they are doing is not "
        f"committed, and the partitions' next owner does it again: {moved}"
    ) in caplog.messages


async def test_what_is_finished_after_a_revoke_is_ignored(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic(2)
    for partition in range(2):
        await broker.fill(topic, numbered(4), partition=partition)
    first = await members.join(topic, group=topic)
    await first.until(lambda: len(first.values()) == 8)
    second = await members.join(topic, group=topic)
    await second.until(lambda: len(second.assigned) == 1)
    (moved,) = second.assigned

    first.consumer.finished(moved, 4)
    first.consumer.taken(moved, 4, 4)
    await first.consumer.stop(10.0)

    assert await broker.committed(topic, topic) == {}


async def test_what_is_finished_while_another_partition_goes_is_committed_in_time(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic(2)
    for partition in range(2):
        await broker.fill(topic, numbered(4), partition=partition)
    first = await members.join(topic, group=topic)
    await first.until(lambda: len(first.values()) == 8)

    def finish_the_other(partitions: Collection[TopicPartition]) -> None:
        (moving,) = partitions
        kept = TopicPartition(topic, 1 - moving.partition)
        first.consumer.finished(kept, 2)

    first.on_revoke = finish_the_other
    second = await members.join(topic, group=topic)
    await second.until(lambda: len(second.assigned) == 1)
    (kept,) = first.assigned

    async def it_is_committed() -> bool:
        return await broker.committed(topic, topic) == {kept.partition: 2}

    await becomes_true(it_is_committed)


async def test_a_stop_revokes_everything_and_commits_what_that_finished(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic(2)
    await broker.fill(topic, numbered(4))
    member = await members.join(topic, group=topic)
    await member.until(lambda: len(member.values()) == 4)

    member.on_revoke = lambda _: member.consumer.finished(TopicPartition(topic, 0), 4)
    await member.consumer.stop(10.0)

    assert member.revokes == [{TopicPartition(topic, 0), TopicPartition(topic, 1)}]
    assert await broker.committed(topic, topic) == {0: 4}
