"""Routers, topic lists and patterns, processors and generators."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator

import pytest
from pydantic import BaseModel

from fastkafka import ConfigError, EventMetadata, FastKafka, KafkaEvent, Router
from fastkafka.testing import EmbeddedBroker
from tests.clients import in_thread, produce, read, until


class Order(BaseModel):
    id: int


class Invoice(BaseModel):
    order: int


def shop(embedded: EmbeddedBroker) -> FastKafka:
    return FastKafka(title="Shop", bootstrap_servers=embedded.bootstrap_servers)


async def test_a_router_is_included_with_a_prefix(embedded: EmbeddedBroker) -> None:
    router = Router()
    handled: list[int] = []

    @router.consumes()
    async def on_orders(order: Order) -> None:
        handled.append(order.id)
        to_invoices(order)

    @router.produces()
    def to_invoices(order: Order) -> Invoice:
        return Invoice(order=order.id)

    app = shop(embedded)
    app.include_router(router, prefix="eu.")
    servers = embedded.bootstrap_servers
    await in_thread(produce, servers, "eu.orders", [b'{"id": 1}'])
    async with app:
        await until(lambda: handled == [1])

    assert app.get_topics() == {"eu.orders", "eu.invoices"}
    assert app.to_invoices is to_invoices  # type: ignore[attr-defined]
    [invoice] = await in_thread(read, servers, "eu.invoices", 1)
    assert invoice.value() == b'{"order":1}'


def test_only_a_router_can_be_included() -> None:
    app = FastKafka(title="Shop")
    with pytest.raises(ConfigError) as error:
        app.include_router(FastKafka(title="Other"))
    assert re.fullmatch(
        r"`include_router` takes a `Router`, not <fastkafka.app.FastKafka .*>\. "
        r"Two apps are two services: start each of them\.",
        str(error.value),
    )


async def test_a_list_of_topics_is_read_by_one_function(
    embedded: EmbeddedBroker,
) -> None:
    app = shop(embedded)
    seen: set[tuple[str, int]] = set()

    @app.consumes(topic=["orders", "returns"])
    async def handle(order: Order, meta: EventMetadata) -> None:
        seen.add((meta.topic, order.id))

    servers = embedded.bootstrap_servers
    await in_thread(produce, servers, "orders", [b'{"id": 1}'])
    await in_thread(produce, servers, "returns", [b'{"id": 2}'])
    async with app:
        await until(lambda: len(seen) == 2)

    assert seen == {("orders", 1), ("returns", 2)}


@pytest.mark.parametrize("topic", ["not a topic", [], ["a", "b c"], 3])
def test_a_topic_that_is_none_is_refused(topic: object) -> None:
    async def handle(order: Order) -> None: ...

    with pytest.raises(ConfigError, match="topic"):
        FastKafka().consumes(topic=topic)(handle)  # type: ignore[arg-type]


def test_a_pattern_with_flags_is_refused() -> None:
    async def handle(order: Order) -> None: ...

    with pytest.raises(ConfigError) as error:
        FastKafka().consumes(topic=re.compile("orders", re.IGNORECASE))(handle)
    assert str(error.value) == (
        "`handle`: the pattern 'orders' has flags, which the Kafka client does not "
        "know. Write it without flags."
    )


async def test_consumes_over_produces_is_a_processor_and_none_filters(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 1)
    embedded.create_topic("invoices", 1)
    app = shop(embedded)
    handled: list[int] = []

    @app.consumes(topic="orders")
    @app.produces(topic="invoices")
    async def invoice(order: Order) -> KafkaEvent[Invoice] | None:
        handled.append(order.id)
        if order.id % 2:
            return None
        return KafkaEvent(Invoice(order=order.id), key=b"k")

    servers = embedded.bootstrap_servers
    values = [b'{"id": %d}' % i for i in range(4)]
    await in_thread(produce, servers, "orders", values)
    async with app:
        await until(lambda: len(handled) == 4)

    records = await in_thread(read, servers, "invoices", 2)
    assert [r.value() for r in records] == [b'{"order":0}', b'{"order":2}']


async def test_generator_functions_send_what_they_yield(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 1)
    app = shop(embedded)

    @app.produces(topic="orders")
    def some(count: int) -> Iterator[Order]:
        for i in range(count):
            yield Order(id=i)

    @app.produces(topic="orders")
    async def others(count: int) -> AsyncIterator[Order]:
        for i in range(count):
            yield Order(id=10 + i)

    async with app:
        assert list(some(2)) == [Order(id=0), Order(id=1)]
        assert await others(2) == [Order(id=10), Order(id=11)]  # type: ignore[misc]

    records = await in_thread(read, embedded.bootstrap_servers, "orders", 4)
    assert [r.value() for r in records] == [b'{"id":%d}' % i for i in (0, 1, 10, 11)]
