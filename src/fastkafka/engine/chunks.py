"""Pieces of work for a lane, and what became of them."""

from __future__ import annotations

import asyncio
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

    def given_up(self, error: RecordError) -> None:
        """A record failed for good and is done with: parked, skipped or asked about."""

    def failed(self, error: RecordError) -> None:
        """A record could not be processed and is not finished."""


@dataclass(slots=True)
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
    key: Hashable
    records: Sequence[Record]
    starts: Sequence[int]
    size: int
    failure: RecordError | None = None
    attempt: int = 1


class Outcome(NamedTuple):
    """What became of a slice: how many records of it are handled, what was wrong with
    what follows them, how many records that concerns, and how long it took."""

    done: int
    error: RecordError | None
    concerned: int
    seconds: float


def start_of(records: Sequence[Record], start: int, index: int) -> int:
    """Return where the stretch of a record begins, among records that adjoin.

    Args:
        records: In offset order.
        start: Where the stretch of the first one begins.
        index: Which of them; may be one behind the last.
    """
    return records[index - 1].offset() + 1 if index else start
