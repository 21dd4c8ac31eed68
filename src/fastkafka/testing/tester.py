"""`Tester`: runs apps on a broker in memory, and is the other end of their topics."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any, cast

from fastkafka.app import FastKafka
from fastkafka.brokers import DEFAULT_NAME, bootstrap_servers
from fastkafka.errors import ConfigError, did_you_mean
from fastkafka.messages import KafkaEvent
from fastkafka.routing import PATTERN, ConsumerRoute, ProducerRoute
from fastkafka.testing.clusters import Clusters, StartedBroker, any_address
from fastkafka.testing.inspection import Inspection, Memory, Topic
from fastkafka.testing.mocks import (
    TIMEOUT_SECONDS,
    Mocks,
    Watch,
    create_what_can_be_named,
    give,
    original,
    remove_mocks,
)
from fastkafka.testing.places import External, InMemory, Place, Started
from fastkafka.testing.reflection import Reflection
from fastkafka.testing.sides import sides_of
from fastkafka.transport.base import Producer
from fastkafka.transport.memory import MemoryBroker

logger = logging.getLogger(__name__)

_HURRY_SECONDS = 1.0
"""How long handlers may go on when their test has failed."""

_SWAPPED = (
    "_choice",
    "_given_up",
    "_at_once",
    "_transport",
    "shutdown_timeout",
)
"""What a block changes of an app, and sets back."""


class Tester(FastKafka):
    """Runs apps in a test: the real engine on a broker in memory, in milliseconds.

    For everything that the apps read it has a function that sends, `to_<topic>`, and
    for everything that they send one that receives, `on_<topic>`, whose calls are
    awaited; dots and hyphens in topics become underscores::

        async with Tester(app) as tester:
            await tester.to_orders(Order(id=1))
            await tester.on_invoices.assert_called_with(Invoice(order=1), timeout=5)
            await app.awaited_mocks.on_orders.assert_called_once(timeout=5)

    `mirrors[function]` is the same, by the function. An error that ends an app is
    raised by the next call that is awaited, or at the end of the block.

    A tester is an app itself: functions that a test declares on it run beside those.

    Args:
        app: The app, or several, none of which runs: they start and stop with the
            tester.
        broker: Instead of a new broker in memory: a `MemoryBroker`; or one like
            `EmbeddedBroker`, which the tester starts unless it runs.
        use_in_memory_broker: False uses the brokers that the apps name.
        topics: Accepted for old tests; topics appear by themselves.
        retries: Accepted for old tests; see `using_local_kafka`.
        apply_nest_asyncio: Accepted for old tests; nothing needs it.
        zookeeper_port: Accepted for old tests; there is no ZooKeeper.
        listener_port: Accepted for old tests; see `using_local_kafka`.

    Raises:
        ConfigError: There is no app, something is none, or `broker` is no broker.
        RuntimeError: An app runs already.
    """

    __test__ = False  # it is no test, whatever its name tells pytest

    def __init__(
        self,
        app: FastKafka | Sequence[FastKafka] = (),
        *,
        broker: MemoryBroker | StartedBroker | None = None,
        use_in_memory_broker: bool = True,
        topics: object = None,
        retries: object = None,
        apply_nest_asyncio: object = None,
        zookeeper_port: object = None,
        listener_port: object = None,
    ) -> None:
        self.apps = _apps(app)
        for name, given in {
            "topics": topics,
            "retries": retries,
            "apply_nest_asyncio": apply_nest_asyncio,
            "zookeeper_port": zookeeper_port,
            "listener_port": listener_port,
        }.items():
            if given is not None:
                _say_once(name)
        super().__init__(
            title=f"Tester of {', '.join(a.title or 'an app' for a in self.apps)}",
            kafka_brokers=self.apps[0].brokers,
            group_id=None,
        )
        self._place = self._usual_place = _place(broker, use_in_memory_broker)
        self._selected: str | None = None
        self._watch = Watch([*self.apps, self])
        self._block = AsyncExitStack()
        self._inspection: Inspection | None = None
        self._own_mocks = Mocks(self._watch)
        self._app_mocks = [create_what_can_be_named(a, self._watch) for a in self.apps]
        with ExitStack() as block:
            self._select_clusters(block, any_address)
            self._reflection = Reflection(
                [side for app in self.apps for side in sides_of(app)],
                self._own_mocks,
                self._watch,
                self._producer_for,
            )
        self._consumers += self._reflection.routes
        self.mirrors = self._reflection.by_function
        """By the apps' functions: what sends to a consumer, or receives what a producer
        sends."""

    def __getattr__(self, name: str) -> Any:
        by_name = {} if name.startswith("_") else self._reflection.by_name
        if name in by_name:
            return by_name[name]
        if not name.startswith(("to_", "on_")):
            raise AttributeError(f"`Tester` has no attribute {name!r}.")
        what = "reads" if name.startswith("to_") else "sends to"
        there = ", ".join(f"`{each}`" for each in by_name) or "none"
        raise AttributeError(
            f"Tester: no function of the apps {what} a topic of the name that "
            f"`{name}` stands for.{did_you_mean(name, by_name)} There are: {there}."
        )

    # Where.

    def using_inmemory_broker(self, bootstrap_servers_id: str | None = None) -> Tester:
        """Use a broker in memory in the next block.

        Args:
            bootstrap_servers_id: Which of their clusters the apps take it for, in that
                block; None is the chosen one.

        Raises:
            ConfigError: An app has no cluster of that name.
        """
        return self._use(InMemory(), bootstrap_servers_id)

    def using_external_broker(self, bootstrap_servers_id: str | None = None) -> Tester:
        """Use the brokers that the apps name in the next block; nothing is started.

        Args:
            bootstrap_servers_id: Which of the apps' clusters, in that block; None is
                the chosen one.

        Raises:
            ConfigError: An app has no cluster of that name.
        """
        return self._use(External(), bootstrap_servers_id)

    def using_local_kafka(self, **settings: Any) -> Tester:
        """Start a real Apache Kafka for the next block, one for each cluster.

        Args:
            settings: Of `ApacheKafkaBroker`; the apps' topics are created, too.
        """
        return self._use(Started.of("ApacheKafkaBroker", settings))

    def using_local_redpanda(self, **settings: Any) -> Tester:
        """Start Redpanda in Docker for the next block, one for each cluster.

        Args:
            settings: Of `LocalRedpandaBroker`; the apps' topics are created, too.
        """
        return self._use(Started.of("LocalRedpandaBroker", settings))

    def _use(self, place: Place, bootstrap_servers_id: str | None = None) -> Tester:
        if bootstrap_servers_id is not None:
            for app in self.apps:
                app._choice.of(bootstrap_servers_id)
        self._place, self._selected = place, bootstrap_servers_id
        return self

    # The block.

    async def __aenter__(self) -> Tester:
        """Start the tester's own functions, and then the apps.

        Raises:
            RuntimeError: One of them runs already.
            FastKafkaError: An app cannot start.
        """
        _check_stopped([self, *self.apps])
        async with AsyncExitStack() as block:
            block.callback(self._forget_place)
            await self._settle(block)
            for app, mocks in zip(self.apps, self._app_mocks, strict=True):
                mocks.stand_before(app)
                block.callback(remove_mocks, app)
            self._own_mocks.stand_before(self)
            own = [(r.name, original(r.function)) for r in self._own_routes()]
            named = self._reflection.mocked | dict(own)
            give(self, self._own_mocks, list(named.items()))
            # Its own first, so that they miss nothing; and so they stop last.
            await super().__aenter__()
            block.push_async_exit(functools.partial(self._leave, super().__aexit__))
            for app in self.apps:
                await app.__aenter__()
                block.push_async_exit(functools.partial(self._leave, app.__aexit__))
            self._block = block.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the apps, and then the tester's own functions.

        Raises:
            FastKafkaError: What ended an app, or made it give up a record, unless the
                test has seen it.
        """
        failure = self._watch.failure()
        if exc is not None and failure is not None:
            exc.add_note(f"Before that, an app had failed: {failure}")
        if exc is not None:  # nobody wants to wait for what a failed test left behind
            for app in (self, *self.apps):
                app.shutdown_timeout = min(app.shutdown_timeout, _HURRY_SECONDS)
        await self._end_block(exc_type, exc, traceback)
        if exc is None:
            self._watch.raise_failure()

    async def _end_block(self, *raised: Any) -> None:
        if self._inspection is None:
            await self._block.__aexit__(*raised)
            return
        passing = asyncio.ensure_future(self._inspection.let_time_pass())
        try:
            await self._block.__aexit__(*raised)
        finally:
            passing.cancel()

    async def _leave(
        self,
        leave: Callable[..., Awaitable[None]],
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop an app; what the test has seen of it already is not raised again.

        Nor does it hide the test's own error.
        """
        try:
            await leave(exc_type, exc, traceback)
        except Exception as failure:
            if exc is not None and exc is not failure:
                exc.add_note(f"Then an app did not stop well: {failure}")
            elif not self._watch.saw(failure):
                raise

    async def _settle(self, block: AsyncExitStack) -> None:
        """Lead everybody to the place of this block, until its end."""
        in_memory = self._place.in_memory
        self._select_clusters(block, any_address if in_memory else bootstrap_servers)
        sides = [side for app in (*self.apps, self) for side in sides_of(app)]
        main = self._choice.servers(None)
        topics: dict[str, set[str]] = {main: set()} if not sides else {}
        for side in sorted(sides, key=lambda side: side.servers != main):
            topics.setdefault(side.servers, set()).update(
                t for t in side.topics if not t.startswith(PATTERN)
            )
        transport = await self._place.open(topics, block)
        for app in (self, *self.apps):
            app._transport = transport or app._transport
            app._given_up = self._watch.gave_up
            app._at_once = True
        self._inspection = None
        if in_memory and isinstance(transport, Clusters):
            self._inspection = Inspection(
                sides,
                transport,
                next(iter(topics)),
                self._reflection.inverse,
                self._watch,
            )

    def _select_clusters(
        self, block: AsyncExitStack | ExitStack, address_of: Any
    ) -> None:
        """Choose each app's cluster, until the end of the block."""
        for app in (self, *self.apps):
            self._keep(app, block)
        for app in self.apps:
            choice = app._choice
            if self._selected is not None:
                choice = choice.of(self._selected)
            elif choice.name == DEFAULT_NAME and len(choice.brokers) == 1:
                # Nobody has chosen, and there is no other that could be meant.
                choice = replace(choice, name=next(iter(choice.brokers)))
            app._choice = replace(choice, address_of=address_of)
        self._choice = self.apps[0]._choice

    def _keep(self, app: FastKafka, block: AsyncExitStack | ExitStack) -> None:
        before = {name: getattr(app, name) for name in _SWAPPED}
        block.callback(vars(app).update, before)

    def _forget_place(self) -> None:
        self._place, self._selected = self._usual_place, None

    def _own_routes(self) -> list[ConsumerRoute | ProducerRoute]:
        """Return the functions that the test has declared on the tester."""
        consumers = self._reflection.consumers
        routes = [r for r in self.consumers if original(r.function) not in consumers]
        return [*routes, *self.producers]

    # What the app asks.

    def _servers_of(self, route: ConsumerRoute | ProducerRoute) -> str:
        mirror = self._reflection.consumers.get(original(route.function))
        if mirror is not None:
            return mirror.app._servers_of(mirror.first)
        return super()._servers_of(route)

    async def _producer_for(
        self, app: FastKafka, route: ConsumerRoute, *, caller: str
    ) -> Producer:
        servers = None if self._running is None else app._servers_of(route)
        return await self._producer_at(servers, caller=caller)

    # Looking.

    @property
    def broker(self) -> Memory:
        """The broker in memory, with its handles for what goes wrong.

        That is `fail`, `delay`, `down`, `rebalance`, `advance`, `crash` and others; see
        `MemoryBroker`. With several clusters it is the apps' own; see `broker_of`.

        Raises:
            ConfigError: There is none, or none yet.
        """
        return self._look().broker(None)

    def broker_of(self, function: Callable[..., Any]) -> Memory:
        """Return the broker that a function of the apps talks to.

        Raises:
            ConfigError: The function is none of the apps'.
        """
        return self._look().broker(function)

    async def idle(self, timeout: float = TIMEOUT_SECONDS) -> None:
        """Wait until all that was produced is handled, in all apps, and committed.

        It knows nothing of what background tasks are about to produce. What is handled
        is committed without waiting for the interval; a refused commit goes with the
        next one.

        Args:
            timeout: Seconds.

        Raises:
            AssertionError: It took too long; the error says what is left.
            FastKafkaError: An app has failed, before or meanwhile.
        """
        await self._look().idle(timeout)

    def committed(self, topic: Topic) -> dict[int, int]:
        """Return the committed offsets of a topic, by partition.

        Args:
            topic: Its name; or a function that reads it, where apps of several groups
                do, or where several clusters have it.

        Raises:
            ConfigError: There is no such topic, nobody reads it, or it is not clear
                which group is meant.
        """
        return self._look().committed(topic)

    def lag(self, topic: Topic | None = None) -> int:
        """Return how many records of a topic the apps have not committed.

        Args:
            topic: Its name, or a function that reads it; None is all topics.
        """
        return self._look().lag(topic)

    def messages(self, topic: Topic) -> list[KafkaEvent[Any]]:
        """Return what a topic holds, with keys and headers, in the order of arrival.

        Messages are decoded as the apps' functions would; one that fits none of them
        is `bytes`.

        Args:
            topic: Its name, or a function that reads it or writes to it.

        Raises:
            ConfigError: There is no such topic.
        """
        return self._look().messages(topic)

    def dead_letters(self, topic: Topic) -> list[KafkaEvent[Any]]:
        """Return what was parked of a topic: raw values, keys and headers.

        A record that fails for good raises its error in the test, when a mock is
        awaited or at the end of the block; not so when the test has looked here.

        Args:
            topic: The name of the topic itself, or a function that reads it.

        Raises:
            ConfigError: There is no such topic.
        """
        return self._look().dead_letters(topic)

    def _look(self) -> Inspection:
        if self._inspection is None:
            raise ConfigError(
                "Tester: there is no broker in memory to look into. Use this in "
                "`async with tester:`, and not with an external or a started broker."
            )
        return self._inspection


def _apps(given: object) -> Sequence[FastKafka]:
    apps: list[Any] = list(given) if isinstance(given, list | tuple) else [given]
    if not apps:
        raise ConfigError(
            "Tester: there is no app to test. Write `Tester(app)` or "
            "`Tester([app_1, app_2])`."
        )
    for app in apps:
        if not isinstance(app, FastKafka):
            raise ConfigError(
                f"Tester: {app!r} is not an app. Write `Tester(app)` or "
                "`Tester([app_1, app_2])`."
            )
    if len({id(app) for app in apps}) < len(apps):
        raise ConfigError("Tester: an app is given twice. Give each of them once.")
    _check_stopped(apps)
    return apps


def _check_stopped(apps: Sequence[FastKafka]) -> None:
    for app in apps:
        if app.is_started:
            raise RuntimeError(
                f"Tester: the app '{app.title or app._module}' runs already. "
                "A tester starts and stops its apps itself. Stop it first."
            )


def _place(broker: object, use_in_memory_broker: bool) -> Place:
    if isinstance(broker, MemoryBroker):
        return InMemory(broker)
    if broker is None:
        return InMemory() if use_in_memory_broker else External()
    if all(hasattr(type(broker), n) for n in ("__aenter__", "bootstrap_servers")):
        return Started.given(cast("StartedBroker", broker))
    raise ConfigError(
        f"Tester: `broker` is {broker!r}. Pass a `MemoryBroker`, an `EmbeddedBroker`, "
        "an `ApacheKafkaBroker` or a `LocalRedpandaBroker`, or leave it out."
    )


@functools.cache
def _say_once(name: str) -> None:
    logger.info("`Tester(%s=...)` has no effect: nothing needs it any more.", name)
