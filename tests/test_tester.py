"""`Tester`: apps on a broker in memory, their mirrors, and what tests can look into."""

from __future__ import annotations

import asyncio
import logging
import re
import traceback
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from fastkafka import (
    ConfigError,
    DecodingError,
    EventMetadata,
    FastKafka,
    HandlerError,
    Header,
    KafkaEvent,
    Key,
    NotStartedError,
    ProduceError,
    Retry,
    Router,
)
from fastkafka.encoder import AvroBase, avro_decoder, avro_encoder
from fastkafka.testing import EmbeddedBroker, InMemoryBroker, Tester
from fastkafka.transport.memory import ManualClock, MemoryBroker


class Order(BaseModel):
    id: int


class Invoice(BaseModel):
    order: int


def shop(**settings: Any) -> FastKafka:
    """An app that answers each order with an invoice."""
    app = FastKafka(title="Shop", **settings)

    @app.consumes()
    async def on_orders(order: Order) -> None:
        await to_invoices(order.id)

    @app.produces()
    async def to_invoices(order: int) -> KafkaEvent[Invoice]:
        key = b"%d" % order
        return KafkaEvent(Invoice(order=order), key=key, headers=[("from", b"shop")])

    return app


def refused(sentence: str, error: type[BaseException] = ConfigError) -> Any:
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


# Mirrors.


async def test_a_message_goes_through_the_app_and_out_again() -> None:
    app: Any = shop()

    async with Tester(app) as tester:
        assert await tester.to_orders(Order(id=7)) == Order(id=7)
        await tester.on_invoices.assert_called_once_with(Invoice(order=7), timeout=5)
        await tester.awaited_mocks.on_invoices.assert_awaited_with(Invoice(order=7))
        await tester.awaited_mocks.to_orders.assert_called_with(Order(id=7))
        await app.awaited_mocks.on_orders.assert_awaited_with(Order(id=7), timeout=5)
        tester.mocks.on_invoices.assert_awaited_with(Invoice(order=7))
        app.mocks.to_invoices.assert_awaited_once_with(7)

    assert not app.is_started


async def test_mirrors_are_found_by_every_object_that_is_the_function() -> None:
    app: Any = FastKafka(title="Shop")
    router = Router()

    async def on_orders(order: Order) -> None: ...

    async def to_invoices() -> Invoice:
        return Invoice(order=1)

    app.consumes()(on_orders)
    sending = app.produces()(to_invoices)

    @router.consumes(topic="parcels")
    async def take(order: Order) -> None: ...

    app.include_router(router)
    tester = Tester(app)

    assert tester.mirrors[on_orders] is tester.mirrors[app.on_orders]
    assert tester.mirrors[sending] is tester.mirrors[app.to_invoices]
    assert tester.mirrors[sending] is tester.mirrors[to_invoices]
    async with tester:
        await tester.mirrors[take](Order(id=1))
        await app.awaited_mocks.take.assert_called_once_with(Order(id=1), timeout=5)
        await sending()
        await tester.mirrors[to_invoices].assert_called_with(Invoice(order=1))


async def test_a_mirror_takes_a_message_a_batch_an_event_and_bytes() -> None:
    app = FastKafka(title="Shop")
    seen: list[tuple[Any, bytes | None, Any]] = []

    @app.consumes()
    async def on_orders(orders: list[Order | None], metas: list[EventMetadata]) -> None:
        for order, meta in zip(orders, metas, strict=True):
            seen.append((order and order.id, meta.key, list(meta.headers)))

    async with Tester(app) as tester:
        await tester.to_orders(Order(id=1))
        await tester.to_orders([Order(id=2), KafkaEvent(Order(id=3), key=b"three")])
        await tester.to_orders(KafkaEvent(Order(id=4), headers=[("h", b"4")]))
        await tester.to_orders({"id": 5})
        await tester.to_orders(b'{"id": 6}')
        await tester.to_orders(KafkaEvent(None, key=b"gone"))
        await tester.idle()

    assert seen == [
        (1, None, []),
        (2, None, []),
        (3, b"three", []),
        (4, None, [("h", b"4")]),
        (5, None, []),
        (6, None, []),
        (None, b"gone", []),
    ]


