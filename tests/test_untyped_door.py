"""`app.produce`: to a topic that is known only at run time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from fastkafka import (
    BrokerUnavailableError,
    ConfigError,
    FastKafka,
    HandlerError,
    KafkaEvent,
    NotStartedError,
    ProduceError,
    Retry,
)
from fastkafka.transport.memory import ManualClock, MemoryBroker
from tests.listeners import turns


class Order(BaseModel):
    id: int


class Struct(msgspec.Struct):
    id: int


def refused(sentence: str, error: type[BaseException]) -> Any:
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


NOT_STARTED = (
    "`produce` was called before the app has started or after it has stopped. "
    "Call it in `async with app:`, in a handler, or in a background task."
)


class Counting(MemoryBroker):
    """Knows what producers were made."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[Mapping[str, Any]] = []

    def producer(self, config: Mapping[str, Any], topics: Collection[str]) -> Any:
        self.made.append(config)
        return super().producer(config, topics)


@pytest.mark.parametrize(
    ("message", "value"),
    [
        (Order(id=1), b'{"id":1}'),
        (Struct(id=1), b'{"id":1}'),
        ({"id": 1}, b'{"id":1}'),
        ("text", b'"text"'),
        (b"\x00\xff", b"\x00\xff"),
    ],
)
async def test_messages_are_sent_as_json_and_bytes_untouched(
    message: Any, value: bytes
) -> None:
    broker = MemoryBroker()
    async with FastKafka(title="Shop", transport=broker) as app:
        await app.produce(message, topic="orders")
        (record,) = broker.messages("orders")
        assert (record.value(), record.key(), record.headers()) == (value, None, None)


async def test_what_travels_beside_a_message_is_said_in_the_call_or_the_event() -> None:
    broker = MemoryBroker({"orders": 4}, clock=ManualClock())
    headers = [("a", b"1")]
    async with FastKafka(title="Shop", transport=broker) as app:
        await app.produce(
            1, topic="orders", key=b"k", headers=headers, partition=3, timestamp=77
        )
        event = KafkaEvent(1, key=b"k", headers=headers, partition=2, timestamp=88)
        await app.produce(event, topic="orders")
        await app.produce(event, topic="orders", key=b"other", partition=1)
        await app.produce([1, KafkaEvent(2, key=b"two")], topic="orders", partition=0)
        await app.produce(None, topic="orders", key=b"gone", partition=0)

    assert [
        (r.partition(), r.value(), r.key(), r.headers(), r.timestamp()[1])
        for r in broker.messages("orders")
        if r.partition()
    ] == [
        (3, b"1", b"k", headers, 77),
        (2, b"1", b"k", headers, 88),
        (1, b"1", b"other", headers, 88),
    ]
    assert [
        (r.value(), r.key()) for r in broker.messages("orders") if not r.partition()
    ] == [(b"1", None), (b"2", b"two"), (None, b"gone")]
    assert event.key == b"k", "the caller's event stays as it was"


async def test_a_producer_with_the_apps_settings_is_shared() -> None:
    broker = Counting()
    app = FastKafka(title="Shop", transport=broker, linger_ms=7)

    @app.produces()
    async def to_orders() -> Order:
        return Order(id=1)

    async with app:
        assert len(broker.made) == 1
        await app.produce(Order(id=2), topic="orders")
        assert len(broker.made) == 1
    assert len(broker.messages("orders")) == 1


async def test_without_one_it_is_made_once_when_it_is_needed() -> None:
    broker = Counting()
    app = FastKafka(title="Shop", transport=broker, linger_ms=7)

    @app.produces(linger_ms=0)
    async def to_orders() -> Order:
        return Order(id=1)

    async with app:
        assert len(broker.made) == 1
        await asyncio.gather(*(app.produce(n, topic="orders") for n in range(5)))
        assert len(broker.made) == 2
    assert len(broker.messages("orders")) == 5
    async with app:
        await app.produce(6, topic="orders")
    assert len(broker.messages("orders")) == 6


async def test_a_producer_that_could_not_be_made_is_tried_again() -> None:
    broker = MemoryBroker()
    async with FastKafka(title="Shop", transport=broker) as app:
        broker.down()
        first = asyncio.ensure_future(app.produce(1, topic="orders"))
        second = asyncio.ensure_future(app.produce(2, topic="orders"))
        await turns()
        second.cancel()
        broker.advance(10.0)
        with pytest.raises(BrokerUnavailableError):
            await first
        broker.up()
        await app.produce(3, topic="orders")
        assert [r.value() for r in broker.messages("orders")] == [b"3"]


async def test_outside_a_handler_it_waits_and_raises() -> None:
    broker = MemoryBroker(clock=ManualClock())
    async with FastKafka(title="Shop", transport=broker) as app:
        broker.delay(5.0)
        sending = asyncio.ensure_future(app.produce(1, topic="orders"))
        await turns()
        assert len(broker.messages("orders")) == 1
        assert not sending.done()
        broker.advance(5.0)
        await sending
        broker.heal()
        broker.fail("produce", error="NOT_ENOUGH_REPLICAS")
        with refused(
            "A record for 'orders' was not acknowledged: Broker: Not enough replicas "
            "(NOT_ENOUGH_REPLICAS).",
            ProduceError,
        ):
            await app.produce(2, topic="orders")


