"""`FastKafka`: registers functions, starts and stops; delegates everything else."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from functools import cached_property, partial
from types import TracebackType
from typing import Any, TypeVar, Unpack, cast

from fastkafka import codecs, params
from fastkafka import lifespan as lifespans
from fastkafka import settings as client_settings
from fastkafka.benchmark import Throughput, benchmarked
from fastkafka.brokers import DEFAULT_NAME, BrokersSpec, KafkaBroker, declared
from fastkafka.engine.control import Control
from fastkafka.engine.door import Door
from fastkafka.engine.supervisor import BackgroundTask, Supervisor
from fastkafka.errors import NotStartedError, RecordError
from fastkafka.info import check_contact, check_redact, check_texts, default_group
from fastkafka.lifespan import Lifespan
from fastkafka.observe.events import Listener
from fastkafka.observe.snapshot import Snapshot
from fastkafka.original import PrivateNames
from fastkafka.policies import OnFailure, Retry, check_seconds
from fastkafka.router import Router, argument_names
from fastkafka.routing import ConsumerRoute, Order, ProducerRoute, check_topic
from fastkafka.transport.base import Headers, Producer, Transport
from fastkafka.transport.librdkafka import LibrdkafkaTransport
from fastkafka.wiring import Defaults, defaults_of_app

F = TypeVar("F", bound=Callable[..., Any])

logger = logging.getLogger(__name__)

DEFAULT_CONCURRENCY = 32
SHUTDOWN_SECONDS = 25.0
REVOKE_SECONDS = 10.0

default_transport: Callable[[], Transport] = LibrdkafkaTransport
"""What apps connect by that were given no transport; `InMemoryBroker` changes it."""


class FastKafka(PrivateNames, Router):
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
        batch_timeout: For every batch handler that says nothing else: seconds that a
            batch waits to be filled; default 0, not at all.
        retry: For every function that says nothing else: how often it is called with a
            record that makes it raise; default `Retry()`, three times.
        on_failure: For every function that says nothing else: what follows then:
            "dead_letter" (default), "stop", "skip" or a function; see
            `Router.consumes`.
        handler_timeout: For every async function that says nothing else: seconds that
            one call may take; default no limit.
        shutdown_timeout: Seconds that a stop may take, everything included; default 25.
        revoke_timeout: Seconds that a revoke waits for what is being handled; default
            10. What ends later is not committed: the partition's next owner does it
            again.
        redact: Fields that no tool and no page shows, as dotted paths:
            ``("card.number",)``. Fields of type `SecretStr` are never shown anyway.
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
        bootstrap_servers_id: str = DEFAULT_NAME,
        bootstrap_servers: str | Sequence[str] | None = None,
        order: Order = "partition",
        concurrency: int = DEFAULT_CONCURRENCY,
        batch_timeout: float = 0.0,
        retry: Retry | None = None,
        on_failure: OnFailure = "dead_letter",
        handler_timeout: float | None = None,
        shutdown_timeout: float = SHUTDOWN_SECONDS,
        revoke_timeout: float = REVOKE_SECONDS,
        redact: Sequence[str] = (),
        transport: Transport | None = None,
        **settings: Unpack[client_settings.AppSettings],
    ) -> None:
        client_settings.check(
            settings, where="FastKafka", kind="app", also=argument_names(FastKafka)
        )
        own = cast("Mapping[str, object]", settings)
        self._declared = defaults_of_app(
            own, order, concurrency, batch_timeout, retry, on_failure, handler_timeout
        )
        lifespans.check(lifespan)
        check_texts({"title": title, "description": description, "version": version})
        check_contact(contact)
        super().__init__()
        self._settings = own
        self.title = title or ""
        self.description = description or ""
        self.version = version or ""
        self.contact = contact
        self.root_path = root_path
        self.lifespan = lifespan
        seconds = partial(check_seconds, where="FastKafka")
        self.shutdown_timeout = seconds("shutdown_timeout", shutdown_timeout)
        self.revoke_timeout = seconds("revoke_timeout", revoke_timeout)
        self.redact = check_redact(redact)
        self.dependency_overrides: dict[Callable[..., Any], Callable[..., Any]] = {}
        """For tests: dependencies and what is called instead of them."""
        self.benchmark_results: dict[str, Throughput] = {}
        """By the functions' names, ``module.function``."""
        self.AppMocks: Any = None
        self.mocks: Any = None
        """A mock for each function, after `create_mocks`."""
        self.awaited_mocks: Any = None
        """The same, whose assertions are awaited."""
        self.run = False
        """Without meaning; apps of the original may read it."""
        self._choice = declared(kafka_brokers, bootstrap_servers_id, bootstrap_servers)
        self._transport = transport
        self._at_once = False  # both for the Tester
        self.worker: int | None = None
        """Its number among several of `fastkafka run`, from 1."""
        self._given_up: Callable[[RecordError], None] = lambda error: None
        self._listeners: list[Listener] = []
        self._tasks: list[BackgroundTask] = []
        self._supervisor: Supervisor | None = None
        self._running: Supervisor | None = None
        self.control = Control(
            lambda: self._defaults().named(self.consumers),
            lambda route: route.order or self._declared.order,
            lambda: self._running,
        )
        """Pauses functions, changes their concurrency, seeks partitions."""
        self._last = Snapshot(time.time(), os.getpid())
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
            params.check_task(function)
            self._tasks.append(function)
            return function

        return register

    def benchmark(
        self, interval: float | timedelta = 1, *, sliding_window_size: int | None = None
    ) -> Callable[[F], F]:
        """Log how often the decorated function is called; put it below `consumes`.

        There is no timer: the first call after an interval logs, to
        ``fastkafka.benchmark`` at INFO. Counts are in `benchmark_results`.

        Args:
            interval: Seconds.
            sliding_window_size: Over how many intervals an average is logged, too.

        Raises:
            ConfigError: The interval is below 0, or the window below 1.
        """
        return benchmarked(self.benchmark_results, interval, window=sliding_window_size)

    def create_docs(self) -> None:
        """Write the AsyncAPI document and its page; see `fastkafka docs generate`.

        They go to ``asyncapi/spec/asyncapi.yml`` and ``asyncapi/docs/index.html`` below
        `root_path`, or below the current directory.

        Raises:
            ConfigError: A contact, or the security of a broker, is incomplete.
        """
        importlib.import_module("fastkafka.asyncapi").write_docs(self, self.root_path)

    def create_mocks(self) -> None:
        """Give `mocks` and `awaited_mocks` a mock for each function, for tests.

        A function calls its mock with copies of its arguments before it runs. A
        `Tester` does this by itself.

        Raises:
            ValueError: Two functions have one name, or one begins with an underscore.
        """
        importlib.import_module("fastkafka.testing.mocks").create_mocks(self)

    # Asking.

    @property
    def brokers(self) -> Mapping[str, Sequence[KafkaBroker]]:
        """The clusters by name; each is a list of bootstrap servers."""
        return self._choice.brokers

    @property
    def is_started(self) -> bool:
        """Whether the app has started and not yet begun to stop."""
        return self._supervisor is not None

    @property
    def failure(self) -> BaseException | None:
        """The error that ended the app, which is to be stopped now."""
        return None if self._supervisor is None else self._supervisor.failure

    @property
    def group_id(self) -> str | None:
        """The group of every function that names no other; None is no group."""
        default = default_group(self.title, self._module)
        return client_settings.group_id(self._settings, default=default)

    def snapshot(self) -> Snapshot:
        """Return what the app does at this moment: counts, lag, problems.

        Before the app has started and after it has stopped, it is not ready; the counts
        are kept until it starts again.
        """
        if self._running is not None:
            return self._running.snapshot()
        return self._last.stopped()

    @cached_property
    def asgi(self) -> Any:
        """A small ASGI app: probes, metrics, the AsyncAPI document and the page.

        Mount it in FastAPI, or serve it with ``fastkafka run --http``; see
        docs/observability.md.
        """
        return importlib.import_module("fastkafka.web.mounting").mounted(self)

    def lanes(self) -> Sequence[str]:
        """Return what each lane does at this moment, a line for each, for people."""
        members = () if self._running is None else self._running.members
        return [line for member in members for line in member.lanes()]

    # Watching.

    def observe(self, listener: Listener) -> None:
        """Let *listener* hear of every event from the next start on.

        Args:
            listener: Has `on_event`; see `fastkafka.observe.events`. One that is a
                `Tracer` too stands around each call of a handler; of several tracers
                the first one does.
        """
        self._listeners.append(listener)

    # Choosing the cluster.

    def set_kafka_broker(self, kafka_broker_name: str) -> None:
        """Choose a cluster of `kafka_brokers`; takes effect at the next start.

        Raises:
            ConfigError: There is none of that name.
        """
        self._choice = self._choice.of(kafka_broker_name)

    def set_bootstrap_servers(self, bootstrap_servers: str) -> None:
        """Use one address instead of every cluster of `kafka_brokers`.

        Args:
            bootstrap_servers: ``host:port``, or several with commas.
        """
        self._choice = replace(self._choice, address=bootstrap_servers)

    # Producing.

    async def produce(
        self,
        message: Any,
        *,
        topic: str,
        key: bytes | None = None,
        headers: Headers | None = None,
        partition: int | None = None,
        timestamp: int | None = None,
    ) -> None:
        """Send to a topic that is known only at run time; else declare a producer.

        Inside a handler it only queues the record, whose acknowledgement the handler's
        input waits for. Elsewhere it waits for the acknowledgement itself.

        Args:
            message: Sent as JSON, or untouched as `bytes`. A list is several messages;
                a `KafkaEvent` is taken apart; None is a tombstone, which needs a key.
            topic: Where it goes.
            key: Records of one key keep their order.
            headers: Names and raw values, in order.
            partition: The partition's number; None lets the key decide.
            timestamp: Milliseconds since the epoch; None is now.

        Raises:
            ConfigError: Kafka would not take the topic's name.
            NotStartedError: The app does not run.
            ProduceError: The message cannot be encoded, or the broker did not
                acknowledge it.
        """
        check_topic(topic, where="produce")
        client = partial(self._producer_at, None, caller="produce")
        door = Door("produce", client, codecs.for_encoding("json", Any))
        await door.send(
            message,
            topic=topic,
            key=key,
            headers=headers,
            partition=partition,
            timestamp=timestamp,
        )

    # Running.

    def fastapi_lifespan(
        self, kafka_broker_name: str
    ) -> Callable[[Any], AbstractAsyncContextManager[None]]:
        """Return what ``FastAPI(lifespan=...)`` takes to run this app beside it.

        Args:
            kafka_broker_name: A cluster of `kafka_brokers`.

        Raises:
            ConfigError: There is none of that name.
        """
        self._choice.of(kafka_broker_name)  # or raises here, and not at the start
        return lifespans.beside(self, partial(self.set_kafka_broker, kafka_broker_name))

    async def __aenter__(self) -> FastKafka:
        """Enter the lifespan, connect, and wait for the first assignment.

        Raises:
            ConfigError: The cluster's name or address is wrong.
            BrokerUnavailableError: No broker answered.
            ClientError: A broker refused.
        """
        if self._supervisor is not None:
            raise RuntimeError(
                f"The app '{self.title or self._module}' runs already. "
                "Stop it before you start it."
            )
        supervisor = self._supervise()
        for remark in self._defaults().remarks((*self.consumers, *self.producers)):
            logger.info("%s", remark)
        stack = self._stack = AsyncExitStack()
        await stack.enter_async_context(lifespans.entered(self.lifespan, self))
        self._running = supervisor
        stack.callback(self._forget_running)
        try:
            await supervisor.start()
        except BaseException:
            # A start that fails or is told to stop is no error of the lifespan's.
            try:
                await supervisor.stop(self.shutdown_timeout)
            finally:
                await stack.aclose()
            raise
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
            await lifespans.left(self._stack, own)
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
            raise NotStartedError("The app does not run. Use `async with app:`.")
        raise await self._supervisor.wait_failed()

    # How.

    def _supervise(self) -> Supervisor:
        defaults = self._defaults()
        return Supervisor(
            self,
            consumers=defaults.consumer_groups(self._consumers, self._servers_of),
            producers=defaults.producer_groups(self._producing, self._servers_of),
            tasks=self._tasks,
            transport=self._transport or default_transport(),
            revoke_timeout=self.revoke_timeout,
            given_up=self._given_up,
            prepare=self.control.prepare,
            listeners=tuple(self._listeners),
        )

    def _forget_running(self) -> None:
        if self._running is not None:
            self._last = self._running.snapshot()
        self._running = None
        self.control.forget()

    def _defaults(self) -> Defaults:
        return replace(
            self._declared,
            group_id=self.group_id,
            at_once=self._at_once,
            worker=self.worker,
        )

    async def _producer_at(self, servers: str | None, *, caller: str) -> Producer:
        """Return the producer with the app's own settings.

        Args:
            servers: On which cluster; None is the app's own.
            caller: Who wants to produce, for the error.
        """
        if self._running is None:
            raise NotStartedError(
                f"`{caller}` was called before the app has started or after it has "
                "stopped. Call it in `async with app:`, in a handler, or in a "
                "background task."
            )
        servers = servers or self._choice.servers(None)
        return await self._running.producer(self._defaults().producer_config(servers))

    def _servers_of(self, route: ConsumerRoute | ProducerRoute) -> str:
        return self._choice.servers(route.brokers)

    def _override(
        self, brokers: BrokersSpec | None
    ) -> Mapping[str, Sequence[KafkaBroker]] | None:
        override = super()._override(brokers)
        if override is not None:
            self._choice.check_names(override)
        return override
