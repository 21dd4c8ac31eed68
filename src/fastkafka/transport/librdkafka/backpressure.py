"""How much of each partition the poll thread takes in.

A partition above its high mark first makes the thread wait a moment, which is all that
a fast handler needs; one that stays full is paused, alone, until it is below its low
mark. Pausing drops what librdkafka has fetched of it ahead.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable
from typing import Any

import confluent_kafka

from fastkafka.transport.base import Run, TopicPartition
from fastkafka.transport.intake import Intake

PATIENCE_SECONDS = 0.05
"""How long a full partition may hold up the poll thread before it is paused."""


class BackPressure:
    """The partitions of one consumer. The poll thread calls it, but for `taken`."""

    def __init__(self) -> None:
        self.intake: dict[TopicPartition, Intake] = {}
        """What each assigned partition has in the engine."""
        self.paused: set[TopicPartition] = set()
        self._room = threading.Event()
        self._stopped = False

    def taken(self, partition: TopicPartition, records: int, size: int) -> None:
        """On the event loop: records left the engine."""
        intake = self.intake.get(partition)
        if intake is not None:
            intake.records_out += records
            intake.bytes_out += size
            self._room.set()

    def stop(self) -> None:
        """From any thread: let nothing more in; `apply` pauses what is assigned."""
        self._stopped = True
        self._room.set()

    def add(self, partitions: Iterable[TopicPartition]) -> None:
        """Partitions were assigned."""
        self.intake.update((partition, Intake()) for partition in partitions)

    def forget(self, partition: TopicPartition) -> None:
        """A partition was given up."""
        self.intake.pop(partition, None)
        self.paused.discard(partition)

    def begin_again(self, client: Any, partition: TopicPartition) -> None:
        """Nothing of a partition is in the engine any more: it was sought."""
        self.intake[partition] = Intake()
        if partition in self.paused and not self._stopped:
            client.resume(_plain([partition]))
            self.paused.discard(partition)

    def let_in(self, partition: TopicPartition, records: int, size: int) -> bool:
        """Records came; return whether their partition is assigned."""
        intake = self.intake.get(partition)
        if intake is None:
            return False  # revoked by a callback of this very poll
        intake.records_in += records
        intake.bytes_in += size
        return True

    def hold_back(self, client: Any, runs: Collection[Run]) -> None:
        """Wait a moment for room in partitions that are full now, or pause them."""
        full = [run.partition for run in runs if self.intake[run.partition].full]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while full and not self._stopped:
            self._room.clear()
            full = [p for p in full if not self.intake[p].low]
            if full and not self._room.wait(deadline - time.monotonic()):
                self._pause(client, full)
                return

    def apply(self, client: Any) -> None:
        """Resume what has room again; or pause everything, once it is stopped."""
        if self._stopped:
            self._pause(client, self.intake.keys() - self.paused)
            return
        resuming = [p for p in self.paused if self.intake[p].low]
        if resuming:
            client.resume(_plain(resuming))
            self.paused.difference_update(resuming)

    def _pause(self, client: Any, partitions: Collection[TopicPartition]) -> None:
        if partitions:
            client.pause(_plain(partitions))
            self.paused.update(partitions)


def _plain(partitions: Iterable[TopicPartition]) -> list[Any]:
    return [confluent_kafka.TopicPartition(*partition) for partition in partitions]
