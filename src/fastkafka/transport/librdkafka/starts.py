"""Where partitions start that their group has committed nothing of."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

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
from fastkafka.transport.wording import gap_error, gap_passed

_AGAIN_SECONDS = 0.1


class Starts:
    """Decides for one consumer; see `Transport.consumer`.

    Args:
        start_at: "earliest", "latest" or "none", by topic or pattern.
        on_gap: "stop", "earliest" or "latest", by topic or pattern.
    """

    def __init__(self, start_at: Mapping[str, str], on_gap: Mapping[str, str]) -> None:
        self._start_at = start_at
        self._on_gap = on_gap
        self._started: set[str] = set()
        """Topics whose partitions are new when they appear from now on."""
        self._before: dict[TopicPartition, int] = {}
        """What was committed when a partition was assigned."""
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

    def positions(
        self, client: Any, assigned: list[Any]
    ) -> tuple[list[Any], dict[TopicPartition, Committed]]:
        """Return where assigned partitions start, and what is committed of them.

        They start at their commit, else as wanted.

        With "latest" a new group's start is committed at once, so that what arrives
        while the app is down later is not skipped. A partition that appears when others
        of its topic have been read before starts at its beginning.
        """
        committed: list[Any] = _retried(client.committed, assigned)
        before = {
            TopicPartition(p.topic, p.partition): Committed(p.offset, p.metadata or "")
            for p in committed
            if p.offset >= 0
        }
        self._before.update((p, c.offset) for p, c in before.items())
        known = {topic for topic, _ in before} | self._started
        pinned = []
        for partition in committed:
            if partition.error is not None:
                raise KafkaException(partition.error)
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
                pinned.append(partition)
            else:
                partition.offset = confluent_kafka.OFFSET_BEGINNING
        self._started.update(p.topic for p in committed)
        if pinned:
            client.commit(offsets=pinned, asynchronous=False)
        # What it is assigned at needs no metadata of a commit.
        return [_without_metadata(p) for p in committed], before

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
            before=self._before.get(partition),
            low=low,
            high=high,
            on_gap=wanted,
        )


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
