"""What a consumer reads: where it is in each partition, and where it has room."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from fastkafka.transport.base import Run, TopicPartition
from fastkafka.transport.intake import Intake
from fastkafka.transport.memory.cluster import Cluster
from fastkafka.transport.memory.faults import Refusal
from fastkafka.transport.memory.log import PartitionLog


class Fetches:
    """The partitions of one consumer, each with its position and its intake.

    Args:
        cluster: Where the logs are.
        ours: Which topic the offsets of each partition are of, by its id.
        end: Returns where this consumer's log ends.
        committed_only: Whether it reads only what is committed.

    Attributes:
        positions: The next offset to read.
        intake: What each partition has in the engine.
        full: Partitions that wait for room.
    """

    def __init__(
        self,
        cluster: Cluster,
        ours: Mapping[TopicPartition, str],
        end: Callable[[PartitionLog], int],
        *,
        committed_only: bool,
    ) -> None:
        self.positions: dict[TopicPartition, int] = {}
        self.intake: dict[TopicPartition, Intake] = {}
        self.full: set[TopicPartition] = set()
        self._cluster = cluster
        self._ours = ours
        self._end = end
        self._committed_only = committed_only

    def begin(self, partition: TopicPartition, offset: int) -> None:
        """Read from an offset on; what was read before does not count."""
        self.positions[partition] = offset
        self.intake[partition] = Intake()
        self.full.discard(partition)

    def forget(self, partition: TopicPartition) -> None:
        """Read no more of a partition."""
        self.positions.pop(partition, None)
        self.intake.pop(partition, None)
        self.full.discard(partition)

    def taken(self, partition: TopicPartition, records: int, size: int) -> bool:
        """Give room back; return whether a full partition may go on."""
        intake = self.intake.get(partition)
        if intake is None:
            return False
        intake.records_out += records
        intake.bytes_out += size
        goes_on = partition in self.full and intake.low
        if goes_on:
            self.full.remove(partition)
        return goes_on

    def is_there(self, partition: TopicPartition) -> bool:
        """Whether the topic is there whose offsets we have."""
        now = self._cluster.topic_id(partition)
        return now is not None and now == self._ours.get(partition)

    def has_more(self, partition: TopicPartition, offset: int) -> bool:
        """Whether there are records from an offset on; a topic made again is new."""
        if not self.is_there(partition):
            return self._cluster.topic_id(partition) is not None
        log = self._cluster.log(partition)
        return log.has_after(offset, committed=self._committed_only)

    def topic_ids(self) -> Mapping[TopicPartition, str | None]:
        """Return which topic the offsets of each partition are of, by its id."""
        return {p: self._ours.get(p) for p in self.positions}

    def ready(self) -> Sequence[TopicPartition]:
        """Return what can be read; which comes first is left to chance."""
        ready = [p for p in self.positions if self._has_news(p)]
        self._cluster.chance.shuffle(ready)
        return ready

    def read(self, partition: TopicPartition, limit: int) -> Run | Refusal | None:
        """Read up to so many records; return why that is refused, or None."""
        log, position = self._cluster.log(partition), self.positions[partition]
        refusal = self._cluster.faults.refusal("fetch", partition)
        if refusal is None and not log.start <= position <= log.end:
            refusal = Refusal("OFFSET_OUT_OF_RANGE")
        if refusal is not None:
            return refusal
        records, self.positions[partition] = log.read(
            position, limit, committed=self._committed_only
        )
        if not records:
            return None
        size = sum(map(len, records))
        intake = self.intake[partition]
        intake.records_in += len(records)
        intake.bytes_in += size
        if intake.full:
            self.full.add(partition)
        return Run(partition, records, size)

    def _has_news(self, partition: TopicPartition) -> bool:
        if partition in self.full or not self.is_there(partition):
            return False
        log, position = self._cluster.log(partition), self.positions[partition]
        return position < self._end(log) or not log.start <= position <= log.end
