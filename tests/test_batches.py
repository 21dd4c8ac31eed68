"""Batches that wait to be filled, in simulated time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fastkafka import EventMetadata, FastKafka
from fastkafka.errors import ConfigError
from fastkafka.routing import Order
from fastkafka.testing import Tester
from fastkafka.transport import intake
from fastkafka.transport.memory import MemoryBroker
from tests.simulation.loop import SimulatedLoop, simulate


class Shop:
    """An app that takes batches of numbers, and notes when it got which."""

    def __init__(self, partitions: int = 1, **arguments: Any) -> None:
        self.broker = MemoryBroker({"orders": partitions})
        self.batches: list[list[int]] = []
        self.times: list[float] = []
        self.partitions: list[set[int]] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.ends: set[int] = set()
        """If there are some: batches that begin otherwise never end."""
        self.app = self.worker(**arguments)

    def worker(self, **arguments: Any) -> FastKafka:
        app = FastKafka(title="Shop", transport=self.broker)

        @app.consumes(topic="orders", **arguments)
        async def on_orders(numbers: list[int], metas: list[EventMetadata]) -> None:
            self.batches.append(numbers)
            self.times.append(asyncio.get_running_loop().time())
            self.partitions.append({meta.partition for meta in metas})
            await self.go_on.wait()
            if self.ends and numbers[0] not in self.ends:
                await asyncio.Event().wait()

        return app

    def produce(self, *numbers: int, partition: int = 0) -> None:
        for number in numbers:
            self.broker.produce("orders", b"%d" % number, partition=partition)

    def committed(self) -> int:
        return self.broker.committed("shop", "orders")[0]


def simulated(test: Callable[[SimulatedLoop], Awaitable[None]]) -> None:
    async def main(loop: SimulatedLoop) -> None:
        await test(loop)

    simulate(main)


orders = pytest.mark.parametrize("order", ["partition", "none"])


@orders
def test_a_batch_waits_for_more_and_then_takes_what_is_there(order: Order) -> None:
    async def test(loop: SimulatedLoop) -> None:
        shop = Shop(max_batch=10, batch_timeout=2, order=order)
        async with shop.app:
            began = loop.now
            shop.produce(1, 2)
            await asyncio.sleep(1.5)
            shop.produce(3)
            await shop.broker.idle()

        assert shop.batches == [[1, 2, 3]]
        assert shop.times[0] - began == pytest.approx(2, abs=0.3)
        assert shop.committed() == 3

    simulated(test)


@orders
def test_a_batch_that_is_full_does_not_wait_and_the_rest_does(order: Order) -> None:
    async def test(loop: SimulatedLoop) -> None:
        shop = Shop(max_batch=3, batch_timeout=60, order=order)
        async with shop.app:
            began = loop.now
            shop.produce(*range(8))
            await asyncio.sleep(1)
            assert shop.batches == [[0, 1, 2], [3, 4, 5]]
            shop.produce(8)
            await asyncio.sleep(1)
            assert shop.batches[2:] == [[6, 7, 8]]
            assert loop.now - began < 3
            await shop.broker.idle()
            shop.produce(9)
            await shop.broker.idle()

        assert shop.batches[3:] == [[9]]
        assert shop.times[-1] - began > 60

    simulated(test)


def test_the_app_says_how_long_its_batches_wait_and_a_function_says_otherwise() -> None:
    async def test(loop: SimulatedLoop) -> None:
        broker = MemoryBroker({"orders": 1})
        app = FastKafka(title="Shop", transport=broker, batch_timeout=5)
        heard: list[tuple[str, int, float]] = []

        def note(name: str, count: int) -> None:
            heard.append((name, count, round(loop.now - began)))

        @app.consumes(topic="orders")
        async def as_the_app(numbers: list[int]) -> None:
            note("app", len(numbers))

        @app.consumes(topic="orders", batch_timeout=2)
        async def sooner(numbers: list[int]) -> None:
            note("sooner", len(numbers))

        @app.consumes(topic="orders", batch_timeout=0)
        async def at_once(numbers: list[int]) -> None:
            note("at once", len(numbers))

        @app.consumes(topic="orders")
        async def single(number: int) -> None:
            note("single", 1)

        async with app:
            began = loop.now
            broker.produce("orders", b"1")
            await broker.idle()

        assert sorted(heard) == [
            ("app", 1, 5),
            ("at once", 1, 0),
            ("single", 1, 0),
            ("sooner", 1, 2),
        ]

    simulated(test)


def test_batches_of_two_partitions_fill_apart_from_each_other() -> None:
    async def test(loop: SimulatedLoop) -> None:
        shop = Shop(2, max_batch=4, batch_timeout=1)
        async with shop.app:
            shop.produce(1, 2, 3)
            shop.produce(11, 12, 13, partition=1)
            await shop.broker.idle()

        assert sorted(shop.batches) == [[1, 2, 3], [11, 12, 13]]
        assert all(len(partitions) == 1 for partitions in shop.partitions)

    simulated(test)


@orders
def test_what_comes_while_the_handler_is_busy_is_one_batch(order: Order) -> None:
    """They came one by one, and were handled one by one, however long that took."""

    async def test(loop: SimulatedLoop) -> None:
        shop = Shop(max_batch=4, order=order, concurrency=1)
        shop.go_on.clear()
        async with shop.app:
            for number in range(7):
                shop.produce(number)
                await asyncio.sleep(0.1)
            assert shop.batches == [[0]]
            shop.go_on.set()
            await shop.broker.idle()

        assert shop.batches == [[0], [1, 2, 3, 4], [5, 6]]
        assert shop.committed() == 7

    simulated(test)


def test_a_stop_does_not_wait_and_the_records_are_read_again() -> None:
    async def test(loop: SimulatedLoop) -> None:
        shop = Shop(max_batch=10, batch_timeout=20)
        async with shop.app:
            shop.produce(1, 2)
            await asyncio.sleep(1)
            began = loop.now
        assert loop.now - began < 1
        assert shop.batches == []
        assert shop.app.snapshot().functions[0].waiting == 0

        async with shop.worker():
            await shop.broker.idle()
        assert shop.batches == [[1, 2]]

    simulated(test)


def test_a_partition_that_is_revoked_does_not_wait() -> None:
    async def test(loop: SimulatedLoop) -> None:
        shop = Shop(2, max_batch=10, batch_timeout=100)
        async with shop.app:
            shop.produce(1)
            shop.produce(11, partition=1)
            await asyncio.sleep(1)
            began = loop.now
            async with shop.worker():  # takes one of them, and waits for nothing
                await asyncio.sleep(5)
                assert loop.now - began < 10
                assert shop.batches in ([[1]], [[11]])

    simulated(test)


def test_a_function_that_was_paused_goes_on_with_what_has_waited() -> None:
    async def test(loop: SimulatedLoop) -> None:
        shop = Shop(max_batch=4, batch_timeout=3)
        async with shop.app:
            shop.app.control.pause("on_orders")
            for number in range(6):
                shop.produce(number)
                await asyncio.sleep(1)
            await asyncio.sleep(10)
            assert shop.batches == []
            began = loop.now
            shop.app.control.resume("on_orders")
            await asyncio.sleep(0.1)
            assert shop.batches == [[0, 1, 2, 3], [4, 5]]
            await shop.broker.idle()
            assert loop.now - began < 1

    simulated(test)


def test_a_batch_of_as_many_bytes_as_a_partition_may_have_does_not_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing more would come in before they are handled."""
    monkeypatch.setattr(intake, "HIGH_BYTES", 10)
    monkeypatch.setattr(intake, "LOW_BYTES", 5)

    async def test(loop: SimulatedLoop) -> None:
        shop = Shop(max_batch=1000, batch_timeout=100)
        async with shop.app:
            began = loop.now
            shop.produce(*range(1000, 1003))  # four bytes each
            await shop.broker.idle()
            assert loop.now - began < 2

        assert shop.batches == [[1000, 1001, 1002]]

    simulated(test)


