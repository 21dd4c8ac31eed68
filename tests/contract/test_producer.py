"""What `transport/base.py` promises of a producer."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest

from fastkafka.errors import ProduceError
from tests.contract.brokers import Broker, new_name, on_each
from tests.contract.members import Members

JAVA = {
    # From Java's own tests of its murmur2, and keys that apps have.
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}
"""Keys and what Java's murmur2 makes of them."""


def partition_of(hashed: int, partitions: int) -> int:
    """Choose as Java does: `Utils.toPositive(hash) % numPartitions`."""
    return (hashed & 0x7FFFFFFF) % partitions


@on_each(embedded="it makes a topic when it is asked for one")
async def test_start_returns_the_topics_that_are_missing(
    broker: Broker, members: Members
) -> None:
    there, missing = await broker.topic(), new_name()
    config = {"bootstrap.servers": broker.servers}
    producer = broker.transport.producer(config, [there, missing])

    assert list(await producer.start()) == [missing]
    assert await producer.stop(5.0) == 0


async def test_each_record_is_acknowledged_once(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic(2)
    sent = await members.producer(topic)

    for number in range(500):
        sent.send(topic, b"%d" % number)
    assert sent.outcomes == []  # never inside send
    await sent.until(500)
    assert await sent.producer.stop(10.0) == 0

    counted = Counter(record.value() for record in sent.acknowledged())
    assert counted == {b"%d" % number: 1 for number in range(500)}
    places = {(r.partition(), r.offset()) for r in sent.acknowledged()}
    assert len(places) == 500


async def test_everything_of_a_record_arrives(broker: Broker, members: Members) -> None:
    topic = await broker.topic(3)
    sent = await members.producer(topic)
    headers = [("a", b"1"), ("b", b""), ("a", b"2")]

    sent.send(topic, b"v", key=b"k", headers=headers, partition=2, timestamp=1234567)
    sent.send(topic, None, key=b"", partition=2)
    await sent.until(2)

    full, tombstone = await broker.read(topic, 2)
    assert (full.topic(), full.partition(), full.offset()) == (topic, 2, 0)
    assert (full.value(), full.key()) == (b"v", b"k")
    assert list(full.headers() or ()) == headers
    assert full.timestamp() == (1, 1234567)
    assert tombstone.value() is None
    assert tombstone.key() == b""
    assert tombstone.headers() is None
    kind, milliseconds = tombstone.timestamp()
    assert kind == 1
    assert milliseconds > 1234567


async def test_records_of_a_key_keep_their_order(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic(4)
    sent = await members.producer(topic)

    for number in range(600):
        sent.send(topic, b"%d" % number, key=b"key-%d" % (number % 3))
    await sent.until(600)

    records = sorted(await broker.read(topic, 600), key=lambda record: record.offset())
    for key in range(3):
        of_key = [r for r in records if r.key() == b"key-%d" % key]
        assert len({r.partition() for r in of_key}) == 1
        assert [r.value() for r in of_key] == [b"%d" % n for n in range(key, 600, 3)]


@pytest.mark.parametrize("partitions", [3, 7, 12])
async def test_a_key_lands_where_java_puts_it(
    broker: Broker, members: Members, partitions: int
) -> None:
    topic = await broker.topic(partitions)
    sent = await members.producer(topic)

    for key in JAVA:
        sent.send(topic, b"", key=key)
    await sent.until(len(JAVA))

    landed = {record.key(): record.partition() for record in sent.acknowledged()}
    assert landed == {key: partition_of(h, partitions) for key, h in JAVA.items()}


async def test_records_without_a_key_are_spread(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic(2)
    # librdkafka stays with a partition for a moment, to fill batches.
    sent = await members.producer(topic, sticky_partitioning_linger_ms=0)

    for _ in range(200):
        sent.send(topic, b"")
    await sent.until(200)

    assert {record.partition() for record in sent.acknowledged()} == {0, 1}


async def test_a_record_that_is_too_large_is_refused_alone(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    sent = await members.producer(topic, message_max_bytes=5000)

    sent.send(topic, b"before")
    with pytest.raises(ProduceError) as refused:
        sent.send(topic, b"x" * 6000, key=b"key")
    sent.send(topic, b"after")
    await sent.until(2)

    assert str(refused.value) == (
        f"A record for '{topic}' was not acknowledged: the record has 6,003 bytes, "
        "which is above the limit. Raise the topic's max.message.bytes and "
        "`max_request_size`, or send less."
    )
    assert refused.value.code == "MSG_SIZE_TOO_LARGE"
    assert refused.value.topic == topic
    assert refused.value.key == b"key"
    assert [r.value() for r in sent.acknowledged()] == [b"before", b"after"]
    assert [r.value() for r in await broker.read(topic, 2)] == [b"before", b"after"]


async def test_what_is_above_the_queue_waits_in_order_and_says_so(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    sent = await members.producer(topic, queue_buffering_max_messages=10)

    assert not sent.producer.full
    for number in range(500):
        sent.send(topic, b"%d" % number, key=b"key")
    assert sent.producer.full
    async with asyncio.timeout(20.0):
        await sent.producer.room()
    assert not sent.producer.full
    await sent.until(500)

    assert [r.value() for r in sent.acknowledged()] == [b"%d" % n for n in range(500)]
    records = await broker.read(topic, 500)
    assert [r.value() for r in records] == [b"%d" % n for n in range(500)]


async def test_a_thread_may_send_and_wait_for_room(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    sent = await members.producer(topic, queue_buffering_max_messages=10)
    senders: set[threading.Thread] = set()

    def work() -> None:
        senders.add(threading.current_thread())
        for number in range(100):
            sent.send(topic, b"%d" % number)
            if sent.producer.full:
                sent.producer.wait_for_room()

    await asyncio.to_thread(work)
    await sent.until(100)

    assert senders.isdisjoint({threading.main_thread()})
    assert [r.value() for r in sent.acknowledged()] == [b"%d" % n for n in range(100)]


async def test_a_partition_that_does_not_exist_is_refused(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    sent = await members.producer(topic)

    with pytest.raises(ProduceError) as refused:
        sent.send(topic, b"", partition=7)

    assert refused.value.code == "_UNKNOWN_PARTITION"
    assert str(refused.value).endswith("Local: Unknown partition (_UNKNOWN_PARTITION).")


async def test_stop_flushes(broker: Broker, members: Members) -> None:
    topic = await broker.topic()
    sent = await members.producer(topic, linger_ms=200, queue_buffering_max_messages=50)
    for number in range(120):
        sent.send(topic, b"%d" % number)

    assert await sent.producer.stop(20.0) == 0

    await sent.until(120)
    assert len(sent.acknowledged()) == 120
    assert len(await broker.read(topic, 120)) == 120


async def test_stop_is_bounded_and_counts_what_is_left_when_no_broker_answers(
    broker: Broker, members: Members
) -> None:
    topic = await broker.topic()
    sent = await members.producer(topic)
    sent.send(topic, b"there")
    await sent.until(1)

    with broker.unreachable():
        for _ in range(3):
            sent.send(topic, b"lost")
        async with asyncio.timeout(20.0):
            assert await sent.producer.stop(0.5) == 3
    assert len(sent.outcomes) == 1
