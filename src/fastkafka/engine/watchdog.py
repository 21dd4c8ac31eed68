"""The watchdog: notices what stands still, and says so; it mends nothing.

Once a second it looks at every part of the app. What is not as it should be is a
`Problem` for as long as it lasts: the probes and the page show it, and the log says
when it comes and goes. A thread of its own watches the event loop, which could not
watch itself.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from fastkafka.engine.consumer import GroupMember
from fastkafka.observe.events import Event, Tell
from fastkafka.observe.snapshot import Function, Partition, Problem
from fastkafka.transport.base import ProducerState

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0

STALLED_SECONDS = 30.0
"""A partition with records to handle has got nothing done for so long."""

OVERDUE_SECONDS = 10.0
"""Above `handler_timeout`: a call that is still there does not let itself be ended."""

BLOCKED_SECONDS = 5.0
"""The event loop has not turned for so long: something in it blocks."""

UNPOLLED_SECONDS = 30.0
"""A poll thread has not asked for records for so long."""

FAILING_SECONDS = 10.0
"""Commits have failed for so long; a moment is part of life."""

_SAID_ALREADY = (
    *("no_broker", "commits_fail", "dead_letters_fail", "missing_topic", "paused"),
)
"""What has a line in the log where it happens."""


class Watched(Protocol):
    """The app that is watched."""

    started: bool
    members: list[GroupMember]

    def producers(self) -> Sequence[tuple[str, ProducerState]]:
        """Return the bootstrap servers and the state of each producer."""


class Watchdog:
    """Watches one app on the event loop that makes it.

    Args:
        app: What it watches.
        tell: Told of each problem when it comes and when it goes.
    """

    def __init__(self, app: Watched, tell: Tell) -> None:
        self.loop_lag = 0.0
        """By how many seconds the last look was late."""
        self._app = app
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._problems: dict[tuple[str, str], Problem] = {}
        self._task: asyncio.Task[None] | None = None
        self._heartbeat = Heartbeat(self._loop)

    def start(self) -> None:
        """Begin to watch."""
        self._task = self._loop.create_task(self._watch(), name="watchdog")
        self._heartbeat.start()

    def stop(self) -> None:
        """Watch no more."""
        self._heartbeat.stop()
        if self._task is not None:
            self._task.cancel()

    def problems(self) -> Collection[Problem]:
        """Return what is wrong as of the last look."""
        if self._app.started:
            return list(self._problems.values())
        starting = Problem(
            *("starting", "app", "The app has not started yet.", time.time()),
            ready=False,
        )
        return [starting, *self._problems.values()]

    def look(self) -> None:
        """Look at every part, and say what came and what went."""
        found = {(p.kind, p.what): p for p in self._look()}
        for key in self._problems.keys() - found.keys():
            problem = self._problems.pop(key)
            self._tell(Event("solved", problem.what, f"No more: {problem.text}"))
            if problem.kind not in _SAID_ALREADY:
                logger.warning("No more: %s", problem.text)
        for key, problem in found.items():
            if key in self._problems:
                continue
            self._problems[key] = problem
            self._tell(Event("problem", problem.what, problem.text))
            if problem.kind not in _SAID_ALREADY:
                logger.warning("%s", problem.text)

    async def _watch(self) -> None:
        while True:
            due = self._loop.time() + LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)
            self.loop_lag = max(0.0, self._loop.time() - due)
            self.look()

    def _look(self) -> Iterator[Problem]:
        now = time.time()
        for servers, state in self._app.producers():
            if not state.connected:
                yield _no_broker(servers, now)
        for member in self._app.members:
            functions = member.functions()
            yield from _of_functions(functions, member.timeouts, now)
            yield from self._of_member(member, now)
            for partition in member.partitions():
                yield from _of_partition(partition, functions, now)

    def _of_member(self, member: GroupMember, now: float) -> Iterator[Problem]:
        state, where = member.consumer.state(), member.group or "no group"
        if not state.connected:
            yield _no_broker(member.servers, now)
        silent = self._loop.time() - state.polled
        if state.polled and silent > UNPOLLED_SECONDS:
            text = f"The poll thread of {where} has not moved for {silent:.0f} s."
            yield Problem("poll_thread", where, text, now, ready=False, live=False)
        if state.failing_since is not None:
            failing = self._loop.time() - state.failing_since
            if failing > FAILING_SECONDS:
                text = f"Commits of {where} have failed for {failing:.0f} s."
                yield Problem("commits_fail", where, text, now, ready=False)
        for topic in state.missing:
            text = f"Topic '{topic}' does not exist at {member.servers}."
            yield Problem("missing_topic", topic, text, now, ready=False)
        for topic, why in member.dead_letters.blocked.items():
            text = f"Dead letters cannot be written to '{topic}': {why}"
            yield Problem("dead_letters_fail", topic, text, now, ready=False)


def _no_broker(servers: str, now: float) -> Problem:
    text = f"No broker answers at {servers}."
    return Problem("no_broker", servers, text, now, ready=False)


def _of_functions(
    functions: Sequence[Function], timeouts: Mapping[str, float], now: float
) -> Iterator[Problem]:
    for function in functions:
        yield from _pauses(function, now)
        timeout = timeouts.get(function.name)
        if timeout is not None and function.oldest > timeout + OVERDUE_SECONDS:
            yield Problem(
                "overdue_handler",
                function.name,
                f"`{function.name}` has been running for {function.oldest:.0f} s, and "
                f"`handler_timeout={timeout:g}` could not end it. "
                "Let it pass on `asyncio.CancelledError`.",
                now,
                ready=False,
            )


def _pauses(function: Function, now: float) -> Iterator[Problem]:
    """What was paused on purpose is said, and makes nobody unready."""
    name = function.name
    if function.paused:
        yield Problem("paused", name, f"`{name}` is paused.", now)
    for topic, partition in function.paused_partitions:
        what = f"{name} at {topic}[{partition}]"
        yield Problem("paused", what, f"{what} is paused.", now)


def _of_partition(
    partition: Partition, functions: Sequence[Function], now: float
) -> Iterator[Problem]:
    if partition.unfinished_seconds < STALLED_SECONDS:
        return
    name = f"{partition.topic}[{partition.partition}]"
    busy = [f"`{f.name}` ({f.oldest:.0f} s)" for f in functions if f.oldest > 1]
    what = f" {', '.join(busy)} at work." if busy else " No function is at work."
    yield Problem(
        "stalled_partition",
        name,
        f"{name} has got nothing done for {partition.unfinished_seconds:.0f} s, at "
        f"offset {partition.committed}, with {partition.in_flight} records read."
        f"{what}",
        now,
        ready=False,
    )


class Heartbeat:
    """A thread that notices when the event loop does not turn, and shows where it is.

    Args:
        loop: Run by the thread that makes this.
        patience: Seconds.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, patience: float = BLOCKED_SECONDS
    ) -> None:
        self._loop = loop
        self._patience = patience
        self._watched = threading.get_ident()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to watch."""
        threading.Thread(
            target=self._run, name="fastkafka-heartbeat", daemon=True
        ).start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            beat = threading.Event()
            asked = time.monotonic()
            try:
                self._loop.call_soon_threadsafe(beat.set)
            except RuntimeError:  # the loop is closed
                return
            if not beat.wait(self._patience):
                self._say_blocked()
                beat.wait()
                logger.warning(
                    "The event loop turns again, after %.1f s.",
                    time.monotonic() - asked,
                )
            self._stopped.wait(self._patience / 5)

    def _say_blocked(self) -> None:
        frame = sys._current_frames().get(self._watched)
        stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
        logger.error(
            "The event loop has not turned for %g s: nothing is handled, and no timer "
            "runs. Something blocks it here; use `await`, or a sync handler, which "
            "runs in a thread:\n%s",
            self._patience,
            stack.rstrip(),
        )
