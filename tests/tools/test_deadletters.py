"""Whoever parked it: where it was, why, and which headers are its own."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fastkafka.tools.deadletters import (
    Failure,
    blanked,
    cause_of,
    failure_of,
    grouped,
    own_headers,
    place_of,
)
from tests.tools.clients import Header, spring


class Letter:
    """A record with headers and a time."""

    def __init__(self, headers: Sequence[Header] | None, time: int = 0) -> None:
        self._headers = headers
        self._time = time

    def headers(self) -> Sequence[tuple[str, bytes]] | None:
        return self._headers  # type: ignore[return-value]

    def timestamp(self) -> tuple[int, int]:
        return 1, self._time

    def topic(self) -> str:
        return "orders-dlt"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return 0

    def key(self) -> bytes | None:
        return None

    def value(self) -> bytes | None:
        return b"{}"


OWN: list[Header] = [("traceparent", b"00-1"), ("x", b"1"), ("x", b"2")]


def as_text(prefix: str, **values: str) -> list[Header]:
    return [
        (prefix + name.replace("_", "."), value.encode())
        for name, value in values.items()
    ]


FAMILIES: dict[str, tuple[list[Header], Failure]] = {
    "Spring": (
        spring(partition=2, offset=2**40, message="it broke\x1b[0m"),
        Failure(
            family="Spring",
            topic="orders",
            partition=2,
            offset=2**40,
            timestamp=1_700_000_000_000,
            group="shop",
            error="builtins.ValueError",
            cause="builtins.ValueError",
            message="it broke\\x1b[0m",
            trace="Traceback",
            attempts=3,
        ),
    ),
    "Kafka Connect": (
        as_text(
            "__connect.errors.",
            topic="orders",
            partition="2",
            offset="1042",
            connector_name="sink",
            task_id="0",
            stage="VALUE_CONVERTER",
            class_name="JsonConverter",
            exception_class_name="org.apache.kafka.connect.errors.DataException",
            exception_message="bad",
            exception_stacktrace="DataException: bad\n\tat x",
        ),
        Failure(
            family="Kafka Connect",
            topic="orders",
            partition=2,
            offset=1042,
            group="sink",
            error="org.apache.kafka.connect.errors.DataException",
            cause="VALUE_CONVERTER",
            message="bad",
            trace="DataException: bad\n    at x",
        ),
    ),
    "Kafka Streams": (
        as_text(
            "__streams.errors.",
            topic="orders",
            partition="2",
            offset="1042",
            exception="java.lang.RuntimeException",
            message="bad",
            stacktrace="trace",
        ),
        Failure(
            family="Kafka Streams",
            topic="orders",
            partition=2,
            offset=1042,
            error="java.lang.RuntimeException",
            message="bad",
            trace="trace",
        ),
    ),
    "share group": (
        as_text(
            "__dlq.errors.",
            topic="orders",
            partition="2",
            offset="1042",
            group="workers",
            delivery_count="5",
            message="Offset rejected by client.",
        ),
        Failure(
            family="share group",
            topic="orders",
            partition=2,
            offset=1042,
            group="workers",
            message="Offset rejected by client.",
            attempts=5,
        ),
    ),
    "SmallRye": (
        [
            ("dead-letter-topic", b"orders"),
            ("dead-letter-partition", b"2"),
            ("dead-letter-offset", b"1042"),
            ("dead-letter-reason", b"bad"),
            ("dead-letter-exception-class-name", b"java.lang.IllegalStateException"),
            ("dead-letter-cause-class-name", b"java.io.IOException"),
        ],
        Failure(
            family="SmallRye",
            topic="orders",
            partition=2,
            offset=1042,
            error="java.lang.IllegalStateException",
            cause="java.io.IOException",
            message="bad",
        ),
    ),
    "Karafka": (
        [
            ("source_topic", b"orders"),
            ("source_partition", b"2"),
            ("source_offset", b"1042"),
            ("source_consumer_group", b"app"),
            ("source_attempts", b"4"),
        ],
        Failure(
            family="Karafka",
            topic="orders",
            partition=2,
            offset=1042,
            group="app",
            attempts=4,
        ),
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_each_familys_headers_are_read_and_taken_away(family: str) -> None:
    headers, failure = FAMILIES[family]
    letter = Letter([*OWN, *headers])

    assert failure_of(letter) == failure
    assert own_headers(letter) == OWN


def test_headers_of_another_family_stay() -> None:
    other: list[Header] = [("source_topic", b"the app's own")]

    assert own_headers(Letter([*other, *spring()])) == other


def test_a_record_without_such_headers_is_a_failure_of_which_nothing_is_known() -> None:
    assert failure_of(Letter(None)) == Failure()
    assert failure_of(Letter(OWN)) == Failure()
    assert Failure().kind == "unknown"
    assert own_headers(Letter(OWN)) == OWN


def test_damaged_numbers_are_unknown() -> None:
    letter = Letter(
        [
            ("dead-letter-topic", b"\xff"),
            ("dead-letter-partition", b"x"),
            ("dead-letter-offset", b"9" * 30),
        ]
    )

    assert failure_of(letter) == Failure(family="SmallRye", topic="\ufffd")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("orders[2]@13: order 7: nothing of 'shoes'", "order *: nothing of '*'"),
        ('ValueError("5005.0 is too much")', "ValueError('*')"),
        ("user 3f2504e0-4f89-11d3-9a0c-0305e82c3301", "user *"),
        ("key deadbeef01 at 12", "key * at *"),
    ],
)
def test_what_differs_from_record_to_record_is_blanked(message: str, said: str) -> None:
    assert blanked(message) == said


PYTHON_TRACE = """Traceback (most recent call last):
  File "/usr/lib/python3.11/site-packages/fastkafka/engine/lanes.py", line 9, in _work
    await self._handle()
  File "/srv/shop/app.py", line 31, in on_orders
    charge(order)
  File "/usr/lib/python3.11/site-packages/stripe/api.py", line 5, in charge
    raise ValueError("no")
