"""What users' functions see of a record: `EventMetadata` in, `KafkaEvent` out.

`Key`, `Header` and `Depends` mark parameters that the message does not fill.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

M = TypeVar("M")

_TIMESTAMP_TYPES = {1: 0, 2: 1}
"""librdkafka counts 1 CreateTime, 2 LogAppendTime; Kafka's protocol 0 and 1."""


class Record(Protocol):
    """A record as a transport hands it in: `confluent_kafka.Message` is one.

    Methods rather than attributes, because that is what the fastest client offers:
    nothing is copied until somebody asks.
    """

    def topic(self) -> str:
        """The topic's name."""

    def partition(self) -> int:
        """The partition's number."""

    def offset(self) -> int:
        """The record's offset."""

    def key(self) -> bytes | None:
        """The raw key."""

    def value(self) -> bytes | None:
        """The raw value; None is a tombstone."""

    def headers(self) -> Sequence[tuple[str, bytes]] | None:
        """The headers in order, or None."""

    def timestamp(self) -> tuple[int, int]:
        """Type (0 none, 1 CreateTime, 2 LogAppendTime) and milliseconds."""


@dataclass(slots=True)
class EventMetadata:
    """Where a message came from.

    Attributes:
        topic: The topic's name.
        partition: The partition's number.
        offset: The record's offset.
        timestamp: Milliseconds since the epoch.
        timestamp_type: 0 is CreateTime, 1 is LogAppendTime.
        key: The raw key, or None.
        value: The raw value, or None for a tombstone.
        checksum: Always None: Kafka dropped it with message format 2 (KIP-98).
        serialized_key_size: Bytes of the key, -1 without one.
        serialized_value_size: Bytes of the value, -1 without one.
        headers: Names and raw values, in order.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    checksum: int | None
    serialized_key_size: int
    serialized_value_size: int
    headers: Sequence[tuple[str, bytes]]

    @staticmethod
    def create_event_metadata(record: Record) -> EventMetadata:
        """Read the metadata of a record."""
        key, value = record.key(), record.value()
        timestamp_type, timestamp = record.timestamp()
        return EventMetadata(
            topic=record.topic(),
            partition=record.partition(),
            offset=record.offset(),
            timestamp=timestamp,
            timestamp_type=_TIMESTAMP_TYPES.get(timestamp_type, 0),
            key=key,
            value=value,
            checksum=None,
            serialized_key_size=-1 if key is None else len(key),
            serialized_value_size=-1 if value is None else len(value),
            headers=tuple(record.headers() or ()),
        )


@dataclass(slots=True)
class KafkaEvent(Generic[M]):
    """A message with what travels beside it.

    Attributes:
        message: The message; a list sends each element as a record of its own; None
            is a tombstone, which needs a key.
        key: The raw key; records of one key keep their order.
        headers: Names and raw values, in order.
        partition: The partition's number; None lets the key decide.
        timestamp: Milliseconds since the epoch; None is now.
    """

    message: M
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] | None = None
    partition: int | None = None
    timestamp: int | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """Fills a parameter with the record's key: `Annotated[str, Key()]`.

    `bytes` are the raw key and `str` is its UTF-8 text; numbers, UUIDs and dates are
    read from text, models from JSON. With `T | None` or a default, a record may have no
    key. In a batch handler it is `Annotated[list[T], Key()]`.
    """


@dataclass(frozen=True, slots=True)
class Header:
    """Fills a parameter with a header's last value: `Annotated[str, Header("x")]`.

    Types and missing headers are treated as for `Key`.

    Attributes:
        name: The header's name.
    """

    name: str


@dataclass(frozen=True, slots=True)
class Depends:
    """Fills a parameter with what a function returns: `Annotated[T, Depends(f)]`.

    The function may be sync (it runs in a worker thread) or async; when it yields, what
    follows the `yield` runs after the handler. Its own parameters are filled like a
    handler's, and a parameter of the message's type gets the message. It is called once
    for each message, however many parameters depend on it.

    Attributes:
        dependency: The function.
        use_cache: False calls it for every parameter that depends on it.
    """

    dependency: Callable[..., Any]
    use_cache: bool = True
