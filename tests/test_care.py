"""Crashes: what was done is not repeated, and a record that kills does so three times.

A process dies here as `MemoryBroker.crash` has it: it commits and says nothing more,
and its group waits for it until the session is over.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from fastkafka import FastKafka
from fastkafka.engine.care import CAREFUL_RECORDS, STEP, Care
from fastkafka.engine.finished import Note
from fastkafka.transport.memory import MemoryBroker
from tests.clients import until

SESSION = 60.0


class Order(BaseModel):
    id: int


class Shop:
    """The processes that run one app, one after another."""

    def __init__(self, records: int, *, deadly: int | None = None, **how: Any) -> None:
        self.broker = MemoryBroker({"orders": 1})
        for number in range(records):
            self.broker.produce("orders", b'{"id": %d}' % number, key=b"%d" % number)
        self.records = records
        self.deadly = deadly
        self.how = how
        self.handled: Counter[int] = Counter()
        self.tried: Counter[int] = Counter()
        self.deaths = 0
        self.held: dict[int, asyncio.Event] = {}

    async def run(self, until_: Callable[[], bool] | None = None) -> bool:
        """Run one process; return whether it lived until all was done."""
        app = FastKafka(
            title="Shop", transport=self.broker, shutdown_timeout=0.05, **self.how
        )
        died = asyncio.Event()

        @app.consumes()
        async def on_orders(order: Order) -> None:
            self.tried[order.id] += 1
            if order.id == self.deadly:
                self.deaths += 1
                self.crash()
                died.set()
                await asyncio.Event().wait()
            if order.id in self.held:
                await self.held[order.id].wait()
            self.handled[order.id] += 1

        done = until_ or (lambda: self.committed == self.records)
        async with app:
            await until(lambda: died.is_set() or done())
        self.broker.advance(SESSION)
        return not died.is_set()

    def was_tried(self, order: int, times: int) -> bool:
        """Whether an order's handler was called so often."""
        return self.tried[order] == times

    def crash(self) -> None:
        for member in self.broker.members("shop"):
            self.broker.crash(member)

    @property
    def committed(self) -> int:
        self.broker.commit()
        return self.broker.committed("shop", "orders").get(0, 0)

    @property
    def parked(self) -> list[bytes | None]:
        there = "orders-dlt" in self.broker.topics
        records = self.broker.messages("orders-dlt") if there else []
        return [record.value() for record in records]


