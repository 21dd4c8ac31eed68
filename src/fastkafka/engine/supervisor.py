"""Start, drain, stop: the order in which an app's parts come and go.

Start: producers connect, consumers join their groups, background tasks begin. Stop,
with one deadline for all of it: background tasks end, intake stops and lanes drain,
producers flush, offsets are committed, clients close.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastkafka.engine.consumer import GroupMember
from fastkafka.engine.deadletters import DeadLetters
from fastkafka.engine.producer import Sender
from fastkafka.engine.watchdog import Watchdog
from fastkafka.errors import FastKafkaError, NotStartedError, RecordError
from fastkafka.observe.events import Event, Listener, is_tracer
from fastkafka.observe.snapshot import Snapshot
from fastkafka.params import function_name
from fastkafka.routing import Handler, ProducingFunction
from fastkafka.transport.base import Producer, ProducerState, Transport

logger = logging.getLogger(__name__)

STANDBY_SECONDS = 10.0
"""Without an assignment for so long, a member is taken for a standby."""

_RESERVE = 0.2
_MOST_RESERVED = 5.0
"""Of a stop's time, what draining leaves for flushing, committing and closing."""

BackgroundTask = Callable[[], Coroutine[Any, Any, object]]


@dataclass(frozen=True, slots=True)
class ConsumerGroup:
    """Functions that share one client: same cluster, same group, same settings."""

    handlers: Sequence[Handler]
    config: dict[str, Any]
    dead_letters: Mapping[str, Any]
    """The configuration of the producer of its dead letters."""


@dataclass(frozen=True, slots=True)
class ProducerGroup:
    """Functions that share one client: same cluster, same settings.

    Attributes:
        functions: Each with a name that tells it apart from the app's others.
        config: The client's configuration.
    """

    functions: Sequence[tuple[str, ProducingFunction]]
    config: Mapping[str, Any]


