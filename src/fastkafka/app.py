"""`FastKafka`: registers functions, starts and stops; delegates everything else."""

from __future__ import annotations

import inspect
import logging
import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, TypeVar, Unpack, cast

from fastkafka import params
from fastkafka import settings as client_settings
from fastkafka.brokers import (
    BrokersSpec,
    KafkaBroker,
    bootstrap_servers,
    parse_brokers,
)
from fastkafka.engine.supervisor import (
    BackgroundTask,
    ConsumerGroup,
    ProducerGroup,
    Supervisor,
)
from fastkafka.errors import ConfigError, did_you_mean
from fastkafka.router import Router, argument_names, check_count, check_order
from fastkafka.routing import (
    ConsumerRoute,
    Handler,
    Order,
    ProducerRoute,
    ProducingFunction,
)
from fastkafka.transport.base import Transport
from fastkafka.transport.librdkafka import LibrdkafkaTransport

F = TypeVar("F", bound=Callable[..., Any])

Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]

logger = logging.getLogger(__name__)

LARGEST_BATCH = 1000
DEFAULT_CONCURRENCY = 32
SHUTDOWN_SECONDS = 25.0
REVOKE_SECONDS = 10.0


class FastKafka(Router):
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
        order: For every function that says nothing else: "partition" (default), "key"
            or "none"; see `Router.consumes`.
        concurrency: For every function that says nothing else: how many keys, records
            or sync calls are handled at once; default 32.
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
        order: Order = "partition",
        concurrency: int = DEFAULT_CONCURRENCY,
        shutdown_timeout: float = SHUTDOWN_SECONDS,
        revoke_timeout: float = REVOKE_SECONDS,
        transport: Transport | None = None,
        **settings: Unpack[client_settings.AppSettings],
    ) -> None:
        client_settings.check(
            settings, where="FastKafka", kind="app", also=argument_names(FastKafka)
        )
        check_order(order, where="FastKafka")
        check_count("concurrency", concurrency, where="FastKafka")
        if lifespan is not None and not callable(lifespan):
            raise ConfigError(
                f"FastKafka: `lifespan` is {lifespan!r}. Pass a function that takes "
                "the app and is decorated with `@asynccontextmanager`."
            )
        super().__init__()
        self.title = title or ""
        self.description = description or ""
        self.version = version or ""
        self.contact = contact
        self.root_path = root_path
        self.lifespan = lifespan
        self.shutdown_timeout = shutdown_timeout
        self.revoke_timeout = revoke_timeout
        self.dependency_overrides: dict[Callable[..., Any], Callable[..., Any]] = {}
        """For tests: dependencies and what is called instead of them."""
        self._brokers = parse_brokers(kafka_brokers)
        self._broker_name = bootstrap_servers_id
        self._address = _joined(bootstrap_servers)
        self._order: Order = order
        self._concurrency = concurrency
        self._settings = cast("Mapping[str, object]", settings)
        self._transport = transport
        self._tasks: list[BackgroundTask] = []
        self._supervisor: Supervisor | None = None
        self._stack = AsyncExitStack()
        self._module = sys._getframe(1).f_globals.get("__name__", "")

    # Declaring; see `Router` for the decorators.

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

    @property
    def brokers(self) -> Mapping[str, Sequence[KafkaBroker]]:
        """The clusters by name; each is a list of bootstrap servers."""
        return self._brokers

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
        self._remark()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._lifespan())
            try:
                await supervisor.start()
            except BaseException:
                await supervisor.stop(self.shutdown_timeout)
                raise
            self._stack = stack.pop_all()
        self._supervisor = supervisor
        logger.info(
            "Started%s: %d consuming and %d producing functions, group %s",
            f" '{self.title}'" if self.title else "",
            len(self._consumers),
            len(self._producing),
            "none" if self.group_id is None else f"'{self.group_id}'",
        )
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
        # A failure of the app is no error of the lifespan's: it cleans up as ever.
        own = exc if exc is not supervisor.failure else None
        try:
            await supervisor.stop(self.shutdown_timeout)
        finally:
            # It gets the block's error, but does not get to swallow it.
            await self._stack.__aexit__(
                None if own is None else type(own),
                own,
                None if own is None else own.__traceback__,
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
            if inspect.iscoroutine(manager):
                manager.close()  # it will never be awaited
            raise ConfigError(
                f"FastKafka: `lifespan` returned {manager!r}, which is not an async "
                "context manager. Decorate the function with `@asynccontextmanager`."
            )
        async with manager:
            yield

    def _supervise(self) -> Supervisor:
        consumers: dict[Any, list[Handler]] = {}
        for route in self._consumers:
            config = self._client_config(route, client_settings.consumer_config)
            group = client_settings.group_id(route.settings, default=self.group_id)
            if group is not None:
                config["group.id"] = group
            key = frozenset(config.items())
            consumers.setdefault(key, []).append(self._handler(route))
        producers: dict[Any, list[ProducingFunction]] = {}
        for function in self._producing:
            config = self._client_config(
                function.route, client_settings.producer_config
            )
            producers.setdefault(frozenset(config.items()), []).append(function)
        for handlers in consumers.values():
            _check_starts(handlers)
        return Supervisor(
            self,
            consumers=[
                ConsumerGroup(handlers=handlers, config=dict(config))
                for config, handlers in consumers.items()
            ],
            producers=[
                ProducerGroup(functions=functions, config=dict(config))
                for config, functions in producers.items()
            ],
            tasks=self._tasks,
            transport=self._transport or LibrdkafkaTransport(),
            revoke_timeout=self.revoke_timeout,
        )

    def _remark(self) -> None:
        """Say once what settings of old apps mean here."""
        routes: list[ConsumerRoute | ProducerRoute] = [*self.consumers, *self.producers]
        layers: list[tuple[Mapping[str, object], ...]] = [(self._settings,)]
        layers += [(self._settings, route.settings) for route in routes]
        said = dict.fromkeys(r for own in layers for r in client_settings.remarks(*own))
        for remark in said:
            logger.info("%s", remark)

    def _handler(self, route: ConsumerRoute) -> Handler:
        """Settle what a function leaves to the app."""
        layers = self._settings, route.settings
        most = client_settings.max_poll_records(*layers)
        return Handler(
            route,
            start_at=client_settings.start_at(*layers),
            order=route.order or self._order,
            concurrency=route.concurrency or self._concurrency,
            max_batch=route.max_batch or most or LARGEST_BATCH,
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
        override = super()._override(brokers)
        if override is not None and override.keys() != self._brokers.keys():
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


def _check_starts(handlers: Sequence[Handler]) -> None:
    """Refuse functions that share a group and a topic, but want different starts."""
    first: dict[str, Handler] = {}
    for handler in handlers:
        for topic in handler.route.topics:
            other = first.setdefault(topic, handler)
            if other.start_at != handler.start_at:
                raise ConfigError(
                    f"`{other.route.name}` starts '{topic}' at {other.start_at!r} and "
                    f"`{handler.route.name}` at {handler.start_at!r}, but they share a "
                    "group, which has one start. Use one `auto_offset_reset` for both, "
                    "or another `group_id` for one."
                )


def _joined(servers: str | Sequence[str] | None) -> str | None:
    if servers is None or isinstance(servers, str):
        return servers
    return ",".join(servers)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
