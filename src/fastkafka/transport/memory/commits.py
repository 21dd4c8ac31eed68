"""What a consumer has still to commit, and when it does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping

from fastkafka.transport.base import Committed, TopicPartition
from fastkafka.transport.memory.clock import Clock, Timer
from fastkafka.transport.memory.faults import Refusal
from fastkafka.transport.topic_ids import with_topic_id
from fastkafka.transport.wording import commits_fail

logger = logging.getLogger("fastkafka.transport")


class Commits:
    """Finished offsets on their way to the coordinator.

    Args:
        clock: For the interval.
        interval: Seconds; ``auto.commit.interval.ms``.
        commit: Asks the coordinator; returns why not.
        may_commit: Whether the coordinator can be asked at all.
        topic_ids: Which topic each partition belongs to, for the metadata.
    """

    def __init__(
        self,
        clock: Clock,
        interval: float,
        commit: Callable[[Mapping[TopicPartition, Committed]], Refusal | None],
        may_commit: Callable[[], bool],
        topic_ids: Mapping[TopicPartition, str],
    ) -> None:
        self._clock = clock
        self._interval = interval
        self._ask = commit
        self._may_commit = may_commit
        self._topic_ids = topic_ids
        self._waiting: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._metadata: dict[TopicPartition, str] = {}
        self._last: dict[TopicPartition, int] = {}
        self._timer: Timer | None = None
        self.succeeded = self.failed = 0
        self.failing_since: float | None = None
        """In the event loop's time; None while commits succeed."""

    def finished(self, partition: TopicPartition, offset: int) -> None:
        """Commit an offset in the interval, unless that would be a step back."""
        if offset > self._committed.get(partition, -1):
            self._waiting[partition] = offset
            self.in_time()

    def note(self, partition: TopicPartition, metadata: str) -> None:
        """Let *metadata* travel with the commits; see `Consumer.note`."""
        if self._metadata.get(partition) == metadata:
            return
        self._metadata[partition] = metadata
        if partition not in self._waiting and partition in self._committed:
            self._waiting[partition] = self._committed[partition]
            self.in_time()

    def last(self, partition: TopicPartition) -> int | None:
        """Return what the group had committed of a partition, as this consumer knows.

        Returns:
            The offset of its own last commit, or of the one that it found when the
            partition was assigned; None is nothing.
        """
        return self._last.get(partition)

    def found(self, partition: TopicPartition, committed: int) -> int | None:
        """Take note of what is committed of a partition that was assigned.

        Returns:
            What it was before, if that was more: somebody has set it back.
        """
        before = self.last(partition)
        self._last[partition] = committed
        return before if before is not None and committed < before else None

    def in_time(self) -> None:
        """Commit in the interval what waits."""
        if self._waiting and self._timer is None:
            self._timer = self._clock.call_at(
                self._clock.time() + self._interval, self.due
            )

    def waiting(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        """Return what waits of these partitions."""
        return {p: self._waiting[p] for p in partitions if p in self._waiting}

    def now(self, offsets: Mapping[TopicPartition, int]) -> Refusal | None:
        """Commit offsets at once; return why that was not possible."""
        if not offsets:
            return None
        metadata, ids = self._metadata, self._topic_ids
        refusal = self._ask(
            {
                p: Committed(at, with_topic_id(ids.get(p), metadata.get(p, "")))
                for p, at in offsets.items()
            }
        )
        if refusal is not None:
            self.failed += 1
            if self.failing_since is None:
                self.failing_since = asyncio.get_running_loop().time()
                logger.warning("%s", commits_fail(refusal.error("commit")))
            return refusal
        self.succeeded += 1
        self._committed.update(offsets)
        self._last.update(offsets)
        if self.failing_since is not None:
            self.failing_since = None
            logger.warning("Commits succeed again.")
        return None

    def forget(self, partition: TopicPartition) -> None:
        """Commit nothing more of a partition: it is somebody else's."""
        self._waiting.pop(partition, None)
        self._committed.pop(partition, None)
        self._metadata.pop(partition, None)

    def rewind(self, partition: TopicPartition) -> None:
        """Let a partition's offset go back: its log is another one."""
        self.forget(partition)
        self._last.pop(partition, None)

    def due(self) -> None:
        """Commit what waits: the interval is over."""
        self.stop()
        self._timer = None
        if self._may_commit():
            offsets, self._waiting = self._waiting, {}
            if self.now(offsets) is not None:
                self._waiting = offsets | self._waiting
                self.in_time()

    def stop(self) -> None:
        """Commit nothing more."""
        if self._timer is not None:
            self._timer.cancel()
