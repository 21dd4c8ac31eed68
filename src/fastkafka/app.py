"""`FastKafka`: registers functions, starts and stops; delegates everything else."""

from __future__ import annotations

import inspect
import logging
import re
import sys
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, Unpack, cast

from fastkafka import codecs, params
from fastkafka import settings as client_settings
from fastkafka.brokers import (
    BrokersSpec,
    KafkaBroker,
    bootstrap_servers,
    parse_brokers,
)
from fastkafka.engine.producer import Sender
from fastkafka.engine.supervisor import (
    BackgroundTask,
    ConsumerGroup,
    ProducerGroup,
    Supervisor,
)
from fastkafka.errors import ConfigError, did_you_mean
from fastkafka.routing import (
    ConsumerRoute,
    ProducerRoute,
    check_topic,
    topic_from_name,
)
from fastkafka.transport.base import Transport
from fastkafka.transport.librdkafka import LibrdkafkaTransport

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]

logger = logging.getLogger(__name__)

LARGEST_BATCH = 1000
DEFAULT_CONCURRENCY = 8
SHUTDOWN_SECONDS = 25.0
REVOKE_SECONDS = 10.0


class FastKafka:
    """A Kafka service: functions that consume and functions that produce.

    Args:
        title: Names the service; its slug is the default group.
        description: For the AsyncAPI document.
        version: The service's version, for the AsyncAPI document.
        contact: ``{"name": ..., "url": ..., "email": ...}``, for the AsyncAPI document.
        kafka_brokers: Clusters by name: ``{"localhost": {"url": ..., "port": ...}}``; a
            list instead of one dictionary is one cluster with several bootstrap
            servers. Default: localhost:9092 by the name "localhost".
        root_path: Where the documentation is written. Nothing is created before that.
        lifespan: An async context manager that gets the app; entered before any client
            exists, left after every client is closed.
        bootstrap_servers_id: Which of the clusters is used, unless `set_kafka_broker`
            or the command line says otherwise.
        bootstrap_servers: The address of the cluster, instead of `kafka_brokers`.
        concurrency: How many calls of one sync function run at once; default 8.
        shutdown_timeout: Seconds that a stop may take, everything included; default 25.
        revoke_timeout: Seconds that a revoke waits for what is being handled; default
            10. What ends later is not committed: the partition's next owner does it
            again.
        transport: What connects to Kafka; for tests.
        settings: Defaults for all consumers and producers, by aiokafka's names, and
            ``librdkafka={...}``; see docs/settings.md. Among them `group_id`, default
            the slug of the title, None for no group (every worker reads every
            partition and commits nothing); and `auto_offset_reset`, where a group that
            has committed nothing starts: "earliest" (default), "latest" or "none".

    Raises:
        ConfigError: Something here cannot work.
    """

    def __init__(
        self,
        *,
        title: str | None = None,
        description: str | None = None,
        version: str | None = None,
        contact: Mapping[str, str] | None = None,
        kafka_brokers: BrokersSpec | None = None,
        root_path: str | None = None,
        lifespan: Lifespan | None = None,
        bootstrap_servers_id: str = "localhost",
        bootstrap_servers: str | Sequence[str] | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
        shutdown_timeout: float = SHUTDOWN_SECONDS,
        revoke_timeout: float = REVOKE_SECONDS,
        transport: Transport | None = None,
        **settings: Unpack[client_settings.AppSettings],
    ) -> None:
        client_settings.check(
            settings, where="FastKafka", kind="app", also=_names(type(self).__init__)
        )
        _check_count("concurrency", concurrency, where="FastKafka")
        if lifespan is not None and not callable(lifespan):
            raise ConfigError(
                f"FastKafka: `lifespan` is {lifespan!r}. Pass a function that takes "
                "the app and is decorated with `@asynccontextmanager`."
            )
        self.title = title or ""
        self.description = description or ""
        self.version = version or ""
        self.contact = contact
        self.root_path = root_path
        self.lifespan = lifespan
        self.shutdown_timeout = shutdown_timeout
        self.revoke_timeout = revoke_timeout
        self._brokers = parse_brokers(kafka_brokers)
        self._broker_name = bootstrap_servers_id
        self._address = _joined(bootstrap_servers)
        self._concurrency = concurrency
        self._settings = cast("Mapping[str, object]", settings)
        self._transport = transport
        self._consumers: list[ConsumerRoute] = []
        self._senders: list[Sender] = []
        self._tasks: list[BackgroundTask] = []
        self._supervisor: Supervisor | None = None
        self._stack = AsyncExitStack()
        self._module = sys._getframe(1).f_globals.get("__name__", "")

    # Declaring.

    def consumes(
        self,
        topic: str | None = None,
        decoder: codecs.DecoderSpec = "json",
        *,
        prefix: str = "on_",
        brokers: BrokersSpec | None = None,
        description: str | None = None,
        concurrency: int | None = None,
        max_batch: int | None = None,
        **settings: Unpack[client_settings.ConsumerSettings],
    ) -> Callable[[F], F]:
        """Call the decorated function with every message of a topic.

        The message is its first parameter that is not a special one, whatever its name:
        a pydantic model, a `msgspec.Struct`, a dataclass, a `TypedDict`, JSON types,
        `bytes` (untouched), or `Model | None` to receive tombstones. `list[Model]`
        makes it a batch handler. A parameter annotated with `EventMetadata`
        (`list[EventMetadata]` in batches) gets where the message came from, one
        annotated with `FastKafka` the app. A sync function runs in a worker thread.

        A record is committed when the function has returned *and* all that it produced
        is acknowledged. A record that cannot be decoded, or whose function raises,
        stops the app with its offset not committed.

        Args:
            topic: Its name; default: the function's name without *prefix*.
            decoder: "json" or a function `(bytes, message type) -> message`.
            prefix: What function names start with.
            brokers: Clusters to use instead of the app's, under the same names.
            description: For the AsyncAPI document; default: the docstring.
            concurrency: How many calls of a sync function run at once; default: the
                app's.
            max_batch: The most messages that a batch handler gets at once; default:
                `max_poll_records`, which is 100.
            settings: Consumer settings, over the app's; see docs/settings.md.

        Raises:
            ConfigError: The declaration cannot work.
        """

        def register(function: F) -> F:
            name = params.function_name(function)
            client_settings.check(
                settings, where=f"`{name}`", kind="consumer", also=_names(self.consumes)
            )
            own = cast("Mapping[str, object]", settings)
            # Made once here, so that settings which contradict each other fail here.
            client_settings.consumer_config(self._settings, own, where=f"`{name}`")
            most = client_settings.max_poll_records(self._settings, own)
            plan = params.plan_handler(function, FastKafka)
            route = ConsumerRoute(
                function=function,
                topics=(_topic(function, topic, prefix),),
                plan=plan,
                decode=_named(codecs.for_decoding, decoder, plan.message, name),
                start_at=client_settings.start_at(self._settings, own),
                concurrency=_check_count(
                    "concurrency", concurrency or self._concurrency, where=f"`{name}`"
                ),
                max_batch=_check_count(
                    "max_batch", max_batch or most or LARGEST_BATCH, where=f"`{name}`"
                ),
                settings=own,
                brokers=self._override(brokers),
                description=description or function.__doc__,
            )
            self._consumers.append(route)
            self._attach(name, function)
            return function

        return register

    def produces(
        self,
        topic: str | None = None,
        encoder: codecs.EncoderSpec = "json",
        *,
        prefix: str = "to_",
        brokers: BrokersSpec | None = None,
        description: str | None = None,
        confirm: bool | None = None,
        **settings: Unpack[client_settings.ProducerSettings],
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Send what the decorated function returns to a topic.

        Calling it runs the function, sends its value and returns that same value. The
        value is a message; a list or a generator of them, each a record of its own; a
        `KafkaEvent` for key, headers, partition or timestamp; or None, which sends
        nothing.

        Inside a handler the call only queues the record: the handler's input is
        committed when the record is acknowledged. Elsewhere `await to_x(...)` waits for
        the acknowledgement and raises `ProduceError`; a sync function cannot wait, and
        a refused record is logged.

        Args:
            topic: Its name; default: the function's name without *prefix*.
            encoder: "json" or a function `(message) -> bytes`.
            prefix: What function names start with.
            brokers: Clusters to use instead of the app's, under the same names.
            description: For the AsyncAPI document; default: the docstring.
            confirm: True waits for the acknowledgement inside handlers too, False
                never waits.
            settings: Producer settings, over the app's; see docs/settings.md.

        Raises:
            ConfigError: The declaration cannot work.
        """

        def register(function: Callable[P, R]) -> Callable[P, R]:
            name = params.function_name(function)
            client_settings.check(
                settings, where=f"`{name}`", kind="producer", also=_names(self.produces)
            )
            own = cast("Mapping[str, object]", settings)
            client_settings.producer_config(self._settings, own, where=f"`{name}`")
            if confirm and not params.is_async(function):
                raise ConfigError(
                    f"`{name}`: `confirm=True` waits for the acknowledgement, which a "
                    f"sync function cannot. Write `async def {name}(...)`."
                )
            message = params.plan_producer(function)
            route = ProducerRoute(
                function=function,
                topic=_topic(function, topic, prefix),
                message=message,
                encode=_named(codecs.for_encoding, encoder, message, name),
                confirm=confirm,
                settings=own,
                brokers=self._override(brokers),
                description=description or function.__doc__,
            )
            sender = Sender(route)
            self._senders.append(sender)
            sending: Callable[P, R] = sender.wrap()
            self._attach(name, sending)
            return sending

        return register

    def run_in_background(self) -> Callable[[F], F]:
        """Run the decorated async function, which takes no arguments, beside the app.

        It starts when the consumers have started and is cancelled when the app stops.
        When it raises, the app stops with that error.

        Raises:
            ConfigError: The function is not async, or needs arguments.
        """

        def register(function: F) -> F:
            name = params.function_name(function)
            if not params.is_async(function):
                raise ConfigError(
                    f"`{name}` runs in the background, so it must be async. "
                    f"Write `async def {name}()`."
                )
            if params.needs_arguments(function):
                raise ConfigError(
                    f"`{name}` runs in the background, where nothing can fill its "
                    f"parameters. Write `async def {name}()`."
                )
            self._tasks.append(function)
            return function

        return register

    # Asking.

    def get_topics(self) -> set[str]:
        """Return the names of all topics that the app reads or writes."""
        consumed = {topic for route in self._consumers for topic in route.topics}
        return consumed | {sender.route.topic for sender in self._senders}

    @property
    def is_started(self) -> bool:
        """Whether the app has started and not yet begun to stop."""
        return self._supervisor is not None

    @property
    def group_id(self) -> str | None:
        """The group of every function that names no other; None is no group."""
        default = _slug(self.title) or _slug(self._module) or "fastkafka"
        return client_settings.group_id(self._settings, default=default)

    # Choosing the cluster.

    def set_kafka_broker(self, kafka_broker_name: str) -> None:
        """Choose a cluster of `kafka_brokers`; takes effect at the next start.

        Raises:
            ConfigError: There is none of that name.
        """
        if kafka_broker_name not in self._brokers:
            raise ConfigError(self._unknown_broker(kafka_broker_name))
        self._broker_name = kafka_broker_name
        self._address = None

    def set_bootstrap_servers(self, bootstrap_servers: str) -> None:
        """Use one address instead of every cluster of `kafka_brokers`.

        Args:
            bootstrap_servers: ``host:port``, or several with commas.
        """
        self._address = bootstrap_servers

    # Running.

    async def __aenter__(self) -> FastKafka:
        """Enter the lifespan, connect, and wait for the first assignment.

        Raises:
            ConfigError: The cluster's name or address is wrong.
            BrokerUnavailableError: No broker answered.
            ClientError: A broker refused.
        """
        if self._supervisor is not None:
            raise RuntimeError(
                f"The app '{self.title}' runs already. Stop it before you start it."
            )
        supervisor = self._supervise()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._lifespan())
            try:
                await supervisor.start()
            except BaseException:
                await supervisor.stop(self.shutdown_timeout)
                raise
            self._stack = stack.pop_all()
        self._supervisor = supervisor
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop within `shutdown_timeout` and leave the lifespan.

        Raises:
            FastKafkaError: What ended the app, unless it is being raised already.
        """
        supervisor, self._supervisor = self._supervisor, None
        assert supervisor is not None
        # The lifespan gets the error, but does not get to swallow it.
        async with self._stack:
            await supervisor.stop(self.shutdown_timeout)
            failure = exc or supervisor.failure
            if failure is not None:
                await self._stack.__aexit__(
                    type(failure), failure, failure.__traceback__
                )
        if exc is None and supervisor.failure is not None:
            raise supervisor.failure

    async def wait_stopped(self) -> None:
        """Wait until the app ends by itself, and raise why.

        It ends only by a failure: a record that cannot be processed, a client that
        cannot go on, a background task that raised.

        Raises:
            NotStartedError: The app does not run.
        """
        if self._supervisor is None:
            raise RuntimeError("The app does not run. Use `async with app:`.")
        raise await self._supervisor.wait_failed()

    # How.

    @asynccontextmanager
    async def _lifespan(self) -> AsyncIterator[None]:
        if self.lifespan is None:
            yield
            return
        manager = self.lifespan(self)
        if not hasattr(manager, "__aenter__"):
            raise ConfigError(
                f"FastKafka: `lifespan` returned {manager!r}, which is not an async "
                "context manager. Decorate the function with `@asynccontextmanager`."
            )
        async with manager:
            yield

    def _supervise(self) -> Supervisor:
        consumers: dict[Any, list[ConsumerRoute]] = {}
        for route in self._consumers:
            config = self._client_config(route, client_settings.consumer_config)
            group = client_settings.group_id(route.settings, default=self.group_id)
            if group is not None:
                config["group.id"] = group
            consumers.setdefault(frozenset(config.items()), []).append(route)
        producers: dict[Any, list[Sender]] = {}
        for sender in self._senders:
            config = self._client_config(sender.route, client_settings.producer_config)
            producers.setdefault(frozenset(config.items()), []).append(sender)
        return Supervisor(
            self,
            consumers=[
                ConsumerGroup(
                    routes=routes,
                    config=dict(config),
                    start_at=_starts(routes),
                )
                for config, routes in consumers.items()
            ],
            producers=[
                ProducerGroup(senders=senders, config=dict(config))
                for config, senders in producers.items()
            ],
            tasks=self._tasks,
            transport=self._transport or LibrdkafkaTransport(),
            revoke_timeout=self.revoke_timeout,
        )

    def _client_config(
        self,
        route: ConsumerRoute | ProducerRoute,
        make: Callable[..., dict[str, Any]],
    ) -> dict[str, Any]:
        config = make(self._settings, route.settings)
        config["bootstrap.servers"] = self._bootstrap_servers(route.brokers)
        return config

    def _bootstrap_servers(
        self, override: Mapping[str, Sequence[KafkaBroker]] | None
    ) -> str:
        if self._address is not None:
            return self._address
        brokers = self._brokers if override is None else override
        if self._broker_name not in brokers:
            raise ConfigError(self._unknown_broker(self._broker_name))
        return bootstrap_servers(self._broker_name, brokers[self._broker_name])

    def _override(
        self, brokers: BrokersSpec | None
    ) -> Mapping[str, Sequence[KafkaBroker]] | None:
        if brokers is None:
            return None
        override = parse_brokers(brokers)
        if override.keys() != self._brokers.keys():
            raise ConfigError(
                "To override application default brokers, you must define all of the "
                f"broker options. Default defined: {set(self._brokers)}, override "
                f"defined: {set(override)}."
            )
        return override

    def _unknown_broker(self, name: str) -> str:
        return (
            f"Given kafka_broker_name '{name}' is not found in kafka_brokers, "
            f"available options are {self._brokers.keys()}."
            f"{did_you_mean(name, self._brokers)}"
        )

    def _attach(self, name: str, function: Callable[..., Any]) -> None:
        """Offer a decorated function as an attribute of the app."""
        if not hasattr(type(self), name):
            setattr(self, name, function)


def _names(function: Callable[..., Any]) -> Collection[str]:
    """Return the names of a function's own arguments, for hints about misspelt ones."""
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]


