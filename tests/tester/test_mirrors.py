"""`Tester`: what it sends and receives, in the codecs of the apps."""

from __future__ import annotations

import re
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from fastkafka import (
    EventMetadata,
    FastKafka,
    Header,
    KafkaEvent,
    Key,
    ProduceError,
    Router,
)
from fastkafka.encoder import AvroBase, avro_decoder, avro_encoder
from fastkafka.testing import Tester
from tests.tester.shop import Invoice, Order, refused, shop


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
