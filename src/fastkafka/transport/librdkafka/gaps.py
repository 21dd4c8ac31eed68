"""Going on where a group's offset is not there any more, or means another topic.

Records were deleted before they were read; or the topic was deleted and made again, and
what was committed is of the old one. Both follow `on_gap`. Everything here is called in
the poll thread.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError

from fastkafka.errors import ClientError
from fastkafka.observe.events import Event
from fastkafka.transport.base import TopicPartition
from fastkafka.transport.librdkafka.backpressure import BackPressure
from fastkafka.transport.librdkafka.commits import Commits
from fastkafka.transport.librdkafka.connection import logger
from fastkafka.transport.librdkafka.starts import Starts
from fastkafka.transport.librdkafka.topic_watch import TopicWatch


class Gaps:
    """The gaps of one consumer.

    Args:
        starts: Decides where to go on.
        watch: Knows which topics there are.
        commits: Old offsets must not be committed any more.
        pressure: The partitions that are assigned.
        in_group: Whether anything is committed.
        incremental: Whether assignments are changed, rather than replaced.
        tell: Told of an event.
        fail: Told of one that ends the app.
    """

    def __init__(
        self,
        starts: Starts,
        watch: TopicWatch,
        commits: Commits,
        pressure: BackPressure,
        *,
        in_group: bool,
        incremental: bool,
        tell: Callable[[Event], None],
        fail: Callable[[ClientError], None],
    ) -> None:
        self._starts = starts
        self._watch = watch
        self._commits = commits
        self._pressure = pressure
        self._in_group = in_group
        self._incremental = incremental
        self._tell = tell
        self._fail = fail

    def cross(
        self,
        client: Any,
        partition: TopicPartition,
        error: KafkaError,
        position: int,
        since: float,
    ) -> None:
        """The broker does not have the offset that comes next.

        Args:
            client: The consumer's.
            partition: Which one.
            error: What the client says.
            position: That offset.
            since: When it had said so, at the latest, by `time.monotonic`.
        """
        if partition in self._pressure.intake:
            self._watch.ask([partition.topic], since=since)
            if not self._cross_into_another_topic(client, partition):
                gap = self._starts.gap(client, partition, error)
                self._settle(client, partition, gap, position)

    def look(self, client: Any) -> None:
        """Look from time to time whether a topic was made again."""
        if self._watch.look({p.topic for p in self._pressure.intake}):
            for partition in list(self._pressure.intake):
                if partition in self._pressure.intake:  # a gap before it may end it all
                    self._cross_into_another_topic(client, partition)

    def passed(self, gap: Event) -> None:
        """Say that a group goes on behind a gap."""
        logger.warning("%s", gap.text)
        self._tell(gap)

    def hint(self) -> None:
        """Look soon: a topic may have been deleted, or is new here."""
        self._watch.hint()

    def drop_old_offsets(
        self, client: Any, partitions: Collection[TopicPartition]
    ) -> None:
        """Before a commit: what is of a topic that is gone is not for the new one."""
        self._watch.ask({p.topic for p in partitions})
        for partition in partitions:
            if self._watch.differs(partition, self._watch.ours.get(partition)):
                self._commits.forget(partition)

    def _cross_into_another_topic(self, client: Any, partition: TopicPartition) -> bool:
        """Go on in a topic that was made again, if it was; return whether."""
        if not self._watch.take(partition, self._watch.ours.get(partition)):
            return False
        before = self._commits.last(partition)
        gap = self._starts.made_again(client, partition, before)
        self._settle(client, partition, gap, None)
        return True

    def _settle(
        self,
        client: Any,
        partition: TopicPartition,
        gap: Event | ClientError,
        position: int | None,
    ) -> None:
        """Go on behind a gap, or end the app.

        What was read before a gap, and is in work, is still to be finished; unless the
        partition goes on further down, or in another log, where *position* is None.
        """
        if isinstance(gap, ClientError):
            # The topic may be another one by now: no old offset belongs into it.
            for other in list(self._pressure.intake):
                if other.topic == partition.topic:
                    self._pressure.forget(other)
                    self._commits.forget(other)
            self._fail(gap)
            return
        assert gap.offset is not None
        anew = position is None or gap.offset < position
        if anew:
            self._commits.begin_anew(partition)
            self._pressure.add([partition])
        self.go_on_at(client, partition, gap.offset)
        self.passed(gap)
        if anew and self._in_group:
            self._commits.pin(client, partition, gap.offset)

    def go_on_at(self, client: Any, partition: TopicPartition, offset: int) -> None:
        """Read a partition from another offset on.

        After a gap the client does not seek: the partition is to be assigned again.
        """
        there = confluent_kafka.TopicPartition(*partition, offset)
        if self._incremental:
            client.incremental_unassign([there])
            client.incremental_assign([there])
        else:
            others = [
                p for p in client.assignment() if partition != (p.topic, p.partition)
            ]
            client.assign([*client.position(others), there])
        if partition in self._pressure.paused:
            # It may stay so when it is assigned anew.
            client.resume([there])
            self._pressure.paused.discard(partition)
