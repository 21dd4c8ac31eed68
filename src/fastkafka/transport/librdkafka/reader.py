"""Reading records of a topic from outside: by assigned partitions, without a group."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import confluent_kafka
from confluent_kafka import KafkaError, TopicPartition

from fastkafka.errors import ClientError
from fastkafka.messages import Record
from fastkafka.transport.librdkafka.connection import client_error, make_client

_FETCH_SECONDS = 0.2
_CHUNK = 500
_SILENCE_SECONDS = 30.0
_EMBEDDED_FETCH_MS = 10

READING: Mapping[str, Any] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "earliest",
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "allow.auto.create.topics": False,
    "queued.min.messages": 1000,
    "queued.max.messages.kbytes": 8192,
    "fetch.queue.backoff.ms": 10,
    "fetch.wait.max.ms": 100,  # an end is known only when a fetch comes back empty
    "group.id": "fastkafka-tools",  # the client insists on one; nothing is committed
}
"""Of every client here that is a consumer to librdkafka."""


class Range(NamedTuple):
    """The offsets that a partition holds, `[low, end)`; some may be missing in it."""

    low: int
    end: int


class Reader:
    """Reads records of assigned partitions, without a group; a context manager.

    Not for several threads at once.
    """

    def __init__(self, config: Mapping[str, Any], *, embedded: bool) -> None:
        own: dict[str, Any] = dict(READING)
        if embedded:
            own["fetch.wait.max.ms"] = _EMBEDDED_FETCH_MS
        self._client = make_client(confluent_kafka.Consumer, {**config, **own})
        self._at_end: set[tuple[str, int]] = set()
        self.unread: set[int] = set()
        """The partitions of which a `window` is not complete."""

    def start(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Read from here on instead of what was read before.

        Args:
            topic: Its name.
            offsets: Where to begin, by partition.
        """
        self._at_end.clear()
        partitions = [TopicPartition(topic, p, at) for p, at in offsets.items()]
        self._client.assign(partitions)
        # What `hold` has paused stays paused, even when it is assigned again.
        self._client.resume(partitions)

    def hold(self, topic: str, partition: int) -> None:
        """Read this one no further, until the next `start`.

        It is not paused: librdkafka may leave a partition paused that is assigned anew.
        """
        self._client.incremental_unassign([TopicPartition(topic, partition)])

    def read(self, most: int, timeout: float = _FETCH_SECONDS) -> Sequence[Record]:
        """Return records as they come, of one partition in order.

        Args:
            most: How many at most.
            timeout: Seconds to wait for the first.

        Returns:
            Nothing when there was none, or when a partition's end was reached: see
            `at_end`.

        Raises:
            ClientError: The broker refuses, or an offset is gone.
        """
        first = self._client.poll(timeout)
        if first is None:
            return ()
        records: list[Any] = []
        for message in (first, *self._client.consume(max(most - 1, 0), 0)):
            where = (message.topic(), message.partition())
            error: KafkaError | None = message.error()
            if error is None:
                self._at_end.discard(where)
                records.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                self._at_end.add(where)
            elif not error.retriable() and error.code() not in _PASSES:
                raise client_error(error, doing=f"read '{where[0]}'")
        return records

    def window(
        self,
        topic: str,
        windows: Mapping[int, Range],
        deadline: float | None = None,
    ) -> Iterator[Record]:
        """Yield what partitions hold within some offsets, of each in order.

        Args:
            topic: Its name.
            windows: By partition. What is not there (any more) is passed over.
            deadline: By `time.monotonic`, when to stop nevertheless; see `unread`.

        Raises:
            ClientError: The broker refuses.
        """
        self.unread = {p for p, (low, end) in windows.items() if low < end}
        if not self.unread:
            return
        self.start(topic, {p: windows[p].low for p in self.unread})
        heard = time.monotonic()
        while self.unread and (deadline is None or time.monotonic() < deadline):
            before = len(self.unread)
            records = self.read(_CHUNK)
            for record in records:
                p = record.partition()
                if p not in self.unread:
                    continue
                end = windows[p].end
                if record.offset() < end:
                    yield record
                if record.offset() >= end - 1:
                    self.unread.discard(p)
                    self.hold(topic, p)
            # Behind the last record there may be only what is never shown.
            self.unread -= {p for p in self.unread if (topic, p) in self._at_end}
            if records or len(self.unread) < before:
                heard = time.monotonic()
            elif time.monotonic() - heard > _SILENCE_SECONDS:
                raise ClientError(
                    f"Kafka could not read '{topic}': nothing came for "
                    f"{_SILENCE_SECONDS:g} s, nor word that there is nothing. The "
                    "broker that leads the partition may be away.",
                    code="_TIMED_OUT",
                    retriable=True,
                )

    def at_end(self, topic: str, partition: int) -> bool:
        """Whether all that the partition held has been read."""
        return (topic, partition) in self._at_end

    def position(self, topic: str, partition: int) -> int:
        """Return the offset that is read next; below 0 when nothing was read."""
        [answer] = self._client.position([TopicPartition(topic, partition)])
        return int(answer.offset)

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


_PASSES = (
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TRANSPORT,
    KafkaError._RESOLVE,
    KafkaError._TIMED_OUT,
)
"""The client goes on trying by itself."""
