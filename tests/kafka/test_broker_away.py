"""Apache Kafka goes away while an app runs, and comes back."""

from __future__ import annotations

import asyncio
import logging
import struct

import pytest
from pydantic import BaseModel

from fastkafka import FastKafka, Reject
from fastkafka.testing import ApacheKafkaBroker
from tests.clients import committed, ends, in_thread, produce, read, until

pytestmark = pytest.mark.kafka


class Order(BaseModel):
    id: int


def orders(*ids: int) -> list[bytes]:
    return [b'{"id": %d}' % i for i in ids]


@pytest.mark.timeout(180)
async def test_a_broker_that_is_away_for_20_s_costs_no_record(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = ApacheKafkaBroker({"orders": 1, "invoices": 1})
    async with broker as servers:
        app = FastKafka(title="Shop", bootstrap_servers=servers)
        handled: list[int] = []

        @app.consumes()
        async def on_orders(order: Order) -> None:
            handled.append(order.id)
            to_invoices(order)

        @app.produces()
        def to_invoices(order: Order) -> Order:
            return order

        with caplog.at_level(logging.INFO):
            async with app:
                await in_thread(produce, servers, "orders", orders(1))
                await until(lambda: handled == [1])
                await in_thread(broker.kill, 1)
                await asyncio.sleep(20)
                await in_thread(broker.restart, 1)
                await in_thread(produce, servers, "orders", orders(2, 3))
                for _ in range(3):  # a group settles after its broker has restarted
                    if 3 not in handled:
                        await asyncio.sleep(20)
                await until(lambda: 3 in handled)

        # The group may have given the partition up meanwhile, so some come twice.
        count = (await in_thread(ends, servers, "invoices"))[0]
        records = await in_thread(read, servers, "invoices", count)
        offsets = await in_thread(committed, servers, "shop", "orders")

    assert handled[0] == 1
    assert set(handled) == {1, 2, 3}
    assert {r.value() for r in records} == {b'{"id":%d}' % i for i in (1, 2, 3)}
    assert offsets == {0: 3}
    assert caplog.text.count("; waiting for one.") <= 2, "once for each client"


async def test_a_dead_letter_topic_is_made_like_its_source_and_written_to() -> None:
    properties = {"auto.create.topics.enable": "false"}
    broker = ApacheKafkaBroker({"orders": 3}, properties=properties)
    async with broker as servers:
        app = FastKafka(title="Shop", bootstrap_servers=servers)
        handled: list[int] = []

        @app.consumes()
        async def on_orders(order: Order) -> None:
            if order.id == 1:
                raise Reject("sold out")
            handled.append(order.id)

        await in_thread(produce, servers, "orders", orders(0, 1, 2), partition=2)
        async with app:
            await until(lambda: handled == [0, 2])

        [letter] = await in_thread(read, servers, "orders-dlt", 1)
        offsets = await in_thread(committed, servers, "shop", "orders")

    assert (letter.partition(), letter.value()) == (2, b'{"id": 1}')
    headers = dict(letter.headers() or ())
    assert headers["kafka_dlt-original-offset"] == struct.pack(">q", 1)
    assert headers["kafka_dlt-original-topic"] == b"orders"
    assert offsets == {2: 3}