def _starts(routes: Sequence[ConsumerRoute]) -> dict[str, str]:
    """Return where each topic starts in a new group.

    Raises:
        ConfigError: Functions that share a group want different starts.
    """
    starts: dict[str, ConsumerRoute] = {}
    for route in routes:
        for topic in route.topics:
            other = starts.setdefault(topic, route)
            if other.start_at != route.start_at:
                raise ConfigError(
                    f"`{other.name}` starts '{topic}' at {other.start_at!r} and "
                    f"`{route.name}` at {route.start_at!r}, but they share a group, "
                    "which has one start. Use one `auto_offset_reset` for both, or "
                    "another `group_id` for one."
                )
    return {topic: route.start_at for topic, route in starts.items()}


def _check_count(name: str, value: object, *, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{where}: `{name}` is {value!r}. Use a number from 1.")
    return value


def _topic(function: Callable[..., Any], topic: str | None, prefix: str) -> str:
    if topic is None:
        return topic_from_name(function, prefix)
    return check_topic(topic, where=params.function_name(function))


def _named(
    make: Callable[[Any, Any], Any], spec: object, message: Any, name: str
) -> Any:
    """Make a codec; an error says for which function."""
    try:
        return make(spec, message)
    except ConfigError as error:
        raise ConfigError(f"`{name}`: {error}") from error


def _joined(servers: str | Sequence[str] | None) -> str | None:
    if servers is None or isinstance(servers, str):
        return servers
    return ",".join(servers)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
