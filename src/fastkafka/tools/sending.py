"""Messages that people write: checked by the app's model, then sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from pydantic import TypeAdapter, ValidationError

from fastkafka import codecs
from fastkafka.codecs.json import type_name
from fastkafka.errors import FastKafkaError, ProduceError
from fastkafka.tools import jsontext
from fastkafka.tools.models import Model, encoding_for
from fastkafka.tools.records import partitions_of
from fastkafka.tools.topics import AppTopic, Clusters
from fastkafka.transport.base import Headers
from fastkafka.transport.librdkafka.inspection import Outgoing, Position


class FieldError(NamedTuple):
    """What is wrong with one field of a message.

    Attributes:
        location: The names and list indices that lead to it.
        message: Why.
    """

    location: tuple[str | int, ...]
    message: str

    @property
    def path(self) -> str:
        """``customer.lines[0].price``; empty for the message itself."""
        parts = (f"[{p}]" if isinstance(p, int) else f".{p}" for p in self.location)
        return "".join(parts).removeprefix(".")


class MessageError(FastKafkaError):
    """A message does not fit its topic's model, so it was not sent.

    Attributes:
        fields: What is wrong, field by field.
    """

    def __init__(self, message: str, fields: Sequence[FieldError]) -> None:
        super().__init__(message)
        self.fields = fields


class Checker:
    """Checks what is written for a topic, and makes the record's value of it.

    Args:
        topic: Where it is to go.

    Raises:
        ConfigError: Only a function of the user's knows how to encode it.
    """

    def __init__(self, topic: AppTopic) -> None:
        self._topic = topic.name
        self.model: Model
        """What a message has to fit."""
        self.model, self._encode = encoding_for(topic)

    def value(self, text: str | bytes) -> bytes:
        """Return the record's value.

        JSON goes out as it was written, so that no number changes; other encodings are
        made of the message that the JSON stands for. A function that takes `bytes` gets
        any.

        Args:
            text: A message as JSON, in UTF-8.

        Raises:
            MessageError: It is no JSON, or does not fit.
        """
        raw = text.encode() if isinstance(text, str) else text
        model = self.model
        if model.message is bytes:
            return raw
        raw = raw.strip()
        if self._encode is None:
            if not jsontext.is_json(raw):
                raise self._error(_json_error(raw), [])
            assert model.decode is not None
            self._checked(lambda: model.decode and model.decode(raw))
            return raw
        encode = self._encode
        adapter = TypeAdapter(model.message)
        message = self._checked(lambda: adapter.validate_json(raw))
        value = self._checked(lambda: encode(message))
        assert isinstance(value, bytes)
        return value

    def tombstone(self) -> None:
        """Check that a reader takes tombstones.

        Raises:
            MessageError: It does not.
        """
        decode = self.model.decode
        if decode is not None and self.model.message is not bytes:
            self._checked(lambda: decode(None))

    def _checked(self, make: Callable[[], object]) -> object:
        try:
            return make()
        except Exception as error:  # noqa: BLE001 - whatever a model's code raises
            raise self._error(codecs.describe(error), _fields(error)) from None

    def _error(self, why: str, fields: Sequence[FieldError]) -> MessageError:
        model = "" if not self.model.function else f" {type_name(self.model.message)}"
        return MessageError(
            f"It is not the message{model} of '{self._topic}': "
            f"{jsontext.printable(why)}.",
            fields or [FieldError((), why)],
        )


class TopicSender:
    """Sends records to one topic; a context manager.

    Args:
        topic: Which.
        clusters: Where it is.

    Raises:
        ConfigError: The topic does not exist.
        BrokerUnavailableError: No broker answers.
    """

    def __init__(self, topic: AppTopic, clusters: Clusters) -> None:
        self._topic = topic.name
        self.partitions: Sequence[int] = partitions_of(topic, clusters)
        """Their numbers."""
        config = topic.writers[0].config if topic.writers else topic.producer
        self._sending = clusters.of(topic).sender(config)

    def send(
        self,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
        timeout: float = 30.0,
    ) -> Position:
        """Send a record; return where it is, as soon as it is acknowledged.

        Args:
            value: None is a tombstone.
            key: Chooses the partition, if none is given.
            headers: Names and raw values.
            partition: Its number.
            timeout: Seconds to wait for the acknowledgement.

        Raises:
            ProduceError: It was refused, or nobody acknowledged it in time.
        """
        outcomes: list[Position | ProduceError] = []
        record = Outgoing(self._topic, value, key, headers, partition)
        self._sending.send(record, lambda _, outcome: outcomes.append(outcome))
        if not outcomes and self._sending.flush(timeout):
            raise ProduceError(
                f"A record for '{self._topic}' was not acknowledged within "
                f"{timeout:g} s. It may still arrive.",
                code="_TIMED_OUT",
                topic=self._topic,
                key=key,
                retriable=True,
            )
        if isinstance(outcomes[0], ProduceError):
            raise outcomes[0]
        return outcomes[0]

    def queue(
        self,
        value: bytes | None,
        acknowledged: Callable[[Position | ProduceError], None],
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> None:
        """Send a record without waiting; see `send` and `flush`.

        Args:
            acknowledged: Called with what became of it, during a later call.
        """
        record = Outgoing(self._topic, value, key, headers, partition)
        self._sending.send(record, lambda _, outcome: acknowledged(outcome))

    def flush(self, timeout: float) -> int:
        """Wait until all is acknowledged; return how many records are still not."""
        return self._sending.flush(timeout)

    def __enter__(self) -> Self:
        self._sending.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._sending.__exit__(exc_type, exc, traceback)


def _fields(error: Exception) -> list[FieldError]:
    if not isinstance(error, ValidationError):
        return []
    return [
        FieldError(item["loc"], jsontext.printable(item["msg"]))
        for item in error.errors(include_url=False, include_context=False)
    ]


def _json_error(raw: bytes) -> str:
    """Say why bytes are not JSON."""
    try:
        TypeAdapter(object).validate_json(raw)
    except ValidationError as error:
        return codecs.describe(error)
    return "NaN and Infinity are not JSON"
