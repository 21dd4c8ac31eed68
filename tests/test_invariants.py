"""Rebalances, back-pressure, threads and stops: invariants I3 to I9 of DESIGN.md."""

from __future__ import annotations

import asyncio
import itertools
import logging
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
from pydantic import BaseModel

from fastkafka import ClientError, EventMetadata, FastKafka
from fastkafka.engine.consumer import GroupMember
from fastkafka.engine.offsets import OffsetTracker
from fastkafka.testing import EmbeddedBroker
from fastkafka.transport.base import ConsumerListener
from fastkafka.transport.librdkafka import (
    LibrdkafkaConsumer,
    LibrdkafkaTransport,
    connection,
    consumer,
)
from tests.clients import WAIT_SECONDS, committed, in_thread, produce, until

GROUP = "shop"


class Order(BaseModel):
    id: int


def orders(*ids: int) -> list[bytes]:
    return [b'{"id": %d}' % i for i in ids]


def shop(embedded: EmbeddedBroker, **settings: Any) -> FastKafka:
    return FastKafka(
        title="Shop", bootstrap_servers=embedded.bootstrap_servers, **settings
    )


class Gate:
    """Handlers wait at it; tells which record is inside."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.entered: list[int] = []
        self.left: list[int] = []
        self.inside: Counter[int] = Counter()
        self.most_inside: Counter[int] = Counter()

    async def pass_through(self, order: Order) -> None:
        self.entered.append(order.id)
        self.inside[order.id] += 1
        self.most_inside[order.id] = max(
            self.most_inside[order.id], self.inside[order.id]
        )
        await self.open.wait()
        self.inside[order.id] -= 1
        self.left.append(order.id)


def gated(embedded: EmbeddedBroker, gate: Gate, **settings: Any) -> FastKafka:
    app = shop(embedded, **settings)

    @app.consumes()
    async def on_orders(order: Order) -> None:
        await gate.pass_through(order)

    return app


async def one_order_each(embedded: EmbeddedBroker, partitions: int) -> None:
    embedded.create_topic("orders", partitions)
    for partition in range(partitions):
        await in_thread(
            produce,
            embedded.bootstrap_servers,
            "orders",
            orders(partition),
            partition=partition,
        )


async def test_i3_a_revoke_waits_for_what_is_in_flight_and_commits_it(
    embedded: EmbeddedBroker,
) -> None:
    await one_order_each(embedded, 2)
    first, second = Gate(), Gate()
    second.open.set()

    newcomer = gated(embedded, second)
    async with gated(embedded, first) as app:
        await until(lambda: len(first.entered) == 2)
        joining = asyncio.create_task(newcomer.__aenter__())
        await until(lambda: bool(_member(app).revoking))
        assert not joining.done(), "the partition is not handed over yet"
        first.open.set()
        await joining
        assert _assigned(newcomer) == 1
        assert sorted(first.left) == [0, 1]
        await newcomer.__aexit__(None, None, None)

    assert sorted(first.left) == [0, 1]
    assert second.entered == [], "nothing is handled twice"
    servers = embedded.bootstrap_servers
    assert await in_thread(committed, servers, GROUP, "orders") == {0: 1, 1: 1}


async def test_i3_what_ends_after_the_bounded_wait_is_ignored(
    embedded: EmbeddedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    await one_order_each(embedded, 2)
    first, second = Gate(), Gate()
    servers = embedded.bootstrap_servers

    async with gated(embedded, first, revoke_timeout=0.2):
        await until(lambda: len(first.entered) == 2)
        async with gated(embedded, second):
            await until(lambda: bool(second.entered))
            moved = second.entered[0]
            first.open.set()
            await until(lambda: len(first.left) == 2)
            await until_committed(servers, 1 - moved, 1)
            assert await in_thread(committed, servers, GROUP, "orders") == {
                1 - moved: 1,
                moved: 0,
            }, "the late end of the moved partition's record must not be committed"
            second.open.set()
            await until(lambda: second.left == [moved])

    assert "Handlers did not end within 0 s of a revoke" in caplog.text
    assert await in_thread(committed, servers, GROUP, "orders") == {0: 1, 1: 1}


async def test_i3_a_partition_that_comes_back_waits_for_its_last_handler(
    embedded: EmbeddedBroker,
) -> None:
    """Revoked while a handler runs, then assigned again: it must not run twice."""
    await one_order_each(embedded, 2)
    first, second = Gate(), Gate()

    async with gated(embedded, first, revoke_timeout=0.1) as app:
        await until(lambda: len(first.entered) == 2)
        async with gated(embedded, second, shutdown_timeout=1.0):
            await until(lambda: bool(second.entered))
        await until(lambda: _assigned(app) == 2)
        await asyncio.sleep(0.2)
        assert first.most_inside == {0: 1, 1: 1}
        first.open.set()
        await until(lambda: len(first.left) == 3)

    assert first.most_inside == {0: 1, 1: 1}


def _member(app: FastKafka) -> GroupMember:
    assert app._supervisor is not None
    return app._supervisor.members[0]


def _assigned(app: FastKafka) -> int:
    return len(_member(app).assignments)


async def until_committed(servers: str, partition: int, offset: int) -> None:
    for _ in range(200):
        offsets = await in_thread(committed, servers, GROUP, "orders")
        if offsets.get(partition) == offset:
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"orders[{partition}] was not committed at {offset}: {offsets}")


class Calls:
    """Stands before a client and notes which thread calls what."""

    def __init__(self, client: Any, notes: list[tuple[str, str, float]]) -> None:
        self._client = client
        self._notes = notes

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if not callable(attribute):
            return attribute

        def call(*args: Any, **kwargs: Any) -> Any:
            self._notes.append(
                (name, threading.current_thread().name, time.monotonic())
            )
            return attribute(*args, **kwargs)

        return call


class WatchedTransport(LibrdkafkaTransport):
    """The real transport, which notes the calls of its consumers' clients."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, float]] = []
        self.consumers: list[LibrdkafkaConsumer] = []

    def consumer(
        self,
        config: Mapping[str, Any],
        topics: Collection[str],
        listener: ConsumerListener,
        *,
        start_at: Mapping[str, str],
        on_gap: Mapping[str, str],
        revoke_timeout: float,
    ) -> LibrdkafkaConsumer:
        calls = self.calls

        class Watched(LibrdkafkaConsumer):
            def _make_client(self) -> Any:
                return Calls(super()._make_client(), calls)

        made = Watched(
            config,
            topics,
            listener,
            start_at=start_at,
            on_gap=on_gap,
            revoke_timeout=revoke_timeout,
        )
        self.consumers.append(made)
        return made