def test_a_batch_has_no_more_records_than_a_partition_may_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intake, "HIGH_RECORDS", 10)
    monkeypatch.setattr(intake, "LOW_RECORDS", 5)

    async def test(loop: SimulatedLoop) -> None:
        shop = Shop(max_batch=50, batch_timeout=100)
        async with shop.app:
            began = loop.now
            shop.produce(*range(30))
            await shop.broker.idle()
            assert loop.now - began < 2

        assert shop.batches == [[*range(at, at + 10)] for at in (0, 10, 20)]

    simulated(test)


async def test_an_app_says_that_its_batches_will_be_smaller_than_it_wants(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "fastkafka.app")
    async with Shop(max_batch=50_000).app:
        assert (
            "`on_orders`: `max_batch` is 50000, but a partition has at most 10000 "
            "records in work, so a batch has no more." in caplog.messages
        )


def test_what_was_done_before_a_restart_parts_what_waits() -> None:
    """Offsets that the tracker has in one stretch must not be finished in another."""

    async def test(loop: SimulatedLoop) -> None:
        shop = Shop(max_batch=2, order="none", concurrency=3)
        worker = shop.worker(max_batch=10, batch_timeout=5)
        shop.go_on.clear()
        async with shop.app:
            shop.produce(*range(6))
            await asyncio.sleep(1)
            assert shop.batches == [[0, 1], [2, 3], [4, 5]]
            shop.ends.add(2)
            shop.go_on.set()
            await asyncio.sleep(1)
            shop.app.shutdown_timeout = 1
        assert shop.committed() == 0
        shop.batches.clear()
        shop.ends.update({0, 4})
        async with worker:
            await shop.broker.idle()

        assert shop.batches == [[0, 1], [4, 5]]
        assert shop.committed() == 6

    simulated(test)


