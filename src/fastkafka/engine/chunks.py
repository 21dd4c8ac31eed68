"""Pieces of work for a lane, the keys they wait for, and what became of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from fastkafka.errors import RecordError
from fastkafka.messages import Record
from fastkafka.transport.base import TopicPartition


class LaneOwner(Protocol):
    """The assignment that records belong to."""

    partition: TopicPartition
    stopped: asyncio.Event
    """Set: no record is handled any more but those that are being handled."""

    def entered(self) -> None:
        """A slice was begun."""

    def left(self) -> None:
        """A slice is settled."""

    def finished(self, handler: int, start: int, end: int) -> None:
        """Records `[start, end)` are handled, and their outputs acknowledged."""

    def taken(self, handler: int, records: int, size: int) -> None:
        """The lanes are done with records: there is room for more."""

    def waited(self, start: int) -> None:
        """Records from *start* on have waited for their batch to fill until now."""

    def given_up(self, error: RecordError) -> None:
        """A record failed for good and is done with: parked, skipped or asked about."""

    def failed(self, error: RecordError) -> None:
        """A record could not be processed and is not finished."""


@dataclass(slots=True, eq=False)
class Chunk:
    """Records of one key, for one lane.

    Attributes:
        owner: Whose they are.
        handler: The function's number among those that read the partition.
        key: What no other lane may handle at the same time.
        records: In offset order.
        starts: Where the stretch of each record begins; see `OffsetTracker`. With one
            entry, the records adjoin each other and share one stretch.
        size: Bytes of the values together.
        failure: What is wrong with its only record already: an output of it was
            refused after the lane had gone on.
        attempt: Which call of its handler that was, from 1.
    """

    owner: LaneOwner
    handler: int
    key: KeyQueue
    records: Sequence[Record]
    starts: Sequence[int]
    size: int
    failure: RecordError | None = None
    attempt: int = 1


class KeyQueue:
    """What one lane handles at a time, and the chunks of it that wait.

    Args:
        among: Where it is found by its name while a lane has or will have something to
            do for it; None for one that nothing else shares.
        name: Its own.
    """

    __slots__ = ("_among", "_name", "chunks", "taken")

    def __init__(self, among: dict[Hashable, KeyQueue] | None, name: Hashable) -> None:
        self.chunks: deque[Chunk] = deque()
        self.taken = False
        """A lane has it, or will."""
        self._among = among
        self._name = name

    @classmethod
    def of(cls, among: dict[Hashable, KeyQueue], name: Hashable) -> KeyQueue:
        """Return the key of a name, which may be at work already."""
        key = among.get(name)
        return cls(among, name) if key is None else key

    def current(self) -> KeyQueue:
        """Return the key that stands for the same name now."""
        return self if self._among is None else self.of(self._among, self._name)

    def take(self) -> None:
        """A lane will work for it."""
        self.taken = True
        if self._among is not None:
            self._among[self._name] = self

    def free(self) -> None:
        """No lane has anything to do for it."""
        self.taken = False
        if self._among is not None:
            del self._among[self._name]


class Outcome(NamedTuple):
    """What became of a slice: how many records of it are handled, what was wrong with
    what follows them, how many records that concerns, how long it took, and when it
    ended, by `time.perf_counter`."""

    done: int
    error: RecordError | None
    concerned: int
    seconds: float
    ended: float


def start_of(records: Sequence[Record], start: int, index: int) -> int:
    """Return where the stretch of a record begins, among records that adjoin.

    Args:
        records: In offset order.
        start: Where the stretch of the first one begins.
        index: Which of them; may be one behind the last.
    """
    return records[index - 1].offset() + 1 if index else start
