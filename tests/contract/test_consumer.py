"""What `transport/base.py` promises of a consumer: joining, intake, leaving."""

from __future__ import annotations

import asyncio
import logging

import pytest

from fastkafka.observe.events import Operation
from fastkafka.transport.base import TopicPartition
from fastkafka.transport.intake import HIGH_RECORDS, POLL_RECORDS
from tests.contract.brokers import Broker, new_name, on_each
from tests.contract.members import Members

MAKES_TOPICS = "it makes a topic when it is asked for one"
CANNOT_GROW = "its topics get no more partitions"


def numbered(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


@on_each(embedded=MAKES_TOPICS)
async def test_start_returns_the_topics_that_are_missing_and_joins_them_later(
    broker: Broker, members: Members
) -> None:
    there, missing = await broker.topic(), new_name()
    member = members.consumer(there, missing, group=there)

    assert list(await member.consumer.start()) == [missing]
    await member.until(lambda: bool(member.assigned))
    assert member.assigned == {TopicPartition(there, 0)}

    await broker.create(missing)
    await broker.fill(missing, [b"late"])
    await member.until(lambda: member.values() == [b"late"])


async def test_start_returns_before_the_first_assignment(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    member = members.consumer(topic, group=topic)

    await member.consumer.start()
    assert member.assignments == 0
    await member.until(lambda: member.assigned == {TopicPartition(topic, 0)})


async def test_a_pattern_subscribes_to_the_topics_that_match_all_of_it(
    broker: Broker, members: Members
) -> None:
    prefix = new_name()
    await broker.create(f"{prefix}.a")
    await broker.create(f"{prefix}.b")
    await broker.fill(f"{prefix}.a", [b"1"])
    await broker.fill(f"{prefix}.b", [b"2"])
    member = members.consumer(f"^{prefix}[.]a$", group=prefix)

    await member.consumer.start()
    await member.until(lambda: member.values() == [b"1"])

    assert member.assigned == {TopicPartition(f"{prefix}.a", 0)}


async def test_records_come_in_order_in_runs_of_one_partition_after_its_assignment(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic(3)
    for partition in range(3):
        await broker.fill(topic, numbered(700), partition=partition)

    member = await members.join(topic, group=topic)
    await member.until(lambda: len(member.values()) == 2100)

    for partition in range(3):
        assert member.values(partition) == numbered(700)
        assert member.offsets(partition) == list(range(700))


async def test_pause_stops_the_intake_and_the_member_stays_in_its_group(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic(2)
    await broker.fill(topic, [b"before"])
    paused = await members.join(topic, group=topic)
    await paused.until(lambda: paused.values() == [b"before"])

    paused.consumer.pause()
    # A second member shares with it, so it is asked to give up one of two.
    other = await members.join(topic, group=topic)
    await other.until(lambda: len(other.assigned) == 1)
    assert [len(asked) for asked in paused.revokes] == [1]
    for partition in range(2):
        await broker.fill(topic, [b"after"], partition=partition)
    witness = await members.join(topic, group=new_name())
    await witness.until(lambda: len(witness.values()) == 3)

    (kept,) = paused.assigned
    paused.consumer.finished(kept, 1)
    await paused.consumer.stop(10.0)

    assert paused.values() == [b"before"]
    assert (await broker.committed(topic, topic))[kept.partition] == 1


async def test_who_measures_hears_of_polls_with_records_and_of_awaited_commits(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic(2)
    where = TopicPartition(topic, 0)
    for partition in range(2):
        await broker.fill(topic, numbered(50), partition=partition)
    member, heard = members.consumer(topic, group=topic), list[Operation]()
    member.consumer.measure(heard.append)
    await member.consumer.start()
    await member.until(lambda: len(member.values()) == 100)

    polls = [one for one in heard if one.name == "poll"]
    assert sum(poll.records for poll in polls) == 100
    assert {poll.topic for poll in polls} == {topic}
    assert {poll.partition for poll in polls} <= {0, 1, None}
    assert all(poll.seconds >= 0 and poll.error is None for poll in polls)
    assert len(polls) <= len(member.runs)

    await member.consumer.commit(where, 7, "")
    (commit,) = (one for one in heard if one.name == "commit")
    assert (commit.topic, commit.partition, commit.error) == (topic, 0, None)
    member.consumer.finished(where, 9)
    await member.consumer.stop(10.0)
    assert (await broker.committed(topic, topic))[0] == 9


async def test_a_partition_that_is_full_waits_until_there_is_room(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic(2)
    where = TopicPartition(topic, 0)
    many = 2 * HIGH_RECORDS
    await broker.fill(topic, numbered(many))
    member = await members.join(topic, group=topic)

    await member.until(lambda: len(member.values(0)) > HIGH_RECORDS)
    # The other partition is not held up by it.
    await broker.fill(topic, [b"other"], partition=1)
    await member.until(lambda: member.values(1) == [b"other"])
    held = len(member.values(0))
    assert held <= HIGH_RECORDS + POLL_RECORDS

    member.consumer.taken(where, held, sum(run.size for run in member.runs))
    await member.until(lambda: len(member.values(0)) == many)
    assert member.values(0) == numbered(many)


async def test_without_a_group_everybody_reads_everything_and_commits_nothing(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic(2)
    for partition in range(2):
        await broker.fill(topic, numbered(3), partition=partition)
    both = [await members.join(topic, group=None) for _ in range(2)]

    for member in both:
        await member.until(lambda member=member: len(member.values()) == 6)  # type: ignore[misc]
        assert member.assigned == {TopicPartition(topic, 0), TopicPartition(topic, 1)}
        member.consumer.finished(TopicPartition(topic, 0), 3)
        await member.consumer.stop(10.0)
        assert member.revokes == []

    again = await members.join(topic, group=None)
    await again.until(lambda: len(again.values()) == 6)


async def test_a_stop_is_bounded_when_no_broker_answers(
    broker: Broker, members: Members, caplog: pytest.LogCaptureFixture
) -> None:
    topic = await broker.topic()
    await broker.fill(topic, numbered(3))
    member = await members.join(topic, group=topic)
    await member.until(lambda: len(member.values()) == 3)

    with broker.unreachable():
        member.consumer.finished(TopicPartition(topic, 0), 3)
        with caplog.at_level(logging.ERROR, "fastkafka.transport"):
            async with asyncio.timeout(20.0):
                await member.consumer.stop(1.0)

    said = [log.message for log in caplog.records if log.levelno == logging.ERROR]
    # Nothing, where the client gives up by itself, and sooner.
    assert said in (
        [],
        [
            "The consumer did not close in 1 s and is abandoned. What it could not "
            "commit will be read again."
        ],
    )
