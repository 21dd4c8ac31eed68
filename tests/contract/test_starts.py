"""What `transport/base.py` promises of where a group starts, and of gaps."""

from __future__ import annotations

import pytest

from fastkafka.transport.base import Committed, TopicPartition
from tests.contract.brokers import Broker, new_name, on_each
from tests.contract.members import Members, becomes_true

MAKES_TOPICS = "it makes a topic when it is asked for one"
CANNOT_GROW = "its topics get no more partitions"


def numbered(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


async def test_latest_is_pinned_so_that_nothing_is_skipped_while_nobody_reads(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic(2)
    await broker.fill(topic, numbered(5))
    first = await members.join(topic, group=topic, start_at="latest")
    assert await broker.committed(topic, topic) == {0: 5, 1: 0}
    await first.consumer.stop(10.0)

    await broker.fill(topic, [b"while", b"away"])
    second = await members.join(topic, group=topic, start_at="latest")
    await second.until(lambda: len(second.values()) == 2)

    assert first.values() == []
    assert second.values() == [b"while", b"away"]


@on_each(embedded=CANNOT_GROW)
async def test_a_partition_that_appears_later_is_read_from_its_beginning(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    member = await members.join(topic, group=topic, start_at="latest")

    await broker.grow(topic, 2)
    await broker.fill(topic, [b"new"], partition=1)

    await member.until(lambda: member.values() == [b"new"])


@on_each(embedded=CANNOT_GROW)
async def test_new_partitions_lose_nothing_when_they_move_before_a_commit(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    readers = [await members.join(topic, group=topic, start_at="latest")]
    await broker.grow(topic, 4)
    for partition in range(1, 4):
        await broker.fill(topic, [b"new"], partition=partition)
    await readers[0].until(lambda: len(readers[0].values()) == 3)

    # In the end each has one, and some of them only a new one.
    for _ in range(3):
        reader = await members.join(topic, group=topic, start_at="latest")
        await reader.until(lambda reader=reader: bool(reader.assigned))  # type: ignore[misc]
        readers.append(reader)

    for reader in readers:
        await reader.until(lambda reader=reader: len(reader.assigned) == 1)  # type: ignore[misc]
        (where,) = reader.assigned
        if where.partition > 0:
            await reader.until(
                lambda reader=reader, where=where: (
                    reader.values(where.partition)  # type: ignore[misc]
                    == [b"new"]
                )
            )


@on_each(embedded=MAKES_TOPICS)
async def test_a_topic_that_appears_later_is_read_from_its_beginning(
    broker: Broker, members: Members
) -> None:
    topic = new_name()
    member = members.consumer(topic, group=topic, start_at="latest")
    assert list(await member.consumer.start()) == [topic]

    await broker.create(topic)
    await broker.fill(topic, [b"first"])

    await member.until(lambda: member.values() == [b"first"])


async def test_a_topic_that_appears_later_for_a_pattern_is_read_from_its_beginning(
    broker: Broker, members: Members
) -> None:
    prefix = new_name()
    await broker.create(f"{prefix}.a")
    await broker.fill(f"{prefix}.a", [b"old"])
    pattern = f"^{prefix}[.].*$"
    member = await members.join(pattern, group=prefix, start_at="latest")
    await member.until(lambda: len(member.assigned) == 1)

    await broker.create(f"{prefix}.b")
    await broker.fill(f"{prefix}.b", [b"new"])

    await member.until(lambda: member.values() == [b"new"])


async def test_none_refuses_to_start_where_nothing_is_committed(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    member = members.consumer(topic, group=topic, start_at="none")
    await member.consumer.start()

    await member.until(lambda: bool(member.errors))

    (error,) = member.errors
    assert error.fatal
    assert error.code == "_AUTO_OFFSET_RESET"
    assert str(error) == (
        f"Kafka could not consume: {topic}[0] has no committed offset and "
        '`auto_offset_reset="none"` (_AUTO_OFFSET_RESET).'
    )


async def test_none_goes_on_where_something_is_committed(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    await broker.fill(topic, numbered(3))
    first = await members.join(topic, group=topic)
    first.consumer.finished(TopicPartition(topic, 0), 2)
    await first.consumer.stop(10.0)

    second = await members.join(topic, group=topic, start_at="none")
    await second.until(lambda: second.values() == [b"2"])


@on_each(embedded="it deletes no records when it is asked to")
async def test_a_gap_is_an_error_and_nothing_behind_it_is_read(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    await broker.fill(topic, numbered(5))
    first = await members.join(topic, group=topic)
    first.consumer.finished(TopicPartition(topic, 0), 2)
    await first.consumer.stop(10.0)
    await broker.delete(topic, 0, before=4)

    second = await members.join(topic, group=topic)
    await second.until(lambda: bool(second.errors))

    (error,) = second.errors
    assert error.fatal
    assert error.code == "_AUTO_OFFSET_RESET"
    assert str(error).startswith(
        f"{topic}[0]: the group's offset is not there any more: "
    )
    assert str(error).endswith(
        ". Records were deleted before this group read them, or the topic was made "
        "again. To go on where it begins now or at its end, set `on_gap` to "
        '"earliest" or "latest"; or set the group\'s offset with '
        "kafka-consumer-groups.sh --reset-offsets."
    )
    await second.consumer.stop(10.0)
    assert second.values() == []
    assert await broker.committed(topic, topic) == {0: 2}


@on_each(embedded="it deletes no records when it is asked to")
@pytest.mark.parametrize(("on_gap", "offsets"), [("earliest", [4, 5]), ("latest", [5])])
async def test_a_gap_is_passed_where_that_is_wanted(
    broker: Broker, members: Members, on_gap: str, offsets: list[int]
) -> None:
    topic = await broker.topic()
    await broker.fill(topic, numbered(5))
    first = await members.join(topic, group=topic)
    first.consumer.finished(TopicPartition(topic, 0), 2)
    await first.consumer.stop(10.0)
    await broker.delete(topic, 0, before=4)

    second = await members.join(topic, group=topic, on_gap=on_gap)
    await second.until(lambda: bool(second.events))
    await broker.fill(topic, [b"5"])
    await second.until(lambda: len(second.offsets(0)) == len(offsets))

    (gap,) = second.events
    assert (gap.kind, gap.what, gap.offset) == ("gap", f"{topic}[0]", offsets[0])
    assert gap.text.startswith(
        f"{topic}[0]: the group's offset 2 is not there any more: "
    )
    assert gap.text.endswith(
        "The log has the offsets 4 to 5 now; "
        f"by `on_gap={on_gap!r}` the group goes on at {offsets[0]}. "
        f"{offsets[0] - 2} offsets are passed over."
    )
    assert second.offsets(0) == offsets
    assert second.errors == []


@on_each()
@pytest.mark.parametrize(
    ("more", "expected"), [("", [b"1"]), ("(-dlt)?", [b"1", b"2"])]
)
async def test_a_pattern_reads_dead_letters_only_when_it_names_them(
    broker: Broker, members: Members, more: str, expected: list[bytes]
) -> None:
    prefix = new_name()
    for name, value in ((f"{prefix}.a", b"1"), (f"{prefix}.a-dlt", b"2")):
        await broker.create(name)
        await broker.fill(name, [value])
    await broker.create(f"{prefix}.last")
    member = await members.join(f"^{prefix}[.].*{more}$", group=prefix)
    await broker.fill(f"{prefix}.last", [b"3"])
    await member.until(lambda: b"3" in member.values())
    await member.until(lambda: len(member.values()) > len(expected))

    assert set(member.values()) == {*expected, b"3"}


@on_each()
async def test_what_is_committed_comes_with_the_assignment(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic(2)
    partition, other = TopicPartition(topic, 0), TopicPartition(topic, 1)
    await broker.fill(topic, numbered(5))
    first = await members.join(topic, group=topic)
    assert first.committed == {partition: None, other: None}
    await first.consumer.commit(partition, 1, "opened")
    assert await broker.committed(topic, topic) == {0: 1}
    first.consumer.note(partition, "noted")
    first.consumer.finished(partition, 3)
    await first.consumer.stop(10.0)

    second = await members.join(topic, group=topic)

    assert second.committed == {partition: Committed(3, "noted"), other: None}


@on_each()
async def test_a_note_is_what_stays_also_when_the_offset_was_handed_over_before(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    partition = TopicPartition(topic, 0)
    await broker.fill(topic, numbered(5))
    first = await members.join(topic, group=topic)
    await first.consumer.commit(partition, 0, "opened")
    first.consumer.finished(partition, 3)
    await becomes_true(lambda: committed_up_to(broker, topic, 3))
    first.on_revoke = lambda _: first.consumer.note(partition, "closed")
    await first.consumer.stop(10.0)

    second = await members.join(topic, group=topic)

    assert second.committed == {partition: Committed(3, "closed")}


async def committed_up_to(broker: Broker, topic: str, offset: int) -> bool:
    return await broker.committed(topic, topic) == {0: offset}


@on_each()
async def test_metadata_is_committed_when_the_offset_does_not_move(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    partition = TopicPartition(topic, 0)
    await broker.fill(topic, numbered(5))
    first = await members.join(topic, group=topic)
    await first.consumer.commit(partition, 0, "opened")
    first.consumer.note(partition, "five is done")
    await first.consumer.stop(10.0)

    second = await members.join(topic, group=topic)

    assert second.committed == {partition: Committed(0, "five is done")}


@on_each(embedded="it may never answer a commit that comes right after a rebalance")
async def test_a_committed_offset_that_went_back_is_noticed(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic(2)
    for partition in (0, 1):
        await broker.fill(topic, numbered(5), partition=partition)
    stays = await members.join(topic, group=topic)
    for partition in (0, 1):
        stays.consumer.finished(TopicPartition(topic, partition), 4)
    other = await members.join(topic, group=topic)
    await other.until(lambda: len(other.assigned) == 1)
    (moved,) = other.assigned
    await other.consumer.commit(moved, 1, "")
    await other.consumer.stop(10.0)
    await stays.until(lambda: bool(stays.events))

    (rewound,) = stays.events
    assert (rewound.kind, rewound.offset) == ("rewound", 1)
    assert rewound.text == (
        f"{moved}: the group's committed offset went back from 4 to 1. Somebody has "
        "set it, or the topic was made again. What is between is read again."
    )


async def test_without_a_group_latest_reads_what_comes_after_the_start(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    await broker.fill(topic, [b"before"])
    member = await members.join(topic, group=None, start_at="latest")

    async def something_came() -> bool:
        # The seam does not say when its position is known; what is written from then
        # on comes.
        await broker.fill(topic, [b"after"])
        return bool(member.values())

    await becomes_true(something_came)
    assert set(member.values()) == {b"after"}