async def test_dots_and_hyphens_become_underscores() -> None:
    app = FastKafka(title="Shop")

    @app.consumes(topic="new.orders-eu")
    async def handle(order: Order) -> None:
        await send()

    @app.produces(topic="sent-orders.eu")
    async def send() -> Order:
        return Order(id=1)

    async with Tester(app) as tester:
        await tester.to_new_orders_eu(Order(id=1))
        await tester.on_sent_orders_eu.assert_called_with(Order(id=1), timeout=5)


async def test_a_function_of_several_topics_or_a_pattern_is_told_where_to_send() -> (
    None
):
    app = FastKafka(title="Shop")
    seen: list[str] = []

    @app.consumes(topic=["orders", "returns"])
    async def two(order: Order, meta: EventMetadata) -> None:
        seen.append(meta.topic)

    @app.consumes(topic=re.compile(r"parcels-\w+"), group_id="parcels")
    async def many(order: Order, meta: EventMetadata) -> None:
        seen.append(meta.topic)

    async with Tester(app) as tester:
        await tester.to_orders(Order(id=1))
        await tester.to_returns(Order(id=2))
        await tester.mirrors[two](Order(id=3), topic="returns")
        await tester.mirrors[many](Order(id=4), topic="parcels-eu")
        await tester.idle()
        assert sorted(seen) == ["orders", "parcels-eu", "returns", "returns"]
        assert tester.committed("parcels-eu") == {0: 1}
        assert tester.lag() == 0
        with refused(
            "`mirrors[many]`: `topic` is None, but `many` reads 'parcels-\\\\w+$'. "
            "Say where to send: `topic=...`."
        ):
            await tester.mirrors[many](Order(id=5))
        with refused(
            "`mirrors[two]`: `topic` is 'invoices', but `two` reads 'orders', "
            "'returns'. Say where to send: `topic=...`."
        ):
            await tester.mirrors[two](Order(id=5), topic="invoices")
        with refused(
            "Tester: `two` has the topics 'orders' and 'returns'. Give the name of one."
        ):
            tester.messages(two)


async def test_a_message_that_does_not_fit_its_mirror_is_refused() -> None:
    async with Tester(shop()) as tester:
        with refused(
            "`to_orders` was given a `dict` for 'orders' that is not `Order`: "
            "field required - at `$.id`.",
            ProduceError,
        ):
            await tester.to_orders({"number": 7})
        with refused(
            "`to_orders` was given None for 'orders' without a key. A tombstone "
            "deletes a key. Say which one.",
            ProduceError,
        ):
            await tester.to_orders(None)


async def test_what_fits_no_model_reaches_a_mirror_as_it_is() -> None:
    async with Tester(shop()) as tester:
        tester.broker.produce("invoices", b"no JSON")
        tester.broker.produce("invoices", None, key=b"k")
        await tester.idle()

        assert tester.mocks.on_invoices.await_args_list == [
            ((b"no JSON",), {}),
            ((None,), {}),
        ]


async def test_a_processor_is_mirrored_on_both_sides() -> None:
    app = FastKafka(title="Shop")

    @app.consumes(topic="orders")
    @app.produces(topic="invoices")
    async def invoice(order: Order) -> Invoice | None:
        return Invoice(order=order.id) if order.id else None

    async with Tester(app) as tester:
        await tester.to_orders([Order(id=0), Order(id=1)])
        await tester.on_invoices.assert_called_once_with(Invoice(order=1), timeout=5)
        await tester.mirrors[invoice](Order(id=2))
        await tester.on_invoices.assert_called_with(Invoice(order=2), timeout=5)
        await tester.idle()
        assert app.mocks.invoice.await_count == 3


async def test_several_apps_talk_to_each_other() -> None:
    first = shop()
    second = FastKafka(title="Books")

    @second.consumes()
    async def on_invoices(invoice: Invoice) -> None: ...

    async with Tester([first, second]) as tester:
        await tester.to_orders(Order(id=3))
        await second.awaited_mocks.on_invoices.assert_called_with(Invoice(order=3))
        await tester.idle()
        assert tester.committed("invoices") == {0: 1}
        assert tester.committed("orders") == {0: 1}


async def test_functions_can_be_declared_on_the_tester() -> None:
    tester = Tester(shop())
    answers: list[Invoice] = []

    @tester.produces(topic="orders")
    async def to_orders_twice(id: int) -> list[Order]:
        return [Order(id=id), Order(id=id + 1)]

    @tester.consumes()
    async def on_invoices(invoice: Invoice) -> None:
        answers.append(invoice)

    async with tester:
        await to_orders_twice(1)
        await tester.awaited_mocks.on_invoices.assert_called_with(
            Invoice(order=2), timeout=5
        )
        await tester.idle()

    assert answers == [Invoice(order=1), Invoice(order=2)]


