"""A worker shows its parent how it is, whatever its event loop does."""

from __future__ import annotations

import threading

import pytest

from fastkafka.cli import worker
from fastkafka.observe import workers
from fastkafka.observe.snapshot import Snapshot
from tests.clients import WAIT_SECONDS
from tests.snapshots import snapshot


class App:
    """Says in which thread it was asked."""

    def __init__(self) -> None:
        self.asked_in: list[int] = []

    def snapshot(self) -> Snapshot:
        self.asked_in.append(threading.get_ident())
        return snapshot()


class Watcher:
    """Keeps what it was shown."""

    def __init__(self) -> None:
        self.shown: list[Snapshot] = []
        self.is_told = threading.Event()

    def show(self, snapshot: Snapshot) -> None:
        self.shown.append(snapshot)
        if not snapshot.ready:
            self.is_told.set()


async def test_the_first_and_the_last_snapshot_are_shown_at_once() -> None:
    app, watcher = App(), Watcher()
    async with worker.shown_to(watcher, app):
        assert len(watcher.shown) == 1
    assert len(watcher.shown) == 2
    assert set(app.asked_in) == {threading.get_ident()}


async def test_a_loop_that_is_blocked_is_told_by_another_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "INTERVAL", 0.01)
    monkeypatch.setattr(workers, "BLOCKED", 0.02)
    app, watcher = App(), Watcher()
    async with worker.shown_to(watcher, app):
        # This blocks the loop until somebody has said that it is blocked.
        assert watcher.is_told.wait(WAIT_SECONDS)

    told = [shown for shown in watcher.shown if not shown.ready]
    assert told[0].problems[0].kind == "blocked_loop"
    assert told[0].live


async def test_nobody_watches_and_nothing_is_asked() -> None:
    app = App()
    async with worker.shown_to(None, app):
        pass
    assert app.asked_in == []
