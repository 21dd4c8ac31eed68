"""What a consumer has still to commit, and when it does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping

from fastkafka.transport.base import TopicPartition
from fastkafka.transport.memory.clock import Clock, Timer
from fastkafka.transport.memory.faults import Refusal

logger = logging.getLogger("fastkafka.transport")


class Commits:
    """Finished offsets on their way to the coordinator.

    Args:
        clock: For the interval.
        interval: Seconds; ``auto.commit.interval.ms``.
        commit: Asks the coordinator; returns why not.
        may_commit: Whether the coordinator can be asked at all.
    """

    def __init__(
        self,
        clock: Clock,
        interval: float,
        commit: Callable[[Mapping[TopicPartition, int]], Refusal | None],
        may_commit: Callable[[], bool],
    ) -> None:
        self._clock = clock
        self._interval = interval
        self._ask = commit
        self._may_commit = may_commit
        self._waiting: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._timer: Timer | None = None
        self._failing = False

    def finished(self, partition: TopicPartition, offset: int) -> None:
        """Commit an offset in the interval, unless that would be a step back."""
        if offset > self._committed.get(partition, -1):
            self._waiting[partition] = offset
            self.in_time()

    def in_time(self) -> None:
        """Commit in the interval what waits."""
        if self._waiting and self._timer is None:
            self._timer = self._clock.call_at(
                self._clock.time() + self._interval, self.due
            )

    def commit(self, partitions: Collection[TopicPartition]) -> None:
        """Commit at once what waits of these partitions."""
        self.now({p: self._waiting[p] for p in partitions if p in self._waiting})

    def now(self, offsets: Mapping[TopicPartition, int]) -> bool:
        """Commit offsets at once; return whether that was possible."""
        if not offsets:
            return True
        refusal = self._ask(offsets)
        if refusal is None:
            self._committed.update(offsets)
        if refusal is not None and not self._failing:
            logger.warning(
                "%s The offsets go with the next commit.", refusal.error("commit")
            )
        if refusal is None and self._failing:
            logger.warning("Commits succeed again.")
        self._failing = refusal is not None
        return refusal is None

    def forget(self, partition: TopicPartition) -> None:
        """Commit nothing more of a partition: it is somebody else's."""
        self._waiting.pop(partition, None)
        self._committed.pop(partition, None)

    def due(self) -> None:
        """Commit what waits: the interval is over."""
        self.stop()
        self._timer = None
        if self._may_commit():
            offsets, self._waiting = self._waiting, {}
            if not self.now(offsets):
                self._waiting = offsets | self._waiting
                self.in_time()

    def stop(self) -> None:
        """Commit nothing more."""
        if self._timer is not None:
            self._timer.cancel()