async def test_a_consumer_that_starts_at_the_end_misses_nothing() -> None:
    app = FastKafka(title="Shop", auto_offset_reset="latest")

    @app.consumes()
    async def on_orders(order: Order) -> None: ...

    async with Tester(app) as tester:
        await tester.to_orders(Order(id=1))
        await app.awaited_mocks.on_orders.assert_called_once(timeout=5)


async def test_what_an_app_sends_while_it_starts_is_seen() -> None:
    app = FastKafka(title="Shop")

    @app.produces()
    async def to_invoices() -> Invoice:
        return Invoice(order=1)

    @app.run_in_background()
    async def report() -> None:
        await to_invoices()

    async with Tester(app) as tester:
        await tester.on_invoices.assert_called_once_with(Invoice(order=1), timeout=5)


# Codecs.


def rot13(text: bytes) -> bytes:
    return bytes(
        c if not chr(c).isalpha() else (c - 65 - (c & 32) + 13) % 26 + 65 + (c & 32)
        for c in text
    )


def encode(message: BaseModel) -> bytes:
    return rot13(message.model_dump_json().encode())


def decode(raw: bytes, model: Any) -> Any:
    return model.model_validate_json(rot13(raw))


async def test_mirrors_speak_the_apps_own_codecs() -> None:
    app = FastKafka(title="Shop")

    @app.consumes(decoder=decode)
    async def on_orders(order: Order) -> None:
        await to_invoices(order.id)

    @app.produces(encoder=encode)
    async def to_invoices(order: int) -> Invoice:
        return Invoice(order=order)

    async with Tester(app) as tester:
        await tester.to_orders(Order(id=7))
        await tester.on_invoices.assert_called_with(Invoice(order=7), timeout=5)
        assert tester.broker.messages("orders")[0].value() == b'{"vq":7}'
        assert [e.message for e in tester.messages("invoices")] == [Invoice(order=7)]
        assert [e.message for e in tester.messages("orders")] == [Order(id=7)]


class Reading(AvroBase):
    value: float


@pytest.mark.parametrize(
    ("decoder", "encoder"), [("avro", "avro"), (avro_decoder, avro_encoder)]
)
async def test_avro_goes_both_ways(decoder: Any, encoder: Any) -> None:
    app = FastKafka(title="Shop")

    @app.consumes(decoder=decoder)
    async def on_readings(reading: Reading) -> None:
        await to_doubles(reading.value)

    @app.produces(encoder=encoder)
    async def to_doubles(value: float) -> Reading:
        return Reading(value=2 * value)

    async with Tester(app) as tester:
        await tester.to_readings(Reading(value=1.5))
        await tester.on_doubles.assert_called_with(Reading(value=3.0), timeout=5)
        assert len(tester.broker.messages("doubles")[0].value() or b"") == 8


async def test_a_decoder_without_an_encoder_needs_bytes() -> None:
    app = FastKafka(title="Shop")

    @app.consumes(decoder=decode)
    async def on_orders(order: Order) -> None: ...

    async with Tester(app) as tester:
        with refused(
            "Tester: `on_orders` has a decoder of its own, and the apps have not one "
            "encoder that would be its inverse for a `Order`. Send bytes."
        ):
            await tester.to_orders(Order(id=1))
        await tester.to_orders(rot13(b'{"id": 1}'))
        await app.awaited_mocks.on_orders.assert_called_once_with(Order(id=1))


# Failures.


STOPS: Any = {"on_failure": "stop", "retry": Retry(attempts=1)}


def failing(error: BaseException, **settings: Any) -> FastKafka:
    app = FastKafka(title="Shop", **(settings or STOPS))

    @app.consumes()
    async def on_orders(order: Order) -> None:
        raise error

    @app.produces()
    async def to_invoices() -> Invoice:
        return Invoice(order=1)

    return app


async def test_a_failure_is_raised_by_the_next_call_that_is_awaited() -> None:
    app: Any = failing(LookupError("no price"))

    with pytest.raises(HandlerError) as error:
        async with Tester(app) as tester:
            await tester.to_orders(Order(id=1))
            await tester.on_invoices.assert_called(timeout=30)
            pytest.fail("it waits no longer than the app lives")

    assert isinstance(error.value.__cause__, LookupError)
    frames = traceback.extract_tb(error.value.__cause__.__traceback__)
    assert frames[-1].name == "on_orders"
    assert not app.is_started


