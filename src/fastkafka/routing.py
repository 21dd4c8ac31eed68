"""What the decorators record: one frozen route for each decorated function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastkafka.brokers import KafkaBroker
from fastkafka.codecs import Decoder, Encoder
from fastkafka.errors import ConfigError
from fastkafka.params import CallPlan, function_name


@dataclass(frozen=True, slots=True)
class ConsumerRoute:
    """A function that consumes.

    Attributes:
        function: The user's function, untouched.
        topics: The topics that it reads.
        plan: How to call it.
        decode: A record's value to its message.
        start_at: ``"earliest"``, ``"latest"`` or ``"none"``: where a new group starts.
        concurrency: How many sync calls may run at once.
        max_batch: The most records of one call of a batch handler.
        settings: Client settings given to the decorator.
        brokers: Brokers by name, when the decorator overrides the app's.
        description: For the documentation.
    """

    function: Callable[..., Any]
    topics: tuple[str, ...]
    plan: CallPlan
    decode: Decoder
    start_at: str
    concurrency: int
    max_batch: int
    settings: Mapping[str, object] = field(default_factory=dict)
    brokers: Mapping[str, Sequence[KafkaBroker]] | None = None
    description: str | None = None

    @property
    def name(self) -> str:
        """The function's name, as messages and logs call it."""
        return function_name(self.function)


@dataclass(frozen=True, slots=True)
class ProducerRoute:
    """A function that produces.

    Attributes:
        function: The user's function, untouched.
        topic: Where its values go.
        message: The declared type of one message; `Any` when none is declared.
        encode: A message to a record's value.
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
    confirm: bool | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    brokers: Mapping[str, Sequence[KafkaBroker]] | None = None
    description: str | None = None

    @property
    def name(self) -> str:
        """The function's name, as messages and logs call it."""
        return function_name(self.function)


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


_LONGEST_TOPIC = 249
