"""The producer's backlog, with a client whose queue is full when a test says so."""

from __future__ import annotations

import asyncio
from typing import Any

from fastkafka.transport.librdkafka import LibrdkafkaProducer


class Queue:
    """Stands for the client: takes records unless it is full."""

    def __init__(self) -> None:
        self.full = False
        self.records: list[bytes] = []

    def produce(self, topic: str, value: bytes, *args: Any, **kwargs: Any) -> None:
        if self.full:
            raise BufferError
        self.records.append(value)


def send(producer: LibrdkafkaProducer, value: bytes) -> bool:
    return producer.send("t", value, None, None, -1, 0, lambda error, record: None)


async def test_nothing_overtakes_what_waits_for_room() -> None:
    queue = Queue()
    producer = LibrdkafkaProducer({}, ["t"])
    producer._client, producer._loop = queue, asyncio.get_running_loop()

    assert not send(producer, b"1")
    queue.full = True
    assert send(producer, b"2")
    queue.full = False
    assert send(producer, b"3"), "there is room again, but 2 comes first"
    assert queue.records == [b"1"]

    producer._feed(queue)
    assert queue.records == [b"1", b"2", b"3"]
    assert not producer.full