@pytest.mark.parametrize(
    "awaiting",
    [
        lambda tester: tester.idle(),
        lambda tester: tester.to_orders(Order(id=2)),
        lambda tester: tester.awaited_mocks.on_invoices.assert_not_called(),
    ],
)
async def test_every_awaited_call_raises_a_failure(
    awaiting: Callable[[Any], Any],
) -> None:
    async with Tester(failing(LookupError("no price"))) as tester:
        await tester.to_orders(Order(id=1))
        await tester.broker.idle()
        with refused(
            "orders[0]@0: `on_orders` failed: LookupError('no price')", HandlerError
        ):
            await awaiting(tester)


async def test_a_failure_that_the_test_has_not_seen_is_raised_at_the_end() -> None:
    with pytest.raises(HandlerError, match="no price"):
        async with Tester(failing(LookupError("no price"))) as tester:
            await tester.to_orders(Order(id=1))
            await tester.broker.idle()


async def test_a_failure_that_the_test_has_seen_is_not_raised_again() -> None:
    raised: list[BaseException | None] = []

    @asynccontextmanager
    async def lifespan(app: FastKafka) -> AsyncIterator[None]:
        try:
            yield
        except BaseException as error:
            raised.append(error)
            raise
        raised.append(None)

    other = FastKafka(title="Other", lifespan=lifespan)
    async with Tester([other, failing(LookupError("no price"))]) as tester:
        await tester.to_orders(Order(id=1))
        with pytest.raises(HandlerError, match="no price"):
            await tester.idle()
        assert tester.committed("orders") == {0: 0}
        assert tester.lag("orders") == 1

    assert raised == [None]


async def test_an_assertion_that_fails_says_that_an_app_had_failed() -> None:
    with pytest.raises(AssertionError) as error:
        async with Tester(failing(LookupError("no price"))) as tester:
            await tester.to_orders(Order(id=1))
            await tester.broker.idle()
            raise AssertionError("there is no invoice")

    assert error.value.__notes__ == [
        "Before that, an app had failed: orders[0]@0: `on_orders` failed: "
        "LookupError('no price')"
    ]


async def test_bytes_that_do_not_fit_fail_as_they_would_in_production() -> None:
    async with Tester(shop(**STOPS)) as tester:
        await tester.to_orders(b'{"id": "seven"}')
        with pytest.raises(DecodingError, match="valid integer"):
            await tester.idle()


PARKS: Any = {"on_failure": "dead_letter"}


async def test_what_was_parked_is_raised_where_a_mock_is_awaited() -> None:
    with pytest.raises(HandlerError, match="no price"):
        async with Tester(failing(LookupError("no price"), **PARKS)) as tester:
            await tester.to_orders(Order(id=1))
            await tester.on_invoices.assert_called(timeout=30)


async def test_what_was_parked_is_raised_at_the_end_if_the_test_never_looked() -> None:
    with pytest.raises(HandlerError, match="no price"):
        async with Tester(failing(LookupError("no price"), **PARKS)) as tester:
            await tester.to_orders(Order(id=1))
            await tester.idle()


async def test_dead_letters_can_be_looked_at_and_are_no_failure_then() -> None:
    async with Tester(failing(LookupError("no price"), **PARKS)) as tester:
        await tester.to_orders(KafkaEvent(Order(id=1), key=b"k"))
        await tester.idle()
        [letter] = tester.dead_letters("orders")

    assert (letter.message, letter.key) == (b'{"id":1}', b"k")
    assert letter.headers is not None
    assert dict(letter.headers)["kafka_deliveryAttempt"] == b"\0\0\0\3"


async def test_a_topic_without_dead_letters_has_none() -> None:
    async with Tester(shop()) as tester:
        assert tester.dead_letters("orders") == []