@pytest.mark.parametrize("blocks_the_loop", [True, False])
async def test_i4_the_poll_thread_polls_whatever_handlers_do(
    embedded: EmbeddedBroker, blocks_the_loop: bool
) -> None:
    transport = WatchedTransport()
    app = shop(embedded, transport=transport)
    opened, busy, done = threading.Event(), threading.Event(), threading.Event()
    servers = embedded.bootstrap_servers

    async def blocking(order: Order) -> None:
        slow(order)

    def slow(order: Order) -> None:
        if order.id == 1:  # a partition's first record has to wait for its mark
            opened.set()
        elif order.id == 2:
            busy.set()
            time.sleep(2.5)
        else:
            done.set()

    def send_more() -> None:
        busy.wait(WAIT_SECONDS)
        produce(servers, "orders", orders(3), partition=0)

    app.consumes(topic="orders")(blocking if blocks_the_loop else slow)
    await in_thread(produce, servers, "orders", orders(1), partition=0)
    async with app:
        await until(opened.is_set)
        more = asyncio.create_task(in_thread(send_more))
        await in_thread(produce, servers, "orders", orders(2), partition=0)
        await until(done.is_set)
        await more

    polls = [at for name, _, at in transport.calls if name == "poll"]
    longest = max(b - a for a, b in itertools.pairwise(polls))
    assert longest < 1.0


