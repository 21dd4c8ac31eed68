"""What the decorators record: one frozen route for each decorated function.

A `Router` collects routes; an app is one, and includes others.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Literal, Protocol

from fastkafka.brokers import KafkaBroker
from fastkafka.codecs import Decoder, DecoderSpec, Encoder, EncoderSpec
from fastkafka.errors import ConfigError, NotStartedError
from fastkafka.params import CallPlan, function_name, is_async
from fastkafka.policies import SUFFIX, OnFailure, Retry, leaves_out_dead_letters

Order = Literal["partition", "key", "none"]

PATTERN = "^"
"""What begins the name of a topic that is a regular expression, as in librdkafka."""

_LONGEST_TOPIC = 249


@dataclass(frozen=True, slots=True)
class ConsumerRoute:
    """A function that consumes, as its decorator recorded it.

    Attributes:
        function: The user's function, untouched.
        topics: The topics that it reads; one that begins with ``^`` is a pattern.
        plan: How to call it.
        decode: A record's value to its message.
        decoder: What *decode* was made of: its name or the user's function.
        order: What is handled one after another; None is the app's.
        concurrency: How many keys, records or sync calls are handled at once; None is
            the app's.
        max_batch: The most records of one call of a batch handler; None is the app's.
        batch_timeout: Seconds that a batch waits to be filled; None is the app's.
        retry: How often it is called with a record that fails; None is the app's.
        on_failure: What follows then; None is the app's.
        timeout: Seconds that one call may take; None is the app's.
        settings: Client settings given to the decorator.
        brokers: Brokers by name, when the decorator overrides the app's.
        description: For the documentation.
    """

    function: Callable[..., Any]
    topics: tuple[str, ...]
    plan: CallPlan
    decode: Decoder
    decoder: DecoderSpec = "json"
    order: Order | None = None
    concurrency: int | None = None
    max_batch: int | None = None
    batch_timeout: float | None = None
    retry: Retry | None = None
    on_failure: OnFailure | None = None
    timeout: float | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    brokers: Mapping[str, Sequence[KafkaBroker]] | None = None
    description: str | None = None

    @property
    def name(self) -> str:
        """The function's name, as messages and logs call it."""
        return function_name(self.function)

    def reads(self, topic: str) -> bool:
        """Whether it handles the records of a topic."""
        return any(_means(name, topic) for name in self.topics)


@dataclass(frozen=True, slots=True)
class Handler:
    """A function that consumes, with everything settled: what the engine runs.

    Attributes:
        route: What the decorator recorded.
        name: The function's; with its module, its topics or its group where the app has
            others of the same name.
        start_at: ``"earliest"``, ``"latest"`` or ``"none"``: where a new group starts.
        on_gap: ``"stop"``, ``"earliest"`` or ``"latest"``: what follows when the broker
            no longer has the group's offset, or the topic was made again.
        order: What is handled one after another: a partition, a key or nothing.
        concurrency: How many keys, records or sync calls are handled at once.
        max_batch: The most records of one call of a batch handler.
        batch_timeout: Seconds that a batch waits to be filled; 0 takes what is there.
        retry: How often it is called with a record that fails.
        on_failure: What follows when that is used up.
        timeout: Seconds that one call may take; None is no limit.
    """

    route: ConsumerRoute
    name: str
    start_at: str
    order: Order
    concurrency: int
    max_batch: int
    batch_timeout: float = 0.0
    retry: Retry = field(default_factory=Retry)
    on_failure: OnFailure = "dead_letter"
    timeout: float | None = None
    on_gap: str = "stop"

    def reads(self, topic: str) -> bool:
        """Whether it handles the records of a topic."""
        return self.route.reads(topic)


@dataclass(frozen=True, slots=True)
class ProducerRoute:
    """A function that produces.

    Attributes:
        function: The user's function, untouched.
        topic: Where its values go.
        message: The declared type of one message; `Any` when none is declared.
        returns: Its return annotation, resolved; `Any` when there is none.
        encode: A message to a record's value.
        encoder: What *encode* was made of: its name or the user's function.
        confirm: True waits for the acknowledgement always, False never, None where
            nobody else would (outside a handler).
        settings: Client settings given to the decorator.
        brokers: Brokers by name, when the decorator overrides the app's.
        description: For the documentation.
    """

    function: Callable[..., Any]
    topic: str
    message: Any
    encode: Encoder
    encoder: EncoderSpec = "json"
    returns: Any = Any
    confirm: bool | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    brokers: Mapping[str, Sequence[KafkaBroker]] | None = None
    description: str | None = None

    @property
    def name(self) -> str:
        """The function's name, as messages and logs call it."""
        return function_name(self.function)


class Sending(Protocol):
    """What sends a producing function's values while the app runs."""

    def send(self, value: Any) -> None:
        """Send without waiting for the acknowledgement."""

    async def send_and_wait(self, value: Any) -> None:
        """Send, and wait where nobody else would."""


