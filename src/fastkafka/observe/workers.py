"""The workers of a run as their parent knows them: what each last said of itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from pydantic import TypeAdapter

from fastkafka.observe.merging import counts, merged
from fastkafka.observe.snapshot import Problem, Snapshot

SILENCE = 15.0
"""Seconds; a worker sends a snapshot each second, from a thread of its own. One that
has said nothing for so long is suspended, or runs code that lets no thread run."""


BLOCKED = 5.0
"""Seconds; a worker whose event loop has not turned for so long is not ready."""

STUCK = 30.0
"""Seconds; a worker whose event loop has not turned for so long is not live."""


@dataclass(slots=True)
class _Worker:
    """One of them.

    Attributes:
        said: Its last snapshot, while it has a process that has sent one.
        at: When that came.
        why: What is said instead, while it has not.
    """

    said: Snapshot | None
    at: float
    why: Problem


class Workers:
    """Keeps the last snapshot of each worker, and the counts of those that ended.

    Args:
        number: How many workers there are.
        clock: Epoch seconds, for what is told.
        monotonic: Seconds, for what is measured.
    """

    def __init__(
        self,
        number: int,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._stopping: Problem | None = None
        self._ended: Snapshot | None = None
        self._workers = {
            worker: _Worker(
                said=None,
                at=monotonic(),
                why=self._problem("starting", worker, f"Worker {worker} is starting."),
            )
            for worker in range(1, number + 1)
        }

    def heard(self, worker: int, snapshot: Snapshot) -> None:
        """Take in a snapshot.

        Args:
            worker: Whose, from 1.
            snapshot: What it says.
        """
        known = self._workers[worker]
        before = known.said
        if before is not None and not (snapshot.functions or snapshot.producing):
            # Its app has stopped. What it had counted stays true.
            snapshot = replace(
                counts(before),
                time=snapshot.time,
                pid=snapshot.pid,
                problems=snapshot.problems,
            )
        known.said = replace(snapshot, worker=worker)
        known.at = self._monotonic()

    def ended(self, worker: int, why: str) -> None:
        """Take in that a worker's process has ended.

        Args:
            worker: Which, from 1.
            why: A sentence or two: how it ended, and what follows.
        """
        known = self._workers[worker]
        if known.said is not None:
            counted = counts(known.said)
            self._ended = (
                counted if self._ended is None else merged([self._ended, counted])
            )
        known.said = None
        known.why = self._problem("ended", worker, why)

    def stopping(self) -> None:
        """Take in that all of them have been told to stop."""
        text = "The app has been told to stop."
        self._stopping = Problem("stopping", "app", text, self._clock(), ready=False)

    def snapshots(self) -> Sequence[Snapshot]:
        """Return what is known of each; see `Source.snapshots`."""
        known = [self._of(worker) for worker in self._workers]
        if self._stopping is not None:
            known = [
                replace(said, problems=[*said.problems, self._stopping])
                for said in known
            ]
        return known if self._ended is None else [*known, self._ended]

    @property
    def live(self) -> bool:
        """Whether all of them can make progress; one that starts again can."""
        return all(snapshot.live for snapshot in self.snapshots())

    def _of(self, worker: int) -> Snapshot:
        known = self._workers[worker]
        if known.said is None:
            return Snapshot(self._clock(), pid=0, worker=worker, problems=[known.why])
        silence = self._monotonic() - known.at
        if silence < SILENCE:
            return known.said
        text = (
            f"Worker {worker}, process {known.said.pid}, has said nothing for "
            f"{silence:.0f} s. It is suspended, or runs code that lets no thread run."
        )
        problem = replace(self._problem("silent", worker, text), live=False)
        problem = replace(problem, since=problem.since - silence)
        return replace(known.said, problems=[*known.said.problems, problem])

    def _problem(self, kind: str, worker: int, text: str) -> Problem:
        return Problem(kind, f"worker {worker}", text, self._clock(), ready=False)


def with_blocked_loop(snapshot: Snapshot, seconds: float) -> Snapshot:
    """Return a snapshot that says that the event loop does not turn.

    Args:
        snapshot: Of the worker whose loop it is.
        seconds: For how long it has not; below `BLOCKED` nothing is said.
    """
    late = replace(snapshot, loop_lag=max(snapshot.loop_lag, seconds))
    if seconds < BLOCKED:
        return late
    text = (
        f"The event loop has not turned for {seconds:.0f} s: code blocks it, and "
        "nothing is handled. The log has where."
    )
    problem = Problem(
        *("blocked_loop", "event loop", text, snapshot.time - seconds),
        ready=False,
        live=seconds < STUCK,
    )
    return replace(late, problems=[*snapshot.problems, problem])


def to_line(snapshots: Sequence[Snapshot]) -> bytes:
    """Write snapshots as JSON, in one line that ends with a line end."""
    return _adapter().dump_json(snapshots) + b"\n"


def from_line(line: bytes) -> Sequence[Snapshot]:
    """Read what `to_line` wrote.

    Raises:
        pydantic.ValidationError: It is something else.
    """
    return _adapter().validate_json(line)


@cache
def _adapter() -> TypeAdapter[Sequence[Snapshot]]:
    return TypeAdapter(Sequence[Snapshot])
