"""The other ends of an app's topics: who sends what it reads, and reads what it sends.

A mirror uses the app's own codec the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn

from fastkafka import codecs
from fastkafka.app import FastKafka
from fastkafka.codecs.avro import avro_decoder, avro_encoder
from fastkafka.codecs.json import json_decoder, json_encoder
from fastkafka.engine.door import Door
from fastkafka.errors import ConfigError, did_you_mean
from fastkafka.params import CallPlan, Parameter, Source
from fastkafka.routing import PATTERN, ConsumerRoute, ProducerRoute
from fastkafka.testing.mocks import Watch
from fastkafka.transport.base import Producer

MirrorProducer = Callable[..., Awaitable[Any]]

_CODECS: dict[Any, Any] = {
    json_decoder: json_encoder,
    json_encoder: json_decoder,
    avro_decoder: avro_encoder,
    avro_encoder: avro_decoder,
}
"""Functions whose inverse is known."""


def attribute(prefix: str, topic: str) -> str:
    """Return the name of a mirror: dots and hyphens become underscores."""
    return f"{prefix}{topic.replace('.', '_').replace('-', '_')}"


class Codecs:
    """The codecs of some apps, the other way round.

    Of a custom function the inverse cannot be derived; it is the function that the apps
    have for the other direction, if there is only one for that type or only one at all.

    Args:
        routes: Of all apps.
    """

    def __init__(self, routes: Sequence[ConsumerRoute | ProducerRoute]) -> None:
        consumers = [r for r in routes if isinstance(r, ConsumerRoute)]
        producers = [r for r in routes if isinstance(r, ProducerRoute)]
        self._decoders = [(r.plan.message, r.decoder) for r in consumers]
        self._encoders = [(r.message, r.encoder) for r in producers]

    def encoder(self, route: ConsumerRoute) -> codecs.Encoder:
        """Return what encodes the messages that a function takes; `bytes` stay."""
        message = route.plan.message
        spec = self._inverse(route.decoder, message, self._encoders)
        if spec is None:
            encode = _nobody(route.name)
        else:
            encode = codecs.for_encoding(spec, message)
        return lambda value: value if isinstance(value, bytes) else encode(value)

    def decoder(self, route: ProducerRoute) -> codecs.Decoder | None:
        """Return what decodes the messages that a function sends; None: nobody can."""
        spec = self._inverse(route.encoder, route.message, self._decoders)
        return None if spec is None else codecs.for_decoding(spec, route.message)

    def _inverse(self, spec: Any, message: Any, others: Sequence[Any]) -> Any:
        if not callable(spec):
            return spec
        if spec in _CODECS:
            return _CODECS[spec]
        custom = [(of, s) for of, s in others if callable(s) and s not in _CODECS]
        same = [(of, s) for of, s in custom if of == message]
        found = {s for _, s in same or custom}
        return found.pop() if len(found) == 1 else None


def mirror_producer(
    name: str,
    route: ConsumerRoute,
    encode: codecs.Encoder,
    client: Callable[[], Awaitable[Producer]],
    watch: Watch,
    *,
    topics: Sequence[str],
) -> MirrorProducer:
    """Return what sends messages to a function: `await tester.to_orders(order)`.

    Args:
        name: How messages call it.
        route: The function.
        encode: A message to the record's value.
        client: Returns the producer to the function's cluster.
        watch: Knows whether an app has failed.
        topics: Where it may send: one topic, or several, or patterns.
    """
    door = Door(name, client, encode, message=route.plan.message)
    names = [topic for topic in topics if not topic.startswith(PATTERN)]
    patterns = [re.escape(topic) if topic in names else topic for topic in topics]

    async def send(message: Any, *, topic: str | None = None) -> Any:
        """Send, and wait until the broker has it.

        Args:
            message: A message; a list of them, each a record of its own; a `KafkaEvent`
                for key and headers; or `bytes`, which are sent untouched.
            topic: For a function that reads several topics, or a pattern.

        Returns:
            The message.

        Raises:
            ConfigError: The topic is none of the function's.
            ProduceError: The message does not fit, or the broker refused it.
            FastKafkaError: An app has failed before.
        """
        if topic is None and len(names) == len(topics) == 1:
            topic = names[0]
        if topic is None or not any(re.fullmatch(p, topic) for p in patterns):
            read = ", ".join(repr(each.removeprefix(PATTERN)) for each in topics)
            raise ConfigError(
                f"`{name}`: `topic` is {topic!r}, but `{route.name}` reads {read}. "
                "Say where to send: `topic=...`."
            )
        watch.raise_failure(given_up=False)
        await door.send(message, topic=topic)
        return message

    send.__name__ = name
    return send


class MirrorConsumer:
    """Takes what some functions send to a topic of one cluster.

    Args:
        topic: The topic.
        app: Whose functions they are.
        first: The first of them.
    """

    def __init__(self, topic: str, app: FastKafka, first: ProducerRoute) -> None:
        self.topic = topic
        self.app = app
        self.first = first
        self.decoders: list[codecs.Decoder] = []
        """Of all the functions, tried in this order."""

        async def on_message(message: Any) -> None: ...

        on_message.__name__ = attribute("on_", topic)
        self.function: Callable[..., Any] = on_message

    def route(self, function: Callable[..., Any]) -> ConsumerRoute:
        """Return how the tester runs it; it sees what is sent from now on."""
        return ConsumerRoute(
            function=function,
            topics=(self.topic,),
            plan=CallPlan(
                message=Any,
                batch=False,
                is_async=True,
                parameters=(Parameter("message", Source.MESSAGE, keyword=False),),
            ),
            decode=self.decode,
            # A client of its own: it starts elsewhere than a test's own functions.
            settings={"auto_offset_reset": "latest", "client_id": "fastkafka-mirror"},
        )

    def decode(self, value: bytes | None) -> Any:
        """Decode a value; one that fits nobody's message is shown as it is."""
        return decoded(value, self.decoders)


