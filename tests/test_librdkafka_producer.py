"""The producer's backlog, with a client whose queue is full when a test says so."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from fastkafka import FastKafka, ProduceError
from fastkafka.testing import EmbeddedBroker
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


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
async def test_a_forked_process_is_told_that_it_cannot_produce(
    embedded: EmbeddedBroker,
) -> None:
    app = FastKafka(title="Shop", bootstrap_servers=embedded.bootstrap_servers)

    @app.produces(topic="orders")
    def to_orders(number: int) -> int:
        return number

    async with app:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                to_orders(1)
                said = "nothing"
            except ProduceError as error:
                said = str(error)
            os.write(writer, said.encode())
            os._exit(0)
        os.waitpid(child, 0)  # noqa: ASYNC222 - it ends at once
        os.close(writer)
        said = os.read(reader, 10_000).decode()
        os.close(reader)

    assert said == (
        "A record for 'orders' cannot be sent from a forked process: the Kafka "
        "client's threads stay with its parent. Use a process that is spawned "
        '(`multiprocessing.get_context("spawn")`), or produce in the parent.'
    )