async def test_i4_a_member_that_drains_keeps_polling(embedded: EmbeddedBroker) -> None:
    """It stopped polling while handlers ended, and its group went on without it."""
    transport = WatchedTransport()
    app = shop(embedded, transport=transport)
    inside, go_on = threading.Event(), threading.Event()

    @app.consumes(topic="orders")
    def on_orders(order: Order) -> None:
        inside.set()
        go_on.wait(WAIT_SECONDS)

    def polls() -> int:
        return sum(name == "poll" for name, *_ in transport.calls)

    await in_thread(
        produce, embedded.bootstrap_servers, "orders", orders(1), partition=0
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app)
        await until(inside.is_set)
        stopping = asyncio.create_task(stack.pop_all().aclose())
        await asyncio.sleep(0)  # it has begun
        before = polls()
        await until(lambda: polls() > before + 5)
        assert not stopping.done()
        go_on.set()
        await stopping


async def test_i5_a_full_partition_alone_is_held_back_and_nothing_runs_twice(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 2)
    servers = embedded.bootstrap_servers
    many = consumer.HIGH_RECORDS * 3
    await in_thread(produce, servers, "orders", orders(*range(many)), partition=0)
    transport = WatchedTransport()
    app = shop(embedded, transport=transport)
    blocked = asyncio.Event()
    handled: defaultdict[int, list[int]] = defaultdict(list)

    @app.consumes()
    async def on_orders(order: Order, meta: EventMetadata) -> None:
        if meta.partition == 0:
            await blocked.wait()
        handled[meta.partition].append(order.id)

    def in_engine() -> int:
        return max(
            (i.records_in - i.records_out for i in transport.consumers[0].intake()),
            default=0,
        )

    async with app:
        await until(lambda: any(name == "pause" for name, _, _ in transport.calls))
        await in_thread(produce, servers, "orders", orders(*range(2000)), partition=1)
        await until(lambda: len(handled[1]) == 2000)
        assert handled[0] == []
        assert in_engine() <= consumer.HIGH_RECORDS + consumer.POLL_RECORDS
        blocked.set()
        await until(lambda: len(handled[0]) == many)

    assert handled[0] == list(range(many))
    assert handled[1] == list(range(2000))
    offsets = await in_thread(committed, servers, GROUP, "orders")
    assert offsets == {0: many, 1: 2000}


async def test_i6_only_the_poll_thread_waits_and_it_runs_no_user_code(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 2)
    transport = WatchedTransport()
    app = shop(embedded, transport=transport)
    threads: set[str] = set()

    @app.consumes()
    async def on_orders(order: Order) -> None:
        threads.add(threading.current_thread().name)

    @app.consumes(topic="orders")
    def audit(order: Order) -> None:
        threads.add(threading.current_thread().name)

    await in_thread(produce, embedded.bootstrap_servers, "orders", orders(1, 2, 3))
    async with app:
        await until(lambda: len(threads) >= 2)

    assert {thread for _, thread, _ in transport.calls} == {"fastkafka-consumer"}
    assert threads.isdisjoint({"fastkafka-consumer", "fastkafka-producer"})


@pytest.mark.parametrize("sync", [False, True])
async def test_i7_a_stop_has_a_deadline_and_what_it_cuts_off_is_not_committed(
    embedded: EmbeddedBroker, sync: bool, caplog: pytest.LogCaptureFixture
) -> None:
    embedded.create_topic("orders", 1)
    servers = embedded.bootstrap_servers
    await in_thread(produce, servers, "orders", orders(0, 1, 2))
    app = shop(embedded, shutdown_timeout=1.0)
    handled: list[int] = []
    hangs = threading.Event()
    end = threading.Event()

    async def on_orders(order: Order) -> None:
        if order.id == 2:
            hangs.set()
            await asyncio.sleep(3600)
        handled.append(order.id)

    def on_orders_sync(order: Order) -> None:
        if order.id == 2:
            hangs.set()
            end.wait(60)
        handled.append(order.id)

    app.consumes(topic="orders")(on_orders_sync if sync else on_orders)
    began = 0.0
    try:
        async with app:
            await until(hangs.is_set)
            began = time.monotonic()
        took = time.monotonic() - began
    finally:
        end.set()

    assert took < 5.0
    assert "did not end in time and was cut off" in caplog.text
    assert await in_thread(committed, servers, GROUP, "orders") == {0: 2}


