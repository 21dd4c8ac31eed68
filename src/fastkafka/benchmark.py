"""`@app.benchmark`: how often a function is called, in the log."""

from __future__ import annotations

import logging
import statistics
import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypedDict, TypeVar, cast

from fastkafka.errors import ConfigError
from fastkafka.params import function_name
from fastkafka.wrapping import preceded

F = TypeVar("F", bound=Callable[..., Any])

Clock = Callable[[], float]

logger = logging.getLogger(__name__)


class Throughput(TypedDict):
    """What was counted of one function.

    Times are seconds of a clock that only goes forward.
    """

    count: int
    last_count: int
    start: float | None
    last_start: float | None
    history: deque[float]


def benchmarked(
    results: dict[str, Throughput],
    interval: float | timedelta,
    *,
    window: int | None,
    clock: Clock = time.monotonic,
) -> Callable[[F], F]:
    """Count the calls of the decorated function, and log their rate.

    Args:
        results: Where the counts are kept, by ``module.qualname``.
        interval: Seconds; the first call after them logs.
        window: How many intervals are averaged; None is no average.
        clock: Returns seconds.

    Raises:
        ConfigError: The interval is below 0, or the window below 1.
    """
    seconds = interval.total_seconds() if isinstance(interval, timedelta) else interval
    if not isinstance(seconds, int | float) or not seconds >= 0:
        raise ConfigError(
            f"`benchmark`: `interval` is {interval!r}. Use a number of seconds from 0."
        )
    if window is not None and not (isinstance(window, int) and window >= 1):
        raise ConfigError(
            f"`benchmark`: `sliding_window_size` is {window!r}. Use a number from 1."
        )

    def decorate(function: F) -> F:
        qualname = getattr(function, "__qualname__", function_name(function))
        name = f"{getattr(function, '__module__', '')}.{qualname}"
        result: Throughput = {
            "count": 0,
            "last_count": 0,
            "start": None,
            "last_start": None,
            "history": deque(maxlen=window),
        }
        said = f"{name}(interval={seconds:g},sliding_window_size={window})"

        def count(*args: object, **kwargs: object) -> None:
            results[name] = result
            _count(result, clock(), seconds, said, averaged=window is not None)

        return cast("F", preceded(function, count))

    return decorate


def _count(
    result: Throughput, now: float, seconds: float, said: str, *, averaged: bool
) -> None:
    result["count"] += 1
    began = result["last_start"]
    if began is None:
        result["start"] = result["last_start"] = began = now
    passed = now - began
    if passed < seconds or not passed:
        return
    throughput = (result["count"] - result["last_count"]) / passed
    result["last_count"], result["last_start"] = result["count"], now
    average = ""
    if averaged:
        result["history"].append(throughput)
        average = f", Avg throughput = {statistics.mean(result['history']):5,.0f}"
    logger.info("Throughput = %s%s - For %s", f"{throughput:5,.0f}", average, said)
