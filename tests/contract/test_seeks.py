"""What `transport/base.py` promises of a partition that is sought."""

from __future__ import annotations

import pytest

from fastkafka.errors import ClientError
from fastkafka.transport.base import TopicPartition
from tests.contract.brokers import Broker
from tests.contract.members import Members, becomes_true


def numbered(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


async def test_a_seek_back_reads_again_and_is_committed_at_once(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    where = TopicPartition(topic, 0)
    await broker.fill(topic, numbered(10))
    member = await members.join(topic, group=topic)
    await member.until(lambda: len(member.values()) == 10)
    member.consumer.taken(where, 10, 10)
    member.consumer.finished(where, 8)

    async def eight_are_committed() -> bool:
        return await broker.committed(topic, topic) == {0: 8}

    await becomes_true(eight_are_committed)
    assert await member.consumer.seek(where, 3)

    assert await broker.committed(topic, topic) == {0: 3}
    await member.until(lambda: len(member.values()) == 7)
    assert member.sought == [(where, 3)]
    assert member.offsets() == [3, 4, 5, 6, 7, 8, 9]
    member.consumer.finished(where, 5)

    async def five_are_committed() -> bool:
        return await broker.committed(topic, topic) == {0: 5}

    await becomes_true(five_are_committed)
    await member.consumer.stop(10.0)
    assert await broker.committed(topic, topic) == {0: 5}


async def test_a_seek_forward_passes_over_what_is_between(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic(2)
    where = TopicPartition(topic, 0)
    await broker.fill(topic, numbered(10))
    await broker.fill(topic, numbered(2), partition=1)
    member = await members.join(topic, group=topic)
    await member.until(lambda: len(member.values()) == 12)

    assert await member.consumer.seek(where, 10)
    await broker.fill(topic, [b"new"])

    await member.until(lambda: member.values(0) == [b"new"])
    assert member.offsets() == [10]
    assert member.values(1) == numbered(2), "another partition is left alone"
    await member.consumer.stop(10.0)
    assert await broker.committed(topic, topic) == {0: 10}


async def test_what_was_finished_before_a_seek_is_not_committed_after_it(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    where = TopicPartition(topic, 0)
    await broker.fill(topic, numbered(10))
    member = await members.join(topic, group=topic)
    await member.until(lambda: len(member.values()) == 10)

    member.consumer.finished(where, 9)
    member.consumer.note(where, "of what came before")
    assert await member.consumer.seek(where, 2)
    await member.consumer.stop(10.0)

    assert await broker.committed(topic, topic) == {0: 2}
    successor = await members.join(topic, group=topic)
    committed = successor.committed[where]
    assert committed is not None
    assert committed.metadata == ""


async def test_a_partition_that_was_full_is_read_on_after_a_seek(
    broker: Broker, members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastkafka.transport.intake.HIGH_RECORDS", 3)
    monkeypatch.setattr("fastkafka.transport.intake.LOW_RECORDS", 1)
    topic = await broker.topic()
    where = TopicPartition(topic, 0)
    await broker.fill(topic, numbered(5))
    member = await members.join(topic, group=topic)
    await member.until(lambda: len(member.values()) == 5)

    async def it_is_held_back() -> bool:
        return where in member.consumer.state().paused

    await becomes_true(it_is_held_back)
    assert await member.consumer.seek(where, 1)

    await member.until(lambda: member.offsets() == [1, 2, 3, 4])


async def test_without_a_group_a_seek_commits_nothing(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    where = TopicPartition(topic, 0)
    await broker.fill(topic, numbered(5))
    member = await members.join(topic, group=None)
    await member.until(lambda: len(member.values()) == 5)

    assert await member.consumer.seek(where, 4)

    await member.until(lambda: member.offsets() == [4])


async def test_a_partition_that_is_not_assigned_cannot_be_sought(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    member = await members.join(topic, group=topic)

    with pytest.raises(ClientError) as refused:
        await member.consumer.seek(TopicPartition(topic, 7), 1)

    assert str(refused.value) == (
        f"{topic}[7] is not assigned to this consumer, which cannot move it."
    )
