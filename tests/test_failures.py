"""What happens to records that fail: retried, parked, skipped, or the app stops."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import struct
import weakref
from collections import Counter
from typing import Any

import pytest
from pydantic import BaseModel

from fastkafka import (
    BatchError,
    ConfigError,
    FastKafka,
    HandlerError,
    RecordError,
    Reject,
    Retry,
    RetryLater,
    StopConsuming,
)
from fastkafka.engine.deadletters import headers_of
from fastkafka.engine.failure import Action, Decision, FailurePolicy
from fastkafka.errors import DecodingError
from fastkafka.messages import Record
from fastkafka.transport.memory import MemoryBroker
from tests.clients import until

INF, NAN = float("inf"), float("nan")
AT_ONCE = Retry(attempts=3, delay=0)


class Order(BaseModel):
    id: int


def order(number: int) -> bytes:
    return b'{"id": %d}' % number


def shop(broker: MemoryBroker, **settings: Any) -> FastKafka:
    settings = {"retry": AT_ONCE} | settings
    return FastKafka(title="Shop", transport=broker, **settings)


def orders(count: int = 10, partitions: int = 1) -> MemoryBroker:
    broker = MemoryBroker({"orders": partitions})
    for number in range(count):
        broker.produce("orders", order(number), key=b"k%d" % number)
    return broker


def parked(broker: MemoryBroker) -> list[bytes | None]:
    return [record.value() for record in broker.messages("orders-dlt")]


def done(broker: MemoryBroker) -> int:
    broker.commit()
    return sum(broker.committed("shop", "orders").values())


# The decisions.

WHERE = {"topic": "orders", "partition": 0, "offset": 7}


def failed(cause: BaseException) -> HandlerError:
    error = HandlerError("it failed", **WHERE)  # type: ignore[arg-type]
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "attempt", "decision"),
    [
        (failed(ValueError()), 1, Decision(Action.RETRY, 0.5)),
        (failed(ValueError()), 2, Decision(Action.RETRY, 1.0)),
        (failed(ValueError()), 3, Decision(Action.DEAD_LETTER)),
        (failed(Reject("no")), 1, Decision(Action.DEAD_LETTER)),
        (failed(SystemExit()), 1, Decision(Action.DEAD_LETTER)),
        (failed(StopConsuming()), 1, Decision(Action.STOP)),
        (failed(RetryLater(7)), 99, Decision(Action.RETRY, 7, counts=False)),
        (DecodingError("no", **WHERE), 1, Decision(Action.DEAD_LETTER)),  # type: ignore[arg-type]
    ],
)
def test_the_decision_follows_from_the_error_and_the_attempt(
    error: RecordError, attempt: int, decision: Decision
) -> None:
    policy = FailurePolicy(Retry(), "dead_letter")

    assert policy.decide(error, attempt, chance=0.5) == decision


def test_only_the_named_exceptions_are_retried() -> None:
    policy = FailurePolicy(Retry(exceptions=(OSError,)), "skip")

    assert policy.decide(failed(ConnectionError()), 1, 0.5).action is Action.RETRY
    assert policy.decide(failed(ValueError()), 1, 0.5).action is Action.SKIP


def test_delays_grow_to_a_limit_and_vary_by_the_jitter() -> None:
    retry = Retry(attempts=99, delay=1, factor=3, max_delay=10, jitter=0.5)

    assert [retry.wait_after(n, 0.5) for n in (1, 2, 3, 4)] == [1, 3, 9, 10]
    assert retry.wait_after(1, 0.0) == 0.5
    assert retry.wait_after(1, 1.0) == 1.5
    assert retry.wait_after(10_000, 0.5) == 10


# Retries.


async def test_a_record_is_retried_and_those_behind_it_wait() -> None:
    broker = orders()
    app = shop(broker)
    calls: list[int] = []

    @app.consumes()
    async def on_orders(order: Order) -> None:
        calls.append(order.id)
        if order.id == 4 and calls.count(4) < 3:
            raise ConnectionError

    async with app:
        await broker.idle()

    assert calls == [0, 1, 2, 3, 4, 4, 4, 5, 6, 7, 8, 9]
    assert done(broker) == 10


async def test_waiting_for_a_retry_holds_up_only_its_key() -> None:
    broker = orders()
    app = shop(broker, retry=Retry(delay=3600), order="key")
    handled: list[int] = []

    @app.consumes()
    async def on_orders(order: Order) -> None:
        if order.id == 4:
            raise ConnectionError
        handled.append(order.id)

    async with app:
        await until(lambda: len(handled) == 9)
        assert done(broker) == 4

    assert done(broker) == 4, "the stop does not wait for the retry"


async def test_retry_later_does_not_use_up_attempts() -> None:
    broker = orders(1)
    app = shop(broker, retry=Retry(attempts=1))
    calls: list[int] = []

    @app.consumes()
    async def on_orders(order: Order) -> None:
        calls.append(order.id)
        if len(calls) < 6:
            raise RetryLater(0)

    async with app:
        await broker.idle()

    assert len(calls) == 6
    assert done(broker) == 1


async def test_every_failure_is_one_log_record_with_the_place_and_the_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = orders(2)
    app = shop(broker)

    @app.consumes()
    async def on_orders(order: Order) -> None:
        if order.id == 1:
            raise ConnectionError("no route")

    async with app:
        await broker.idle()

    lines = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert [line.getMessage() for line in lines] == [
        f"orders[0]@1: `on_orders` failed: ConnectionError('no route'); {then}"
        for then in (
            "attempt 1 of 3, again in 0 s",
            "attempt 2 of 3, again in 0 s",
            "it goes to the dead-letter topic",
        )
    ]
    for attempt, line in enumerate(lines, 1):
        place = {name: getattr(line, name) for name in ("topic", "offset", "key")}
        assert place == {"topic": "orders", "offset": 1, "key": b"k1"}
        assert line.__dict__["attempt"] == attempt
        assert line.exc_info is not None
        trace = line.exc_info[2]
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        assert trace is not None
        assert trace.tb_frame.f_code.co_name == "on_orders"


async def test_an_error_keeps_nothing_alive_that_came_with_its_record() -> None:
    """It stood in our own frames, and they in its traceback: only the collector of
    garbage could part them, and with each failure a whole slice stayed in memory."""
    broker = orders()
    app = shop(broker)
    seen = []

    @app.consumes(topic="orders")
    async def on_orders(order: Order) -> None:
        seen.append(weakref.ref(order))
        if order.id == 5:
            raise ValueError(order.id)

    async with app:
        await broker.idle()
        gc.disable()
        try:
            for number in range(10):
                broker.produce("orders", order(number))
            await broker.idle()
        finally:
            gc.enable()
        assert len(seen) == 24
        alive = {one.id for ref in seen[12:] if (one := ref()) is not None}
        assert alive <= {5}  # which pytest keeps with the log record


# Dead letters.


async def test_what_keeps_failing_is_parked_with_its_bytes_and_the_reason() -> None:
    broker = MemoryBroker({"orders": 3})
    broker.produce("orders", order(1), key=b"k", headers=[("trace", b"t")], partition=2)
    app = shop(broker)

    @app.consumes()
    async def on_orders(order: Order) -> None:
        try:
            raise OSError("disk")
        except OSError as error:
            raise ValueError("no stock") from error

    async with app:
        await broker.idle()

    [letter] = broker.messages("orders-dlt")
    assert (letter.key(), letter.value()) == (b"k", order(1))
    assert letter.partition() == 2
    headers = dict(letter.headers() or ())
    trace = headers.pop("kafka_dlt-exception-stacktrace").decode()
    timestamp = headers.pop("kafka_dlt-original-timestamp")
    assert len(timestamp) == 8
    assert headers == {
        "trace": b"t",
        "kafka_dlt-original-topic": b"orders",
        "kafka_dlt-original-partition": struct.pack(">i", 2),
        "kafka_dlt-original-offset": struct.pack(">q", 0),
        "kafka_dlt-original-timestamp-type": b"CreateTime",
        "kafka_dlt-original-consumer-group": b"shop",
        "kafka_dlt-exception-fqcn": b"builtins.ValueError",
        "kafka_dlt-exception-cause-fqcn": b"builtins.OSError",
        "kafka_dlt-exception-message": (
            b"orders[2]@0: `on_orders` failed: ValueError('no stock')"
        ),
        "kafka_deliveryAttempt": struct.pack(">i", 3),
    }
    assert trace.endswith("ValueError: no stock\n")
    assert "OSError: disk" in trace
    assert done(broker) == 1


@pytest.mark.parametrize("poison", [b"not json", b'{"id": "x"}', None])
async def test_what_cannot_be_decoded_is_parked_as_it_is_and_never_retried(
    poison: bytes | None,
) -> None:
    broker = MemoryBroker({"orders": 1})
    for value in (order(0), poison, order(2)):
        broker.produce("orders", value, key=b"k")
    app = shop(broker)
    handled: list[int] = []

    @app.consumes()
    async def on_orders(order: Order) -> None:
        handled.append(order.id)

    async with app:
        await broker.idle()

    assert handled == [0, 2]
    [letter] = broker.messages("orders-dlt")
    assert letter.value() == poison
    headers = dict(letter.headers() or ())
    assert headers["kafka_deliveryAttempt"] == struct.pack(">i", 0)
    assert done(broker) == 3


async def test_nothing_is_committed_until_the_dead_letter_is_acknowledged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastkafka.engine.deadletters.FIRST_DELAY", 0.01)
    broker = MemoryBroker({"orders": 1, "orders-dlt": 1})
    for number in range(3):
        broker.produce("orders", order(number))
    broker.fail(
        "produce", error="TOPIC_AUTHORIZATION_FAILED", topic="orders-dlt", times=None
    )
    app = shop(broker)
    handled: list[int] = []

    @app.consumes()
    async def on_orders(order: Order) -> None:
        if order.id in (1, 3):
            raise Reject("sold out")
        handled.append(order.id)

    async with app:
        await until(lambda: "cannot be parked" in caplog.text)
        await asyncio.sleep(0.05)
        assert done(broker) == 1
        assert handled == [0, 2], (
            "it goes on until it is known that none can be written"
        )
        for number in (3, 4):
            broker.produce("orders", order(number))
        await asyncio.sleep(0.05)
        assert handled == [0, 2], "now what follows waits"
        assert done(broker) == 1
        broker.heal()
        await broker.idle()

    assert caplog.text.count("cannot be parked in 'orders-dlt' and waits") == 1
    assert "Dead letters of 'orders-dlt' are written again." in caplog.text
    assert sorted(parked(broker), key=str) == [order(1), order(3)]
    assert handled == [0, 2, 4]
    assert done(broker) == 5


async def test_a_stop_while_a_dead_letter_cannot_be_written_loses_nothing() -> None:
    broker = MemoryBroker({"orders": 1, "orders-dlt": 1})
    broker.produce("orders", order(1))
    broker.fail(
        "produce", error="TOPIC_AUTHORIZATION_FAILED", topic="orders-dlt", times=None
    )
    calls: list[int] = []

    def build() -> FastKafka:
        app = shop(broker)

        @app.consumes()
        async def on_orders(order: Order) -> None:
            calls.append(order.id)
            raise Reject("sold out")

        return app

    async with build():
        await until(lambda: bool(calls))
    assert done(broker) == 0
    broker.heal()
    async with build():
        await broker.idle()
    assert parked(broker) == [order(1)]
    assert calls == [1, 1]
    assert done(broker) == 1


async def test_a_dead_letter_that_is_too_large_loses_its_trace_not_its_record() -> None:
    broker = MemoryBroker({"orders": 1})
    broker.create_topic("orders-dlt", 1, max_message_bytes=3_000)
    broker.produce("orders", order(1))
    app = shop(broker)

    def deep(depth: int) -> None:
        if depth:
            deep(depth - 1)
        raise Reject("sold out " * 10)

    @app.consumes()
    async def on_orders(order: Order) -> None:
        deep(100)

    async with app:
        await broker.idle()

    assert parked(broker) == [order(1)]
    assert done(broker) == 1


def test_a_record_parked_again_keeps_where_it_first_came_from() -> None:
    broker = MemoryBroker({"orders": 1})
    first = broker.produce("orders", order(1))
    headers = headers_of(first, failed(ValueError("a")), group="a", attempts=1)
    again = broker.produce("orders", order(1), headers=headers)

    found = headers_of(again, failed(OSError("b")), group="b", attempts=2)

    names = Counter(name for name, _ in found)
    assert set(names.values()) == {1}
    values = dict(found)
    assert values["kafka_dlt-original-offset"] == struct.pack(">q", 0)
    assert values["kafka_dlt-original-consumer-group"] == b"a"
    assert values["kafka_dlt-exception-fqcn"] == b"builtins.OSError"
    assert values["kafka_deliveryAttempt"] == struct.pack(">i", 2)


# The other ends.


async def test_stop_consuming_stops_before_the_record_whatever_the_policy() -> None:
    broker = orders()
    app = shop(broker, on_failure="skip")

    @app.consumes()
    async def on_orders(order: Order) -> None:
        if order.id == 3:
            raise StopConsuming("closed")

    with pytest.raises(HandlerError, match="closed"):
        async with app:
            await app.wait_stopped()
    assert done(broker) == 3


async def test_skip_says_so_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    broker = orders(3)
    app = shop(broker, on_failure="skip")
    handled: list[int] = []

    @app.consumes()
    async def on_orders(order: Order) -> None:
        if order.id == 1:
            raise ValueError
        handled.append(order.id)

    async with app:
        await broker.idle()

    assert handled == [0, 2]
    assert done(broker) == 3
    [line] = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert line.getMessage().endswith("; it is skipped")


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("no", "orders[0]@0: no; it is skipped"),
        ("another schema?", "orders[0]@0: another schema? It is skipped."),
        ("It does not fit.", "orders[0]@0: It does not fit. It is skipped."),
    ],
)
async def test_what_follows_is_a_sentence_of_its_own_behind_one_that_has_ended(
    said: str, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The log had "another schema?; it is skipped"."""

    def decode(raw: bytes, message: Any) -> Order:
        raise ValueError(said)

    broker = orders(1)
    app = shop(broker, on_failure="skip")

    @app.consumes(decoder=decode)
    async def on_orders(order: Order) -> None: ...

    async with app:
        await broker.idle()

    [logged] = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert logged == line


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_function_decides_about_what_failed(asynchronous: bool) -> None:
    broker = orders(3)
    asked: list[tuple[int, str]] = []

    def ask(record: Record, error: RecordError) -> None:
        asked.append((record.offset(), repr(error.__cause__)))

    async def ask_async(record: Record, error: RecordError) -> None:
        ask(record, error)

    app = shop(broker, on_failure=ask_async if asynchronous else ask)

    @app.consumes()
    async def on_orders(order: Order) -> None:
        if order.id == 1:
            raise ValueError("odd")

    async with app:
        await broker.idle()

    assert asked == [(1, "ValueError('odd')")]
    assert done(broker) == 3


