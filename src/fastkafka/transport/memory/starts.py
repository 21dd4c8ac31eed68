"""Where the partitions of a consumer start, and where they go on behind a gap."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from fastkafka.errors import ClientError
from fastkafka.observe.events import Event
from fastkafka.transport.base import Committed, TopicPartition
from fastkafka.transport.memory.cluster import Cluster, is_meant
from fastkafka.transport.memory.commits import Commits
from fastkafka.transport.memory.faults import Refusal
from fastkafka.transport.memory.groups import Group
from fastkafka.transport.memory.log import PartitionLog
from fastkafka.transport.topic_ids import split_topic_id
from fastkafka.transport.wording import (
    gap_error,
    gap_passed,
    made_again,
    made_again_error,
)


class Assigned(NamedTuple):
    """Where partitions start that were assigned.

    Attributes:
        positions: The first offset to read.
        committed: What the group has committed, where that counts.
        gaps: Those that are passed: where a topic was made again.
    """

    positions: Mapping[TopicPartition, int]
    committed: Mapping[TopicPartition, Committed]
    gaps: Collection[Event]


class Starts:
    """Decides for one consumer; see `Transport.consumer`.

    Args:
        cluster: Where.
        topics: Names and patterns that it reads.
        commits: What it has committed.
        ours: Which topic the offsets of each partition are of, by its id.
        start_at: "earliest", "latest" or "none", by topic or pattern.
        on_gap: "stop", "earliest" or "latest", by topic or pattern.
        committed_only: Whether it reads only what is committed.
    """

    def __init__(
        self,
        cluster: Cluster,
        topics: Collection[str],
        commits: Commits,
        ours: dict[TopicPartition, str],
        *,
        start_at: Mapping[str, str],
        on_gap: Mapping[str, str],
        committed_only: bool,
    ) -> None:
        self._cluster = cluster
        self._topics = topics
        self._commits = commits
        self._ours = ours
        self._start_at = start_at
        self._on_gap = on_gap
        self._committed_only = committed_only
        self._there: set[str] = set()
        self._started: set[str] = set()

    def look(self) -> None:
        """Take note of what there is at the start of the consumer."""
        self._there = {p.topic for p in self._cluster.partitions_of(self._topics)}

    def of_group(
        self, group: Group, partitions: Collection[TopicPartition]
    ) -> Assigned:
        """Say where each partition starts: at its commit, else where the app wants.

        With "latest" a new group's start is committed at once, so that what arrives
        while the app is down later is not skipped. A partition that appears when others
        of its topic have been read before starts at its beginning.

        Raises:
            ClientError: With "none" there is no commit; or a topic was made again, and
                that is to end the app.
        """
        known = {p.topic for p in group.committed}
        positions: dict[TopicPartition, int] = {}
        committed: dict[TopicPartition, Committed] = {}
        pinned, gaps = {}, []
        for partition in partitions:
            before, topic_id = self._before(group, partition)
            start = _wanted(self._start_at, partition)
            if self.take(partition, topic_id) and before is not None:
                gaps.append(self._passed(self.made_again(partition, before.offset)))
                positions[partition] = pinned[partition] = gaps[-1].offset or 0
            elif partition in group.committed and before is not None:
                committed[partition] = before
                positions[partition] = before.offset
            elif start == "none":
                raise ClientError(
                    f"Kafka could not consume: {partition} has no committed offset "
                    'and `auto_offset_reset="none"` (_AUTO_OFFSET_RESET).',
                    code="_AUTO_OFFSET_RESET",
                    fatal=True,
                )
            elif start == "latest" and not (
                partition.topic in known or self._is_new(partition.topic)
            ):
                end = self.end(self._cluster.log(partition))
                positions[partition] = pinned[partition] = end
            else:
                positions[partition] = self._cluster.log(partition).start
        self._started.update(p.topic for p in partitions)
        self._commits.now(pinned)
        return Assigned(positions, committed, gaps)

    def by_hand(
        self, taken: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        """Say where partitions start that a consumer without a group has not taken."""
        positions = {}
        for partition in self._cluster.partitions_of(self._topics):
            if partition not in taken:
                new = self._is_new(partition.topic)
                at_end = _wanted(self._start_at, partition) == "latest" and not new
                log = self._cluster.log(partition)
                positions[partition] = log.end if at_end else log.start
                self.take(partition, None)
        self._started.update(p.topic for p in positions)
        return positions

    def end(self, log: PartitionLog) -> int:
        """Return where this consumer's log ends: open transactions are hidden."""
        return log.stable if self._committed_only else log.end

    def take(self, partition: TopicPartition, of: str | None) -> bool:
        """Take note which topic a partition belongs to.

        Args:
            partition: Which one.
            of: The id of the topic that its offsets are of; None is not known.

        Returns:
            Whether it belongs to one that was made in that one's place.
        """
        now = self._cluster.topic_id(partition)
        if now is not None:
            self._ours[partition] = now
        return None not in (now, of) and now != of

    def gap(
        self, partition: TopicPartition, before: int, refusal: Refusal
    ) -> Event | ClientError:
        """Say where to go on when the offset *before* is not there.

        Returns:
            An event with the place, or the error that ends the app if that is wanted.
        """
        log, wanted = self._cluster.log(partition), _wanted(self._on_gap, partition)
        if wanted == "stop":
            return gap_error(partition, refusal.text, code="_AUTO_OFFSET_RESET")
        low, high = log.start, self.end(log)
        return gap_passed(
            partition, refusal.text, before=before, low=low, high=high, on_gap=wanted
        )

    def made_again(
        self, partition: TopicPartition, before: int | None
    ) -> Event | ClientError:
        """Say where to go on in a topic that was made again; as `gap`.

        Args:
            partition: Which one.
            before: The group's offset in the old topic. If it had none, nothing is
                missing: the new one is read from its beginning.
        """
        log, wanted = self._cluster.log(partition), _wanted(self._on_gap, partition)
        if before is None:
            wanted = "earliest"
        elif wanted == "stop":
            if _wanted(self._start_at, partition) == "latest":
                # What was committed is deleted: who comes next would be a new group,
                # and skip what is there by now.
                self._commits.now({partition: log.start})
            return made_again_error(partition, before)
        low, high = log.start, self.end(log)
        return made_again(partition, before=before, low=low, high=high, on_gap=wanted)

    def _before(
        self, group: Group, partition: TopicPartition
    ) -> tuple[Committed | None, str | None]:
        """Return what was committed, and the id of the topic that it was of.

        What was committed of a topic is deleted together with it, but this consumer
        remembers what it has committed itself.
        """
        offset = group.committed.get(partition)
        if offset is not None:
            topic_id, note = split_topic_id(group.metadata.get(partition, ""))
            return Committed(offset, note), topic_id
        last = self._commits.last(partition)
        before = None if last is None else Committed(last, "")
        return before, self._ours.get(partition)

    def _passed(self, gap: Event | ClientError) -> Event:
        if isinstance(gap, ClientError):
            raise gap
        return gap

    def _is_new(self, topic: str) -> bool:
        """Whether what we have not read of a topic came after our start."""
        return topic in self._started or topic not in self._there


def _wanted(by_topic: Mapping[str, str], partition: TopicPartition) -> str:
    """Return what is said for a topic, by its name or its pattern."""
    topic = partition.topic
    if topic in by_topic:
        return by_topic[topic]
    return next(at for name, at in by_topic.items() if is_meant(name, topic))
