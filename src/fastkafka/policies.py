"""What happens to a record whose handler failed: how users say it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from fastkafka.errors import ConfigError, RecordError, did_you_mean
from fastkafka.messages import Record

FailureHook = Callable[[Record, RecordError], Awaitable[None] | None]
"""Called with a record that failed for good; when it returns, the record is done."""

OnFailure = Literal["dead_letter", "stop", "skip"] | FailureHook

ACTIONS = ("dead_letter", "stop", "skip")

SUFFIX = "-dlt"
"""What a dead-letter topic's name has behind its source's."""


def leaves_out_dead_letters(pattern: str) -> bool:
    """Whether a pattern of topics is not meant for dead-letter topics.

    ``orders.*`` would read the dead letters of what it reads itself, for ever. One that
    has the suffix in it wants them.
    """
    return SUFFIX not in pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a handler is called with a record that makes it raise.

    Waiting holds up only the record's key, or its partition where that keeps the order.
    What cannot be decoded is never retried, nor is what raises `Reject`.

    Attributes:
        attempts: Calls in all, the first one included; 1 is no retry. Default 3.
        delay: Seconds before the second call; default 0.5.
        factor: What the delay is multiplied with for each further call; default 2.
        max_delay: The longest delay, in seconds; default 30.
        jitter: A delay is longer or shorter by up to this share; default 0.1.
        exceptions: What is retried; default every `Exception`.

    Raises:
        ConfigError: A number that cannot be.
    """

    attempts: int = 3
    delay: float = 0.5
    factor: float = 2.0
    max_delay: float = 30.0
    jitter: float = 0.1
    exceptions: tuple[type[BaseException], ...] = (Exception,)

    def __post_init__(self) -> None:
        if not _is_number(self.attempts, int) or self.attempts < 1:
            raise ConfigError(
                f"Retry: `attempts` is {self.attempts!r}. It counts all calls, the "
                "first one too. Use a number from 1, which is no retry."
            )
        for name, least in (("delay", 0), ("max_delay", 0), ("factor", 1)):
            value = getattr(self, name)
            if not _is_number(value, int | float) or not least <= value < math.inf:
                raise ConfigError(
                    f"Retry: `{name}` is {value!r}. Use a number from {least}."
                )
        if not _is_number(self.jitter, int | float) or not 0 <= self.jitter <= 1:
            raise ConfigError(
                f"Retry: `jitter` is {self.jitter!r}. Use a number from 0 to 1."
            )
        given: Any = self.exceptions
        classes = given if isinstance(given, tuple) else (given,)
        if not all(
            isinstance(c, type) and issubclass(c, BaseException) for c in classes
        ):
            raise ConfigError(
                f"Retry: `exceptions` is {given!r}. Use a tuple of exception classes."
            )
        object.__setattr__(self, "exceptions", classes)

    def wait_after(self, attempt: int, chance: float) -> float:
        """Return how many seconds to wait after a call that failed.

        Args:
            attempt: Which call it was, from 1.
            chance: A number from 0 to 1, for the jitter.
        """
        # The power is bounded first: a float has no room for factor ** 10_000.
        longest = min(attempt - 1, 1000)
        try:
            delay = min(self.delay * self.factor**longest, self.max_delay)
        except OverflowError:
            delay = self.max_delay
        return delay * (1 + self.jitter * (2 * chance - 1))


def check_on_failure(value: Any, *, where: str) -> OnFailure | None:
    """Return what to do with a record that failed for good, or None.

    Raises:
        ConfigError: It is none of the actions, nor a function of the record and error.
    """
    if value is None or value in ACTIONS:
        return value  # type: ignore[no-any-return]
    if callable(value):
        if not _takes_two(value):
            raise ConfigError(
                f"{where}: `on_failure` is {value!r}, which cannot be called with a "
                "record and an error. Write `def on_failure(record, error)`."
            )
        return value  # type: ignore[no-any-return]
    raise ConfigError(
        f"{where}: `on_failure` is {value!r}. Use 'dead_letter', 'stop', 'skip' or a "
        f"function of the record and the error.{did_you_mean(str(value), ACTIONS)}"
    )


def check_retry(value: Any, *, where: str) -> Retry | None:
    """Return how to retry, or None.

    Raises:
        ConfigError: It is no `Retry`.
    """
    if value is None or isinstance(value, Retry):
        return value
    raise ConfigError(
        f"{where}: `retry` is {value!r}. Use `Retry(attempts={value!r})`."
        if _is_number(value, int) and value > 0
        else f"{where}: `retry` is {value!r}. Use `Retry(...)`."
    )


def check_timeout(value: Any, *, where: str) -> float | None:
    """Return a handler's time-out in seconds, or None.

    Raises:
        ConfigError: It is no positive number.
    """
    if value is None or (_is_number(value, int | float) and 0 < value < math.inf):
        return value  # type: ignore[no-any-return]
    raise ConfigError(
        f"{where}: `handler_timeout` is {value!r}. Use seconds, above 0, or None."
    )


def check_seconds(name: str, value: Any, *, where: str) -> float:
    """Return a duration in seconds.

    Raises:
        ConfigError: It is no number from 0 that ends.
    """
    if _is_number(value, int | float) and 0 <= value < math.inf:
        return value  # type: ignore[no-any-return]
    raise ConfigError(f"{where}: `{name}` is {value!r}. Use seconds, from 0.")


def _takes_two(function: Callable[..., Any]) -> bool:
    """Whether a function can be called with two arguments, as far as that is known."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some that are written in C do not say
        return True
    try:
        signature.bind(None, None)
    except TypeError:
        return False
    return True


def _is_number(value: object, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
