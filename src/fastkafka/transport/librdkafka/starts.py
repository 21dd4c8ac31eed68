"""Where partitions start that their group has committed nothing of."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from fastkafka.transport.librdkafka.connection import (
    REQUEST_SECONDS,
    is_refusal,
    logger,
)

_AGAIN_SECONDS = 0.1


class Starts:
    """Decides for one consumer; see `Transport.consumer`.

    Args:
        start_at: "earliest", "latest" or "none", by topic or pattern.
    """

    def __init__(self, start_at: Mapping[str, str]) -> None:
        self._start_at = start_at
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

    def positions(self, client: Any, assigned: list[Any]) -> list[Any]:
        """Return where assigned partitions start: at their commit, else as wanted.

        With "latest" a new group's start is committed at once, so that what arrives
        while the app is down later is not skipped. A partition that appears when others
        of its topic have been read before starts at its beginning.
        """
        committed: list[Any] = _retried(client.committed, assigned)
        known = {p.topic for p in committed if p.offset >= 0} | self._started
        pinned = []
        for partition in committed:
            if partition.error is not None:
                raise KafkaException(partition.error)
            if partition.offset >= 0:
                continue
            start = self._wanted(partition.topic)
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
        return committed

    def without_group(self, topic: str) -> int:
        """Return where partitions of a topic start that are seen only now."""
        later = topic in self._started
        self._started.add(topic)
        if self._wanted(topic) == "latest" and not later:
            return confluent_kafka.OFFSET_END
        return confluent_kafka.OFFSET_BEGINNING

    def _wanted(self, topic: str) -> str:
        """Return what is said for a topic, by its name or by its pattern."""
        start = self._start_at.get(topic)
        if start is None:
            patterns = (p for p in self._start_at if re.fullmatch(p, topic))
            start = self._start_at[next(patterns)]
        return start


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
