"""What befalls a running app, seen by all three probes: /livez, /readyz, the file."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from fastkafka import FastKafka, Retry
from fastkafka.cli.watch import Watch
from fastkafka.engine import watchdog
from fastkafka.observe.snapshot import Snapshot
from fastkafka.observe.workers import BLOCKED, STUCK, Workers, with_blocked_loop
from fastkafka.transport.memory import MemoryBroker
from fastkafka.web.asgi import make_app
from fastkafka.web.guard import rules
from tests.clients import until
from tests.web.made import Made


@dataclass(frozen=True)
class Seen:
    """What the probes say: the statuses, whether the file is there, and why not."""

    live: int
    ready: int
    file: bool
    reasons: tuple[str, ...]


ALL_IS_WELL = Seen(200, 200, True, ())


class Running:
    """An app whose handler hangs with 0 and raises with 13."""

    def __init__(self, folder: Path) -> None:
        self.broker = MemoryBroker({"orders": 1, "orders-dlt": 1})
        self.app = FastKafka(
            title="Shop",
            transport=self.broker,
            shutdown_timeout=0.2,
            retry=Retry(attempts=1),
        )
        self.go_on = asyncio.Event()
        self._file = folder / "alive"

        @self.app.consumes(topic="orders", handler_timeout=0.01)
        async def on_orders(number: int) -> None:
            if number == 13:
                raise ValueError("unlucky")
            while number == 0 and not self.go_on.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await self.go_on.wait()

    def seen(self, change: Callable[[Snapshot], Snapshot] = lambda s: s) -> Seen:
        """Let the watchdog look, and ask the probes."""
        supervisor = self.app._running
        assert supervisor is not None
        supervisor._watchdog.look()
        workers = Workers(1)
        watch = Watch(workers, health_file=self._file)
        watch.heard(1, change(self.app.snapshot()).to_json().decode())
        watch.tell()
        served = make_app(
            Made(*workers.snapshots()), document=dict, rules=rules("127.0.0.1")
        )
        with TestClient(served) as http:
            live, ready = http.get("/livez"), http.get("/readyz")
        why = tuple(sorted(reason["kind"] for reason in ready.json()["reasons"]))
        return Seen(live.status_code, ready.status_code, self._file.exists(), why)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    made = Running(tmp_path)
    async with made.app:
        assert made.seen() == ALL_IS_WELL
        yield made
        made.go_on.set()


async def test_a_broker_that_is_away(running: Running) -> None:
    running.broker.down()
    assert running.seen() == Seen(200, 503, True, ("no_broker",))
    running.broker.up()
    assert running.seen() == ALL_IS_WELL


async def test_a_handler_that_hangs(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "OVERDUE_SECONDS", 0.02)
    monkeypatch.setattr(watchdog, "STALLED_SECONDS", 0.02)
    running.broker.produce("orders", b"0")
    hangs = Seen(200, 503, True, ("overdue_handler", "stalled_partition"))
    await until(lambda: running.seen() == hangs)
    running.go_on.set()
    await running.broker.idle()
    assert running.seen() == ALL_IS_WELL


async def test_a_dead_letter_topic_that_cannot_be_written(running: Running) -> None:
    broker = running.broker
    broker.fail("produce", topic="orders-dlt", error="TOPIC_AUTHORIZATION_FAILED")
    broker.produce("orders", b"13")
    refused = Seen(200, 503, True, ("dead_letters_fail",))
    await until(lambda: running.seen() == refused)
    broker.heal()
    await broker.idle()
    assert running.seen() == ALL_IS_WELL


@pytest.mark.parametrize(
    ("seconds", "seen"),
    [
        (BLOCKED - 1, ALL_IS_WELL),
        (BLOCKED + 1, Seen(200, 503, True, ("blocked_loop",))),
        (STUCK + 1, Seen(503, 503, False, ("blocked_loop",))),
    ],
)
async def test_an_event_loop_that_is_blocked(
    running: Running, seconds: float, seen: Seen
) -> None:
    assert running.seen(lambda said: with_blocked_loop(said, seconds)) == seen
    assert running.seen() == ALL_IS_WELL
