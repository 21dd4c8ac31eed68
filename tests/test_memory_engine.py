"""The engine on the broker in memory: whole apps, in milliseconds."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from typing import Any

import pytest
from pydantic import BaseModel

from fastkafka import EventMetadata, FastKafka, HandlerError, KafkaEvent, Retry
from fastkafka.transport.memory import MemoryBroker
from tests.simulation.loop import SimulatedLoop, simulate

logger = logging.getLogger(__name__)


class Order(BaseModel):
    id: int


class Invoice(BaseModel):
    order: int


def order(number: int) -> bytes:
    return b'{"id": %d}' % number


def shop(broker: MemoryBroker, **settings: Any) -> FastKafka:
    return FastKafka(title="Shop", transport=broker, **settings)


async def test_a_message_is_handled_its_output_sent_and_its_offset_committed() -> None:
    broker = MemoryBroker({"orders": 2, "invoices": 3})
    app = shop(broker)

    @app.consumes(topic="orders")
    async def on_orders(order: Order) -> None:
        await to_invoices(order)

    @app.produces(topic="invoices")
    async def to_invoices(order: Order) -> KafkaEvent[Invoice]:
        return KafkaEvent(Invoice(order=order.id), key=b"%d" % order.id)

    async with app:
        for number in range(200):
            broker.produce("orders", order(number), key=b"%d" % number)
        await broker.idle()
        broker.advance(1.0)
        assert sum(broker.lag("shop", "orders").values()) == 0

    invoices = broker.messages("invoices")
    assert sorted(int(r.key() or b"") for r in invoices) == list(range(200))
    assert {r.partition() for r in invoices} == {0, 1, 2}
    assert broker.members("shop") == {}


async def test_a_sync_handler_produces_from_its_thread_through_a_full_queue() -> None:
    broker = MemoryBroker()
    app = shop(broker, librdkafka={"queue.buffering.max.messages": 5})

    @app.consumes(topic="orders")
    def on_orders(order: Order) -> None:
        to_invoices(order)

    @app.produces(topic="invoices")
    def to_invoices(order: Order) -> Invoice:
        return Invoice(order=order.id)

    for number in range(300):
        broker.produce("orders", order(number))
    async with app:
        await broker.idle()

    assert [r.value() for r in broker.messages("invoices")] == [
        b'{"order":%d}' % number for number in range(300)
    ]
    assert broker.committed("shop", "orders") == {0: 300}


async def test_what_a_crashed_worker_had_not_committed_is_handled_by_another() -> None:
    broker = MemoryBroker({"orders": 2})
    handled: list[tuple[str, int]] = []

    def worker(name: str) -> FastKafka:
        app = shop(broker)

        @app.consumes(topic="orders")
        async def on_orders(order: Order) -> None:
            handled.append((name, order.id))

        return app

    async with worker("first"):
        (first,) = broker.members("shop")
        broker.produce("orders", order(1), partition=0)
        broker.produce("orders", order(2), partition=1)
        await broker.idle()
        broker.crash(first)
        async with worker("second"):
            waiting = asyncio.ensure_future(broker.idle())
            broker.advance(10.0)  # its session
            await waiting

    assert sorted(handled) == [("first", 1), ("first", 2), ("second", 1), ("second", 2)]
    assert broker.committed("shop", "orders") == {0: 1, 1: 1}


def test_an_app_that_gets_no_partition_starts_at_once_all_the_same() -> None:
    """Its pattern matches nothing yet, or others have all there is."""

    async def start(loop: SimulatedLoop) -> float:
        app = shop(MemoryBroker())

        @app.consumes(topic=re.compile("parcels-.*"))
        async def on_parcels(order: Order) -> None: ...

        async with app:
            return loop.now

    assert simulate(start) < 0.1


async def test_a_rebalance_waits_for_the_record_in_hand_and_repeats_nothing() -> None:
    broker = MemoryBroker({"orders": 4})
    handled: list[tuple[int, int]] = []
    inside, go_on = asyncio.Event(), asyncio.Event()

    def worker() -> FastKafka:
        app = shop(broker)

        @app.consumes(topic="orders")
        async def on_orders(order: Order, meta: EventMetadata) -> None:
            inside.set()
            await go_on.wait()
            handled.append((meta.partition, order.id))

        return app

    for number in range(40):
        broker.produce("orders", order(number), partition=number % 4)
    async with worker():
        await inside.wait()
        async with worker():
            go_on.set()
            await broker.idle()
            broker.rebalance()
            await broker.idle()

    assert sorted(handled) == sorted((n % 4, n) for n in range(40))
    assert broker.committed("shop", "orders") == dict.fromkeys(range(4), 10)


async def test_an_output_that_is_refused_stops_the_app_before_its_input() -> None:
    broker = MemoryBroker()
    app = shop(broker, on_failure="stop", retry=Retry(attempts=1))

    @app.consumes(topic="orders")
    async def on_orders(order: Order) -> None:
        await to_invoices(order)

    @app.produces(topic="invoices")
    async def to_invoices(order: Order) -> Invoice:
        return Invoice(order=order.id)

    broker.produce("orders", order(1))
    with pytest.raises(HandlerError, match="Not enough replicas"):
        async with app:
            await broker.idle()
            broker.fail("produce", topic="invoices", error="NOT_ENOUGH_REPLICAS")
            broker.produce("orders", order(2))
            await app.wait_stopped()

    assert broker.committed("shop", "orders") == {0: 1}
    assert len(broker.messages("invoices")) == 1


async def test_an_app_with_ten_handlers_comes_and_goes() -> None:
    broker = MemoryBroker()
    app = shop(broker)
    handled: list[int] = []
    for number in range(10):

        @app.consumes(topic=f"orders-{number}")
        async def on_orders(order: Order) -> None:
            handled.append(order.id)

        @app.produces(topic=f"invoices-{number}")
        async def to_invoices(order: Order) -> Invoice:
            return Invoice(order=order.id)

    began = time.perf_counter()
    async with app:
        entered = time.perf_counter()
        for number in range(10):
            broker.produce(f"orders-{number}", order(number))
        await broker.idle()
        leaving = time.perf_counter()
    left = time.perf_counter()

    logger.info(
        "entered in %.1f ms, left in %.1f ms",
        (entered - began) * 1000,
        (left - leaving) * 1000,
    )
    assert sorted(handled) == list(range(10))