async def test_a_test_that_fails_does_not_wait_for_a_clock_that_stands_still() -> None:
    stuck = asyncio.Event()
    app = FastKafka(title="Shop")

    @app.consumes()
    async def on_orders(order: Order) -> None:
        await to_invoices(order.id)
        await stuck.wait()

    @app.produces()
    async def to_invoices(order: int) -> Invoice:
        return Invoice(order=order)

    broker = MemoryBroker(clock=ManualClock())
    with pytest.raises(AssertionError, match="as the test has it") as error:
        async with Tester(app, broker=broker) as tester:
            broker.delay(3600.0)
            asyncio.ensure_future(app.produce(1, topic="audit"))  # noqa: RUF006
            broker.produce("orders", b'{"id": 1}')
            await tester.on_invoices.assert_called(timeout=5)
            broker.suspend(next(iter(broker.members("shop"))))
            raise AssertionError("as the test has it")
    assert not app.is_started
    assert app.shutdown_timeout == 25.0
    assert error.value.__notes__ == [
        "Then an app did not stop well: 2 produced records were not acknowledged by "
        "the broker before the stop's deadline of 1 s. They may be lost."
    ]


async def test_a_start_that_fails_leaves_everything_as_it_was() -> None:
    @asynccontextmanager
    async def lifespan(app: FastKafka) -> AsyncIterator[None]:
        raise LookupError("no model")
        yield

    first, second = shop(), FastKafka(title="Broken", lifespan=lifespan)
    before = vars(first).copy()
    tester = Tester([first, second])
    with pytest.raises(LookupError, match="no model"):
        await tester.__aenter__()

    assert not first.is_started
    assert not tester.is_started
    for name in ("_transport", "_choice", "_given_up", "shutdown_timeout"):
        assert getattr(first, name) == before[name]


# Looking.


async def test_a_test_sees_commits_lag_and_messages() -> None:
    app = FastKafka(title="Shop")
    go_on = asyncio.Event()

    @app.consumes()
    async def on_orders(order: Order) -> None:
        await go_on.wait()
        await to_invoices(order.id)

    @app.produces()
    async def to_invoices(order: int) -> KafkaEvent[Invoice]:
        return KafkaEvent(Invoice(order=order), key=b"k", headers=[("h", b"v")])

    tester = Tester(app, broker=MemoryBroker({"orders": 3}))
    async with tester:
        for partition in range(3):
            order = KafkaEvent(Order(id=partition), partition=partition)
            await tester.to_orders(order)
        assert tester.lag("orders") == tester.lag() == 3
        assert tester.committed("orders") == {0: 0, 1: 0, 2: 0}
        with refused(
            "Tester: not idle after 0 s. Not handled yet: 3 of 'orders'.",
            AssertionError,
        ):
            await tester.idle(timeout=0)
        go_on.set()
        await tester.idle()

        assert tester.committed("orders") == {0: 1, 1: 1, 2: 1}
        assert tester.committed(on_orders) == {0: 1, 1: 1, 2: 1}
        assert tester.lag() == tester.lag(on_orders) == 0
        sent = tester.messages("invoices")
        assert sorted(event.message.order for event in sent) == [0, 1, 2]
        assert {(event.key, *(event.headers or ())) for event in sent} == {
            (b"k", ("h", b"v"))
        }
        assert [event.message for event in tester.messages(to_invoices)] == [
            event.message for event in sent
        ]

    assert tester.committed("orders") == {0: 1, 1: 1, 2: 1}, "and afterwards"


async def test_messages_of_an_undeclared_topic_are_bytes() -> None:
    app = FastKafka(title="Shop")

    async with Tester(app) as tester:
        await app.produce({"id": 1}, topic="anything", key=b"k")
        (event,) = tester.messages("anything")
        assert (event.message, event.key) == (b'{"id":1}', b"k")
        with refused("MemoryBroker: there is no topic 'orders'."):
            tester.messages("orders")


async def test_a_test_turns_the_brokers_handles() -> None:
    app = FastKafka(title="Shop")
    handled: list[int] = []

    @app.consumes()
    async def on_orders(order: Order) -> None:
        handled.append(order.id)
        await to_invoices(order.id)

    @app.produces()
    async def to_invoices(order: int) -> Invoice:
        return Invoice(order=order)

    broker = MemoryBroker({"orders": 2}, clock=ManualClock())
    async with Tester(app, broker=broker) as tester:
        assert tester.broker is tester.broker_of(to_invoices) is broker
        await tester.to_orders([Order(id=1), Order(id=2)])
        await tester.idle()
        tester.broker.rebalance()
        await tester.idle()
        tester.broker.delay(5.0, topic="invoices")
        sending = asyncio.ensure_future(tester.to_orders(Order(id=3)))
        await app.awaited_mocks.on_orders.assert_called_with(Order(id=3), timeout=5)
        with refused(
            "Tester: not idle after 0 s. Not handled yet: 1 of 'orders'.",
            AssertionError,
        ):
            await tester.idle(timeout=0)
        tester.broker.advance(5.0)
        await sending
        await tester.idle()
        assert tester.lag() == 0
        tester.broker.heal()

        (member,) = tester.broker.members("shop")
        tester.broker.crash(member)
        await tester.to_orders(Order(id=4))
    assert sorted(handled) == [1, 2, 3]

    async with Tester(app, broker=broker) as tester:
        tester.broker.advance(60.0)
        await tester.idle()
    assert sorted(handled) == [1, 2, 3, 4]