async def test_a_deciding_function_that_raises_stops_the_app() -> None:
    broker = orders(3)

    def ask(record: Record, error: RecordError) -> None:
        raise LookupError("no database")

    app = shop(broker, on_failure=ask)

    @app.consumes()
    async def on_orders(order: Order) -> None:
        if order.id == 1:
            raise ValueError

    with pytest.raises(HandlerError, match=r"`on_failure` failed: LookupError"):
        async with app:
            await app.wait_stopped()
    assert done(broker) == 1


async def test_a_refused_output_is_the_handlers_failure_and_is_retried() -> None:
    broker = orders(5)
    broker.create_topic("invoices", 1)
    app = shop(broker)
    calls: list[int] = []

    @app.consumes()
    async def on_orders(order: Order) -> None:
        calls.append(order.id)
        to_invoices(order)

    @app.produces(topic="invoices")
    def to_invoices(order: Order) -> Order:
        return order

    broker.fail("produce", error="NOT_ENOUGH_REPLICAS", topic="invoices", times=1)
    async with app:
        await broker.idle()

    sent = Counter(record.value() for record in broker.messages("invoices"))
    assert set(sent) == {b'{"id":%d}' % i for i in range(5)}, "none is missing"
    assert len(calls) == 6, "one record is handled again, and only that one"
    assert done(broker) == 5


