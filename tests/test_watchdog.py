"""The watchdog notices what stands still, and the snapshot says what is done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import BaseModel

from fastkafka import FastKafka, Reject, Retry
from fastkafka.engine import watchdog
from fastkafka.engine.watchdog import Heartbeat
from fastkafka.observe.events import Event
from fastkafka.observe.snapshot import Problem, Snapshot
from fastkafka.transport.memory import MemoryBroker
from tests.clients import until


class Order(BaseModel):
    id: int


class Listener:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def on_event(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: str) -> list[str]:
        return [event.text for event in self.events if event.kind == kind]


class Shop:
    def __init__(self, **how: Any) -> None:
        self.broker = MemoryBroker({"orders": 2})
        self.listener = Listener()
        self.go_on = asyncio.Event()
        self.app = app = FastKafka(
            title="Shop",
            transport=self.broker,
            shutdown_timeout=0.2,
            retry=Retry(attempts=2, delay=0),
            **how,
        )
        app.observe(self.listener)

        @app.consumes(topic="orders")
        async def on_orders(order: Order) -> None:
            if order.id == 0:
                await self.go_on.wait()
            if order.id == 13:
                raise Reject("unlucky")
            if order.id == 14:
                raise LookupError("no price")
            await to_invoices(order.id)

        @app.produces(topic="invoices")
        async def to_invoices(number: int) -> int:
            return number

    @asynccontextmanager
    async def running(self, *numbers: int) -> AsyncIterator[None]:
        async with self.app:
            for number in numbers:
                self.broker.produce("orders", b'{"id": %d}' % number, partition=0)
            yield

    def look(self) -> list[Problem]:
        supervisor = self.app._running
        assert supervisor is not None
        supervisor._watchdog.look()
        return list(self.app.snapshot().problems)


# The snapshot.


async def test_a_snapshot_counts_what_was_done() -> None:
    shop = Shop()
    async with shop.running(*range(1, 21)):
        await shop.broker.idle()
        found = shop.app.snapshot()

    (function,) = found.functions
    assert (function.name, function.group) == ("on_orders", "shop")
    assert (function.handled, function.skipped) == (18, 0)
    assert (function.retried, function.retries) == (1, {"2": 1})
    assert function.failed == {"fastkafka.errors.Reject": 1, "LookupError": 2}
    assert function.parked == {"fastkafka.errors.Reject": 1, "LookupError": 1}
    assert (function.busy, function.waiting, function.oldest) == (0, 0, 0)
    assert sum(function.buckets) == 18
    assert 0 < function.decode_seconds < function.seconds + function.decode_seconds
    assert function.deliver_seconds > 0
    (producing,) = found.producing
    assert (producing.name, producing.sent, producing.failed) == ("to_invoices", 18, 0)
    assert found.edges == [("on_orders", "invoices")]
    first = next(p for p in found.partitions if p.partition == 0)
    assert (first.committed, first.position, first.end, first.lag) == (20, 20, 20, 0)
    assert (first.in_flight, first.lag_seconds, first.unfinished_seconds) == (0, 0, 0)
    (member,) = found.members
    assert (member.group, member.assigned, member.connected) == ("shop", 2, True)
    assert found.ready
    assert found.live


async def test_a_snapshot_shows_what_is_being_done() -> None:
    shop = Shop()
    async with shop.running(0, 1, 2):
        await until(lambda: shop.app.snapshot().functions[0].busy == 1)
        await asyncio.sleep(0.02)
        found = shop.app.snapshot()
        lanes = shop.app.lanes()
        shop.go_on.set()

    (function,) = found.functions
    assert function.waiting == 3
    assert function.oldest > 0.01
    first = next(p for p in found.partitions if p.partition == 0)
    assert (first.committed, first.position, first.lag, first.in_flight) == (0, 3, 3, 3)
    assert 0 < first.lag_seconds < 60
    assert first.unfinished_seconds > 0.01
    assert len(lanes) == 1
    assert lanes[0].startswith("`on_orders` orders[0]: handling for 0.0 s, 3 records")


async def test_a_snapshot_survives_json() -> None:
    shop = Shop()
    async with shop.running(1, 13):
        await shop.broker.idle()
        found = shop.app.snapshot()

    text = Snapshot.from_json(_json(found))
    assert text.to_dict() == Snapshot.from_json(_json(text)).to_dict()
    assert text.functions[0].handled == 1


def _json(snapshot: Snapshot) -> bytes:
    from pydantic_core import to_json  # noqa: PLC0415

    return to_json(snapshot.to_dict())


async def test_before_the_start_and_after_the_stop_it_is_not_ready() -> None:
    shop = Shop()
    assert not shop.app.snapshot().ready
    async with shop.running():
        assert shop.app.snapshot().ready
    found = shop.app.snapshot()
    assert not found.ready
    assert found.live
    assert [f.name for f in found.functions] == ["on_orders"], "its counts are kept"
    assert [p.name for p in found.producing] == ["to_invoices"]
    assert [p.text for p in found.problems] == ["The app does not run."]


# Problems.


async def test_a_partition_that_stands_still_is_a_problem_until_it_moves(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watchdog, "STALLED_SECONDS", 0.05)
    shop = Shop()
    async with shop.running(0, 1):
        await until(lambda: bool(shop.look()))
        (problem,) = shop.look()
        shop.look()
        shop.go_on.set()
        await shop.broker.idle()
        assert shop.look() == []

    assert (problem.kind, problem.what) == ("stalled_partition", "orders[0]")
    assert (problem.ready, problem.live) == (False, True)
    assert problem.text == (
        "orders[0] has got nothing done for 0 s, at offset 0, with 2 records read. "
        "No function is at work."
    )
    assert shop.listener.of("problem") == [problem.text]
    assert shop.listener.of("solved") == [f"No more: {problem.text}"]
    assert caplog.messages.count(problem.text) == 1


async def test_a_broker_that_is_away_makes_it_not_ready_but_leaves_it_live() -> None:
    shop = Shop()
    async with shop.running():
        shop.broker.down()
        problems = shop.look()
        found = shop.app.snapshot()
        shop.broker.up()
        assert shop.look() == []

    assert {p.kind for p in problems} == {"no_broker"}
    assert not found.ready
    assert found.live


async def test_dead_letters_that_cannot_be_written_are_a_problem() -> None:
    shop = Shop()
    shop.broker.create_topic("orders-dlt", 1)
    shop.broker.fail("produce", topic="orders-dlt", error="TOPIC_AUTHORIZATION_FAILED")
    async with shop.running(13):
        await until(lambda: bool(shop.look()))
        (problem,) = shop.look()

    assert (problem.kind, problem.what, problem.ready, problem.live) == (
        *("dead_letters_fail", "orders-dlt"),
        *(False, True),
    )
    assert problem.text.startswith("Dead letters cannot be written to 'orders-dlt': ")


async def test_commits_that_fail_for_a_while_are_a_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watchdog, "FAILING_SECONDS", 0.01)
    shop = Shop()
    async with shop.running():
        shop.broker.fail("commit", error="NOT_COORDINATOR")
        shop.broker.produce("orders", b'{"id": 1}')
        await until(lambda: bool(shop.look()))
        (problem,) = shop.look()
        counted = shop.app.snapshot().members[0].commit_failures

    assert (problem.kind, problem.what, problem.ready) == (
        *("commits_fail", "shop"),
        False,
    )
    assert counted >= 1


async def test_a_handler_that_does_not_let_itself_be_ended_is_a_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watchdog, "OVERDUE_SECONDS", 0.02)
    broker = MemoryBroker({"orders": 1})
    app = FastKafka(title="Shop", transport=broker, shutdown_timeout=0.2)
    go_on = asyncio.Event()

    @app.consumes(topic="orders", handler_timeout=0.01)
    async def on_orders(order: Order) -> None:
        while not go_on.is_set():
            try:
                await go_on.wait()
            except asyncio.CancelledError:
                continue

    async with app:
        broker.produce("orders", b'{"id": 1}')
        supervisor = app._running
        assert supervisor is not None

        def problems() -> list[str]:
            supervisor._watchdog.look()
            return [p.text for p in app.snapshot().problems]

        await until(lambda: bool(problems()))
        (text,) = problems()
        go_on.set()

    assert text == (
        "`on_orders` has been running for 0 s, and `handler_timeout=0.01` could not "
        "end it. Let it pass on `asyncio.CancelledError`."
    )


async def test_a_missing_topic_is_a_problem_until_it_is_made() -> None:
    broker = MemoryBroker({}, auto_create_topics=False)
    app = FastKafka(title="Shop", transport=broker)
    app.consumes(topic="orders")(_anything)
    async with app:
        supervisor = app._running
        assert supervisor is not None
        supervisor._watchdog.look()
        (problem,) = app.snapshot().problems
        broker.create_topic("orders", 1)
        supervisor._watchdog.look()
        assert app.snapshot().ready

    assert problem.kind == "missing_topic"
    assert problem.text.startswith("Topic 'orders' does not exist at ")
    assert not problem.ready


async def _anything(order: Order) -> None: ...


async def test_a_blocked_event_loop_is_shown_with_the_code_that_blocks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def blocks_the_loop(until_: Callable[[], bool]) -> None:
        while not until_():
            time.sleep(0.01)

    def is_said() -> bool:
        return bool(caplog.messages)

    heart = Heartbeat(asyncio.get_running_loop(), patience=0.05)
    heart.start()
    await asyncio.sleep(0)
    blocks_the_loop(is_said)
    await until(lambda: len(caplog.messages) == 2)
    heart.stop()

    blocked, turns = caplog.messages
    assert blocked.startswith("The event loop has not turned for 0.05 s: ")
    assert "in blocks_the_loop\n" in blocked
    assert turns.startswith("The event loop turns again, after ")


async def test_a_listener_that_raises_does_not_hurt_the_app(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Breaks:
        def on_event(self, event: Event) -> None:
            raise ValueError("broken")

    shop = Shop()
    shop.app.observe(Breaks())
    async with shop.running(1):
        await shop.broker.idle()

    assert "A listener failed with the event 'started'" in caplog.messages
    assert shop.listener.of("started") == ["The app has started."]


async def test_events_tell_what_became_of_a_record() -> None:
    shop = Shop()
    async with shop.running(14):
        await shop.broker.idle()

    told = [
        (e.kind, e.offset, e.attempt, type(e.error).__name__)
        for e in shop.listener.events
        if e.topic == "orders"
    ]
    assert told == [
        ("failed", 0, 1, "HandlerError"),
        ("failed", 0, 2, "HandlerError"),
        ("parked", 0, 2, "HandlerError"),
    ]