class ProducingFunction:
    """A producing function as the user calls it: it runs, and sends what it returns.

    Attributes:
        route: What the decorator recorded.
        sender: Set while the app runs.
        call: The function to be called; it keeps the signature of the user's.
    """

    def __init__(self, route: ProducerRoute) -> None:
        self.route = route
        self.sender: Sending | None = None
        self.call = self._wrap(route.function)

    def _wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        # The route is asked at each call: tests put a mock before its function.
        if inspect.isasyncgenfunction(function):

            @wraps(function)
            async def produce(*args: Any, **kwargs: Any) -> Any:
                return await self._send_each_async(self.route.function(*args, **kwargs))
        elif is_async(function):

            @wraps(function)
            async def produce(*args: Any, **kwargs: Any) -> Any:
                value = await self.route.function(*args, **kwargs)
                await self._started().send_and_wait(value)
                return value
        elif inspect.isgeneratorfunction(function):

            @wraps(function)
            def produce(*args: Any, **kwargs: Any) -> Any:
                return self._send_each(self.route.function(*args, **kwargs))
        else:

            @wraps(function)
            def produce(*args: Any, **kwargs: Any) -> Any:
                value = self.route.function(*args, **kwargs)
                sender = self.sender
                (self._started() if sender is None else sender).send(value)
                return value

        return produce

    def _send_each(self, values: Iterator[Any]) -> list[Any]:
        """Send what a generator yields, one by one; return all of it."""
        sent = []
        for value in values:
            self._started().send(value)
            sent.append(value)
        return sent

    async def _send_each_async(self, values: AsyncIterator[Any]) -> list[Any]:
        sent = []
        async for value in values:
            await self._started().send_and_wait(value)
            sent.append(value)
        return sent

    def _started(self) -> Sending:
        if self.sender is None:
            raise NotStartedError(
                f"`{self.route.name}` was called before the app has started or after "
                "it has stopped. Call it in `async with app:`, in a handler, or in a "
                "background task."
            )
        return self.sender


def _means(name: str, topic: str) -> bool:
    if not name.startswith(PATTERN):
        return name == topic
    if topic.endswith(SUFFIX) and leaves_out_dead_letters(name):
        return False
    return bool(re.fullmatch(name, topic))


def prefixed(topic: str, prefix: str) -> str:
    """Put *prefix* before a topic, or before what a pattern matches."""
    if topic.startswith(PATTERN):
        return PATTERN + re.escape(prefix) + topic.removeprefix(PATTERN)
    return prefix + topic


def topics_of(
    function: Callable[..., Any],
    topic: str | Sequence[str] | re.Pattern[str] | None,
    prefix: str,
) -> tuple[str, ...]:
    """Return the topics that a consuming function reads.

    Raises:
        ConfigError: A name that Kafka would not take, or a pattern with flags.
    """
    name = function_name(function)
    if topic is None:
        return (topic_from_name(function, prefix),)
    if isinstance(topic, re.Pattern):
        return (_pattern(topic, where=name),)
    if isinstance(topic, str):
        return (check_topic(topic, where=name),)
    if not isinstance(topic, Sequence) or not topic:
        raise ConfigError(
            f"`{name}`: `topic` is {topic!r}. "
            "Use a name, a list of names or a compiled pattern."
        )
    return tuple(dict.fromkeys(check_topic(one, where=name) for one in topic))


def topic_from_name(function: Callable[..., Any], prefix: str) -> str:
    """Return the topic that a function's name stands for: ``on_orders`` reads orders.

    Raises:
        ConfigError: The name does not start with *prefix*, or nothing follows it.
    """
    name = function_name(function)
    if not name.startswith(prefix) or name == prefix:
        raise ConfigError(
            f"Function name '{name}' must start with {prefix}, followed by the name "
            "of the topic. Rename the function, or name the topic: `topic=...`."
        )
    return name.removeprefix(prefix)


def check_topic(name: object, *, where: str) -> str:
    """Return a topic's name if Kafka would take it.

    Raises:
        ConfigError: It would not.
    """
    legal = (
        isinstance(name, str)
        and 0 < len(name) <= _LONGEST_TOPIC
        and name not in (".", "..")
        and all(c.isascii() and (c.isalnum() or c in "._-") for c in name)
    )
    if not legal:
        raise ConfigError(
            f"`{where}`: {name!r} is not a topic's name. Kafka takes 1 to "
            f"{_LONGEST_TOPIC} characters of a-z, A-Z, 0-9, '.', '_' and '-'."
        )
    return str(name)


def _pattern(pattern: re.Pattern[str], *, where: str) -> str:
    if pattern.flags & ~re.UNICODE:
        raise ConfigError(
            f"`{where}`: the pattern {pattern.pattern!r} has flags, which the Kafka "
            "client does not know. Write it without flags."
        )
    return f"{PATTERN}{pattern.pattern.removeprefix(PATTERN).removesuffix('$')}$"
