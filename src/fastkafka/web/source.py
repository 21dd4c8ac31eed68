"""The one seam between what is served and what runs: where snapshots come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fastkafka.observe.snapshot import Snapshot
from fastkafka.observe.workers import from_line


class Source(Protocol):
    """Where snapshots come from: this process, or all workers of a run."""

    def snapshots(self) -> Sequence[Snapshot]:
        """Return what each worker last said of itself.

        It costs little and never waits. In a run a snapshot is up to two seconds old,
        and says itself when it was made.

        Returns:
            One for each worker, in the order of their numbers. A worker that has no
            process at this moment has a snapshot, too: its `pid` is 0, and one of its
            problems says why. What workers have counted that have ended is in one more
            snapshot, `worker` 0 and `pid` 0, so that the sum over all of them never
            falls; `merged` makes that sum.
        """


class AppSource:
    """An app in this process.

    Args:
        app: It, or what else makes snapshots.
    """

    def __init__(self, app: HasSnapshot) -> None:
        self._app = app

    def snapshots(self) -> Sequence[Snapshot]:
        """Return one, made now."""
        return (self._app.snapshot(),)


class RunSource:
    """The workers of a run, as their parent tells of them, a line a second."""

    def __init__(self) -> None:
        self._snapshots: Sequence[Snapshot] = ()

    def hear(self, line: bytes) -> None:
        """Take in what the parent tells; see `workers.to_line`."""
        self._snapshots = from_line(line)

    def snapshots(self) -> Sequence[Snapshot]:
        """Return what was told last."""
        return self._snapshots


class HasSnapshot(Protocol):
    """Makes snapshots: an app is one."""

    def snapshot(self) -> Snapshot:
        """Return what it looks like now."""