async def test_an_output_that_no_broker_takes_parks_its_input_after_the_attempts() -> (
    None
):
    broker = orders(3)
    broker.create_topic("invoices", 1)
    app = shop(broker)
    calls: list[int] = []

    @app.consumes()
    async def on_orders(order: Order) -> None:
        calls.append(order.id)
        if order.id == 1:
            to_invoices(order)

    @app.produces(topic="invoices")
    def to_invoices(order: Order) -> Order:
        return order

    broker.fail("produce", error="INVALID_RECORD", topic="invoices", times=None)
    async with app:
        await broker.idle()

    assert calls.count(1) == 3
    assert parked(broker) == [order(1)]
    assert done(broker) == 3


async def test_an_output_that_is_always_refused_parks_its_input() -> None:
    broker = orders(5)
    broker.create_topic("invoices", 1)
    app = shop(broker)

    @app.consumes()
    async def on_orders(order: Order) -> None:
        to_invoices(b"x" * (2_000_000 if order.id == 2 else 10))

    @app.produces(topic="invoices")
    def to_invoices(value: bytes) -> bytes:
        return value

    async with app:
        await broker.idle()

    assert len(broker.messages("invoices")) == 4
    assert parked(broker) == [order(2)]
    assert done(broker) == 5


async def test_a_handler_that_hangs_times_out_and_the_others_go_on() -> None:
    broker = orders(3)
    app = shop(broker, handler_timeout=0.05, retry=Retry(attempts=1))
    handled: list[int] = []

    @app.consumes()
    async def on_orders(order: Order) -> None:
        if order.id == 1:
            await asyncio.sleep(3600)
        handled.append(order.id)

    async with app:
        await broker.idle()

    assert handled == [0, 2]
    [letter] = broker.messages("orders-dlt")
    message = dict(letter.headers() or ())["kafka_dlt-exception-message"]
    assert message == (
        b"orders[0]@1: `on_orders` failed: TimeoutError('it took longer than 0.05 s')"
    )