class Supervisor:
    """Runs everything that an app consists of, once.

    Args:
        app: Given to handlers that ask for it.
        consumers: What to consume.
        producers: What to produce with.
        tasks: Background tasks, started last.
        transport: Makes the clients.
        revoke_timeout: Seconds that a revoke waits for what is in flight.
        given_up: Told of each record that failed for good and was passed over.
        prepare: Told of each member before it joins its group.
        listeners: Hear of events; one that is a `Tracer` too stands around each call.
    """

    def __init__(
        self,
        app: object,
        *,
        consumers: Sequence[ConsumerGroup],
        producers: Sequence[ProducerGroup],
        tasks: Sequence[BackgroundTask],
        transport: Transport,
        revoke_timeout: float,
        given_up: Callable[[RecordError], None],
        prepare: Callable[[GroupMember], None] = lambda member: None,
        listeners: Sequence[Listener] = (),
    ) -> None:
        self.loop = asyncio.get_running_loop()
        """Where it runs."""
        self._app = app
        self._consumer_groups = consumers
        self._producer_groups = producers
        self._task_functions = tasks
        self._transport = transport
        self.revoke_timeout = revoke_timeout
        self._prepare = prepare
        self._given_up = given_up
        self._listeners = listeners
        self.tracer = next((one for one in listeners if is_tracer(one)), None)
        self._one_by_one = asyncio.Lock()
        self._watchdog = Watchdog(self, self.tell)
        self.started = False
        """All parts run, and every member has its first assignment, or stands by."""
        self.members: list[GroupMember] = []
        """What consumes, one for each client."""
        self._producers: list[Producer] = []
        self._connected: list[tuple[str, Producer]] = []
        self._senders: list[Sender] = []
        self._clients: dict[Any, asyncio.Future[Producer]] = {}
        self._tasks: list[asyncio.Task[Any]] = []
        self._draining: list[asyncio.Task[None]] = []
        self._stopping = self._closing = False
        self.failure: BaseException | None = None
        """The error that ended the app."""
        self._failed = asyncio.Event()

    async def start(self) -> None:
        """Start everything; on an error stop what was started and raise it.

        Raises:
            BrokerUnavailableError: No broker answered.
            ClientError: A broker refused.
        """
        self._watchdog.start()
        await _all(self._start_producer(group) for group in self._producer_groups)
        await _all(self._start_member(group) for group in self._consumer_groups)
        if self.failure is not None:
            raise self.failure
        for function in self._task_functions:
            task = asyncio.ensure_future(function())
            task.set_name(function_name(function))
            task.add_done_callback(self._task_ended)
            self._tasks.append(task)
            logger.debug("Background task '%s' started", task.get_name())
        self.started = True
        self.tell(Event("started", "", "The app has started."))

    async def producer(self, config: Mapping[str, Any]) -> Producer:
        """Return the client with this configuration; make it if no function has one.

        Raises:
            NotStartedError: The app has stopped.
            BrokerUnavailableError: No broker answered.
        """
        if self._closing:
            raise NotStartedError(
                "The app has stopped. Produce in `async with app:`, in a handler, or "
                "in a background task."
            )
        key = frozenset(config.items())
        client = self._clients.get(key)
        if client is None or (client.done() and client.exception() is not None):
            client = asyncio.ensure_future(self._connect(config, ()))
            self._clients[key] = client
        # Whoever waits too must not be cancelled with the one who came first.
        return await asyncio.shield(client)

    def producers(self) -> Sequence[tuple[str, ProducerState]]:
        """Return the bootstrap servers and the state of each producer."""
        return [(servers, p.state()) for servers, p in self._connected]

    def tell(self, event: Event) -> None:
        """Pass an event on to all who listen."""
        for listener in self._listeners:
            try:
                listener.on_event(event)
            except Exception:
                logger.exception("A listener failed with the event %r", event.kind)

    def snapshot(self) -> Snapshot:
        """Return what it looks like at this moment."""
        return Snapshot(
            time.time(),
            os.getpid(),
            functions=[f for member in self.members for f in member.functions()],
            partitions=[p for member in self.members for p in member.partitions()],
            members=[member.snapshot() for member in self.members],
            producing=[sender.snapshot() for sender in self._senders],
            edges=[edge for member in self.members for edge in member.edges()],
            problems=list(self._watchdog.problems()),
            loop_lag=self._watchdog.loop_lag,
        )

    async def wait_failed(self) -> BaseException:
        """Return the error that ended the app, as soon as there is one."""
        await self._failed.wait()
        assert self.failure is not None
        return self.failure

    async def stop(self, timeout: float) -> None:
        """Stop everything within *timeout* seconds.

        Raises:
            FastKafkaError: Records that were produced outside handlers, or by a
                handler that was cut off, were still not acknowledged.
        """
        self._stopping = True
        self._watchdog.stop()
        self.tell(Event("stopping", "", "The app stops."))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        drained = deadline - min(timeout * _RESERVE, _MOST_RESERVED)
        await self._stop_tasks(drained - loop.time())
        await asyncio.gather(*(m.drain(drained - loop.time()) for m in self.members))
        self._closing = True
        for client in self._clients.values():
            client.cancel()
        for group in self._producer_groups:
            for _, function in group.functions:
                function.sender = None
        # Outputs first: what they acknowledge may then be committed.
        left = await asyncio.gather(
            *(p.stop(max(0.5, deadline - loop.time())) for p in self._producers)
        )
        await asyncio.sleep(0)  # the last acknowledgements reach their scopes
        await asyncio.gather(*(m.close(deadline - loop.time()) for m in self.members))
        if sum(left):
            raise FastKafkaError(
                f"{sum(left)} produced records were not acknowledged by the broker "
                f"before the stop's deadline of {timeout:g} s. They may be lost."
            )

    def fail(self, error: BaseException) -> None:
        """End the app because of *error*: consuming stops at once; said once."""
        if self.failure is not None:
            return
        self.failure = error
        ours = isinstance(error, FastKafkaError)
        cause = error.__cause__ if ours else error
        logger.error(
            "%s The app stops. Nothing after the last committed offset is lost: it is "
            "read again at the next start.",
            _sentence(error),
            exc_info=cause,
        )
        self._failed.set()
        # A failed app takes in nothing more, whenever its owner gets to stop it.
        self._draining = [
            asyncio.ensure_future(m.drain(self.revoke_timeout)) for m in self.members
        ]

    async def _start_producer(self, group: ProducerGroup) -> None:
        topics = {function.route.topic for _, function in group.functions}
        connecting = asyncio.ensure_future(self._connect(group.config, topics))
        self._clients[frozenset(group.config.items())] = connecting
        producer = await connecting
        for name, function in group.functions:
            function.sender = Sender(function.route, producer, self.tracer, name=name)
            self._senders.append(function.sender)

    async def _connect(
        self, config: Mapping[str, Any], topics: Collection[str]
    ) -> Producer:
        producer = self._transport.producer(config, topics)
        self._producers.append(producer)
        _warn_of_missing(await producer.start(), config)
        self._connected.append((str(config.get("bootstrap.servers", "")), producer))
        return producer

    async def _start_member(self, group: ConsumerGroup) -> None:
        member = GroupMember(
            group.handlers,
            group=group.config.get("group.id"),
            servers=str(group.config.get("bootstrap.servers", "")),
            app=self._app,
            dead_letters=DeadLetters(
                group.config.get("group.id"),
                functools.partial(self.producer, group.dead_letters),
            ),
            given_up=self._given_up,
            failed=self.fail,
            one_by_one=self._one_by_one,
            tell=self.tell,
            tracer=self.tracer,
        )
        self._prepare(member)
        consumer = self._transport.consumer(
            group.config,
            member.topics,
            member,
            start_at={t: h.start_at for h in group.handlers for t in h.route.topics},
            on_gap={t: h.on_gap for h in group.handlers for t in h.route.topics},
            revoke_timeout=self.revoke_timeout,
        )
        self.members.append(member)
        missing = await member.start(consumer)
        _warn_of_missing(missing, group.config)
        if len(missing) < len(member.topics):
            await self._first_assignment(member)

    async def _first_assignment(self, member: GroupMember) -> None:
        assigned = asyncio.ensure_future(member.assigned.wait())
        failed = asyncio.ensure_future(self._failed.wait())
        try:
            await asyncio.wait(
                [assigned, failed],
                timeout=STANDBY_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            assigned.cancel()
            failed.cancel()
        if not member.assigned.is_set() and self.failure is None:
            logger.info(
                "No partition of %s is assigned to this worker: it stands by.",
                ", ".join(sorted(member.topics)),
            )

    async def _stop_tasks(self, timeout: float) -> None:
        for task in self._tasks:
            logger.debug("Cancelling background task '%s'", task.get_name())
            task.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=max(0.0, timeout))
            for task in late:
                logger.error(
                    "Background task '%s' did not end in time.", task.get_name()
                )

    def _task_ended(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled() or task.exception() is None:
            return
        error = task.exception()
        assert error is not None
        logger.error("Background task '%s' failed.", task.get_name(), exc_info=error)
        if self._stopping:
            self.failure = self.failure or error
        else:
            self.fail(error)


async def _all(starting: Any) -> None:
    """Run starts side by side; let all of them end before the first error is raised."""
    results = await asyncio.gather(*starting, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


def _warn_of_missing(topics: Collection[str], config: Mapping[str, Any]) -> None:
    servers = config.get("bootstrap.servers")
    for topic in sorted(topics):
        logger.warning(
            "Topic '%s' does not exist at %s. Create it: kafka-topics.sh "
            "--bootstrap-server %s --create --topic %s",
            topic,
            servers,
            servers,
            topic,
        )


def _sentence(error: BaseException) -> str:
    text = str(error) if isinstance(error, FastKafkaError) else repr(error)
    return text if text.endswith(".") else f"{text}."
