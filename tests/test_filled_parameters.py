"""What fills a handler's parameters beside the message: keys, headers, dependencies."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from fastkafka import (
    ConfigError,
    DecodingError,
    Depends,
    EventMetadata,
    FastKafka,
    Header,
    KafkaEvent,
    Key,
    Retry,
)
from fastkafka.testing import EmbeddedBroker
from tests.clients import committed, in_thread, until


class Order(BaseModel):
    id: int


class Customer(BaseModel):
    name: str


def shop(embedded: EmbeddedBroker) -> FastKafka:
    app = FastKafka(
        title="Shop",
        bootstrap_servers=embedded.bootstrap_servers,
        on_failure="stop",
        retry=Retry(attempts=1),
    )

    @app.produces(topic="orders")
    async def to_orders(event: KafkaEvent[Any]) -> KafkaEvent[Order]:
        return event

    return app


async def send(app: Any, order: int, **event: Any) -> None:
    await app.to_orders(KafkaEvent(Order(id=order), **event))


UID = UUID("12345678-1234-5678-1234-567812345678")


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        (bytes, b"\x00\xff", b"\x00\xff"),
        (str, "ключ".encode(), "ключ"),
        (int, b"42", 42),
        (UUID, str(UID).encode(), UID),
        (Customer, b'{"name": "Ann"}', Customer(name="Ann")),
        (str | None, b"x", "x"),
        (str | None, None, None),
    ],
)
async def test_a_key_arrives_as_its_declared_type(
    embedded: EmbeddedBroker, kind: Any, raw: bytes | None, value: object
) -> None:
    app = shop(embedded)
    keys: list[object] = []

    async def on_orders(order: Order, key: object) -> None:
        keys.append(key)

    on_orders.__annotations__["key"] = Annotated[kind, Key()]
    app.consumes()(on_orders)
    async with app:
        await send(app, 1, key=raw)
        await until(lambda: bool(keys))

    assert keys == [value]


async def test_headers_arrive_by_name_and_the_last_one_counts(
    embedded: EmbeddedBroker,
) -> None:
    app = shop(embedded)
    seen: list[object] = []

    @app.consumes()
    async def on_orders(
        trace: Annotated[str, Header("trace")],
        order: Order,
        attempt: Annotated[int, Header("attempt")] = 1,
        raw: Annotated[bytes | None, Header("raw")] = None,
    ) -> None:
        seen.append((trace, order.id, attempt, raw))

    async with app:
        await send(app, 1, headers=[("trace", b"a"), ("trace", b"b")])
        await send(app, 2, headers=[("trace", b"c"), ("attempt", b"7"), ("raw", b"\0")])
        await until(lambda: len(seen) == 2)

    assert sorted(seen, key=str) == [("b", 1, 1, None), ("c", 2, 7, b"\0")]


@pytest.mark.parametrize(
    ("kind", "event", "why"),
    [
        (Annotated[int, Key()], {}, "there is no key"),
        (
            Annotated[int, Key()],
            {"key": b"x"},
            "key: input should be a valid integer, unable to parse string as an "
            "integer",
        ),
        (Annotated[str, Header("trace")], {}, "there is no header 'trace'"),
    ],
)
async def test_a_key_or_a_header_that_does_not_fit_is_a_decoding_error(
    embedded: EmbeddedBroker, kind: Any, event: dict[str, Any], why: str
) -> None:
    embedded.create_topic("orders", 1)
    app = shop(embedded)

    async def on_orders(order: Order, extra: object) -> None: ...

    on_orders.__annotations__["extra"] = kind
    app.consumes()(on_orders)
    sentence = f"^{re.escape(f'orders[0]@0: {why}')}$"
    with pytest.raises(DecodingError, match=sentence):
        async with app:
            await send(app, 1, **event)
            await app.wait_stopped()

    offsets = await in_thread(committed, embedded.bootstrap_servers, "shop", "orders")
    assert offsets == {0: 0}


async def test_a_batch_gets_lists_of_keys_and_headers(embedded: EmbeddedBroker) -> None:
    embedded.create_topic("orders", 1)
    app = shop(embedded)
    seen: list[tuple[int, str, str | None]] = []

    @app.consumes()
    async def on_orders(
        orders: list[Order],
        keys: Annotated[list[str], Key()],
        traces: Annotated[list[str | None], Header("trace")],
    ) -> None:
        seen.extend(zip([o.id for o in orders], keys, traces, strict=True))

    async with app:
        await send(app, 1, key=b"a", headers=[("trace", b"t")])
        await send(app, 2, key=b"b")
        await until(lambda: len(seen) == 2)

    assert seen == [(1, "a", "t"), (2, "b", None)]


async def test_dependencies_are_resolved_nested_cached_and_undone(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 1)
    app = shop(embedded)
    events: list[str] = []

    def settings() -> dict[str, str]:
        events.append("settings")
        return {"url": "db"}

    async def session(
        settings: Annotated[dict[str, str], Depends(settings)],
    ) -> AsyncIterator[str]:
        events.append("open")
        yield f"session of {settings['url']}"
        events.append("close")

    def customer(
        order: Order,
        meta: EventMetadata,
        session: Annotated[str, Depends(session)],
    ) -> Iterator[str]:
        events.append(f"lock {threading.current_thread().name != 'MainThread'}")
        yield f"customer {order.id}@{meta.offset} in {session}"
        events.append("unlock")

    @app.consumes()
    async def on_orders(
        order: Order,
        session: Annotated[str, Depends(session)],
        customer: Annotated[str, Depends(customer)],
    ) -> None:
        events.append(customer)

    async with app:
        await send(app, 7)
        await until(lambda: "close" in events)

    assert events == [
        "settings",
        "open",
        "lock True",
        "customer 7@0 in session of db",
        "unlock",
        "close",
    ]


async def test_a_dependency_learns_of_the_handlers_error(
    embedded: EmbeddedBroker,
) -> None:
    app = shop(embedded)
    seen: list[str] = []

    async def transaction() -> AsyncIterator[None]:
        try:
            yield
        except LookupError:
            seen.append("rolled back")
            raise

    @app.consumes()
    async def on_orders(order: Order, t: Annotated[None, Depends(transaction)]) -> None:
        raise LookupError

    with pytest.raises(Exception, match="failed: LookupError"):
        async with app:
            await send(app, 1)
            await app.wait_stopped()
    assert seen == ["rolled back"]


async def test_a_sync_handler_may_have_dependencies(embedded: EmbeddedBroker) -> None:
    app = shop(embedded)
    seen: list[object] = []

    async def answer() -> int:
        await asyncio.sleep(0)
        return 42

    @app.consumes()
    def on_orders(order: Order, answer: Annotated[int, Depends(answer)]) -> None:
        seen.append((answer, threading.current_thread().name.rpartition("_")[0]))

    async with app:
        await send(app, 1)
        await until(lambda: bool(seen))
    assert seen == [(42, "fastkafka-handler")]


async def test_dependencies_can_be_overridden_in_tests(
    embedded: EmbeddedBroker,
) -> None:
    app = shop(embedded)
    seen: list[str] = []

    def database() -> str:
        raise AssertionError("the real one")

    def fake(order: Order) -> str:
        return f"fake for {order.id}"

    @app.consumes()
    async def on_orders(
        order: Order, database: Annotated[str, Depends(database)]
    ) -> None:
        seen.append(database)

    app.dependency_overrides[database] = fake
    async with app:
        await send(app, 3)
        await until(lambda: bool(seen))
    assert seen == ["fake for 3"]


def _circle(value: Annotated[int, Depends(lambda: 1)]) -> int:
    return value


_circle.__annotations__["value"] = Annotated[int, Depends(_circle)]


def _needs(unknown: int) -> int:
    return unknown


@pytest.mark.parametrize(
    ("mark", "sentence"),
    [
        (Depends(_circle), "`_circle` depends on itself. Break the circle."),
        (
            Depends(3),  # type: ignore[arg-type]
            "`Depends(3)` is not given a function. "
            "Write `Depends(function)`, without calling it.",
        ),
        (
            Depends(_needs),
            "`_needs`: parameter 'unknown' has nothing to fill it: it is neither the "
            "handler's message nor anything special. Give it a default, or annotate it "
            "with `EventMetadata` or `FastKafka`.",
        ),
    ],
)
def test_a_dependency_that_cannot_be_called_is_refused(
    mark: Depends, sentence: str
) -> None:
    async def on_orders(order: Order, value: object) -> None: ...

    on_orders.__annotations__["value"] = Annotated[int, mark]
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"):
        FastKafka().consumes()(on_orders)
