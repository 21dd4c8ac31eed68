"""Who waits for the broker: a test for each place that a producer can be called from.

Deliveries are held back by the broker's clock, which only the test turns. Inside a
handler nobody waits, and the input is committed when the output is acknowledged.
Everywhere else whoever awaits a producer waits.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from fastkafka import (
    Depends,
    FastKafka,
    FastKafkaError,
    HandlerError,
    NotStartedError,
    ProduceError,
    Retry,
)
from fastkafka.transport.memory import ManualClock, MemoryBroker
from tests.clients import until
from tests.listeners import turns

HELD_BACK = 5.0


class Order(BaseModel):
    id: int


@dataclass
class Shop:
    """An app, its broker, and the ways to produce to 'out'."""

    broker: MemoryBroker = field(
        default_factory=lambda: MemoryBroker(clock=ManualClock())
    )
    done: threading.Event = field(default_factory=threading.Event)
    lifespan: Any = None

    def __post_init__(self) -> None:
        self.app = FastKafka(
            title="Shop",
            transport=self.broker,
            on_failure="stop",
            retry=Retry(attempts=1),
            lifespan=self.lifespan,
        )

        @self.app.produces(topic="out")
        async def send(order: Order) -> Order:
            return order

        @self.app.produces(topic="out")
        def send_sync(order: Order) -> Order:
            return order

        @self.app.produces(topic="out")
        async def send_each(order: Order) -> AsyncIterator[Order]:
            yield order

        @self.app.produces(topic="out", confirm=True)
        async def send_confirmed(order: Order) -> Order:
            return order

        @self.app.produces(topic="out", confirm=False)
        async def send_unconfirmed(order: Order) -> Order:
            return order

        self.send, self.send_sync, self.send_each = send, send_sync, send_each
        self.send_confirmed, self.send_unconfirmed = send_confirmed, send_unconfirmed

    @property
    def sent(self) -> int:
        return len(self.broker.messages("out"))

    def hold_back(self) -> None:
        self.broker.delay(HELD_BACK, topic="out")

    def refuse(self) -> None:
        self.broker.fail("produce", topic="out", error="TOPIC_AUTHORIZATION_FAILED")

    def committed(self) -> dict[int, int]:
        self.broker.commit()
        return self.broker.committed("shop", "orders")


# Inside a handler.


def in_an_async_handler(shop: Shop) -> None:
    @shop.app.consumes()
    async def on_orders(order: Order) -> None:
        await shop.send(order)
        shop.done.set()


def a_sync_producer_in_an_async_handler(shop: Shop) -> None:
    @shop.app.consumes()
    async def on_orders(order: Order) -> None:
        shop.send_sync(order)
        shop.done.set()


def in_a_sync_handler(shop: Shop) -> None:
    @shop.app.consumes()
    def on_orders(order: Order) -> None:
        shop.send_sync(order)
        shop.done.set()


def a_generator_in_a_handler(shop: Shop) -> None:
    @shop.app.consumes()
    async def on_orders(order: Order) -> None:
        await shop.send_each(order)  # type: ignore[misc]
        shop.done.set()


def the_untyped_door_in_a_handler(shop: Shop) -> None:
    @shop.app.consumes()
    async def on_orders(order: Order) -> None:
        await shop.app.produce(order, topic="out")
        shop.done.set()


def in_a_batch_handler(shop: Shop) -> None:
    @shop.app.consumes()
    async def on_orders(orders: list[Order]) -> None:
        await shop.send(orders[0])
        shop.done.set()


def in_a_handler_by_key(shop: Shop) -> None:
    @shop.app.consumes(order="key")
    async def on_orders(order: Order) -> None:
        await shop.send(order)
        shop.done.set()


def in_a_function_that_a_handler_calls_in_a_thread(shop: Shop) -> None:
    @shop.app.consumes()
    async def on_orders(order: Order) -> None:
        await asyncio.to_thread(shop.send_sync, order)
        shop.done.set()


def in_tasks_that_a_handler_waits_for(shop: Shop) -> None:
    @shop.app.consumes()
    async def on_orders(order: Order) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(shop.send(order))
        shop.done.set()


def in_an_async_dependency(shop: Shop) -> None:
    async def answer(order: Order) -> None:
        await shop.send(order)

    @shop.app.consumes()
    async def on_orders(order: Order, _: Annotated[None, Depends(answer)]) -> None:
        shop.done.set()


def in_a_sync_dependency(shop: Shop) -> None:
    def answer(order: Order) -> None:
        shop.send_sync(order)

    @shop.app.consumes()
    async def on_orders(order: Order, _: Annotated[None, Depends(answer)]) -> None:
        shop.done.set()


def after_an_async_dependency(shop: Shop) -> None:
    async def answer(order: Order) -> AsyncIterator[None]:
        yield
        await shop.send(order)
        shop.done.set()

    @shop.app.consumes()
    async def on_orders(order: Order, _: Annotated[None, Depends(answer)]) -> None: ...


def after_a_sync_dependency(shop: Shop) -> None:
    def answer(order: Order) -> Iterator[None]:
        yield
        shop.send_sync(order)
        shop.done.set()

    @shop.app.consumes()
    def on_orders(order: Order, _: Annotated[None, Depends(answer)]) -> None: ...


def without_confirmation_in_a_handler(shop: Shop) -> None:
    @shop.app.consumes()
    async def on_orders(order: Order) -> None:
        await shop.send_unconfirmed(order)
        shop.done.set()


INSIDE = [
    in_an_async_handler,
    a_sync_producer_in_an_async_handler,
    in_a_sync_handler,
    a_generator_in_a_handler,
    the_untyped_door_in_a_handler,
    in_a_batch_handler,
    in_a_handler_by_key,
    in_a_function_that_a_handler_calls_in_a_thread,
    in_tasks_that_a_handler_waits_for,
    in_an_async_dependency,
    in_a_sync_dependency,
    after_an_async_dependency,
    after_a_sync_dependency,
    without_confirmation_in_a_handler,
]


@pytest.mark.parametrize("declare", INSIDE, ids=lambda f: f.__name__)
async def test_inside_a_handler_nobody_waits_but_the_commit_does(
    declare: Callable[[Shop], None],
) -> None:
    shop = Shop()
    declare(shop)
    async with shop.app:
        shop.hold_back()
        shop.broker.produce("orders", b'{"id": 1}', key=b"k")
        await until(shop.done.is_set)
        await until(lambda: shop.sent == 1)
        await turns()
        assert shop.committed() == {0: 0}

        shop.broker.advance(HELD_BACK)
        await shop.broker.idle()
        assert shop.committed() == {0: 1}


@pytest.mark.parametrize("declare", INSIDE, ids=lambda f: f.__name__)
async def test_a_refused_output_is_the_failure_of_its_handler(
    declare: Callable[[Shop], None],
) -> None:
    shop = Shop()
    declare(shop)
    shop.refuse()
    shop.broker.produce("orders", b'{"id": 1}', key=b"k")
    with pytest.raises(HandlerError, match=r"orders\[0\]@0: `on_orders`") as error:
        async with shop.app:
            await shop.app.wait_stopped()

    assert isinstance(error.value.__cause__, ProduceError)
    assert shop.broker.committed("shop", "orders") == {0: 0}


async def test_a_confirmed_producer_waits_inside_a_handler_too() -> None:
    shop = Shop()

    @shop.app.consumes()
    async def on_orders(order: Order) -> None:
        await shop.send_confirmed(order)
        shop.done.set()

    async with shop.app:
        shop.hold_back()
        shop.broker.produce("orders", b'{"id": 1}')
        await turns()
        assert shop.sent == 1
        assert not shop.done.is_set()
        shop.broker.advance(HELD_BACK)
        await shop.broker.idle()
        assert shop.done.is_set()


# Outside.


async def test_a_background_task_waits_and_gets_the_refusal() -> None:
    shop = Shop()
    events: list[str] = []
    go_on = asyncio.Event()

    @shop.app.run_in_background()
    async def report() -> None:
        await go_on.wait()
        await shop.send(Order(id=1))
        events.append("acknowledged")
        with pytest.raises(ProduceError, match="TOPIC_AUTHORIZATION_FAILED"):
            await shop.send(Order(id=2))
        events.append("refused")

    async with shop.app:
        shop.hold_back()
        go_on.set()
        await turns()
        assert (shop.sent, events) == (1, [])
        shop.broker.heal()
        shop.refuse()
        shop.broker.advance(HELD_BACK)
        await turns()
        assert events == ["acknowledged", "refused"]


@pytest.mark.parametrize("how", ["send", "send_each", "send_confirmed", "door"])
async def test_a_route_or_a_script_waits_and_gets_the_refusal(how: str) -> None:
    shop = Shop()

    async def route(id: int) -> str:
        if how == "door":
            await shop.app.produce(Order(id=id), topic="out")
        else:
            await getattr(shop, how)(Order(id=id))
        return "answered"

    async with shop.app:
        shop.hold_back()
        answering = asyncio.ensure_future(route(1))
        await turns()
        assert shop.sent == 1
        assert not answering.done()
        shop.broker.advance(HELD_BACK)
        assert await answering == "answered"

        shop.broker.heal()
        shop.refuse()
        with pytest.raises(ProduceError, match="TOPIC_AUTHORIZATION_FAILED"):
            await route(2)


async def test_a_route_on_another_loop_waits_too() -> None:
    shop = Shop()
    answered = threading.Event()

    async def route() -> None:
        await shop.send(Order(id=1))
        answered.set()

    async with shop.app:
        shop.hold_back()
        running = asyncio.create_task(asyncio.to_thread(asyncio.run, route()))
        await until(lambda: shop.sent == 1)
        assert not answered.is_set()
        shop.broker.advance(HELD_BACK)
        await running
        assert answered.is_set()


async def test_unconfirmed_nobody_waits_and_a_refusal_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shop = Shop()
    async with shop.app:
        shop.refuse()
        await shop.send_unconfirmed(Order(id=1))
        await turns()
    assert _refusals(caplog) == 1


@pytest.mark.parametrize("where", ["loop", "thread"])
async def test_a_sync_producer_cannot_wait_and_a_refusal_is_logged(
    where: str, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop()

    async def call(id: int) -> None:
        if where == "loop":
            shop.send_sync(Order(id=id))
        else:
            await asyncio.to_thread(shop.send_sync, Order(id=id))

    async with shop.app:
        shop.hold_back()
        await call(1)
        await turns()
        assert shop.sent == 1
        shop.broker.advance(HELD_BACK)
        shop.broker.heal()
        shop.refuse()
        await call(2)
        await turns()
    assert _refusals(caplog) == 1


async def test_what_nobody_waited_for_is_missed_at_the_stop() -> None:
    shop = Shop(broker=MemoryBroker())
    shop.app.shutdown_timeout = 0.1
    with pytest.raises(
        FastKafkaError,
        match=re.escape(
            "1 produced records were not acknowledged by the broker before the stop's "
            "deadline of 0.1 s. They may be lost."
        ),
    ):
        async with shop.app:
            shop.broker.delay(3600.0, topic="out")
            shop.send_sync(Order(id=1))


async def test_a_thread_that_a_handler_leaves_behind_is_outside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shop = Shop()
    go_on = threading.Event()

    @shop.app.consumes()
    async def on_orders(order: Order) -> None:
        def later() -> None:
            go_on.wait()
            shop.send_sync(order)
            shop.done.set()

        threading.Thread(target=later).start()

    async with shop.app:
        shop.broker.produce("orders", b'{"id": 1}')
        await shop.broker.idle()
        assert shop.committed() == {0: 1}, "it is not waited for"
        shop.refuse()
        go_on.set()
        await until(shop.done.is_set)
        await turns()
    assert _refusals(caplog) == 1


async def test_a_task_that_a_handler_leaves_behind_waits_for_itself() -> None:
    shop = Shop()
    go_on = asyncio.Event()
    tasks: list[asyncio.Task[Order]] = []

    @shop.app.consumes()
    async def on_orders(order: Order) -> None:
        async def later() -> Order:
            await go_on.wait()
            return await shop.send(order)

        tasks.append(asyncio.create_task(later()))

    async with shop.app:
        shop.broker.produce("orders", b'{"id": 1}')
        await shop.broker.idle()
        assert shop.committed() == {0: 1}, "it is not waited for"
        shop.hold_back()
        go_on.set()
        await turns()
        assert shop.sent == 1
        assert not tasks[0].done()
        shop.broker.advance(HELD_BACK)
        assert await tasks[0] == Order(id=1)


async def test_the_lifespan_has_no_clients_yet_and_none_any_more() -> None:
    refused: list[str] = []

    async def try_it(how: Callable[[Order], Any]) -> None:
        with pytest.raises(NotStartedError) as error:
            await how(Order(id=1))
        refused.append(str(error.value))

    @asynccontextmanager
    async def lifespan(app: FastKafka) -> AsyncIterator[None]:
        await try_it(shop.send)
        await try_it(shop.send_sync)
        yield
        await try_it(shop.send)
        await try_it(shop.send_sync)

    shop = Shop(lifespan=lifespan)
    async with shop.app:
        pass
    await try_it(shop.send)

    assert refused == [
        f"`{name}` was called before the app has started or after it has stopped. Call "
        "it in `async with app:`, in a handler, or in a background task."
        for name in ("send", "send_sync", "send", "send_sync", "send")
    ]


async def test_before_the_stop_ends_handlers_still_produce() -> None:
    shop = Shop()
    inside, go_on = asyncio.Event(), asyncio.Event()

    @shop.app.consumes()
    async def on_orders(order: Order) -> None:
        inside.set()
        await go_on.wait()
        await shop.send(order)

    await shop.app.__aenter__()
    shop.broker.produce("orders", b'{"id": 1}')
    await inside.wait()
    stopping = asyncio.ensure_future(shop.app.__aexit__(None, None, None))
    await turns()
    go_on.set()
    await stopping
    assert shop.sent == 1
    assert shop.broker.committed("shop", "orders") == {0: 1}


def _refusals(caplog: pytest.LogCaptureFixture) -> int:
    """How many refused records were logged, and nothing else at that level."""
    errors = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert {r.getMessage() for r in errors} == {
        "A record for 'out' was not acknowledged: Broker: Topic authorization failed "
        "(TOPIC_AUTHORIZATION_FAILED)."
    }
    return len(errors)
