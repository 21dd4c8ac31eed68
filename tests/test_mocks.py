"""`create_mocks`: what records the calls of an app's functions, and awaits them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from fastkafka import (
    Depends,
    FastKafka,
    HandlerError,
    Retry,
)
from fastkafka.testing import InMemoryBroker, Tester
from fastkafka.transport.memory import MemoryBroker


class Order(BaseModel):
    id: int
    tags: list[str] = []


def shop() -> FastKafka:
    app = FastKafka(title="Shop", transport=MemoryBroker())

    @app.consumes()
    async def on_orders(order: Order) -> None:
        await to_invoices(order)

    @app.produces()
    async def to_invoices(order: Order) -> Order:
        return order

    @app.produces()
    def to_log(order: Order) -> Order:
        return order

    return app


def refused(sentence: str, error: type[BaseException]) -> Any:
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


async def test_an_app_has_no_mocks_before_it_creates_them() -> None:
    app: Any = shop()
    assert (app.mocks, app.awaited_mocks, app.AppMocks) == (None, None, None)
    before = app.to_log

    app.create_mocks()

    assert app.mocks._fields == ("on_orders", "to_invoices", "to_log")
    assert app.awaited_mocks._fields == app.mocks._fields
    assert app.AppMocks is type(app.mocks)
    assert app.to_log is before, "whoever has the function keeps the one that is mocked"


async def test_mocks_are_called_before_their_functions_which_run_as_ever() -> None:
    app: Any = shop()
    app.create_mocks()

    async with app:
        assert await app.to_invoices(Order(id=1)) == Order(id=1)
        assert app.to_log(Order(id=2)) == Order(id=2)
        await app.produce(Order(id=3), topic="orders")
        await app.awaited_mocks.on_orders.assert_awaited_once_with(Order(id=3))
        await app.awaited_mocks.to_invoices.assert_awaited_with(Order(id=3))
        await app.awaited_mocks.to_log.assert_called_once_with(Order(id=2))


async def test_every_kind_of_function_has_a_mock() -> None:
    app: Any = FastKafka(title="Shop")
    handled = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_orders(order: Order) -> None:
        loop.call_soon_threadsafe(handled.set)

    def to_each(count: int) -> Iterator[Order]:
        for id in range(count):
            yield Order(id=id)

    async def to_each_later(count: int) -> AsyncIterator[Order]:
        for id in range(count):
            yield Order(id=id)

    app.consumes()(on_orders)
    app.produces()(to_each)
    app.produces()(to_each_later)

    async with Tester(app) as tester:
        await tester.to_orders(Order(id=1))
        await app.awaited_mocks.on_orders.assert_called_once_with(Order(id=1))
        await handled.wait()
        assert len(app.to_each(2)) == len(await app.to_each_later(count=2)) == 2
        app.mocks.to_each.assert_called_once_with(2)
        app.mocks.to_each_later.assert_awaited_once_with(count=2)
        await tester.idle()
        assert tester.mocks.on_each.await_count == 2


async def test_arguments_are_shown_as_they_were_at_the_call() -> None:
    app = FastKafka(title="Shop")

    @app.consumes()
    async def on_orders(order: Order) -> None:
        order.id += 1
        order.tags.append("seen")
        await to_invoices({"order": order})

    @app.produces()
    async def to_invoices(message: dict[str, Order]) -> Order:
        message["order"].id += 1
        return message.pop("order")

    async with Tester(app) as tester:
        await tester.to_orders(Order(id=1))
        await tester.idle()
        app.mocks.on_orders.assert_called_once_with(Order(id=1))
        seen = Order(id=2, tags=["seen"])
        app.mocks.to_invoices.assert_called_once_with({"order": seen})
        seen.id = 3
        tester.mocks.on_invoices.assert_called_once_with(seen)


async def test_what_a_handler_depends_on_is_not_copied() -> None:
    class Connection:
        def __deepcopy__(self, memo: object) -> Any:
            pytest.fail("it is the test's, and not ours to copy")

    connection = Connection()

    def connect() -> Connection:
        return connection

    app = FastKafka(title="Shop")

    @app.consumes()
    async def on_orders(
        order: Order,
        db: Annotated[Connection, Depends(connect)],
        me: FastKafka,
    ) -> None: ...

    @app.produces()
    async def to_invoices(lock: Any) -> None: ...

    async with Tester(app) as tester:
        await tester.to_orders(Order(id=1))
        await app.awaited_mocks.on_orders.assert_called_with(
            Order(id=1), connection, app
        )
        cannot_be_copied = (n for n in range(1))
        await to_invoices(cannot_be_copied)
        app.mocks.to_invoices.assert_called_with(cannot_be_copied)


async def test_an_assertion_holds_as_soon_as_the_call_comes() -> None:
    app = shop()
    app.create_mocks()
    async with app:
        waiting = asyncio.ensure_future(
            app.awaited_mocks.on_orders.assert_awaited_with(Order(id=2), timeout=9999)
        )
        for id in (1, 2):
            await app.produce(Order(id=id), topic="orders")
        await waiting


async def test_an_assertion_that_times_out_says_what_did_arrive() -> None:
    async with Tester(shop()) as tester:
        await tester.to_orders([Order(id=1), Order(id=2)])
        await tester.idle()
        with pytest.raises(AssertionError) as caught:
            await tester.on_invoices.assert_awaited_with(Order(id=3), timeout=0.01)
        # Pythons differ in how `unittest.mock` indents its last line.
        assert str(caught.value).replace("\nActual:", "\n  Actual:") == (
            "expected await not found.\n"
            "Expected: on_invoices(Order(id=3, tags=[]))\n"
            "  Actual: on_invoices(Order(id=2, tags=[]))\n"
            "Arrived within 0.01 s, 2 in all:\n"
            "  call(Order(id=1, tags=[]))\n"
            "  call(Order(id=2, tags=[]))"
        )
        with refused(
            "Expected on_log to have been awaited.\nNothing arrived within 0 s.",
            AssertionError,
        ):
            await tester.on_log.assert_awaited(timeout=0)


async def test_of_many_calls_only_the_last_are_shown() -> None:
    async with Tester(shop()) as tester:
        await tester.to_orders([Order(id=id) for id in range(12)])
        await tester.idle()
        with pytest.raises(AssertionError) as error:
            await tester.on_invoices.assert_called_once(timeout=0)

    _, _, shown = str(error.value).partition("Arrived within 0 s, ")
    first, others, *calls = shown.splitlines()
    assert (first, others) == ("12 in all:", "  2 others, and then:")
    assert calls == [f"  call(Order(id={id}, tags=[]))" for id in range(2, 12)]


async def test_what_must_not_have_happened_is_not_waited_for() -> None:
    async with Tester(shop()) as tester:
        await tester.on_invoices.assert_not_called(timeout=50)
        await tester.to_orders(Order(id=1))
        await tester.idle()
        with pytest.raises(AssertionError, match="Arrived within 0 s, 1 in all"):
            await tester.on_invoices.assert_not_awaited(timeout=50)


async def test_all_public_methods_of_a_mock_are_awaited() -> None:
    app = shop()
    app.create_mocks()
    mock = app.awaited_mocks.on_orders

    assert {"assert_awaited_with", "assert_has_calls", "reset_mock"} <= set(dir(mock))
    await mock.assert_has_calls([], timeout=1)
    await mock.reset_mock()
    with refused(
        "An awaited mock has only a mock's methods, not `call_count`. "
        "For anything else use `mocks` instead of `awaited_mocks`.",
        AttributeError,
    ):
        mock.call_count  # noqa: B018
    with pytest.raises(AttributeError):
        mock.assert_misspelt_with  # noqa: B018


async def test_a_failure_ends_the_wait_of_an_app_alone() -> None:
    app = FastKafka(
        title="Shop",
        transport=MemoryBroker(),
        on_failure="stop",
        retry=Retry(attempts=1),
    )

    @app.consumes()
    async def on_orders(order: Order) -> None:
        raise LookupError("no price")

    @app.produces()
    async def to_invoices() -> Order:
        return Order(id=1)

    app.create_mocks()
    with pytest.raises(HandlerError, match="no price"):
        async with app:
            await app.produce(Order(id=1), topic="orders")
            await app.awaited_mocks.to_invoices.assert_called(timeout=50)


async def test_mocks_are_awaited_on_another_loop_than_the_apps() -> None:
    app = shop()
    app._transport = None
    app.create_mocks()
    started = asyncio.Event()
    here = asyncio.get_running_loop()

    async def run() -> None:
        async with app:
            here.call_soon_threadsafe(started.set)
            await app.produce(Order(id=1), topic="orders")
            await app.awaited_mocks.to_invoices.assert_awaited(timeout=20)

    with InMemoryBroker():
        running = asyncio.create_task(asyncio.to_thread(asyncio.run, run()))
        await started.wait()
        await app.awaited_mocks.on_orders.assert_awaited_with(Order(id=1), timeout=20)
        await running


def test_names_of_mocks_must_differ() -> None:
    app = FastKafka(title="Shop")

    async def handle(order: Order) -> None: ...

    app.consumes(topic="orders")(handle)
    app.create_mocks()  # one function of two topics has one mock
    app.consumes(topic="returns")(handle)
    app.create_mocks()

    def other() -> None: ...

    other.__name__ = "handle"
    app.produces(topic="parcels")(other)
    with refused("Encountered duplicate field name: 'handle'", ValueError):
        app.create_mocks()
    assert app._consumers[0].function is handle, "nothing is half done"


def test_names_of_mocks_must_not_be_private() -> None:
    app = FastKafka(title="Shop")

    @app.consumes(topic="orders")
    async def _handle(order: Order) -> None: ...

    with refused("Field names cannot start with an underscore: '_handle'", ValueError):
        app.create_mocks()


async def test_a_tester_leaves_out_the_mocks_that_cannot_be_named() -> None:
    app = FastKafka(title="Shop")

    @app.consumes(topic="orders")
    async def _handle(order: Order) -> None: ...

    async with Tester(app) as tester:
        await tester.to_orders(Order(id=1))
        await tester.idle()
    assert app.mocks == ()


async def test_mocks_are_created_before_the_start() -> None:
    app = shop()
    async with app:
        with refused(
            "`create_mocks`: the app 'Shop' runs already. "
            "Create the mocks before it starts.",
            RuntimeError,
        ):
            app.create_mocks()


async def test_each_tester_counts_anew_and_takes_its_mocks_away() -> None:
    app: Any = shop()
    functions = [route.function for route in (*app.consumers, *app.producers)]
    for _ in range(2):
        async with Tester(app) as tester:
            await tester.to_orders(Order(id=1))
            await app.awaited_mocks.on_orders.assert_called_once(timeout=5)
        app.mocks.on_orders.assert_called_once()
    assert [r.function for r in (*app.consumers, *app.producers)] == functions
