"""The one seam between what is served and what runs: snapshots come from it, and
commands go to it."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from fastkafka.engine.commands import Answer, Command, obey
from fastkafka.engine.control import Control
from fastkafka.observe.snapshot import Snapshot
from fastkafka.observe.workers import from_line


class Source(Protocol):
    """What runs: this process, or all workers of a run."""

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

    async def command(self, command: Command) -> Sequence[Answer]:
        """Ask for something; return what each worker answers, in time or not."""


class AppSource:
    """An app in this process.

    Args:
        app: It.
    """

    def __init__(self, app: Running) -> None:
        self._app = app

    def snapshots(self) -> Sequence[Snapshot]:
        """Return one, made now."""
        return (self._app.snapshot(),)

    async def command(self, command: Command) -> Sequence[Answer]:
        """Do it."""
        return (await obey(self._app.control, command),)


class RunSource:
    """The workers of a run, as their parent tells of them, a line a second.

    Args:
        say: Tells the parent something, in a line.
    """

    def __init__(self, say: Callable[[bytes], None] = lambda line: None) -> None:
        self.say = say
        self._snapshots: Sequence[Snapshot] = ()
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Sequence[Any]]] = {}

    def hear(self, line: bytes) -> None:
        """Take in what the parent tells: see `workers.to_line`; or what it answers."""
        if not line.startswith(b"{"):
            self._snapshots = from_line(line)
            return
        said = json.loads(line)
        asked = self._asked.pop(said["id"], None)
        if asked is not None and not asked.done():
            asked.set_result(said["answers"])

    async def command(self, command: Command) -> Sequence[Answer]:
        """Let the parent ask the workers; it knows how long to wait for them."""
        number = next(self._numbers)
        asked = self._asked[number] = asyncio.get_running_loop().create_future()
        self.say(b'control {"id":%d,"command":%b}\n' % (number, command.to_json()))
        return [Answer(**answer) for answer in await asked]

    def snapshots(self) -> Sequence[Snapshot]:
        """Return what was told last."""
        return self._snapshots


class Running(Protocol):
    """An app."""

    control: Control

    def snapshot(self) -> Snapshot:
        """Return what it looks like now."""
