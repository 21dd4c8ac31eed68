"""Time for the broker in memory: the event loop's, or one that only tests turn."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from typing import Any, Protocol

EPOCH = 1_704_067_200.0
"""When a `ManualClock` starts: 2024-01-01 00:00 UTC."""


class Timer(Protocol):
    """Something that will be called."""

    def cancel(self) -> None:
        """Do not call it."""


class Clock(Protocol):
    """What the broker and its clients read and wait by."""

    def time(self) -> float:
        """Return the seconds since the epoch; they never go back."""

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call *callback* when `time` is *when*."""

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass at once, calling what falls due in its order.

        What is called may set tasks going; they run in the loop's next turns.
        """


class ManualClock:
    """A clock that stands still until a test advances it.

    Args:
        start: Seconds since the epoch.
    """

    def __init__(self, start: float = EPOCH) -> None:
        self._now = start
        self._timers = _Timers()

    def time(self) -> float:
        """See `Clock`."""
        return self._now

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """See `Clock`."""
        return self._timers.add(when, callback)

    def advance(self, seconds: float) -> None:
        """See `Clock`."""
        end = self._now + seconds
        while (timer := self._timers.pop(end)) is not None:
            self._now = max(self._now, timer.when)
            timer.callback()
        self._now = end


class LoopClock:
    """The event loop's time, which `advance` can push ahead.

    It starts at the wall clock's time, read once, so that timestamps look right. A
    clock outlives its loop: under the next one it goes on from where it stood.

    Args:
        loop: Whose time it is, in whatever thread it is asked; None is that of the
            loop that is running.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._now = time.time()
        self._timers = _Timers()
        self._only = self._loop = loop
        self._zero = 0.0 if loop is None else loop.time() - self._now
        self._alarm: asyncio.TimerHandle | None = None

    def time(self) -> float:
        """See `Clock`."""
        loop = self._running_loop()
        if loop is not None:
            self._now = max(self._now, loop.time() - self._zero)
        return self._now

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """See `Clock`."""
        timer = self._timers.add(when, callback)
        self._set_alarm()
        return timer

    def advance(self, seconds: float) -> None:
        """See `Clock`."""
        end = self.time() + seconds
        while (timer := self._timers.pop(end)) is not None:
            self._jump(timer.when)
            timer.callback()
        self._jump(end)
        self._set_alarm()

    def _jump(self, when: float) -> None:
        self._zero -= max(0.0, when - self.time())
        self._now = max(self._now, when)

    def _running_loop(self) -> asyncio.AbstractEventLoop | None:
        if self._only is not None:
            return self._only
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return None
        if loop is not self._loop:
            self._loop, self._alarm = loop, None
            self._zero = loop.time() - self._now
        return loop

    def _set_alarm(self) -> None:
        loop = self._running_loop()
        if loop is None:
            return
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if (first := self._timers.first()) is not None:
            self._alarm = loop.call_at(first + self._zero, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        while (timer := self._timers.pop(self.time())) is not None:
            timer.callback()
        self._set_alarm()


async def done_within(
    clock: Clock, seconds: float, future: asyncio.Future[Any]
) -> bool:
    """Wait until *future* is done, but no longer than *seconds* of the clock.

    Returns:
        Whether it is done; it is not cancelled.
    """
    if seconds <= 0:
        await asyncio.sleep(0)
        return future.done()
    late: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def ring() -> None:
        if not late.done():
            late.set_result(None)

    timer = clock.call_at(clock.time() + seconds, ring)
    try:
        await asyncio.wait([future, late], return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
        late.cancel()
    return future.done()


class _Timer:
    __slots__ = ("callback", "cancelled", "when")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class _Timers:
    """Timers by when they are due, those of one moment in the order of their making."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, _Timer]] = []
        self._numbers = itertools.count()

    def add(self, when: float, callback: Callable[[], None]) -> _Timer:
        timer = _Timer(when, callback)
        heapq.heappush(self._heap, (when, next(self._numbers), timer))
        return timer

    def first(self) -> float | None:
        """When the first one is due."""
        while self._heap and self._heap[0][2].cancelled:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop(self, until: float) -> _Timer | None:
        """Take out the first one that is due at *until*."""
        first = self.first()
        if first is None or first > until:
            return None
        return heapq.heappop(self._heap)[2]