@pytest.mark.parametrize(
    ("deadly", "order"),
    [(0, "partition"), (299, "partition"), (200, "key"), (5, "none")],
)
async def test_a_record_that_kills_its_process_is_parked_after_four_deaths(
    deadly: int, order: str, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop(300, deadly=deadly, order=order)
    lived = [await shop.run() for _ in range(5)]

    assert lived == [False, False, False, False, True]
    assert shop.deaths == 4
    assert shop.parked == [b'{"id": %d}' % deadly]
    assert set(shop.handled) == set(range(300)) - {deadly}
    assert (
        f"orders[0]@{deadly}: 4 processes died while they handled it, the last of them "
        "with nothing else in work; it goes to the dead-letter topic" in caplog.messages
    )


async def test_a_process_that_is_killed_is_followed_with_care_and_nothing_is_parked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shop = Shop(300)
    for already in (50, 100, 150):
        shop.deadly = already
        assert not await shop.run()
    shop.deadly = None

    assert await shop.run()

    assert set(shop.handled) == set(range(300))
    assert shop.parked == []
    assert "a process died while it had this partition" in caplog.text


async def test_a_clean_stop_is_no_death() -> None:
    shop = Shop(10)
    for times in range(1, 6):
        shop.held = {5: asyncio.Event()}
        await shop.run(partial(shop.was_tried, 5, times))

    shop.held = {}
    assert await shop.run()
    assert shop.parked == []
    assert shop.tried[5] == 6


@pytest.mark.parametrize("crash", [False, True], ids=["stop", "crash"])
async def test_what_finished_out_of_order_is_not_repeated_after(crash: bool) -> None:
    shop = Shop(50, order="key", concurrency=20)
    shop.held = {3: asyncio.Event(), 17: asyncio.Event()}

    def others_are_done() -> bool:
        return len(shop.handled) == 48

    async def until_noted() -> None:
        await until(others_are_done)
        # The next commit carries what is finished.
        await asyncio.sleep(0.6)
        shop.broker.commit()
        if crash:
            shop.crash()

    noting = asyncio.ensure_future(until_noted())
    await shop.run(noting.done)
    await noting
    assert shop.broker.committed("shop", "orders") == {0: 3}

    shop.held = {}
    assert await shop.run()

    assert shop.handled == Counter(range(50))
    assert shop.tried == Counter(range(50)) + Counter((3, 17))


async def test_foreign_metadata_is_ignored() -> None:
    shop = Shop(10)
    group = shop.broker._group("shop")
    await shop.run()
    shop.handled.clear()
    for partition in group.committed:
        group.committed[partition] = 4
        group.metadata[partition] = "fk1:o9:4-5:somebody else's"

    assert await shop.run()

    assert sorted(shop.handled) == [4, 5, 6, 7, 8, 9]
    assert shop.parked == []


async def test_a_coordinator_that_refuses_the_mark_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("fastkafka.engine.assignment.MARK_SECONDS", 0.3)
    caplog.set_level(logging.DEBUG, "fastkafka.engine.assignment")
    shop = Shop(10)
    shop.broker.fail("commit", times=2, error="NOT_COORDINATOR")

    assert await shop.run()

    assert shop.handled == Counter(range(10))
    assert "orders[0]: not committed." in caplog.messages


# The decisions.


def test_without_a_death_there_is_no_care() -> None:
    assert not Care(Note(), None, 3).needed
    assert not Care(Note(open=False), 5, 3).needed


@given(st.integers(0, 10**9), st.integers(1, 10))
def test_care_ends_behind_what_can_have_been_in_flight(
    offset: int, attempts: int
) -> None:
    care = Care(Note(open=True), offset, attempts)

    assert care.needed
    assert care.step(offset) == STEP
    care.passed(offset + CAREFUL_RECORDS - 1)
    assert care.needed
    care.passed(offset + CAREFUL_RECORDS)
    assert not care.needed


def test_a_step_that_killed_is_gone_through_one_by_one() -> None:
    care = Care(Note(open=True, deaths=1, trying=(100, 228)), 100, 3)

    assert [care.step(o) for o in (100, 227, 228)] == [1, 1, STEP]
    assert not care.is_deadly(100)
    care.passed(228)
    assert not care.needed


def test_a_record_is_deadly_only_where_it_was_tried_alone_twice() -> None:
    tried_alone = Note(open=True, deaths=3, trying=(100, 101), alone=1)

    assert Care(tried_alone, 100, 3).is_deadly(100)
    assert not Care(tried_alone, 100, 3).is_deadly(101)
    assert not Care(tried_alone, 100, 5).is_deadly(100), "it may be tried five times"
    assert not Care(tried_alone, 101, 3).is_deadly(101), "the note is an older one"
    once = Note(open=True, deaths=3, trying=(100, 101))
    assert not Care(once, 100, 3).is_deadly(100), "a process may die for any reason"
    given_back = Note(open=False, deaths=3, trying=(100, 101), alone=1)
    assert not Care(given_back, 100, 3).is_deadly(100), "nobody has died since"


def test_a_note_says_how_often_a_record_was_alone_only_while_it_is_tried() -> None:
    care = Care(Note(open=True, deaths=2, trying=(100, 101)), 100, 3)
    care.trying = (100, 101)
    assert care.note((), opened=True) == Note((), True, 3, (100, 101), 1)
    care.trying = (101, 102)
    assert care.note((), opened=True) == Note((), True, 3, (101, 102), 0)
    care.trying = None
    assert care.note((), opened=True) == Note((), True, 3, None, 0)


async def test_partitions_that_are_suspected_are_not_tried_at_the_same_time() -> None:
    """One record kills; those that were in work beside it are not to blame."""
    broker = MemoryBroker({"orders": 3})
    for partition in range(3):
        for number in range(5):
            value = b'{"id": %d}' % (10 * partition + number)
            broker.produce("orders", value, partition=partition)
    shop = Shop(0, deadly=12)
    shop.broker, shop.records = broker, 15

    lived = [await shop.run(lambda: len(shop.handled) == 14) for _ in range(5)]

    assert lived == [False, False, False, False, True]
    assert shop.parked == [b'{"id": 12}']
    assert set(shop.handled) == {*range(5), *range(10, 15), *range(20, 25)} - {12}


async def test_a_record_that_hangs_holds_up_no_other_partition_that_is_suspected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fastkafka.engine.assignment.ALONE_SECONDS", 0.05)
    shop = Shop(0, deadly=12)
    shop.broker = broker = MemoryBroker({"orders": 3})
    for partition in range(3):
        for number in range(5):
            value = b'{"id": %d}' % (10 * partition + number)
            broker.produce("orders", value, partition=partition)
    for _ in range(2):
        assert not await shop.run(lambda: False)
    shop.deadly = None
    shop.held = {12: asyncio.Event()}

    def others_are_done() -> bool:
        broker.commit()
        committed = broker.committed("shop", "orders")
        return committed.get(0) == committed.get(2) == 5

    assert await shop.run(others_are_done)

    assert broker.committed("shop", "orders")[1] <= 2
    assert shop.parked == []
