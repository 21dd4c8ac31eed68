"""`@app.benchmark`: what it logs, and that it changes nothing else."""

from __future__ import annotations

import inspect
import logging
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from fastkafka import ConfigError, FastKafka
from fastkafka.benchmark import Throughput, benchmarked
from fastkafka.testing import Tester


class Order(BaseModel):
    id: int


class Seconds:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def counted(
    calls: list[int], interval: float | timedelta = 1, window: int | None = None
) -> tuple[dict[str, Throughput], Callable[[], None], Seconds]:
    """A function that is benchmarked, by a clock of its own."""
    results: dict[str, Throughput] = {}
    clock = Seconds()

    @benchmarked(results, interval, window=window, clock=clock)
    def on_input_data() -> None:
        calls.append(1)

    return results, on_input_data, clock


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO, "fastkafka.benchmark")

    def lines() -> list[str]:
        assert {r.levelno for r in caplog.records} <= {logging.INFO}
        return [
            r.getMessage() for r in caplog.records if r.name == "fastkafka.benchmark"
        ]

    return lines


NAME = f"{__name__}.counted.<locals>.on_input_data"


def test_the_first_call_after_an_interval_logs_the_rate(
    said: Callable[[], list[str]],
) -> None:
    calls: list[int] = []
    results, call, clock = counted(calls)
    for _ in range(93_598):
        call()
    assert said() == [], "there is no timer"
    clock.now += 1.0
    call()
    assert said() == [
        f"Throughput = 93,599 - For {NAME}(interval=1,sliding_window_size=None)"
    ]

    clock.now += 2.0
    call()
    assert said()[1:] == [
        f"Throughput =     0 - For {NAME}(interval=1,sliding_window_size=None)"
    ]
    assert len(calls) == 93_600
    assert results == {
        NAME: {
            "count": 93_600,
            "last_count": 93_600,
            "start": 100.0,
            "last_start": 103.0,
            "history": deque(),
        }
    }


def test_with_a_window_the_average_is_logged_too(
    said: Callable[[], list[str]],
) -> None:
    results, call, clock = counted([], window=2)
    call()
    for rate in (1000, 2000, 4000):
        for _ in range(rate - 1):
            call()
        clock.now += 1.0
        call()

    assert [line.partition(" - For ")[0] for line in said()] == [
        "Throughput = 1,001, Avg throughput = 1,001",
        "Throughput = 2,000, Avg throughput = 1,500",
        "Throughput = 4,000, Avg throughput = 3,000",
    ]
    assert said()[0].endswith("on_input_data(interval=1,sliding_window_size=2)")
    assert list(results[NAME]["history"]) == [2000, 4000]


@pytest.mark.parametrize(
    ("interval", "shown"),
    [(0.5, "0.5"), (timedelta(milliseconds=500), "0.5"), (timedelta(minutes=1), "60")],
)
def test_an_interval_is_a_number_or_a_timedelta(
    interval: float | timedelta, shown: str, said: Callable[[], list[str]]
) -> None:
    _, call, clock = counted([], interval)
    call()
    clock.now += 60.0
    call()

    assert said() == [
        f"Throughput =     0 - For {NAME}(interval={shown},sliding_window_size=None)"
    ]


async def test_every_kind_of_function_stays_what_it_is() -> None:
    app = FastKafka(title="Shop")

    @app.consumes()
    @app.benchmark(interval=1, sliding_window_size=5)
    async def on_orders(order: Order) -> None:
        """Take an order."""
        await to_invoices(order)
        to_log(order)

    @app.produces()
    @app.benchmark()
    async def to_invoices(order: Order) -> Order:
        return order

    @app.produces()
    @app.benchmark()
    def to_log(order: Order) -> Iterator[Order]:
        yield order
        yield order

    @app.benchmark()
    async def each(count: int) -> AsyncIterator[int]:
        for number in range(count):
            yield number

    async with Tester(app) as tester:
        await tester.to_orders([Order(id=1), Order(id=2)])
        await tester.idle()
        assert len(tester.messages("log")) == 4
        assert len(tester.messages("invoices")) == 2
    assert [number async for number in each(3)] == [0, 1, 2]

    assert {name.rpartition(".")[2]: r["count"] for name, r in _counts(app)} == {
        "on_orders": 2,
        "to_invoices": 2,
        "to_log": 2,
        "each": 1,
    }
    assert list(inspect.signature(on_orders).parameters) == ["order"]
    assert app.consumers[0].description == "Take an order."


def _counts(app: FastKafka) -> Any:
    return app.benchmark_results.items()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"interval": -1},
            "`benchmark`: `interval` is -1. Use a number of seconds from 0.",
        ),
        (
            {"interval": "1"},
            "`benchmark`: `interval` is '1'. Use a number of seconds from 0.",
        ),
        (
            {"sliding_window_size": 0},
            "`benchmark`: `sliding_window_size` is 0. Use a number from 1.",
        ),
    ],
)
def test_numbers_that_cannot_be_are_refused(
    arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"):
        FastKafka().benchmark(**arguments)
