"""Where partitions start: at what their group has committed, or else."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from fastkafka.errors import ClientError
from fastkafka.observe.events import Event
from fastkafka.transport.base import Committed, TopicPartition
from fastkafka.transport.librdkafka.connection import (
    REQUEST_SECONDS,
    is_refusal,
    logger,
)
from fastkafka.transport.librdkafka.topic_watch import TopicWatch
from fastkafka.transport.topic_ids import split_topic_id, with_topic_id
from fastkafka.transport.wording import (
    gap_error,
    gap_passed,
    made_again,
    made_again_error,
)

_AGAIN_SECONDS = 0.1


class Assigned(NamedTuple):
    """Where partitions start that were assigned.

    Attributes:
        positions: As the client wants them.
        committed: What the group has committed, where that counts.
        gaps: Those that are passed: where a topic was made again.
    """

    positions: list[Any]
    committed: dict[TopicPartition, Committed]
    gaps: list[Event]


class Starts:
    """Decides for one consumer; see `Transport.consumer`.

    Args:
        start_at: "earliest", "latest" or "none", by topic or pattern.
        on_gap: "stop", "earliest" or "latest", by topic or pattern.
        watch: Knows whether a topic was made again.
        last: What the group had committed of a partition when this consumer last heard
            of it; None is nothing.
    """

    def __init__(
        self,
        start_at: Mapping[str, str],
        on_gap: Mapping[str, str],
        watch: TopicWatch,
        last: Callable[[TopicPartition], int | None],
    ) -> None:
        self._start_at = start_at
        self._on_gap = on_gap
        self._watch = watch
        self._last = last
        self._started: set[str] = set()
        """Topics whose partitions are new when they appear from now on."""
        self._at_start: dict[str, int] = {}
        """How many partitions the topics had when the consumer started."""

    def look(self, client: Any, missing: Collection[str]) -> None:
        """Take note of what there is at the start of the consumer.

        Args:
            client: The consumer's.
            missing: Topics that do not exist: all that will be in them is new.
        """
        self._started.update(missing)
        if "latest" in self._start_at.values():
            found = client.list_topics(timeout=REQUEST_SECONDS).topics
            self._at_start = {t: len(found[t].partitions) for t in found}

    def positions(self, client: Any, assigned: list[Any]) -> Assigned:
        """Return where assigned partitions start, and what is committed of them.

        They start at their commit, else as wanted.

        With "latest" a new group's start is committed at once, so that what arrives
        while the app is down later is not skipped. A partition that appears when others
        of its topic have been read before starts at its beginning.

        Raises:
            ClientError: A topic was made again, and that is to end the app.
        """
        committed: list[Any] = _retried(client.committed, assigned)
        self._watch.ask({p.topic for p in assigned})
        before, gaps = self._what_counts(client, committed)
        behind = {(gap.topic, gap.partition) for gap in gaps}
        known = {topic for topic, _ in before} | self._started
        pinned = [
            self._signed(p) for p in committed if (p.topic, p.partition) in behind
        ]
        for partition in committed:
            if partition.offset >= 0:
                continue
            start = _wanted(self._start_at, partition.topic)
            if start == "none":
                raise KafkaException(
                    KafkaError(
                        KafkaError._AUTO_OFFSET_RESET,
                        f"{partition.topic}[{partition.partition}] has no committed "
                        'offset and `auto_offset_reset="none"`',
                    )
                )
            if start == "latest":
                low, high = _retried(client.get_watermark_offsets, partition)
                new = (
                    partition.topic in known
                    or partition.partition >= self._at_start.get(partition.topic, 0)
                )
                partition.offset = low if new else high
                pinned.append(self._signed(partition))
            else:
                partition.offset = confluent_kafka.OFFSET_BEGINNING
        self._started.update(p.topic for p in committed)
        if pinned:
            client.commit(offsets=pinned, asynchronous=False)
        # What it is assigned at needs no metadata of a commit.
        return Assigned([_without_metadata(p) for p in committed], before, gaps)

    def without_group(self, topic: str) -> int:
        """Return where partitions of a topic start that are seen only now."""
        later = topic in self._started
        self._started.add(topic)
        if _wanted(self._start_at, topic) == "latest" and not later:
            return confluent_kafka.OFFSET_END
        return confluent_kafka.OFFSET_BEGINNING

    def gap(
        self, client: Any, partition: TopicPartition, error: KafkaError
    ) -> Event | ClientError:
        """Say where to go on when the broker does not have a group's offset.

        Returns:
            An event with the place, or the error that ends the app if that is wanted.
        """
        wanted, text = _wanted(self._on_gap, partition.topic), error.str()
        if wanted == "stop":
            return gap_error(partition, text, code=error.name())
        where = confluent_kafka.TopicPartition(*partition)
        low, high = _retried(client.get_watermark_offsets, where)
        return gap_passed(
            partition,
            text,
            before=self._last(partition),
            low=low,
            high=high,
            on_gap=wanted,
        )

    def made_again(
        self, client: Any, partition: TopicPartition, before: int | None
    ) -> Event | ClientError:
        """Say where to go on in a topic that was made again.

        Args:
            client: The consumer's.
            partition: Which one.
            before: The group's offset in the old topic. If it had none, nothing is
                missing: the new one is read from its beginning.

        Returns:
            An event with the place, or the error that ends the app if that is wanted.
        """
        wanted = _wanted(self._on_gap, partition.topic)
        where = confluent_kafka.TopicPartition(*partition)
        low, high = _retried(client.get_watermark_offsets, where)
        if before is None:
            wanted = "earliest"
        elif wanted == "stop":
            if _wanted(self._start_at, partition.topic) == "latest":
                # Kafka has deleted what was committed: who comes next would be a new
                # group, and skip what is there by now.
                where.offset = low
                client.commit(offsets=[self._signed(where)], asynchronous=False)
            return made_again_error(partition, before)
        return made_again(partition, before=before, low=low, high=high, on_gap=wanted)

    def _what_counts(
        self, client: Any, committed: list[Any]
    ) -> tuple[dict[TopicPartition, Committed], list[Event]]:
        """Return what is committed of the topics that there are, and the gaps.

        What was committed of a topic that was made again is a gap; the position behind
        it takes its place in *committed*. Kafka deletes a topic's offsets together with
        it, but this consumer remembers what it has committed itself.
        """
        before: dict[TopicPartition, Committed] = {}
        gaps = []
        for partition in committed:
            if partition.error is not None:
                raise KafkaException(partition.error)
            where = TopicPartition(partition.topic, partition.partition)
            offset: int | None = partition.offset
            topic_id, note = split_topic_id(partition.metadata or "")
            if partition.offset < 0:
                offset, topic_id = self._last(where), self._watch.ours.get(where)
            if self._watch.take(where, topic_id) and offset is not None:
                gap = self.made_again(client, where, offset)
                if isinstance(gap, ClientError):
                    raise gap
                gaps.append(gap)
                partition.offset = gap.offset
            elif partition.offset >= 0:
                before[where] = Committed(partition.offset, note)
        return before, gaps

    def _signed(self, partition: Any) -> Any:
        """Return a position to commit, with the id of its topic."""
        where = TopicPartition(partition.topic, partition.partition)
        metadata = with_topic_id(self._watch.ours.get(where), "")
        return confluent_kafka.TopicPartition(*where, partition.offset, metadata)


def _wanted(by_topic: Mapping[str, str], topic: str) -> str:
    """Return what is said for a topic, by its name or by its pattern."""
    wanted = by_topic.get(topic)
    if wanted is None:
        wanted = by_topic[next(p for p in by_topic if re.fullmatch(p, topic))]
    return wanted


def _without_metadata(partition: Any) -> Any:
    return confluent_kafka.TopicPartition(
        partition.topic, partition.partition, partition.offset
    )


def _retried(request: Callable[..., Any], argument: Any) -> Any:
    """Ask again while a coordinator or a leader is on the move."""
    deadline = time.monotonic() + 6 * REQUEST_SECONDS
    while True:
        try:
            return request(argument, timeout=REQUEST_SECONDS)
        except KafkaException as failed:
            error: KafkaError = failed.args[0]
            if is_refusal(error) or error.fatal() or time.monotonic() > deadline:
                raise
            logger.info("Asking again: %s", error.str())
            time.sleep(_AGAIN_SECONDS)
