"""Pausing, resuming, seeking and changing the concurrency of an app that runs."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from fastkafka import ConfigError, EventMetadata, FastKafka, Retry
from fastkafka.engine import watchdog
from fastkafka.errors import NotAssignedError
from fastkafka.observe.events import Event
from fastkafka.transport import intake
from fastkafka.transport.memory import MemoryBroker
from tests.clients import until


class Shop:
    """An app whose handler waits for `go_on`, and notes what it was called with."""

    def __init__(self, *, partitions: int = 2, **how: Any) -> None:
        self.broker = MemoryBroker({"orders": partitions})
        self.go_on = asyncio.Event()
        self.begun: list[tuple[int, int]] = []
        self.ended: list[tuple[int, int]] = []
        self.events: list[Event] = []
        self.app = self.worker(**how)

    def worker(self, **how: Any) -> FastKafka:
        app = FastKafka(title="Shop", transport=self.broker, **how)
        app.observe(self)

        @app.consumes(topic="orders")
        async def on_orders(number: int, meta: EventMetadata) -> None:
            self.begun.append((meta.partition, meta.offset))
            await self.go_on.wait()
            self.ended.append((meta.partition, meta.offset))

        return app

    def on_event(self, event: Event) -> None:
        self.events.append(event)

    def produce(self, count: int, partition: int = 0, key: bytes | None = None) -> None:
        for _ in range(count):
            self.broker.produce("orders", b"7", partition=partition, key=key)

    def committed(self) -> dict[int, int]:
        self.broker.advance(1.0)
        return self.broker.committed("shop", "orders")


async def turns(count: int = 50) -> None:
    """Let everything happen that can."""
    for _ in range(count):
        await asyncio.sleep(0)


# Pausing.


@pytest.mark.parametrize("order", ["partition", "key", "none"])
async def test_a_pause_lets_what_is_in_hand_end_and_begins_nothing_more(
    order: Any, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop(order=order, concurrency=1)
    shop.produce(5, key=b"k")
    async with shop.app:
        await until(lambda: len(shop.begun) == 1)
        with caplog.at_level(logging.INFO, "fastkafka"):
            shop.app.control.pause("on_orders")
        shop.go_on.set()
        await turns()

        assert shop.ended == [(0, 0)]
        assert shop.committed() == {0: 1}
        assert shop.app.snapshot().functions[0].paused
        assert "`on_orders` is paused." in caplog.messages
        assert [e.text for e in shop.events if e.kind == "paused"] == [
            "`on_orders` is paused."
        ]

        shop.app.control.resume("on_orders")
        await shop.broker.idle()
        assert shop.ended == [(0, offset) for offset in range(5)]
        assert not shop.app.snapshot().functions[0].paused
    assert shop.committed() == {0: 5}


async def test_one_partition_is_paused_and_the_others_go_on() -> None:
    shop = Shop(order="key", concurrency=2)
    shop.go_on.set()
    async with shop.app:
        shop.app.control.pause("on_orders", "orders", 1)
        for number in range(6):
            shop.produce(1, partition=1, key=b"%d" % number)
            shop.produce(1, partition=0, key=b"%d" % number)
        await until(lambda: len(shop.ended) == 6)
        await turns()

        assert {partition for partition, _ in shop.ended} == {0}
        (function,) = shop.app.snapshot().functions
        assert (function.paused, function.paused_partitions, function.waiting) == (
            *(False, (("orders", 1),)),
            6,
        )
        held = {p.partition: p.paused_for for p in shop.app.snapshot().partitions}
        assert held == {0: (), 1: ("on_orders",)}
        assert next(p for p in shop.app.snapshot().partitions if p.partition).lag == 6

        shop.app.control.resume("on_orders", "orders", 1)
        await shop.broker.idle()
    assert shop.committed() == {0: 6, 1: 6}


async def test_a_partition_that_comes_while_its_function_is_paused_stays_paused() -> (
    None
):
    shop = Shop(partitions=4)
    shop.go_on.set()
    async with shop.app:
        shop.app.control.pause("on_orders")
        shop.broker.rebalance()
        other = shop.worker()
        other.control.pause("on_orders")
        async with other:
            for partition in range(4):
                shop.produce(2, partition)
            shop.broker.rebalance()
            await turns(200)
        await turns(200)

        assert shop.begun == []
        assert len(shop.app.snapshot().partitions) == 4
        shop.app.control.resume("on_orders")
        await shop.broker.idle()
    assert sorted(shop.ended) == [(p, o) for p in range(4) for o in range(2)]


async def test_what_a_paused_function_holds_of_a_lost_partition_is_let_go() -> None:
    shop = Shop(order="key")
    shop.go_on.set()
    async with shop.app:
        shop.app.control.pause("on_orders")
        shop.produce(20)
        await until(lambda: shop.app.snapshot().functions[0].waiting == 20)
        for _ in range(5):
            shop.broker.rebalance()
            await turns(200)

        assert shop.app.snapshot().functions[0].waiting == 20
        shop.app.control.resume("on_orders")
        await shop.broker.idle()
    assert len(shop.ended) == 20


async def test_a_paused_function_holds_no_more_than_the_intake_lets_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intake, "HIGH_RECORDS", 10)
    monkeypatch.setattr(intake, "LOW_RECORDS", 5)
    shop = Shop()
    shop.broker._cluster.poll_records = 3
    shop.go_on.set()
    async with shop.app:
        shop.app.control.pause("on_orders")
        shop.produce(50)
        await turns(200)

        assert shop.app.snapshot().functions[0].waiting <= 13
        full = next(p for p in shop.app.snapshot().partitions if not p.partition)
        assert full.paused
        assert full.lag == 50

        shop.app.control.resume("on_orders")
        await shop.broker.idle()
    assert shop.ended == [(0, offset) for offset in range(50)]


async def test_of_two_functions_on_one_topic_the_other_goes_on() -> None:
    shop = Shop()
    audited: list[int] = []

    @shop.app.consumes(topic="orders")
    async def audit(number: int, meta: EventMetadata) -> None:
        audited.append(meta.offset)

    shop.app.control.pause("on_orders")  # before the start is as good
    async with shop.app:
        shop.produce(5)
        await until(lambda: len(audited) == 5)

        assert shop.begun == []
        assert shop.committed() == {0: 0}, "a record is done when both are done"
        shop.go_on.set()
        shop.app.control.resume("on_orders")
        await shop.broker.idle()
    assert shop.committed() == {0: 5}
    assert audited == list(range(5))


async def test_a_retry_waits_while_its_function_is_paused() -> None:
    broker = MemoryBroker({"orders": 1})
    app = FastKafka(title="Shop", transport=broker, retry=Retry(attempts=9, delay=0))
    calls: list[int] = []

    @app.consumes(topic="orders")
    async def on_orders(number: int) -> None:
        calls.append(number)
        if len(calls) == 2:
            app.control.pause("on_orders")
        if len(calls) < 4:
            raise ConnectionError

    broker.produce("orders", b"7")
    async with app:
        await until(lambda: app.snapshot().functions[0].paused)
        await turns()
        assert len(calls) == 2

        app.control.resume("on_orders")
        await broker.idle()
    assert len(calls) == 4
    assert broker.committed("shop", "orders") == {0: 1}


async def test_a_sync_handler_pauses_itself_from_its_thread() -> None:
    broker = MemoryBroker({"orders": 1})
    app = FastKafka(title="Shop", transport=broker)
    calls: list[int] = []

    @app.consumes(topic="orders")
    def on_orders(number: int) -> None:
        calls.append(number)
        if len(calls) == 1:
            app.control.pause("on_orders")

    for number in range(3):
        broker.produce("orders", b"%d" % number)
    async with app:
        await until(lambda: app.snapshot().functions[0].paused)
        await turns()
        few = len(calls)
        app.control.resume("on_orders")
        await broker.idle()
    assert few < 3
    assert calls == [0, 1, 2]


async def test_a_stop_does_not_wait_for_what_is_paused() -> None:
    shop = Shop()
    shop.produce(3)
    shop.app.control.pause("on_orders")
    async with shop.app:
        await until(lambda: shop.app.snapshot().functions[0].waiting == 3)
    assert shop.begun == []

    shop.go_on.set()
    async with shop.app:  # which knows of no pause any more
        await shop.broker.idle()
    assert len(shop.ended) == 3


async def test_a_paused_partition_is_no_stalled_one_and_the_app_stays_ready(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watchdog, "STALLED_SECONDS", 1e-9)
    shop = Shop()
    shop.produce(3)
    shop.app.control.pause("on_orders", "orders", 0)
    async with shop.app:
        assert shop.app._running is not None
        look = shop.app._running._watchdog.look
        await until(lambda: shop.app.snapshot().functions[0].waiting == 3)
        look()
        found = shop.app.snapshot()
        assert [(p.kind, p.what, p.text) for p in found.problems] == [
            (
                "paused",
                "on_orders at orders[0]",
                "on_orders at orders[0] is paused.",
            )
        ]
        assert found.ready
        assert found.live
        assert caplog.messages == [], "it was said when it was done"
        shop.app.control.resume("on_orders")
        shop.go_on.set()
        await shop.broker.idle()
        look()
        assert shop.app.snapshot().problems == []


# Concurrency.


@pytest.mark.parametrize("order", ["key", "none"])
async def test_concurrency_grows_and_shrinks_while_it_runs(order: Any) -> None:
    broker = MemoryBroker({"orders": 1})
    app = FastKafka(title="Shop", transport=broker)
    may_end, begun, ended = asyncio.Semaphore(0), list[int](), list[int]()

    @app.consumes(topic="orders", order=order, concurrency=1)
    async def on_orders(number: int) -> None:
        begun.append(number)
        await may_end.acquire()
        ended.append(number)

    async def end(count: int) -> None:
        done = len(ended) + count
        for _ in range(count):
            may_end.release()
        await until(lambda: len(ended) == done)
        await turns()

    for number in range(12):
        broker.produce("orders", b"%d" % number, key=b"%d" % number)
    async with app:
        await until(lambda: len(begun) == 1)
        app.control.set_concurrency("on_orders", 4)
        await until(lambda: len(begun) == 4)
        await turns()
        assert len(begun) == 4
        assert app.snapshot().functions[0].concurrency == 4

        app.control.set_concurrency("on_orders", 2)
        await end(2)
        assert len(begun) == 4, "nothing is cancelled, and two go on"
        await end(1)
        assert len(begun) == 5
        app.control.set_concurrency("on_orders", 3)
        await turns()
        assert len(begun) == 6
        for _ in range(12):
            may_end.release()
        await broker.idle()
    assert broker.committed("shop", "orders") == {0: 12}


async def test_the_threads_of_a_sync_function_grow_with_it() -> None:
    broker = MemoryBroker({"orders": 1})
    app = FastKafka(title="Shop", transport=broker)
    inside, most, go_on = set[int](), 0, threading.Event()

    @app.consumes(topic="orders", order="none", concurrency=1)
    def on_orders(number: int) -> None:
        nonlocal most
        inside.add(number)
        most = max(most, len(inside))
        go_on.wait(20.0)
        inside.discard(number)

    for number in range(9):
        broker.produce("orders", b"%d" % number)
    async with app:
        try:
            await until(lambda: most == 1)
            app.control.set_concurrency("on_orders", 5)
            await until(lambda: most == 5)
        finally:
            go_on.set()
        await broker.idle()
    assert most == 5


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (
            lambda control: control.set_concurrency("on_orders", 4),
            '`on_orders` has `order="partition"`: it handles as many records at once '
            'as partitions have some. More partitions let it do more, or `order="key"` '
            "in the decorator.",
        ),
        (
            lambda control: control.pause("on_oders"),
            "No function 'on_oders' consumes here. Did you mean 'on_orders'?",
        ),
        (
            lambda control: control.pause("on_orders", "invoices", 1),
            "`on_orders` does not read 'invoices'.",
        ),
        (
            lambda control: control.pause("on_orders", "orders", -1),
            "`partition` is -1. Use a number from 0.",
        ),
    ],
)
def test_what_cannot_be_is_said(ask: Callable[[Any], None], sentence: str) -> None:
    app = FastKafka(title="Shop", transport=MemoryBroker())

    @app.consumes(topic="orders")
    async def on_orders(number: int) -> None: ...

    with pytest.raises(ConfigError) as wrong:
        ask(app.control)

    assert str(wrong.value) == sentence


async def test_a_part_of_what_is_paused_everywhere_cannot_be_resumed() -> None:
    shop = Shop()
    shop.app.control.pause("on_orders")

    with pytest.raises(ConfigError) as wrong:
        shop.app.control.resume("on_orders", "orders", 1)

    assert str(wrong.value) == (
        "`on_orders` is paused everywhere, so it cannot be resumed at orders[1] alone. "
        "Resume it, and pause it where it is to wait."
    )


# Seeking.


async def test_a_seek_back_handles_again_from_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shop = Shop()
    shop.go_on.set()
    shop.produce(5)
    async with shop.app:
        await shop.broker.idle()
        with caplog.at_level(logging.INFO, "fastkafka"):
            said = await shop.app.control.seek("orders", 0, 2)
        await shop.broker.idle()

    assert said == (
        "orders[0] of group 'shop' was sought from 5 to 2: 3 offsets are read again."
    )
    assert (said, logging.INFO) in [(r.message, r.levelno) for r in caplog.records]
    assert shop.ended == [(0, o) for o in (0, 1, 2, 3, 4, 2, 3, 4)]
    assert shop.committed() == {0: 5}


async def test_a_seek_forward_passes_over_what_it_says_and_commits_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shop = Shop()
    shop.produce(5)
    shop.app.control.pause("on_orders")
    async with shop.app:
        await until(lambda: shop.app.snapshot().functions[0].waiting == 5)
        said = await shop.app.control.seek("orders", 0, 4)

        assert shop.broker.committed("shop", "orders") == {0: 4}
        assert said == (
            "orders[0] of group 'shop' was sought from 0 to 4: 4 offsets are passed "
            "over on purpose."
        )
        assert (said, logging.WARNING) in [
            (record.message, record.levelno) for record in caplog.records
        ]
        (event,) = [e for e in shop.events if e.kind == "sought"]
        assert (event.topic, event.partition, event.offset) == ("orders", 0, 4)

        shop.go_on.set()
        shop.app.control.resume("on_orders")
        await shop.broker.idle()
    assert shop.ended == [(0, 4)]


async def test_a_seek_waits_for_what_is_in_hand() -> None:
    shop = Shop()
    shop.produce(5)
    async with shop.app:
        await until(lambda: len(shop.begun) == 1)
        seeking = asyncio.ensure_future(shop.app.control.seek("orders", 0, 3))
        await turns()
        assert not seeking.done()
        shop.go_on.set()

        assert "from 1 to 3" in await seeking
        await shop.broker.idle()
    assert shop.ended == [(0, 0), (0, 3), (0, 4)]
    assert shop.committed() == {0: 5}


async def test_what_ends_after_the_bounded_wait_of_a_seek_is_ignored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shop = Shop(revoke_timeout=0.01)
    shop.produce(5)
    async with shop.app:
        await until(lambda: len(shop.begun) == 1)
        await shop.app.control.seek("orders", 0, 0)
        await turns()
        assert shop.begun == [(0, 0)], "its successor waits for the late one"
        shop.go_on.set()
        await shop.broker.idle()

    assert shop.ended == [(0, o) for o in (0, 0, 1, 2, 3, 4)]
    assert shop.committed() == {0: 5}
    assert (
        "orders[0]: handlers did not end within 0.01 s of a seek; what they are doing "
        "is not committed."
    ) in caplog.messages


async def test_a_seek_forgets_what_was_finished_out_of_order() -> None:
    shop = Shop(order="key", revoke_timeout=0.01)
    first = asyncio.Event()
    broker, seen = shop.broker, list[int]()
    app = FastKafka(title="Other", transport=broker, order="key", revoke_timeout=0.01)

    @app.consumes(topic="orders")
    async def on_orders(number: int, meta: EventMetadata) -> None:
        seen.append(meta.offset)
        if meta.offset == 0:
            await first.wait()

    for number in range(4):
        shop.produce(1, key=b"%d" % number)
    async with app:
        await until(lambda: len(seen) == 4)
        await asyncio.sleep(0)
        await app.control.seek("orders", 0, 1)
        first.set()
        await broker.idle()
    assert sorted(seen) == [0, 1, 1, 2, 2, 3, 3]
    assert broker.committed("other", "orders") == {0: 4}


async def test_a_partition_of_nobody_here_cannot_be_sought() -> None:
    shop = Shop()
    async with shop.app:
        with pytest.raises(NotAssignedError) as nobody:
            await shop.app.control.seek("orders", 9, 0)
    assert str(nobody.value) == "orders[9] is not this process's at this moment."


async def test_a_partition_of_two_groups_is_sought_in_the_one_that_is_named() -> None:
    shop = Shop()
    shop.go_on.set()

    @shop.app.consumes(topic="orders", group_id="audit")
    async def audit(number: int) -> None: ...

    shop.produce(3)
    async with shop.app:
        await shop.broker.idle()
        with pytest.raises(ConfigError) as which:
            await shop.app.control.seek("orders", 0, 1)
        assert str(which.value) == (
            "orders[0] is read by several groups here: audit, shop. Say which one."
        )
        await shop.app.control.seek("orders", 0, 1, group="shop")
        await shop.broker.idle()
    assert [o for _, o in shop.ended] == [0, 1, 2, 1, 2]


async def test_who_is_cancelled_while_it_seeks_stalls_nothing() -> None:
    shop = Shop()
    shop.produce(5)
    async with shop.app:
        await until(lambda: len(shop.begun) == 1)
        seeking = asyncio.ensure_future(shop.app.control.seek("orders", 0, 3))
        await turns()
        seeking.cancel()
        shop.go_on.set()
        await shop.broker.idle()
    assert shop.ended == [(0, 0), (0, 3), (0, 4)]
