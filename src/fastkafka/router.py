"""The decorators: `Router` turns declarations into routes."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar, Unpack, cast

from fastkafka import codecs, params
from fastkafka import settings as client_settings
from fastkafka.brokers import BrokersSpec, KafkaBroker, parse_brokers
from fastkafka.errors import ConfigError, did_you_mean
from fastkafka.executors import StreamExecutor, concurrency_of
from fastkafka.policies import (
    SUFFIX,
    OnFailure,
    Retry,
    check_on_failure,
    check_retry,
    check_seconds,
    check_timeout,
)
from fastkafka.routing import (
    ConsumerRoute,
    Order,
    ProducerRoute,
    ProducingFunction,
    prefixed,
    topic_from_name,
    topics_of,
)

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

ORDERS: Sequence[Order] = ("partition", "key", "none")


class Router:
    """Functions that consume and produce, to be included in an app.

    An app is a router itself; a module of its own declares its functions on a `Router`,
    and the app takes them over with `include_router`.
    """

    def __init__(self) -> None:
        self._consumers: list[ConsumerRoute] = []
        self._producing: list[ProducingFunction] = []
        self._settings: Mapping[str, object] = {}

    @property
    def consumers(self) -> Sequence[ConsumerRoute]:
        """The functions that consume, in the order of their declaration."""
        return tuple(self._consumers)

    @property
    def producers(self) -> Sequence[ProducerRoute]:
        """The functions that produce, in the order of their declaration."""
        return tuple(function.route for function in self._producing)

    def get_topics(self) -> set[str]:
        """Return the names of all topics that are read or written.

        A pattern is not among them: what it stands for is known to the cluster only.
        """
        consumed = {topic for route in self._consumers for topic in route.topics}
        produced = {route.topic for route in self.producers}
        return {t for t in consumed if not t.startswith("^")} | produced

    def consumes(
        self,
        topic: str | Sequence[str] | re.Pattern[str] | None = None,
        decoder: codecs.DecoderSpec = "json",
        *,
        prefix: str = "on_",
        executor: str | StreamExecutor | None = None,
        order: Order | None = None,
        concurrency: int | None = None,
        max_batch: int | None = None,
        batch_timeout: float | None = None,
        retry: Retry | None = None,
        on_failure: OnFailure | None = None,
        handler_timeout: float | None = None,
        brokers: BrokersSpec | None = None,
        description: str | None = None,
        **settings: Unpack[client_settings.ConsumerSettings],
    ) -> Callable[[F], F]:
        """Call the decorated function with every message of a topic.

        The message is its first parameter that is not a special one, whatever its name:
        a pydantic model, a `msgspec.Struct`, a dataclass, a `TypedDict`, JSON types,
        `bytes` (untouched), or `Model | None` to receive tombstones. `list[Model]`
        makes it a batch handler. Special parameters, in any position: `EventMetadata`
        (`list[EventMetadata]` in batches), `Annotated[T, Key()]`,
        `Annotated[T, Header("name")]`, `Annotated[T, Depends(function)]`, `FastKafka`.
        A sync function runs in a worker thread.

        A record is committed when the function has returned *and* all that it produced
        is acknowledged. A record whose function raises is retried; what keeps failing,
        and what cannot be decoded, is parked in the topic ``<topic>-dlt``, or what
        *on_failure* says. The function can decide for itself: it raises `Reject`,
        `RetryLater`, `StopConsuming`, or in a batch `BatchError`; a batch handler may
        also return a list with an exception for each record that failed.

        Args:
            topic: A name, a list of names, or a compiled regular expression, which the
                whole name must match (dead-letter topics only if it has "-dlt" in it);
                default: the function's name without *prefix*.
            decoder: "json", "avro" (schemaless) or a function
                `(bytes, message type) -> message`.
            prefix: What function names start with.
            executor: The original's way to say *order* and *concurrency*:
                "SequentialExecutor" is one record at a time for the whole function,
                "DynamicTaskExecutor" many, in no order.
            order: "partition" (default): records of one partition one after another;
                "key": records of one key one after another, up to *concurrency* keys at
                once, a record without a key in any order; "none": up to *concurrency*
                records at once. Default: the app's.
            concurrency: See *order*; with order "partition" it bounds how many calls of
                a sync function run at once. Default: the app's, which is 32.
            max_batch: The most messages that a batch handler gets at once; default:
                `max_poll_records`, which is 100. There are never more than 10,000 of
                them, or about 16 MB: no partition has more in the engine.
            batch_timeout: Seconds that a batch waits for *max_batch* messages, from its
                first one on, before it is handled with what is there. All of a batch
                are of one partition. It does not wait when the partition goes, or the
                app stops. Default: the app's, which is 0: not at all.
            retry: How often it is called with a record that makes it raise; default:
                the app's, which is `Retry()`: three times.
            on_failure: What follows then: "dead_letter" (default): the record's bytes
                go to ``<topic>-dlt``, and it is committed when that is acknowledged;
                "stop": the app stops with exit code 1 and the record is the next one
                read; "skip": an error is logged; or a function of the record and the
                error. Default: the app's.
            handler_timeout: Seconds that one call of an async function may take; a
                longer one fails with a `TimeoutError`. It may be longer than
                `max_poll_interval_ms`: records are polled beside it. Default: the
                app's, no limit.
            brokers: Clusters to use instead of the app's, under the same names.
            description: For the AsyncAPI document; default: the docstring.
            settings: Consumer settings, over the app's; see docs/settings.md.

        Raises:
            ConfigError: The declaration cannot work.
        """

        def register(function: F) -> F:
            name = params.function_name(function)
            where = f"`{name}`"
            own = cast("Mapping[str, object]", settings)
            _swapped(own, where, wrong="encoder", right="decoder")
            client_settings.check(
                own, where=where, kind="consumer", also=argument_names(self.consumes)
            )
            # Made once here, so that settings which contradict each other fail here.
            client_settings.consumer_config(self._settings, own, where=where)
            topics = topics_of(function, topic, prefix)
            # Names of the function that declares, for an app made in a function.
            names = sys._getframe(1).f_locals
            plan = params.plan_handler(function, Router, names)
            how, at_once = order, concurrency
            if executor is not None:
                if order is not None or concurrency is not None:
                    raise ConfigError(
                        f"{where}: `executor` says the same as `order` and "
                        "`concurrency`. Use either."
                    )
                how, at_once = "none", concurrency_of(executor, where=where)
            if batch_timeout is not None:
                check_seconds("batch_timeout", batch_timeout, where=where)
            route = ConsumerRoute(
                function=function,
                topics=topics,
                plan=plan,
                decode=_named(codecs.for_decoding, decoder, plan.message, name),
                decoder=decoder,
                order=check_order(how, where=where),
                concurrency=check_count("concurrency", at_once, where=where),
                max_batch=check_count("max_batch", max_batch, where=where),
                batch_timeout=batch_timeout,
                retry=check_retry(retry, where=where),
                on_failure=check_on_failure(on_failure, where=where),
                timeout=check_timeout(handler_timeout, where=where),
                settings=own,
                brokers=self._override(brokers),
                description=description or function.__doc__,
            )
            if handler_timeout is not None and not plan.is_async:
                raise ConfigError(
                    f"{where} is sync: it runs in a thread, which `handler_timeout` "
                    f"cannot end. Write `async def {name}(...)`."
                )
            if not plan.batch and (max_batch, batch_timeout) != (None, None):
                given = "batch_timeout" if max_batch is None else "max_batch"
                raise ConfigError(
                    f"{where} takes one message at a time, so `{given}` has no "
                    "meaning. Take a list of them, `list[...]`, or leave it out."
                )
            if any(t.endswith(SUFFIX) for t in topics) and on_failure is None:
                on_dead_letters = [t for t in topics if t.endswith(SUFFIX)]
                raise ConfigError(
                    f"{where} reads {on_dead_letters[0]!r}, a dead-letter topic, whose "
                    f"own dead letters would go to '{on_dead_letters[0]}{SUFFIX}'. "
                    "Say what should happen: `on_failure=`."
                )
            if plan.batch and how == "key":
                raise ConfigError(
                    f"{where} takes batches, which hold records of many keys, so "
                    "`order` cannot be 'key'. Use 'partition' or 'none', or take one "
                    "message."
                )
            self._consumers.append(route)
            self._attach(name, function, description)
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
        value is a message; a list of them, each a record of its own; a `KafkaEvent` for
        key, headers, partition or timestamp; or None, which sends nothing. A generator
        function sends all that it yields, and the call returns it as a list.

        Inside a handler the call only queues the record: the handler's input is
        committed when the record is acknowledged. Elsewhere `await to_x(...)` waits for
        the acknowledgement and raises `ProduceError`; a sync function cannot wait, and
        a refused record is logged.

        Args:
            topic: Its name; default: the function's name without *prefix*.
            encoder: "json", "avro" (schemaless) or a function `(message) -> bytes`.
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
            where = f"`{name}`"
            own = cast("Mapping[str, object]", settings)
            _swapped(own, where, wrong="decoder", right="encoder")
            client_settings.check(
                own, where=where, kind="producer", also=argument_names(self.produces)
            )
            client_settings.producer_config(self._settings, own, where=where)
            asynchronous = params.is_async(function) or inspect.isasyncgenfunction(
                function
            )
            if confirm and not asynchronous:
                raise ConfigError(
                    f"{where}: `confirm=True` waits for the acknowledgement, which a "
                    f"sync function cannot. Write `async def {name}(...)`."
                )
            names = sys._getframe(1).f_locals
            message = params.plan_producer(function, names)
            given = topic
            if given is None:
                given = topic_from_name(function, prefix)
            route = ProducerRoute(
                function=function,
                topic=topics_of(function, given, prefix)[0],
                message=message,
                encode=_named(codecs.for_encoding, encoder, message, name),
                encoder=encoder,
                returns=params.resolve_hints(function, names).get("return", Any),
                confirm=confirm,
                settings=own,
                brokers=self._override(brokers),
                description=description or function.__doc__,
            )
            producing = ProducingFunction(route)
            self._producing.append(producing)
            self._attach(name, producing.call, description)
            return cast("Callable[P, R]", producing.call)

        return register

    def include_router(self, router: Router, prefix: str = "") -> None:
        """Take over the functions of another router.

        Args:
            router: Declared completely: what it gets afterwards is not taken over.
            prefix: Put before its topics, those that it reads and those that it writes.

        Raises:
            ConfigError: It is an app, or the router itself.
        """
        if router is self or type(router) is not Router:
            raise ConfigError(
                f"`include_router` takes a `Router`, not {router!r}. "
                "Two apps are two services: start each of them."
            )
        for route in router._consumers:
            topics = tuple(prefixed(topic, prefix) for topic in route.topics)
            self._consumers.append(dataclasses.replace(route, topics=topics))
            self._attach(route.name, route.function)
        for function in router._producing:
            # The function itself is taken over: modules have it by its name already.
            topic = prefixed(function.route.topic, prefix)
            function.route = dataclasses.replace(function.route, topic=topic)
            self._producing.append(function)
            self._attach(function.route.name, function.call)

    def _override(
        self, brokers: BrokersSpec | None
    ) -> Mapping[str, Sequence[KafkaBroker]] | None:
        return None if brokers is None else parse_brokers(brokers)

    def _attach(
        self, name: str, function: Callable[..., Any], description: str | None = None
    ) -> None:
        """Offer a decorated function as an attribute; let it have its description."""
        if not hasattr(type(self), name):
            setattr(self, name, function)
        if description is not None:
            with contextlib.suppress(AttributeError):  # methods have no attributes
                function.description = description  # type: ignore[attr-defined]


def argument_names(function: Callable[..., Any]) -> Collection[str]:
    """Return the names of a function's own arguments, for hints about misspelt ones."""
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]


def check_count(name: str, value: object, *, where: str) -> int | None:
    """Return a number from 1, or None when nothing was given.

    Raises:
        ConfigError: It is something else.
    """
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{where}: `{name}` is {value!r}. Use a number from 1.")
    return value


def check_order(value: object, *, where: str) -> Order | None:
    """Return an order, or None when nothing was given.

    Raises:
        ConfigError: It is none.
    """
    if value is not None and value not in ORDERS:
        raise ConfigError(
            f"{where}: `order` is {value!r}. Use 'partition', 'key' or 'none'."
            f"{did_you_mean(str(value), ORDERS)}"
        )
    return cast("Order | None", value)


def _swapped(
    settings: Mapping[str, object], where: str, *, wrong: str, right: str
) -> None:
    if wrong in settings:
        raise ConfigError(
            f"{where}: `{wrong}=` belongs to the other direction. "
            f"Write `{right}={settings[wrong]!r}`."
        )


def _named(
    make: Callable[[Any, Any], Any], spec: object, message: Any, name: str
) -> Any:
    """Make a codec; an error says for which function."""
    try:
        return make(spec, message)
    except ConfigError as error:
        raise ConfigError(f"`{name}`: {error}") from error
