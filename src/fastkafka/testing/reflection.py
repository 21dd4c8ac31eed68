"""All mirrors of some apps, and the names that tests find them by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Protocol

from fastkafka.app import FastKafka
from fastkafka.codecs import Encoder
from fastkafka.routing import PATTERN, ConsumerRoute, ProducerRoute
from fastkafka.testing.mirrors import (
    Ambiguous,
    Codecs,
    MirrorConsumer,
    MirrorProducer,
    Mirrors,
    attribute,
    mirror_producer,
)
from fastkafka.testing.mocks import Mocks, Watch
from fastkafka.testing.sides import Side
from fastkafka.transport.base import Producer


class ProducerFor(Protocol):
    """Returns the tester's producer to the cluster of an app's function."""

    def __call__(
        self, app: FastKafka, route: ConsumerRoute, *, caller: str
    ) -> Awaitable[Producer]:
        """Return it; *caller* is who wants to produce, for errors."""


class Reflection:
    """Mirrors for each function of some apps.

    Args:
        sides: The functions.
        mocks: Stand before the mirrors, too.
        watch: Knows whether an app has failed.
        producer_for: Returns what mirrors produce with.

    Attributes:
        inverse: The apps' codecs, the other way round.
        by_function: Mirrors by the apps' functions.
        by_name: Mirrors by `to_<topic>` and `on_<topic>`.
        mocked: The mirrors' functions by those names, as their mocks know them.
        routes: How the tester runs those that consume.
        consumers: Those, by the functions of the routes.
    """

    def __init__(
        self,
        sides: Sequence[Side],
        mocks: Mocks,
        watch: Watch,
        producer_for: ProducerFor,
    ) -> None:
        self.inverse = Codecs([side.route for side in sides])
        self.by_function = Mirrors()
        self.by_name: dict[str, Any] = {}
        self.mocked: dict[str, Callable[..., Any]] = {}
        self.routes: list[ConsumerRoute] = []
        self.consumers: dict[Callable[..., Any], MirrorConsumer] = {}
        self._mocks = mocks
        self._watch = watch
        self._producer_for = producer_for
        self._receivers: dict[tuple[str, str], MirrorConsumer] = {}
        self._named: dict[str, dict[tuple[str, str], tuple[str, Any, Any]]] = {}
        for side in sides:
            if isinstance(side.route, ConsumerRoute):
                self._reflect_consumer(side, side.route)
            else:
                self._reflect_producer(side, side.route)
        for name, places in self._named.items():
            self._resolve(name, places)

    def _reflect_consumer(self, side: Side, route: ConsumerRoute) -> None:
        encode = self.inverse.encoder(route)
        topics = [topic for topic in side.topics if not topic.startswith(PATTERN)]
        only = len(topics) == len(side.topics) == 1
        for topic in topics:
            name = attribute("to_", topic)
            plain, send = self._sender(name, side.app, route, encode, [topic])
            self._name(name, topic, side, send, plain)
        if not only:
            name = f"mirrors[{route.name}]"
            _, send = self._sender(name, side.app, route, encode, side.topics)
        for function in side.known_as:
            self.by_function.setdefault(function, send)

    def _reflect_producer(self, side: Side, route: ProducerRoute) -> None:
        place = side.servers, route.topic
        receiver = self._receivers.get(place)
        if receiver is None:
            receiver = MirrorConsumer(route.topic, side.app, route)
            self._receivers[place] = receiver
            self.routes.append(receiver.route(self._mocks.of(receiver.function)))
            self.consumers[receiver.function] = receiver
        decode = self.inverse.decoder(route)
        if decode is not None:
            receiver.decoders.append(decode)
        awaited = self._mocks.awaited(receiver.function)
        name = attribute("on_", route.topic)
        self._name(name, route.topic, side, awaited, receiver.function)
        for function in side.known_as:
            # Of a function that does both, it is what sends to it.
            self.by_function.setdefault(function, awaited)

    def _sender(
        self,
        name: str,
        app: FastKafka,
        route: ConsumerRoute,
        encode: Encoder,
        topics: Sequence[str],
    ) -> tuple[MirrorProducer, MirrorProducer]:
        """Return what sends, and the same with its mock before it."""
        client = partial(self._producer_for, app, route, caller=name)
        plain = mirror_producer(name, route, encode, client, self._watch, topics=topics)
        return plain, self._mocks.of(plain)

    def _name(
        self, name: str, topic: str, side: Side, mirror: Any, mocked: Any
    ) -> None:
        """Give a mirror its name; of several on one topic the first has it."""
        places = self._named.setdefault(name, {})
        places.setdefault((side.servers, topic), (side.route.name, mirror, mocked))

    def _resolve(
        self, name: str, places: dict[tuple[str, str], tuple[str, Any, Any]]
    ) -> None:
        if len(places) == 1:
            ((_, self.by_name[name], self.mocked[name]),) = places.values()
        else:
            _, topic = next(iter(places))
            functions = [function for function, _, _ in places.values()]
            self.by_name[name] = Ambiguous(topic, functions)