async def test_a_timeout_of_the_handlers_own_is_not_taken_for_the_limit() -> None:
    broker = orders(1)
    app = shop(broker, handler_timeout=60, retry=Retry(attempts=1))

    @app.consumes()
    async def on_orders(order: Order) -> None:
        raise TimeoutError("the bank is slow") from ConnectionError()

    async with app:
        await broker.idle()

    [letter] = broker.messages("orders-dlt")
    message = dict(letter.headers() or ())["kafka_dlt-exception-message"]
    assert message == (
        b"orders[0]@0: `on_orders` failed: TimeoutError('the bank is slow')"
    )


# Batches.


async def test_a_batch_error_names_the_record_and_the_rest_goes_on() -> None:
    broker = orders(10)
    app = shop(broker)
    batches: list[list[int]] = []

    @app.consumes(max_batch=100)
    async def on_orders(orders: list[Order]) -> None:
        ids = [order.id for order in orders]
        batches.append(ids)
        if 4 in ids:
            raise BatchError(ids.index(4)) from ValueError("odd")

    async with app:
        await broker.idle()

    assert batches == [list(range(10)), [4], [4], [5, 6, 7, 8, 9]]
    assert parked(broker) == [order(4)]
    assert done(broker) == 10


@pytest.mark.parametrize("index", [-1, 4, 1042])
async def test_a_batch_error_with_a_strange_index_takes_no_record_for_done(
    index: int,
) -> None:
    """All but the last were committed, though nobody knew which had failed."""
    broker = orders(4)
    app = shop(broker)
    batches: list[list[int]] = []

    @app.consumes()
    async def on_orders(orders: list[Order]) -> None:
        batches.append([order.id for order in orders])
        if any(order.id == 2 for order in orders):
            raise BatchError(index)

    async with app:
        await broker.idle()

    assert batches == [[0, 1, 2, 3]] * 3 + [[0], [1], [2], [3]]
    assert parked(broker) == [order(2)]