def decoded(value: bytes | None, decoders: Sequence[codecs.Decoder]) -> Any:
    """Return what the first decoder makes of a value that can; else the value."""
    if value is not None:
        for decode in decoders:
            try:
                return decode(value)
            except Exception:  # noqa: BLE001 - whatever a decoder raises
                continue
    return value


class Mirrors(dict[Callable[..., Any], Any]):
    """Mirrors by the functions that they are of: `tester.mirrors[app.on_orders]`."""

    def __missing__(self, function: Any) -> NoReturn:
        names = sorted({f.__name__ for f in self if hasattr(f, "__name__")})
        name = getattr(function, "__name__", None)
        shown = repr(function) if name is None else f"`{name}`"
        raise ConfigError(
            f"Tester: {shown} is no function of the apps under test, so it has no "
            f"mirror.{did_you_mean(name or '', names)} They have: {', '.join(names)}."
        )


class Ambiguous:
    """Stands for mirrors of one name; using it in any way is an error.

    Args:
        topic: The topic.
        functions: Those that have it on different clusters.
    """

    def __init__(self, topic: str, functions: Sequence[str]) -> None:
        self._topic = topic
        self._functions = list(functions)

    def __call__(self, *args: object, **kwargs: object) -> NoReturn:
        raise self._error()

    def __getattr__(self, name: str) -> NoReturn:
        raise self._error()

    def _error(self) -> RuntimeError:
        return RuntimeError(
            f"Ambiguous topic: {self._topic}, for functions: {self._functions}\n"
            "Use Tester.mirrors[app.function] to resolve ambiguity"
        )


def _nobody(name: str) -> codecs.Encoder:
    def encode(value: Any) -> bytes:
        raise ConfigError(
            f"Tester: `{name}` has a decoder of its own, and the apps have not one "
            f"encoder that would be its inverse for a `{type(value).__name__}`. "
            "Send bytes."
        )

    return encode
