"""Plain Kafka clients for tests: what a client other than ours sees."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, Message, Producer, TopicPartition

WAIT_SECONDS = 20.0
"""Long enough for a slow machine; a test that gets there has failed."""


def produce(
    servers: str,
    topic: str,
    values: Iterable[bytes | None],
    *,
    key: bytes | None = None,
    partition: int = -1,
    idempotent: bool = False,
) -> None:
    """Send values, and return when all are acknowledged.

    On Apache Kafka a batch that a new topic refuses may be overtaken by the next,
    unless the producer is idempotent. Such a one waits half a second for its id, on any
    broker: librdkafka asks for it before it is connected, and then in that interval.
    """
    config = {"bootstrap.servers": servers, "linger.ms": 1}
    producer = Producer({**config, "enable.idempotence": idempotent})
    refused: list[Any] = []

    def delivered(error: Any, _: Any) -> None:
        if error is not None:
            refused.append(error)

    for value in values:
        producer.produce(topic, value, key, partition, delivered)
        producer.poll(0)
    assert producer.flush(WAIT_SECONDS) == 0
    assert not refused


def read(servers: str, topic: str, count: int) -> list[Message]:
    """Return the first *count* records of a topic, over all its partitions."""
    with_offsets = _partitions(servers, topic)
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "tests-reader",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 10,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, p, 0) for p in with_offsets])
        records: list[Message] = []
        deadline = time.monotonic() + WAIT_SECONDS
        while len(records) < count and time.monotonic() < deadline:
            got = consumer.consume(count - len(records), 0.1)
            records += [m for m in got if m.error() is None]
        assert len(records) == count, f"{len(records)} of {count} records arrived"
        return records
    finally:
        consumer.close()


def commits(servers: str, group: str, topic: str) -> dict[int, tuple[int, str]]:
    """Return what a group has committed: offsets and metadata, where there is one."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group})
    try:
        asked = [TopicPartition(topic, p) for p in _partitions(servers, topic)]
        answered = consumer.committed(asked, timeout=WAIT_SECONDS)
        return {
            p.partition: (p.offset, p.metadata or "") for p in answered if p.offset >= 0
        }
    finally:
        consumer.close()


def committed(servers: str, group: str, topic: str) -> dict[int, int]:
    """Return the committed offsets of a group; partitions without one are left out."""
    found = commits(servers, group, topic)
    return {partition: offset for partition, (offset, _) in found.items()}


def commit(
    servers: str, group: str, topic: str, what: Mapping[int, tuple[int, str]]
) -> None:
    """Commit offsets and metadata of a group that has no members."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group})
    try:
        offsets = [
            TopicPartition(topic, p, offset, metadata)
            for p, (offset, metadata) in what.items()
        ]
        consumer.commit(offsets=offsets, asynchronous=False)
    finally:
        consumer.close()


def ends(servers: str, topic: str) -> dict[int, int]:
    """Return the end offset of each partition that has records."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "tests-reader"})
    try:
        found = {
            p: consumer.get_watermark_offsets(TopicPartition(topic, p), WAIT_SECONDS)
            for p in _partitions(servers, topic)
        }
        return {p: high for p, (_, high) in found.items() if high}
    finally:
        consumer.close()


def _partitions(servers: str, topic: str) -> Sequence[int]:
    producer = Producer({"bootstrap.servers": servers})
    metadata = producer.list_topics(topic, timeout=WAIT_SECONDS)
    return sorted(metadata.topics[topic].partitions)


async def until(condition: Callable[[], bool]) -> None:
    """Return as soon as something is true; fail when it does not become so."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.005)


async def in_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run one of the blocking functions above beside the event loop."""
    return await asyncio.to_thread(function, *args, **kwargs)