async def test_a_refused_output_is_the_handlers_failure() -> None:
    async with Tester(shop(**STOPS)) as tester:
        tester.broker.fail(
            "produce", topic="invoices", error="TOPIC_AUTHORIZATION_FAILED"
        )
        await tester.to_orders(Order(id=1))
        with pytest.raises(HandlerError, match="TOPIC_AUTHORIZATION_FAILED"):
            await tester.idle()
        assert tester.committed("orders") == {0: 0}


async def test_groups_that_read_one_topic_are_told_apart_by_the_function() -> None:
    app = FastKafka(title="Shop")

    @app.consumes()
    async def on_orders(order: Order) -> None: ...

    @app.consumes(topic="orders", group_id="audit")
    async def audit(order: Order) -> None: ...

    @app.consumes(topic="ticks", group_id=None)
    async def watch(order: Order) -> None: ...

    async with Tester(app) as tester:
        await tester.to_orders(Order(id=1))
        await tester.to_ticks(Order(id=1))
        await tester.idle()
        assert tester.committed(audit) == tester.committed(on_orders) == {0: 1}
        assert tester.committed("ticks") == {}
        with refused(
            "Tester: 'orders' is read by the groups 'audit' and 'shop'. "
            "Give the function instead of the topic."
        ):
            tester.committed("orders")
        with refused(
            "Tester: no function of the apps reads 'invoices', so nobody commits its "
            "offsets."
        ):
            tester.committed("invoices")


# Several clusters.


def forwarder() -> Any:
    """An app that reads a topic on one cluster and writes it on another."""
    one = {"server": {"url": "one", "port": 9092}}
    two = {"server": {"url": "two", "port": 9092}}
    app = FastKafka(title="Mirror", kafka_brokers=one, bootstrap_servers_id="server")

    @app.consumes(topic="signals")
    async def on_signals_one(order: Order) -> None:
        await to_signals_two(order)

    @app.produces(topic="signals", brokers=two)
    async def to_signals_two(order: Order) -> Order:
        return order

    @app.consumes(topic="signals", brokers=two)
    async def on_signals_two(order: Order) -> None: ...

    return app


async def test_each_cluster_is_a_broker_of_its_own() -> None:
    app = forwarder()

    async with Tester(app) as tester:
        await tester.mirrors[app.on_signals_one](Order(id=1))
        await tester.mirrors[app.to_signals_two].assert_called_with(
            Order(id=1), timeout=5
        )
        await app.awaited_mocks.on_signals_two.assert_called_with(Order(id=1))
        await tester.idle()

        assert tester.broker is tester.broker_of(app.on_signals_one)
        assert tester.broker is not tester.broker_of(app.on_signals_two)
        assert tester.committed(app.on_signals_one) == {0: 1}
        assert tester.committed(app.on_signals_two) == {0: 1}
        assert len(tester.messages(app.to_signals_two)) == 1
        with refused(
            "Tester: 'signals' is on 2 clusters, for the functions 'on_signals_one' "
            "and 'on_signals_two' and 'to_signals_two' and 'on_signals'. "
            "Give the function instead of the topic."
        ):
            tester.messages("signals")


async def test_a_topic_on_two_clusters_is_ambiguous() -> None:
    sentence = (
        "Ambiguous topic: signals, for functions: ['on_signals_one', "
        "'on_signals_two']\nUse Tester.mirrors[app.function] to resolve ambiguity"
    )
    async with Tester(forwarder()) as tester:
        with refused(sentence, RuntimeError):
            await tester.to_signals(Order(id=1))
        with refused(sentence, RuntimeError):
            _ = tester.to_signals.anything
        await tester.on_signals.assert_not_called()  # it is sent on one only


