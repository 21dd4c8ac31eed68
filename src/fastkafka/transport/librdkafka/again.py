"""Records of which it is not clear what became, sent once more, alone.

The client does not split a batch that the broker finds too large: one record above the
topic's `max.message.bytes` takes its batch-mates with it, and so does a batch of small
ones above it. Sent one by one, only those fail that are too large themselves.

And it calls a record delivered, without an offset, when the broker says that it has it
already. In the first moments of a topic that may be wrong: with several requests in
flight a later one may be taken for the first.

They come behind what was sent meanwhile, as with every other retry.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, Message

from fastkafka.transport.base import Delivered, Headers
from fastkafka.transport.librdkafka.connection import logger, make_client

_BATCH_REFUSED = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE)
_CREATE_TIME = 1


def keeping(headers: Headers, delivered: Delivered) -> Delivered:
    """Keep the headers of a record, which the client forgets, until it is delivered."""

    def with_headers(error: Any, record: Any) -> None:
        if error is not None or record.offset() is None:
            record.set_headers(list(headers))
        delivered(error, record)

    return with_headers


class OneByOne:
    """A client whose batches have one record; made when the first is needed.

    Args:
        config: The producer's own.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = {
            **config,
            "batch.num.messages": 1,
            "linger.ms": 0,
            "max.in.flight.requests.per.connection": 1,
        }
        self._acknowledges = str(config.get("acks", "all")) != "0"
        self._client: Any = None
        self._making = threading.Lock()

    def send(self, error: KafkaError | None, record: Any, delivered: Delivered) -> bool:
        """Send a record again if that may change anything; return whether it was."""
        if not isinstance(record, Message) or not self._acknowledges:
            return False
        if error is not None and error.code() not in _BATCH_REFUSED:
            return False
        with self._making:
            if self._client is None:
                logger.info(
                    "Records for '%s' are sent again one by one: %s.",
                    record.topic(),
                    "they got no offset" if error is None else error.str(),
                )
                self._client = make_client(confluent_kafka.Producer, self._config)
        kind, timestamp = record.timestamp()
        try:
            self._client.produce(
                *(record.topic(), record.value(), record.key(), record.partition()),
                delivered,
                timestamp=timestamp if kind == _CREATE_TIME else 0,
                headers=record.headers(),
            )
        except (BufferError, KafkaException):
            return False
        return True

    def poll(self) -> None:
        """Take acknowledgements that are there."""
        if self._client is not None:
            self._client.poll(0)

    def __len__(self) -> int:
        """How many records are not acknowledged yet."""
        return 0 if self._client is None else len(self._client)

    def flush(self, timeout: float) -> int:
        """Wait for acknowledgements; return how many are missing."""
        left: int = 0 if self._client is None else self._client.flush(timeout)
        return left
