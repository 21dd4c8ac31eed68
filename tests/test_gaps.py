"""An app whose records or whose topic are deleted under it, on the broker in memory."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fastkafka import ClientError, FastKafka
from fastkafka.observe.events import Event
from fastkafka.transport.memory import MemoryBroker

OLD, NEW = range(5), range(100, 109)


class Shop:
    """An app that notes what it handles; one of its calls may wait."""

    def __init__(self, broker: MemoryBroker, **settings: Any) -> None:
        self.handled: list[int] = []
        self.events: list[Event] = []
        self.inside = asyncio.Event()
        self.go_on = asyncio.Event()
        self.waits_at: int | None = None
        self.app = FastKafka(title="Shop", transport=broker)
        self.app.observe(self)

        @self.app.consumes(topic="orders", **settings)
        async def on_orders(order: int) -> None:
            if order == self.waits_at:
                self.inside.set()
                await self.go_on.wait()
            self.handled.append(order)

    def on_event(self, event: Event) -> None:
        self.events.append(event)

    def let_go(self, waits_at: int | None = None) -> None:
        """End the call that waits; another one may be next."""
        self.waits_at = waits_at
        self.inside.clear()
        self.go_on.set()
        self.go_on.clear()


async def committed_while_inside(
    shop: Shop, broker: MemoryBroker, order: int
) -> dict[int, int]:
    """Let the call that waits end; return what is committed while *order* waits."""
    shop.let_go(waits_at=order)
    await shop.inside.wait()
    broker.advance(5.0)
    await asyncio.sleep(0.01)
    return broker.committed("shop", "orders")


def fill(broker: MemoryBroker, orders: range) -> None:
    for order in orders:
        broker.produce("orders", b"%d" % order)


def make_again(broker: MemoryBroker) -> None:
    broker.delete_topic("orders")
    broker.create_topic("orders")
    fill(broker, NEW)


async def test_an_app_ends_by_default_and_started_again_it_handles_the_new_topic() -> (
    None
):
    broker = MemoryBroker({"orders": 1})
    fill(broker, OLD)
    shop = Shop(broker)

    with pytest.raises(ClientError, match=r"deleted and made again.* offset 5 is of"):
        async with shop.app:
            await broker.idle()
            broker.advance(5.0)
            make_again(broker)
            await shop.app.wait_stopped()

    assert shop.handled == [*OLD]
    again = Shop(broker)
    async with again.app:
        await broker.idle()
    assert again.handled == [*NEW]
    assert broker.committed("shop", "orders") == {0: 9}


async def test_an_app_that_goes_on_handles_all_of_the_new_topic_once() -> None:
    broker = MemoryBroker({"orders": 1})
    fill(broker, OLD)
    shop = Shop(broker, on_gap="earliest")

    async with shop.app:
        await broker.idle()
        broker.advance(5.0)
        make_again(broker)
        await broker.idle()

    assert shop.handled == [*OLD, *NEW]
    assert broker.committed("shop", "orders") == {0: 9}
    [gap] = [event for event in shop.events if event.kind == "made_again"]
    assert gap.offset == 0


async def test_what_was_in_work_of_the_old_topic_is_not_committed_in_the_new_one() -> (
    None
):
    broker = MemoryBroker({"orders": 1})
    fill(broker, OLD)
    shop = Shop(broker, on_gap="earliest")
    shop.waits_at = 3

    async with shop.app:
        await shop.inside.wait()
        make_again(broker)
        await asyncio.sleep(0.01)
        assert "made_again" in [event.kind for event in shop.events]
        assert await committed_while_inside(shop, broker, NEW[0]) == {0: 0}
        shop.let_go()
        await broker.idle()
        broker.advance(5.0)
        assert broker.committed("shop", "orders") == {0: 9}

    assert shop.handled[-9:] == [*NEW]
    assert shop.handled[:4] == [0, 1, 2, 3]


async def test_without_a_group_an_app_goes_on_in_the_new_topic() -> None:
    broker = MemoryBroker({"orders": 1})
    fill(broker, OLD)
    shop = Shop(broker, group_id=None)

    async with shop.app:
        await broker.idle()
        make_again(broker)
        await broker.idle()

    assert shop.handled == [*OLD, *NEW]


async def test_a_topic_that_is_deleted_is_no_reason_to_end() -> None:
    broker = MemoryBroker({"orders": 1, "others": 1}, auto_create_topics=False)
    fill(broker, OLD)
    shop = Shop(broker)

    async with shop.app:
        await broker.idle()
        broker.delete_topic("orders")
        await broker.idle()
        broker.advance(20.0)
        assert shop.app.is_started

    assert shop.handled == [*OLD]


async def test_what_is_in_work_is_finished_though_there_is_a_gap_behind_it() -> None:
    """What had been read, and was not handled yet, was dropped with the gap."""
    broker = MemoryBroker({"orders": 1})
    fill(broker, range(5))
    shop = Shop(broker, on_gap="earliest")
    shop.waits_at = 2

    async with shop.app:
        await shop.inside.wait()
        fill(broker, range(5, 20))
        broker.delete_records("orders", 0, before=15)
        await asyncio.sleep(0.01)
        assert [event.offset for event in shop.events if event.kind == "gap"] == [15]
        shop.let_go()
        await broker.idle()

    assert shop.handled == [*range(5), *range(15, 20)]
    assert broker.committed("shop", "orders") == {0: 20}


async def test_what_a_new_leader_has_lost_is_no_reason_to_skip_what_it_has() -> None:
    """The log is shorter; what was in work of it says nothing about the rest."""
    broker = MemoryBroker({"orders": 1})
    fill(broker, OLD)
    shop = Shop(broker, on_gap="earliest")
    shop.waits_at = 3

    async with shop.app:
        await shop.inside.wait()
        broker.truncate("orders", 0, end=2)
        await asyncio.sleep(0.01)
        assert [event.offset for event in shop.events if event.kind == "gap"] == [0]
        assert await committed_while_inside(shop, broker, 0) == {0: 0}
        fill(broker, NEW)
        shop.let_go()
        await broker.idle()

    assert shop.handled == [0, 1, 2, 3, 0, 1, *NEW]
    assert broker.committed("shop", "orders") == {0: 11}