def test_the_steps_after_a_crash_do_not_wait_for_their_batch_to_fill() -> None:
    async def test(loop: SimulatedLoop) -> None:
        shop = Shop(max_batch=10, batch_timeout=30)
        shop.go_on.clear()
        await shop.app.__aenter__()
        (first,) = shop.broker.members("shop")
        shop.produce(*range(10))
        await asyncio.sleep(1)
        assert len(shop.batches) == 1
        shop.broker.crash(first)
        shop.go_on.set()
        async with shop.worker(max_batch=100, batch_timeout=30):
            began = loop.now
            await shop.broker.idle()
            assert loop.now - began < 30
        await shop.app.__aexit__(None, None, None)

        assert sorted({n for batch in shop.batches[1:] for n in batch}) == [*range(10)]

    simulated(test)


def test_who_waits_for_a_batch_to_fill_does_not_stand_still() -> None:
    async def test(loop: SimulatedLoop) -> None:
        shop = Shop(max_batch=10, batch_timeout=100)
        async with shop.app:
            shop.produce(1, 2)
            await asyncio.sleep(90)
            assert not shop.app.snapshot().problems
            shop.go_on.clear()
            await asyncio.sleep(30)
            assert len(shop.batches) == 1
            assert not shop.app.snapshot().problems
            await asyncio.sleep(15)
            assert [p.kind for p in shop.app.snapshot().problems] == [
                "stalled_partition"
            ]
            shop.go_on.set()

    simulated(test)


async def test_batches_do_not_wait_in_a_tester() -> None:
    app = FastKafka(title="Shop", batch_timeout=3600)
    batches: list[list[int]] = []

    @app.consumes(topic="orders", max_batch=10)
    async def on_orders(numbers: list[int]) -> None:
        batches.append(numbers)

    async with Tester(app) as tester:
        await tester.to_orders(1)
        await tester.idle()

    assert batches == [[1]]


async def takes_one(number: int) -> None: ...


async def takes_many(numbers: list[int]) -> None: ...


@pytest.mark.parametrize("wrong", [-1, float("inf"), float("nan"), "2", True])
def test_a_batch_timeout_that_cannot_be_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError) as of_app:
        FastKafka(batch_timeout=wrong)
    assert str(of_app.value) == (
        f"FastKafka: `batch_timeout` is {wrong!r}. Use seconds, from 0."
    )
    with pytest.raises(ConfigError) as of_function:
        FastKafka().consumes(topic="orders", batch_timeout=wrong)(takes_many)
    assert str(of_function.value) == (
        f"`takes_many`: `batch_timeout` is {wrong!r}. Use seconds, from 0."
    )


@pytest.mark.parametrize("name", ["max_batch", "batch_timeout"])
def test_what_is_of_batches_is_refused_where_one_message_is_taken(name: str) -> None:
    arguments: Any = {name: 1}
    with pytest.raises(ConfigError) as refused:
        FastKafka().consumes(topic="orders", **arguments)(takes_one)
    assert str(refused.value) == (
        f"`takes_one` takes one message at a time, so `{name}` has no meaning. "
        "Take a list of them, `list[...]`, or leave it out."
    )
