"""The untyped door: sending to a topic that is known only at run time."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from types import GeneratorType
from typing import Any

from pydantic import ValidationError

from fastkafka import codecs
from fastkafka.engine.producer import Sender
from fastkafka.errors import ConfigError, ProduceError
from fastkafka.messages import KafkaEvent
from fastkafka.routing import ProducerRoute
from fastkafka.transport.base import Headers, Producer


class Door:
    """Sends messages as a producing function would, but is told where.

    Args:
        name: What errors call it.
        client: Returns the producer, which it may have to start.
        encode: A message to the record's value.
        message: The declared type of a message, for errors.
    """

    def __init__(
        self,
        name: str,
        client: Callable[[], Awaitable[Producer]],
        encode: codecs.Encoder,
        *,
        message: Any = Any,
    ) -> None:
        self._name = name
        self._client = client
        self._encode = encode
        self._message = message

    async def send(
        self,
        message: Any,
        *,
        topic: str,
        key: bytes | None = None,
        headers: Headers | None = None,
        partition: int | None = None,
        timestamp: int | None = None,
    ) -> None:
        """Send, and wait for the acknowledgement where nobody else would.

        Args:
            message: A message, a `KafkaEvent`, or a list of these, each a record of
                its own; None is a tombstone, which needs a key.
            topic: Where it goes.
            key: As in a `KafkaEvent`, over what an event says; so are the others.
            headers: Names and raw values.
            partition: None lets the key decide.
            timestamp: Milliseconds since the epoch; None is now.

        Raises:
            ProduceError: It cannot be encoded, or the broker did not acknowledge it.
        """
        given = {
            "key": key,
            "headers": headers,
            "partition": partition,
            "timestamp": timestamp,
        }
        over = {name: value for name, value in given.items() if value is not None}
        several = isinstance(message, list | GeneratorType)
        events = [
            self._event(m, topic, over) for m in (message if several else [message])
        ]
        route = ProducerRoute(
            function=self.send, topic=topic, message=Any, encode=_as_it_is
        )
        await Sender(route, await self._client()).send_and_wait(events)

    def _event(
        self, message: Any, topic: str, over: dict[str, Any]
    ) -> KafkaEvent[bytes | None]:
        """Encode one message, with what travels beside it."""
        if not isinstance(message, KafkaEvent):
            message = KafkaEvent(message)
        event: KafkaEvent[Any] = dataclasses.replace(message, **over)
        if event.message is not None:
            event.message = self._encoded(event.message, topic)
        elif event.key is None:
            raise ProduceError(
                f"`{self._name}` was given None for '{topic}' without a key. "
                "A tombstone deletes a key. Say which one.",
                code="_INVALID_ARG",
                topic=topic,
            )
        return event

    def _encoded(self, message: Any, topic: str) -> bytes | None:
        try:
            return self._encode(message)
        except ConfigError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever an encoder raises
            fits_not = (
                "cannot be encoded"
                if self._message is Any
                else f"is not {codecs.json.type_name(self._message)}"
            )
            raise ProduceError(
                f"`{self._name}` was given a `{type(message).__name__}` for "
                f"'{topic}' that {fits_not}: {codecs.describe(error)}.",
                code="_VALUE_SERIALIZATION",
                topic=topic,
            ) from (None if isinstance(error, ValidationError) else error)


def _as_it_is(value: bytes | None) -> bytes | None:
    return value
