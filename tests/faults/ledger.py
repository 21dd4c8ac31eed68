"""The ledger: what handlers did, in the order in which they did it.

Every process appends lines to one file; a line is one `write`, so none is torn when the
process is killed. Times are of the machine's monotonic clock, the same for all of them.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

Kind = Literal["begin", "end", "fail", "assigned", "revoked", "lost", "up", "health"]


class Place(NamedTuple):
    """Where a record is."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger.

    Attributes:
        kind: "begin", "end" (it returned) and "fail" (it raised) are about one call of
            the handler; "assigned", "revoked" and "lost" about a partition; "up" and
            "health" about the process.
        time: Seconds, monotonic.
        process: Which incarnation of a worker.
        topic, partition, offset, key, sequence: Of the record.
        epoch: How often the process had been assigned the partition.
        text: What else there is to say.
    """

    kind: Kind
    time: float
    process: int
    topic: str = ""
    partition: int = -1
    offset: int = -1
    key: str = ""
    sequence: int = -1
    epoch: int = 0
    text: str = ""

    @property
    def place(self) -> Place:
        """Where the record is."""
        return Place(self.topic, self.partition, self.offset)


class Writer:
    """Writes lines of one process.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._epochs: dict[tuple[str, int], int] = {}

    def write(
        self,
        kind: Kind,
        place: Place = Place("", -1, -1),  # noqa: B008 - a tuple
        *,
        key: str = "",
        sequence: int = -1,
        text: str = "",
    ) -> None:
        """Append a line."""
        partition = (place.topic, place.partition)
        if kind == "assigned":
            self._epochs[partition] = self._epochs.get(partition, 0) + 1
        epoch = self._epochs.get(partition, 0)
        line = [kind, time.monotonic(), os.getpid(), *place, key, sequence, epoch, text]
        os.write(self._file, json.dumps(line).encode() + b"\n")


class Reader:
    """Reads a ledger that is still being written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._lock = threading.Lock()  # what watches the memory reads it, too
        self.entries: list[Entry] = []

    def read(self) -> Sequence[Entry]:
        """Return all entries so far."""
        with self._lock, self._path.open("rb") as file:
            file.seek(self._position)
            data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._position += len(whole)
            self.entries += [Entry(*json.loads(line)) for line in whole.splitlines()]
            return self.entries


def of_kind(entries: Iterable[Entry], *kinds: Kind) -> list[Entry]:
    """Return the entries of some kinds."""
    return [entry for entry in entries if entry.kind in kinds]