ValueError: no"""

JAVA_TRACE = """java.lang.IllegalStateException: no
\tat java.base/java.util.Objects.requireNonNull(Objects.java:233)
\tat org.springframework.kafka.X.invoke(X.java:1)
\tat com.shop.Orders.handle(Orders.java:42)"""


def test_the_place_is_the_innermost_frame_of_ones_own() -> None:
    assert place_of(PYTHON_TRACE) == "shop/app.py:31 in on_orders"
    assert place_of(JAVA_TRACE) == "Orders.java:42 in com.shop.Orders.handle"
    assert place_of(None) == place_of("nothing to see") == ""


def test_what_an_error_says_is_without_what_is_known_besides() -> None:
    trace = 'Traceback (most recent call last):\n  File "a.py"\napp.NoStock: no shoes'
    ours = "orders[0]@2: `on_orders` failed: NoStock('no shoes')"
    failure = Failure(error="app.NoStock", message=ours, trace=trace)
    assert failure.summary == "no shoes"
    without = Failure(error="app.NoStock", message=ours)
    assert without.summary == "`on_orders` failed: NoStock('no shoes')"
    other = Failure(error="a.B", message="orders[0]@2: bad\nworse", trace=trace)
    assert other.summary == "bad"


def test_letters_of_one_cause_are_one_group_the_largest_first() -> None:
    def letter(message: str, time: int, error: str = "app.NoStock") -> Letter:
        headers = spring(error=error, message=message, trace=PYTHON_TRACE)
        return Letter(headers, time)

    letters = [
        letter("orders[0]@1: order 1: no 'shoes'", 10),
        letter("other", 20, "builtins.KeyError"),
        letter("orders[3]@9: order 22: no 'hats'", 30),
    ]

    first, second = grouped([(each, failure_of(each)) for each in letters])

    assert (first.count, first.first, first.last) == (2, 10, 30)
    assert first.cause == (
        "app.NoStock",
        "order *: no '*'",
        "shop/app.py:31 in on_orders",
    )
    assert first.topics == {"orders": 2}
    assert first.example.message == "orders[3]@9: order 22: no 'hats'"
    assert first.example.summary == "order 22: no 'hats'"
    assert first.example.kind == "NoStock"
    assert (second.count, second.cause.error) == (1, "builtins.KeyError")
    assert cause_of(second.example) == second.cause
