"""`Tester`: what goes wrong in an app comes out of the test."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fastkafka import DecodingError, FastKafka, HandlerError, KafkaEvent, Retry
from fastkafka.testing import Tester
from fastkafka.transport.memory import ManualClock, MemoryBroker
from tests.tester.shop import Invoice, Order, refused, shop

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


async def test_what_a_decoder_of_ones_own_raises_comes_out_with_its_traceback() -> None:
    app = FastKafka(title="Shop")

    def decode(raw: bytes, model: type[Order]) -> Order:
        raise KeyError("no such format")

    @app.consumes(topic="orders", decoder=decode)
    async def on_orders(order: Order) -> None: ...

    with pytest.raises(DecodingError) as error:
        async with Tester(app) as tester:
            await tester.to_orders(b"?")
            await tester.idle()

    assert str(error.value) == "orders[0]@0: KeyError: 'no such format'"
    assert "in decode" in "".join(traceback.format_exception(error.value))


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


async def test_a_refused_output_is_the_handlers_failure() -> None:
    async with Tester(shop(**STOPS)) as tester:
        tester.broker.fail(
            "produce", topic="invoices", error="TOPIC_AUTHORIZATION_FAILED"
        )
        await tester.to_orders(Order(id=1))
        with pytest.raises(HandlerError, match="TOPIC_AUTHORIZATION_FAILED"):
            await tester.idle()
        assert tester.committed("orders") == {0: 0}