async def test_a_batch_error_of_a_handler_of_single_records_is_any_failure() -> None:
    broker = orders(4)
    app = shop(broker)
    handled: list[int] = []

    @app.consumes()
    async def on_orders(order: Order) -> None:
        if order.id == 1:
            raise BatchError(3)
        handled.append(order.id)

    async with app:
        await broker.idle()

    assert handled == [0, 2, 3]
    assert parked(broker) == [order(1)]


async def test_a_batch_that_stops_consuming_is_not_handled_again() -> None:
    broker = orders(4)
    app = shop(broker)
    batches: list[list[int]] = []

    @app.consumes()
    async def on_orders(orders: list[Order]) -> None:
        batches.append([order.id for order in orders])
        raise StopConsuming("closed")

    with pytest.raises(HandlerError, match="closed"):
        async with app:
            await app.wait_stopped()
    assert batches == [[0, 1, 2, 3]]
    assert done(broker) == 0


async def test_a_batch_that_fails_as_a_whole_is_taken_apart() -> None:
    broker = orders(4)
    app = shop(broker)
    batches: list[list[int]] = []

    @app.consumes()
    async def on_orders(orders: list[Order]) -> None:
        batches.append([order.id for order in orders])
        if any(order.id == 2 for order in orders):
            raise ValueError("one of them is odd")

    async with app:
        await broker.idle()

    assert batches == [[0, 1, 2, 3]] * 3 + [[0], [1], [2], [3]]
    assert parked(broker) == [order(2)]
    assert done(broker) == 4


