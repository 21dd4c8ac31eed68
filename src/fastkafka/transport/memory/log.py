"""Topics as the broker keeps them: partitions, offsets, transactions, retention."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from fastkafka.transport.base import Headers, TopicPartition

CREATE_TIME = 1
"""The type of a record's timestamp, as librdkafka counts."""

_BATCH_BYTES = 61
_RECORD_BYTES = 9
"""What Kafka's format adds to a batch and, about, to each record."""


class MemoryRecord:
    """A record in a log: see `messages.Record`.

    Args:
        producer_id: The transactional producer that wrote it; None is no transaction.
    """

    __slots__ = (
        "_headers",
        "_key",
        "_offset",
        "_timestamp",
        "_value",
        "aborted",
        "arrival",
        "producer_id",
        "where",
    )

    def __init__(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        headers: Headers | None,
        timestamp: int,
        *,
        producer_id: int | None = None,
    ) -> None:
        self.where = TopicPartition(topic, -1)
        self._value = value
        self._key = key
        self._headers = list(headers) if headers else None
        self._timestamp = timestamp
        self._offset = -1
        self.producer_id = producer_id
        self.aborted = False
        self.arrival = -1
        """Its number among all records of the broker."""

    def topic(self) -> str:
        """See `Record`."""
        return self.where.topic

    def partition(self) -> int:
        """See `Record`; -1 while it is not chosen."""
        return self.where.partition

    def offset(self) -> int:
        """See `Record`; -1 when it was never written."""
        return self._offset

    def key(self) -> bytes | None:
        """See `Record`."""
        return self._key

    def value(self) -> bytes | None:
        """See `Record`."""
        return self._value

    def headers(self) -> Sequence[tuple[str, bytes]] | None:
        """See `Record`."""
        return self._headers

    def timestamp(self) -> tuple[int, int]:
        """See `Record`."""
        return CREATE_TIME, self._timestamp

    def __len__(self) -> int:
        return len(self._value or b"")

    def __repr__(self) -> str:
        return f"<{self.where}@{self._offset} {self._key!r}: {self._value!r}>"

    @property
    def batch_size(self) -> int:
        """Bytes of a batch that holds nothing else: what a topic's limit is for."""
        headers = sum(len(n) + len(v) + 2 for n, v in self._headers or ())
        payload = len(self._key or b"") + len(self)
        return _BATCH_BYTES + _RECORD_BYTES + payload + headers

    def written(self, where: TopicPartition, offset: int, arrival: int) -> None:
        """Take note of its place."""
        self.where, self._offset, self.arrival = where, offset, arrival


class PartitionLog:
    """The records of one partition.

    Args:
        where: Which partition.
    """

    def __init__(self, where: TopicPartition) -> None:
        self.where = where
        self.start = 0
        """The first offset that is still there."""
        self._entries: list[MemoryRecord | None] = []  # None marks a transaction's end
        self._open: dict[int, int] = {}

    @property
    def end(self) -> int:
        """The next offset to be written: Kafka's high watermark."""
        return self.start + len(self._entries)

    @property
    def stable(self) -> int:
        """Below it no transaction is open: Kafka's last stable offset."""
        return min(self._open.values(), default=self.end)

    def append(self, record: MemoryRecord, arrival: int) -> None:
        """Write a record at the end."""
        record.written(self.where, self.end, arrival)
        if record.producer_id is not None:
            self._open.setdefault(record.producer_id, self.end)
        self._entries.append(record)

    def end_transaction(self, producer_id: int, *, commit: bool) -> None:
        """Write the marker that ends a producer's transaction here."""
        first = self._open.pop(producer_id, None)
        if first is None:
            return
        if not commit:
            for record in self._entries[max(0, first - self.start) :]:
                if record is not None and record.producer_id == producer_id:
                    record.aborted = True
        self._entries.append(None)

    def read(
        self, position: int, limit: int, *, committed: bool
    ) -> tuple[list[MemoryRecord], int]:
        """Read on from a position that is not below `start`.

        Args:
            position: The first offset that is wanted.
            limit: The most records.
            committed: Leave out what belongs to open or aborted transactions.

        Returns:
            The records, and the position after them and after what was left out.
        """
        end = self.stable if committed else self.end
        records: list[MemoryRecord] = []
        for record in islice(
            self._entries, position - self.start, max(0, end - self.start)
        ):
            if record is not None and not (committed and record.aborted):
                if len(records) == limit:
                    break
                records.append(record)
            position += 1
        return records, position

    def has_after(self, position: int, *, committed: bool = True) -> bool:
        """Whether there is something to read from a position on."""
        found, _ = self.read(max(position, self.start), 1, committed=committed)
        return bool(found)

    def delete_before(self, offset: int) -> None:
        """Forget what is below an offset."""
        offset = min(max(offset, self.start), self.end)
        del self._entries[: offset - self.start]
        self.start = offset

    def truncate(self, end: int) -> None:
        """Forget what is at an offset and above."""
        del self._entries[max(0, end - self.start) :]
        self._open = {who: at for who, at in self._open.items() if at < self.end}

    def expire(self, before: int) -> None:
        """Forget the oldest records, as far as they are older than a timestamp."""
        offset = self.start
        for record in self._entries:
            if record is not None and record.timestamp()[1] >= before:
                break
            offset += 1
        self.delete_before(offset)


class Topic:
    """A topic and its settings.

    Args:
        name: Its name.
        topic_id: What tells it from another of its name (KIP-516).
        partitions: How many.
        max_message_bytes: Kafka's ``max.message.bytes``.
        retention: Seconds that a record is kept (``retention.ms``); None is for ever.
    """

    def __init__(
        self,
        name: str,
        topic_id: str,
        partitions: int,
        *,
        max_message_bytes: int,
        retention: float | None,
    ) -> None:
        self.name = name
        self.id = topic_id
        self.max_message_bytes = max_message_bytes
        self.retention = retention
        self.partitions: list[PartitionLog] = []
        self.grow(partitions)

    def grow(self, partitions: int) -> None:
        """Have so many partitions."""
        for number in range(len(self.partitions), partitions):
            self.partitions.append(PartitionLog(TopicPartition(self.name, number)))
