"""Simulated time: an event loop that never waits, and counts its steps."""

from __future__ import annotations

import asyncio
import logging
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from fastkafka.engine import lanes
from fastkafka.engine.watchdog import Heartbeat

T = TypeVar("T")

EPOCH = 1_704_067_200.0
"""When every simulation begins: 2024-01-01 00:00 UTC."""

MOST_STEPS = 20_000
"""A simulation that takes more of them spins."""


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer when nothing is ready.

    A step is one callback: what runs between two awaits. Something can be made to
    happen before any step, so that a test can put it at every await of a scenario.
    Everything is in one thread, so that two runs of one scenario are the same run.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.steps = 0
        self.problems: list[str] = []
        """What callbacks raised."""
        self._due: dict[int, list[Callable[[], None]]] = {}
        super().__init__(_NoFiles(self))
        self.set_exception_handler(self._note_problem)

    def at_step(self, step: int, callback: Callable[[], None]) -> None:
        """Call *callback* before a step that is still to come."""
        self._due.setdefault(max(step, self.steps + 1), []).append(callback)

    def skip_to_next_due(self) -> None:
        """Go on with what was to happen later: no step would come before it."""
        if not self._due:
            raise AssertionError("nothing can happen any more")
        self.steps = min(self._due) - 1
        self.call_soon(lambda: None)

    def time(self) -> float:
        """Return the simulated seconds since the loop was made."""
        return self.now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.Handle:
        """Count the step when it comes."""
        return super().call_soon(self._step, callback, args, context=context)

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.Handle:
        """There is only one thread."""
        return self.call_soon(callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """Count the step when it comes."""
        return super().call_at(when, self._step, callback, args, context=context)

    def _step(self, callback: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.steps += 1
        for due in self._due.pop(self.steps, ()):
            due()
        callback(*args)

    def _note_problem(
        self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
    ) -> None:
        # What is said of a task depends on when the garbage collector finds it.
        if "handle" in context:
            problem = f"{context['message']}: {context.get('exception')!r}"
            self.problems.append(problem)


class _NoFiles(selectors.SelectSelector):
    """Waits for nothing but time, and for that not at all."""

    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        if self._loop.steps > MOST_STEPS:
            raise AssertionError(f"{MOST_STEPS} steps: it spins")
        if timeout is None:
            self._loop.skip_to_next_due()
        else:
            self._loop.now += max(0.0, timeout)
        return []


def simulate(main: Callable[[SimulatedLoop], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in simulated time; log nothing."""
    loop = SimulatedLoop()
    with _time_of(loop), asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main(loop))


@contextmanager
def _time_of(loop: SimulatedLoop) -> Iterator[None]:
    """Let all who ask get the loop's time; they are measured by it, too."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: EPOCH + loop.now)
        patch.setattr(time, "monotonic", lambda: loop.now)
        patch.setattr(time, "perf_counter", lambda: loop.now)
        patch.setattr(lanes, "TURN_SECONDS", 0.0)  # a step after every slice
        # It watches from a thread, which would not be there in the same step twice.
        patch.setattr(Heartbeat, "start", lambda self: None)
        try:
            yield
        finally:
            logging.disable(disabled)