async def test_inside_a_handler_its_input_waits_for_the_acknowledgement() -> None:
    broker = MemoryBroker(clock=ManualClock())
    app = FastKafka(
        title="Shop",
        transport=broker,
        on_failure="stop",
        retry=Retry(attempts=1),
    )
    handled: list[int] = []

    @app.consumes()
    async def on_orders(order: Order) -> None:
        await app.produce(order, topic="invoices", key=b"k")
        handled.append(order.id)

    async with app:
        broker.delay(5.0, topic="invoices")
        broker.produce("orders", b'{"id": 1}')
        await turns()
        assert handled == [1], "it has only queued the record"
        broker.commit()
        assert broker.committed("shop", "orders") == {0: 0}
        broker.advance(5.0)
        await broker.idle()
        broker.commit()
        assert broker.committed("shop", "orders") == {0: 1}
        broker.heal()

    broker.fail("produce", topic="invoices", error="TOPIC_AUTHORIZATION_FAILED")
    broker.produce("orders", b'{"id": 2}')
    with pytest.raises(HandlerError, match="TOPIC_AUTHORIZATION_FAILED"):
        async with app:
            await app.wait_stopped()
    assert broker.committed("shop", "orders") == {0: 1}


async def test_a_handler_may_produce_before_the_app_has_quite_started() -> None:
    broker = MemoryBroker()
    app = FastKafka(title="Shop", transport=broker)
    go_on = asyncio.Event()

    @app.consumes()
    async def on_orders(order: Order) -> None:
        assert not app.is_started
        await app.produce(order, topic="invoices")
        go_on.set()

    class Slow(MemoryBroker):
        def consumer(self, *args: Any, **settings: Any) -> Any:
            consumer = super().consumer(*args, **settings)
            start = consumer.start

            async def slow() -> Any:
                found = await start()
                await go_on.wait()
                return found

            consumer.start = slow  # type: ignore[method-assign]
            return consumer

    app._transport = broker = Slow()
    broker.produce("orders", b'{"id": 1}')
    async with app:
        await broker.idle()
    assert len(broker.messages("invoices")) == 1


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (
            {1, 2} - {1, 2} | {print},
            "`produce` was given a `set` for 'orders' that cannot be encoded: "
            "Unable to serialize unknown type: <class 'builtin_function_or_method'>.",
        ),
        (
            None,
            "`produce` was given None for 'orders' without a key. A tombstone deletes "
            "a key. Say which one.",
        ),
    ],
)
async def test_what_cannot_be_sent_is_refused(message: Any, sentence: str) -> None:
    broker = MemoryBroker()
    async with FastKafka(title="Shop", transport=broker) as app:
        with refused(sentence, ProduceError) as error:
            await app.produce(message, topic="orders")
        assert error.value.topic == "orders"
        assert not error.value.retriable


async def test_a_topic_that_kafka_would_not_take_is_refused() -> None:
    with refused(
        "`produce`: 'no spaces' is not a topic's name. Kafka takes 1 to 249 characters "
        "of a-z, A-Z, 0-9, '.', '_' and '-'.",
        ConfigError,
    ):
        await FastKafka(title="Shop").produce(1, topic="no spaces")


async def test_an_app_that_does_not_run_says_so() -> None:
    said: list[str] = []

    async def try_it(app: FastKafka) -> None:
        with refused(NOT_STARTED, NotStartedError):
            await app.produce(1, topic="orders")
        said.append("refused")

    @asynccontextmanager
    async def lifespan(app: FastKafka) -> AsyncIterator[None]:
        await try_it(app)
        yield
        await try_it(app)

    app = FastKafka(title="Shop", transport=MemoryBroker(), lifespan=lifespan)
    await try_it(app)
    async with app:
        await app.produce(1, topic="orders")
    await try_it(app)
    assert len(said) == 4


async def test_the_last_handlers_of_a_stop_still_produce() -> None:
    broker = MemoryBroker()
    app = FastKafka(title="Shop", transport=broker)
    inside, go_on = asyncio.Event(), asyncio.Event()

    @app.consumes()
    async def on_orders(order: Order) -> None:
        inside.set()
        await go_on.wait()
        await app.produce(order, topic="invoices")

    await app.__aenter__()
    broker.produce("orders", b'{"id": 1}')
    await inside.wait()
    stopping = asyncio.ensure_future(app.__aexit__(None, None, None))
    await asyncio.sleep(0)
    assert not app.is_started
    go_on.set()
    await stopping
    assert len(broker.messages("invoices")) == 1
    assert broker.committed("shop", "orders") == {0: 1}