async def test_i7_a_stop_finishes_the_current_record_and_drops_the_rest_unhandled(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 1)
    servers = embedded.bootstrap_servers
    await in_thread(produce, servers, "orders", orders(*range(500)))
    handled: list[int] = []

    def build() -> FastKafka:
        app = shop(embedded)

        @app.consumes()
        async def on_orders(order: Order) -> None:
            await asyncio.sleep(0.001)
            handled.append(order.id)

        return app

    async with build():
        await until(lambda: len(handled) > 20)
    stopped_at = len(handled)
    assert stopped_at < 500
    assert await in_thread(committed, servers, GROUP, "orders") == {0: stopped_at}

    async with build():
        await until(lambda: len(handled) == 500)
    assert handled == list(range(500)), "none handled twice, none left out"


@pytest.mark.parametrize("broken", ["arrive", "finish"])
async def test_i8_what_breaks_in_the_engine_ends_the_app_and_does_not_stall_it(
    embedded: EmbeddedBroker, broken: str
) -> None:
    """In the dispatch and in a lane; an error of ours must not look like silence."""
    embedded.create_topic("orders", 1)
    app = shop(embedded, shutdown_timeout=1.0)

    @app.consumes()
    async def on_orders(order: Order) -> None: ...

    class Broken(OffsetTracker):
        def __getattribute__(self, name: str) -> Any:
            if name == broken:
                raise LookupError(name)
            return super().__getattribute__(name)

    with pytest.raises(LookupError, match=broken):
        async with app:
            for assignment in _member(app).assignments:
                assignment.offsets = Broken(1)
            await in_thread(produce, embedded.bootstrap_servers, "orders", orders(1))
            await app.wait_stopped()


async def test_i8_a_fatal_client_error_ends_the_app(embedded: EmbeddedBroker) -> None:
    app = shop(embedded)

    @app.consumes()
    async def on_orders(order: Order) -> None: ...

    error = ClientError("the disk is gone", code="_FATAL", fatal=True)
    with pytest.raises(ClientError, match=r"^the disk is gone$"):
        async with app:
            _member(app).on_error(error)
            await app.wait_stopped()


async def test_i8_a_broker_that_goes_away_is_waited_for_and_said_once(
    embedded: EmbeddedBroker,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "PROBE_SECONDS", 0.1)
    embedded.create_topic("orders", 1)
    servers = embedded.bootstrap_servers
    transport = WatchedTransport()
    app = shop(embedded, transport=transport)
    handled: list[int] = []

    @app.consumes()
    async def on_orders(order: Order) -> None:
        handled.append(order.id)

    def said(sentence: str) -> Callable[[], bool]:
        return lambda: sentence in caplog.text

    def asked() -> int:
        return [name for name, _, _ in transport.calls].count("list_topics")

    with caplog.at_level(logging.INFO):
        async with app:
            await in_thread(produce, servers, "orders", orders(1))
            await until(lambda: handled == [1])
            embedded.broker_down(1)
            await until(said(f"No broker answers at {servers}; waiting for one."))
            before = asked()
            await until(lambda: asked() >= before + 5)
            embedded.broker_up(1)
            await until(said(f"A broker answers at {servers} again"))
            await in_thread(produce, servers, "orders", orders(2))
            await until(lambda: handled == [1, 2])

    assert caplog.text.count("No broker answers") == 1
    assert caplog.text.count("A broker answers") == 1


def test_i9_declaring_an_app_makes_no_client_and_no_thread() -> None:
    """So a fork before the start is harmless: there is nothing to share."""
    program = """
import threading
from fastkafka import FastKafka
app = FastKafka(title="Shop")

@app.consumes()
async def on_orders(order: dict[str, int]) -> None: ...

@app.produces()
def to_orders() -> dict[str, int]: ...

print(threading.active_count())
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "1\n"
    assert ran.stderr == ""
