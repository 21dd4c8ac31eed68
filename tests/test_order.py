"""Order and concurrency: what runs one after another, and what side by side."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter, defaultdict
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from fastkafka import (
    ConfigError,
    EventMetadata,
    FastKafka,
    HandlerError,
    Key,
    Retry,
)
from fastkafka.executors import DynamicTaskExecutor, SequentialExecutor, StreamExecutor
from fastkafka.testing import EmbeddedBroker
from tests.clients import committed, in_thread, produce, until


class Order(BaseModel):
    id: int


def orders(*ids: int) -> list[bytes]:
    return [b'{"id": %d}' % i for i in ids]


def shop(embedded: EmbeddedBroker, **settings: Any) -> FastKafka:
    return FastKafka(
        title="Shop", bootstrap_servers=embedded.bootstrap_servers, **settings
    )


class Watch:
    """Counts how many handlers run at once, in all and for each key."""

    def __init__(self) -> None:
        self.running: Counter[object] = Counter()
        self.most: Counter[object] = Counter()
        self.most_at_once = 0
        self.seen: defaultdict[object, list[int]] = defaultdict(list)

    @property
    def total(self) -> int:
        return sum(map(len, self.seen.values()))

    def enter(self, key: object, order: Order) -> None:
        self.running[key] += 1
        self.most[key] = max(self.most[key], self.running[key])
        self.most_at_once = max(self.most_at_once, self.running.total())
        self.seen[key].append(order.id)

    def leave(self, key: object) -> None:
        self.running[key] -= 1


@pytest.mark.parametrize("sync", [False, True])
async def test_records_of_a_key_keep_their_order_and_keys_run_side_by_side(
    embedded: EmbeddedBroker, sync: bool
) -> None:
    embedded.create_topic("orders", 1)
    servers = embedded.bootstrap_servers
    for i in range(40):
        await in_thread(produce, servers, "orders", orders(i), key=b"k%d" % (i % 4))
    app = shop(embedded, order="key", concurrency=8)
    watch = Watch()

    async def on_orders(order: Order, key: Annotated[str, Key()]) -> None:
        watch.enter(key, order)
        await asyncio.sleep(0.002)
        watch.leave(key)

    def on_orders_sync(order: Order, key: Annotated[str, Key()]) -> None:
        watch.enter(key, order)
        time.sleep(0.002)
        watch.leave(key)

    app.consumes(topic="orders")(on_orders_sync if sync else on_orders)
    async with app:
        await until(lambda: watch.total == 40)

    assert watch.seen == {f"k{k}": list(range(k, 40, 4)) for k in range(4)}
    assert set(watch.most.values()) == {1}
    assert watch.most_at_once == 4
    assert await in_thread(committed, servers, "shop", "orders") == {0: 40}


async def test_one_slow_key_holds_no_other_and_nothing_behind_it_is_committed(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 1)
    servers = embedded.bootstrap_servers
    await in_thread(produce, servers, "orders", orders(0), key=b"slow")
    for i in range(1, 50):
        await in_thread(produce, servers, "orders", orders(i), key=b"k%d" % i)
    app = shop(embedded, order="key", concurrency=2, auto_commit_interval_ms=50)
    go_on = asyncio.Event()
    handled: list[int] = []

    @app.consumes()
    async def on_orders(order: Order) -> None:
        if order.id == 0:
            await go_on.wait()
        handled.append(order.id)

    async with app:
        await until(lambda: len(handled) == 49)
        assert await in_thread(committed, servers, "shop", "orders") == {0: 0}
        go_on.set()
        await until(lambda: len(handled) == 50)

    assert await in_thread(committed, servers, "shop", "orders") == {0: 50}


@pytest.mark.parametrize(
    "how",
    [
        {"order": "none", "concurrency": 8},
        {"executor": DynamicTaskExecutor(size=8)},
    ],
)
async def test_without_order_records_of_a_partition_run_side_by_side(
    embedded: EmbeddedBroker, how: dict[str, Any]
) -> None:
    embedded.create_topic("orders", 1)
    servers = embedded.bootstrap_servers
    await in_thread(produce, servers, "orders", orders(*range(40)))
    app = shop(embedded)
    watch = Watch()

    @app.consumes(**how)
    async def on_orders(order: Order) -> None:
        watch.enter("all", order)
        await asyncio.sleep(0.01)
        watch.leave("all")

    async with app:
        await until(lambda: watch.total == 40)

    assert watch.most_at_once == 8
    assert sorted(watch.seen["all"]) == list(range(40))
    assert await in_thread(committed, servers, "shop", "orders") == {0: 40}


@pytest.mark.parametrize("executor", ["SequentialExecutor", SequentialExecutor()])
async def test_the_sequential_executor_runs_one_record_for_all_partitions(
    embedded: EmbeddedBroker, executor: Any
) -> None:
    embedded.create_topic("orders", 3)
    servers = embedded.bootstrap_servers
    for partition in range(3):
        ids = range(partition * 10, partition * 10 + 10)
        await in_thread(produce, servers, "orders", orders(*ids), partition=partition)
    app = shop(embedded)
    watch = Watch()

    @app.consumes(executor=executor)
    async def on_orders(order: Order, meta: EventMetadata) -> None:
        watch.enter(meta.partition, order)
        await asyncio.sleep(0.001)
        watch.leave(meta.partition)

    async with app:
        await until(lambda: watch.total == 30)

    assert watch.most_at_once == 1
    assert watch.seen == {p: list(range(p * 10, p * 10 + 10)) for p in range(3)}


@pytest.mark.parametrize("order", ["key", "none"])
async def test_a_failure_among_many_is_not_passed_by_the_commit(
    embedded: EmbeddedBroker, order: Any
) -> None:
    embedded.create_topic("orders", 1)
    servers = embedded.bootstrap_servers
    for i in range(30):
        await in_thread(produce, servers, "orders", orders(i), key=b"k%d" % i)
    app = shop(
        embedded,
        order=order,
        concurrency=4,
        on_failure="stop",
        retry=Retry(attempts=1),
    )

    @app.consumes()
    async def on_orders(order: Order) -> None:
        await asyncio.sleep(0.001 * (order.id % 5))
        if order.id == 17:
            raise RuntimeError("no stock")

    with pytest.raises(HandlerError) as failure:
        async with app:
            await app.wait_stopped()

    assert failure.value.offset == 17
    assert (await in_thread(committed, servers, "shop", "orders"))[0] <= 17


class Mine(StreamExecutor):
    def __repr__(self) -> str:
        return "Mine()"


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        (
            {"order": "keys"},
            "`on_orders`: `order` is 'keys'. Use 'partition', 'key' or 'none'. "
            "Did you mean 'key'?",
        ),
        (
            {"executor": "SequentialExecutr"},
            "`on_orders`: `executor` is 'SequentialExecutr'. Did you mean "
            '\'SequentialExecutor\'? Use "SequentialExecutor", "DynamicTaskExecutor", '
            "an object of these classes of `fastkafka.executors`, or `order=` and "
            "`concurrency=`.",
        ),
        (
            {"executor": Mine()},
            '`on_orders`: `executor` is Mine(). Use "SequentialExecutor", '
            '"DynamicTaskExecutor", an object of these classes of '
            "`fastkafka.executors`, or `order=` and `concurrency=`.",
        ),
        (
            {"executor": "SequentialExecutor", "order": "key"},
            "`on_orders`: `executor` says the same as `order` and `concurrency`. Use "
            "either.",
        ),
    ],
)
def test_an_order_that_is_none_is_refused(how: dict[str, Any], sentence: str) -> None:
    async def on_orders(order: Order) -> None: ...

    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"):
        FastKafka().consumes(**how)(on_orders)


def test_batches_by_key_are_refused() -> None:
    async def on_orders(orders: list[Order]) -> None: ...

    with pytest.raises(ConfigError) as error:
        FastKafka().consumes(order="key")(on_orders)

    assert str(error.value) == (
        "`on_orders` takes batches, which hold records of many keys, so `order` cannot "
        "be 'key'. Use 'partition' or 'none', or take one message."
    )