async def test_one_broker_is_not_enough_for_two_clusters() -> None:
    tester = Tester(forwarder(), broker=MemoryBroker())
    with refused(
        "Tester: the apps use 2 clusters, 'one:9092' and 'two:9092', but `broker` is "
        "one. Leave `broker` out: every cluster gets a broker of its own."
    ):
        await tester.__aenter__()


CLUSTERS = {
    "localhost": {"url": "localhost", "port": 9092},
    "production": {"url": "kafka.example.com", "port": 9092},
}


async def test_a_cluster_that_an_app_does_not_have_is_refused_in_a_test_too() -> None:
    app = shop(bootstrap_servers_id="prodution")

    with refused(
        "Given kafka_broker_name 'prodution' is not found in kafka_brokers, available "
        "options are dict_keys(['localhost'])."
    ):
        async with Tester(app):
            pass


async def test_the_only_cluster_is_taken_whatever_its_name() -> None:
    app: Any = shop(kafka_brokers={"demo_broker": {"url": "<url>", "port": "<port>"}})

    async with Tester(app) as tester:
        assert app._kafka_config["bootstrap_servers_id"] == "demo_broker"
        await tester.to_orders(Order(id=1))
        await tester.on_invoices.assert_called(timeout=5)
    assert app._kafka_config["bootstrap_servers_id"] == "localhost"


async def test_the_chosen_cluster_stays_chosen() -> None:
    app: Any = shop(kafka_brokers=CLUSTERS)
    app.set_kafka_broker("production")

    async with Tester(app) as tester:
        assert app._kafka_config["bootstrap_servers_id"] == "production"
        await tester.to_orders(Order(id=1))
        await tester.on_invoices.assert_called(timeout=5)


async def test_a_cluster_is_chosen_for_one_block() -> None:
    app: Any = shop(kafka_brokers=CLUSTERS)
    tester = Tester(app)

    async with tester.using_inmemory_broker(bootstrap_servers_id="production"):
        assert app._kafka_config["bootstrap_servers_id"] == "production"
        assert tester._kafka_config["bootstrap_servers_id"] == "production"
        await tester.to_orders(Order(id=1))
        await tester.on_invoices.assert_called(timeout=5)
    assert app._kafka_config["bootstrap_servers_id"] == "localhost"
    async with tester:
        assert app._kafka_config["bootstrap_servers_id"] == "localhost"


@pytest.mark.parametrize("use", ["using_inmemory_broker", "using_external_broker"])
def test_an_unknown_cluster_is_refused(use: str) -> None:
    tester = Tester(shop(kafka_brokers=CLUSTERS))
    with refused(
        "Given kafka_broker_name 'prodution' is not found in kafka_brokers, available "
        "options are dict_keys(['localhost', 'production']). Did you mean 'production'?"
    ):
        getattr(tester, use)("prodution")


# Other brokers.


async def test_an_external_broker_is_used_as_it_is() -> None:
    with EmbeddedBroker({"orders": 1, "invoices": 1}) as servers:
        brokers = {"localhost": {"url": "localhost"}, "embedded": {"url": servers}}
        app: Any = shop(kafka_brokers=brokers)
        tester = Tester(app, use_in_memory_broker=False)

        async with tester.using_external_broker(bootstrap_servers_id="embedded"):
            await tester.to_orders(Order(id=1))
            await tester.on_invoices.assert_called_with(Invoice(order=1), timeout=20)
            with refused(
                "Tester: there is no broker in memory to look into. Use this in "
                "`async with tester:`, and not with an external or a started broker."
            ):
                await tester.idle()
    assert app._kafka_config["bootstrap_servers_id"] == "localhost"


@pytest.mark.parametrize("started", [False, True])
async def test_a_broker_is_started_unless_it_runs(started: bool) -> None:
    app = shop(security_protocol="SASL_SSL", sasl_plain_username="u")
    broker = EmbeddedBroker({"orders": 1})
    if started:
        broker.start()

    async with Tester(app, broker=broker) as tester:
        await tester.to_orders(Order(id=1))
        await tester.on_invoices.assert_called_with(Invoice(order=1), timeout=20)

    assert broker.is_started is started
    broker.stop()


async def test_inside_an_in_memory_broker_a_tester_uses_it() -> None:
    with InMemoryBroker():
        async with Tester(shop()) as tester:
            await tester.to_orders(Order(id=1))
            await tester.on_invoices.assert_called_with(Invoice(order=1), timeout=5)
            await tester.idle()
            assert tester.committed("orders") == {0: 1}
            assert tester.lag() == 0
            assert len(tester.messages("invoices")) == 1


