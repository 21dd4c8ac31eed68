"""Only type-checked, never run: what a decorated function is to a type checker."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, assert_type

from pydantic import BaseModel

from fastkafka import (
    Depends,
    EventMetadata,
    FastKafka,
    Header,
    KafkaEvent,
    Key,
    Retry,
    Router,
)
from fastkafka.executors import DynamicTaskExecutor


class Order(BaseModel):
    id: int


app = FastKafka(
    title="Shop",
    kafka_brokers={"localhost": {"url": "localhost", "port": 9092}},
    group_id=None,
    auto_offset_reset="latest",
    retry=Retry(attempts=5),
    on_failure="stop",
    librdkafka={"queued.min.messages": 1000},
)
router = Router()
app.include_router(router, prefix="eu.")


def session() -> int:
    return 1


@app.consumes(topic=["orders", "returns"], order="key", concurrency=8)
async def on_orders(
    order: Order,
    meta: EventMetadata,
    key: Annotated[str, Key()],
    trace: Annotated[str | None, Header("trace")],
    session: Annotated[int, Depends(session)],
) -> None: ...


@router.consumes(executor=DynamicTaskExecutor(size=3))
def on_returns(orders: list[Order]) -> None: ...


@app.produces()
def to_invoices(order: Order, copies: int = 1) -> Order:
    return order


@app.produces(confirm=True, linger_ms=5)
async def to_letters(order: Order) -> KafkaEvent[Order]:
    return KafkaEvent(order, key=b"k")


@app.run_in_background()
async def report() -> None:
    assert_type(to_invoices(Order(id=1), copies=2), Order)
    assert_type(await to_letters(Order(id=1)), KafkaEvent[Order])
    assert_type(app.get_topics(), set[str])
    async with app as started:
        assert_type(started, FastKafka)


sync_handler: Callable[[list[Order]], None] = on_returns
async_handler: Callable[
    [Order, EventMetadata, str, str | None, int], Coroutine[Any, Any, None]
] = on_orders