@pytest.mark.parametrize("sync", [False, True])
async def test_results_say_which_records_of_a_batch_failed(sync: bool) -> None:
    broker = orders(5)
    app = shop(broker)
    calls: list[list[int]] = []

    def handle(orders: list[Order]) -> list[Exception | None]:
        calls.append([order.id for order in orders])
        return [ValueError("odd") if o.id in (1, 3) else None for o in orders]

    async def handle_async(orders: list[Order]) -> list[Exception | None]:
        return handle(orders)

    app.consumes(topic="orders")(handle if sync else handle_async)
    async with app:
        await broker.idle()

    assert calls[0] == [0, 1, 2, 3, 4]
    assert sorted(calls[1:]) == [[1], [1], [3], [3]], "only the failed are retried"
    assert sorted(filter(None, parked(broker))) == [order(1), order(3)]
    assert done(broker) == 5


async def test_results_of_the_wrong_length_are_a_failure_of_the_batch() -> None:
    broker = orders(2)
    app = shop(broker, on_failure="stop", retry=Retry(attempts=1))

    @app.consumes()
    async def on_orders(orders: list[Order]) -> list[None]:
        return [None] * 7

    with pytest.raises(HandlerError, match=r"it returned 7 results for [12] records?"):
        async with app:
            await app.wait_stopped()


# Bad input.


def print_nothing() -> None: ...


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: Retry(attempts=-1),
            "Retry: `attempts` is -1. It counts all calls, the first one too. Use a "
            "number from 1, which is no retry.",
        ),
        (lambda: Retry(delay=-1), "Retry: `delay` is -1. Use a number from 0."),
        (lambda: Retry(delay=NAN), "Retry: `delay` is nan. Use a number from 0."),
        (
            lambda: Retry(max_delay=INF),
            "Retry: `max_delay` is inf. Use a number from 0.",
        ),
        (lambda: Retry(factor=INF), "Retry: `factor` is inf. Use a number from 1."),
        (lambda: Retry(factor=0.5), "Retry: `factor` is 0.5. Use a number from 1."),
        (lambda: Retry(jitter=2), "Retry: `jitter` is 2. Use a number from 0 to 1."),
        (
            lambda: Retry(exceptions=("x",)),  # type: ignore[arg-type]
            "Retry: `exceptions` is ('x',). Use a tuple of exception classes.",
        ),
        (
            lambda: FastKafka(retry=5),  # type: ignore[arg-type]
            "FastKafka: `retry` is 5. Use `Retry(attempts=5)`.",
        ),
        (
            lambda: FastKafka(retry=-1),  # type: ignore[arg-type]
            "FastKafka: `retry` is -1. Use `Retry(...)`.",
        ),
        (
            lambda: FastKafka(on_failure="dead-letter"),  # type: ignore[arg-type]
            "FastKafka: `on_failure` is 'dead-letter'. Use 'dead_letter', 'stop', "
            "'skip' or a function of the record and the error. Did you mean "
            "'dead_letter'?",
        ),
        (
            lambda: FastKafka(on_failure=print_nothing),  # type: ignore[arg-type]
            f"FastKafka: `on_failure` is {print_nothing!r}, which cannot be called "
            "with a record and an error. Write `def on_failure(record, error)`.",
        ),
        (
            lambda: FastKafka(handler_timeout=0),
            "FastKafka: `handler_timeout` is 0. Use seconds, above 0, or None.",
        ),
    ],
)
def test_a_policy_that_cannot_be_is_refused(make: Any, sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"):
        make()


@pytest.mark.parametrize("seconds", [-1, INF, NAN, "5"])
def test_a_record_cannot_be_put_off_into_the_past(seconds: Any) -> None:
    with pytest.raises(ValueError, match="RetryLater: ") as refused:
        RetryLater(seconds)
    assert str(refused.value) == (
        f"RetryLater: `seconds` is {seconds!r}. Use a number from 0; for a moment that "
        "may have passed, `max(0, ...)`."
    )


def test_a_dead_letter_topic_needs_a_policy_of_its_own() -> None:
    async def on_letters(order: Order) -> None: ...

    with pytest.raises(ConfigError) as error:
        FastKafka().consumes(topic="orders-dlt")(on_letters)

    assert str(error.value) == (
        "`on_letters` reads 'orders-dlt', a dead-letter topic, whose own dead letters "
        "would go to 'orders-dlt-dlt'. Say what should happen: `on_failure=`."
    )


def test_a_sync_function_cannot_be_timed_out() -> None:
    def on_orders(order: Order) -> None: ...

    with pytest.raises(ConfigError) as error:
        FastKafka().consumes(handler_timeout=3)(on_orders)

    assert str(error.value) == (
        "`on_orders` is sync: it runs in a thread, which `handler_timeout` cannot end. "
        "Write `async def on_orders(...)`."
    )