# Bad input.


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ((),),
            "Tester: there is no app to test. Write `Tester(app)` or "
            "`Tester([app_1, app_2])`.",
        ),
        (
            (),
            "Tester: there is no app to test. Write `Tester(app)` or "
            "`Tester([app_1, app_2])`.",
        ),
        (
            ("shop:app",),
            "Tester: 'shop:app' is not an app. Write `Tester(app)` or "
            "`Tester([app_1, app_2])`.",
        ),
    ],
)
def test_a_tester_without_an_app_is_refused(
    arguments: Sequence[Any], sentence: str
) -> None:
    with refused(sentence):
        Tester(*arguments)


def test_an_app_is_given_once() -> None:
    app = shop()
    with refused("Tester: an app is given twice. Give each of them once."):
        Tester([app, app])


def test_a_broker_that_is_none_is_refused() -> None:
    with refused(
        "Tester: `broker` is 'localhost:9092'. Pass a `MemoryBroker`, an "
        "`EmbeddedBroker`, an `ApacheKafkaBroker` or a `LocalRedpandaBroker`, or leave "
        "it out."
    ):
        Tester(shop(), broker="localhost:9092")  # type: ignore[arg-type]


async def test_an_app_that_runs_cannot_be_tested() -> None:
    sentence = (
        "Tester: the app 'Shop' runs already. A tester starts and stops its apps "
        "itself. Stop it first."
    )
    app = shop(transport=MemoryBroker())
    tester = Tester(app)
    async with app:
        with refused(sentence, RuntimeError):
            Tester(app)
        with refused(sentence, RuntimeError):
            await tester.__aenter__()


async def test_a_topic_without_a_mirror_is_a_hint() -> None:
    tester = Tester(shop())
    with refused(
        "Tester: no function of the apps reads a topic of the name that `to_order` "
        "stands for. Did you mean 'to_orders'? There are: `to_orders`, `on_invoices`.",
        AttributeError,
    ):
        tester.to_order  # noqa: B018
    with refused("`Tester` has no attribute 'orders'.", AttributeError):
        tester.orders  # noqa: B018
    assert not hasattr(tester, "on_orders")


def test_a_function_of_another_app_has_no_mirror() -> None:
    async def on_order(order: Order) -> None: ...

    with refused(
        "Tester: `on_order` is no function of the apps under test, so it has no "
        "mirror. Did you mean 'on_orders'? They have: on_orders, to_invoices."
    ):
        Tester(shop()).mirrors[on_order]


async def test_a_mirror_before_the_start_says_so() -> None:
    tester = Tester(shop())
    with refused(
        "`to_orders` was called before the app has started or after it has stopped. "
        "Call it in `async with app:`, in a handler, or in a background task.",
        NotStartedError,
    ):
        await tester.to_orders(Order(id=1))
    with refused(
        "Tester: there is no broker in memory to look into. Use this in "
        "`async with tester:`, and not with an external or a started broker."
    ):
        tester.lag()


def test_what_old_tests_pass_is_accepted_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "fastkafka.testing")
    for _ in range(2):
        Tester(
            shop(),
            topics=["orders"],
            retries=3,
            apply_nest_asyncio=True,
            zookeeper_port=2181,
            listener_port=9092,
        )

    assert [r.getMessage() for r in caplog.records if "has no effect" in r.message] == [
        f"`Tester({name}=...)` has no effect: nothing needs it any more."
        for name in (
            "topics",
            "retries",
            "apply_nest_asyncio",
            "zookeeper_port",
            "listener_port",
        )
    ]


async def test_keys_headers_and_the_app_itself_reach_a_handler() -> None:
    app = FastKafka(title="Shop")
    seen: list[Any] = []

    @app.consumes()
    async def on_orders(
        order: Order,
        key: Annotated[str, Key()],
        trace: Annotated[str, Header("trace")],
        *,
        me: FastKafka,
    ) -> None:
        seen.append((order.id, key, trace, me))

    async with Tester(app) as tester:
        await tester.to_orders(
            KafkaEvent(Order(id=1), key=b"k", headers=[("trace", b"t")])
        )
        await app.awaited_mocks.on_orders.assert_called_once_with(
            Order(id=1), "k", "t", me=app, timeout=5
        )
    assert seen == [(1, "k", "t", app)]
