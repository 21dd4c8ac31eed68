"""Sending records from outside an app, in one thread that waits for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Self

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from fastkafka.errors import ProduceError
from fastkafka.transport.base import Headers
from fastkafka.transport.librdkafka.connection import (
    REQUEST_SECONDS,
    Connection,
    make_client,
)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to be sent; value and key are raw.

    Attributes:
        topic: Where it goes.
        value: None is a tombstone.
        key: Lets Java's partitioner choose, if there is no partition.
        headers: Names and raw values, in order.
        partition: The partition's number; None lets the key decide.
    """

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    partition: int | None = None


class Position(NamedTuple):
    """Where a record is that was acknowledged."""

    partition: int
    offset: int


Acknowledged = Callable[[Outgoing, "Position | ProduceError"], None]
"""Called once for each record that was sent, in the thread that sends."""


class Sending:
    """Sends records and hears what becomes of each; a context manager.

    Not for several threads at once.

    Args:
        config: A producer's configuration.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.servers = str(config.get("bootstrap.servers", ""))
        """The cluster's address."""
        self._connection = Connection(self.servers)
        own = {**config, "error_cb": self._connection.on_error}
        self._client = make_client(confluent_kafka.Producer, own)

    def send(self, record: Outgoing, acknowledged: Acknowledged) -> None:
        """Queue a record; wait while the client's queue is full.

        Args:
            record: What is sent.
            acknowledged: Called with what became of it, during a later call of
                `send`, `poll` or `flush`.
        """

        def delivered(error: KafkaError | None, message: Any) -> None:
            acknowledged(
                record,
                Position(message.partition(), message.offset())
                if error is None
                else self._refused(error, record),
            )

        while True:
            try:
                self._client.produce(
                    record.topic,
                    record.value,
                    record.key,
                    -1 if record.partition is None else record.partition,
                    delivered,
                    headers=list(record.headers) or None,
                )
            except BufferError:
                self._client.poll(0.1)
            except KafkaException as refused:
                acknowledged(record, self._refused(refused.args[0], record))
                return
            else:
                self._client.poll(0)
                return

    def poll(self, seconds: float) -> None:
        """Hear of acknowledgements for some time."""
        self._client.poll(seconds)

    def flush(self, timeout: float) -> int:
        """Wait until everything is acknowledged or refused.

        Args:
            timeout: Seconds.

        Returns:
            How many records are still open then.
        """
        return int(self._client.flush(timeout))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc is not None:  # what is not sent yet is not to be sent later
            self._client.purge()
        self._client.flush(REQUEST_SECONDS)

    def _refused(self, error: KafkaError, record: Outgoing) -> ProduceError:
        size = len(record.value or b"") + len(record.key or b"")
        code = error.code()
        if code in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE):
            why = (
                f"the record has {size:,} bytes, which is above the limit. Raise the "
                "topic's max.message.bytes and `max_request_size`, or send less"
            )
        elif code == KafkaError._UNKNOWN_PARTITION:
            why = f"it has no partition {record.partition}"
        elif code in (KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART):
            why = f"the topic does not exist at {self.servers}"
        else:
            why = f"{error.str().rstrip('.')} ({error.name()})"
        return ProduceError(
            f"A record for '{record.topic}' was not acknowledged: {why}.",
            code=error.name(),
            topic=record.topic,
            key=record.key,
            retriable=error.retriable(),
            fatal=error.fatal(),
        )
