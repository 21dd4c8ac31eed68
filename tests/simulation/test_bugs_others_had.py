"""Bugs that other Kafka frameworks had, as their users told them; ours must not.

Each on the broker in memory and in simulated time. What needs processes (workers that
stay up although every child has crashed, a supervisor that restarts in a hot loop) is
in `tests/cli/test_supervise.py` and `tests/cli/test_restarts.py`. What needs
the threads of librdkafka (a member that drains and polls no more, a revoke that nothing
ends, a task that is dead while its consumer lives) is in `tests/test_invariants.py`.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import pytest

from fastkafka import (
    ClientError,
    EventMetadata,
    FastKafka,
    KafkaEvent,
    Retry,
)
from fastkafka.transport import intake
from fastkafka.transport.base import TopicPartition
from fastkafka.transport.memory import MemoryBroker, MemoryConsumer
from tests.simulation.loop import simulate

Place = tuple[int, int]


def simulated(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in simulated time, where sleeping costs nothing."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        simulate(lambda _: test(*args, **kwargs))

    return run


def shop(broker: MemoryBroker, **settings: Any) -> FastKafka:
    defaults: dict[str, Any] = {
        "auto_commit_interval_ms": 1000,
        "retry": Retry(attempts=3, delay=0.1),
    }
    return FastKafka(title="Shop", transport=broker, **(defaults | settings))


def orders(*partitions: int, poll_records: int = 2000) -> MemoryBroker:
    """Return a broker with so many orders in each partition; a value is its offset."""
    broker = MemoryBroker({"orders": len(partitions)}, poll_records=poll_records)
    for partition, count in enumerate(partitions):
        for offset in range(count):
            broker.produce("orders", b"%d" % offset, partition=partition)
    return broker


def committed(broker: MemoryBroker) -> dict[int, int]:
    broker.commit()
    return broker.committed("shop", "orders")


class Log:
    """Handlers note in it which records they have handled; one of them may wait."""

    def __init__(self) -> None:
        self.begun: list[Place] = []
        self.handled: list[Place] = []
        self.open = asyncio.Event()

    def attach(self, app: FastKafka, *, waits_at: Place | None = None) -> FastKafka:
        """Give an app a handler."""

        @app.consumes()
        async def on_orders(order: int, meta: EventMetadata) -> None:
            place = (meta.partition, meta.offset)
            self.begun.append(place)
            if place == waits_at:
                await self.open.wait()
            self.handled.append(place)

        return app


def places(*partitions: int) -> list[Place]:
    """Return every place, as in `orders`."""
    return [(p, o) for p, count in enumerate(partitions) for o in range(count)]


@simulated
async def test_a_partition_that_is_revoked_before_its_work_ran_loses_nothing() -> None:
    """The commit used the highest offset that was seen, not the highest done."""
    broker = orders(10, 10)
    log = Log()
    async with log.attach(shop(broker, revoke_timeout=0.5), waits_at=(0, 3)):
        await asyncio.sleep(0.1)
        async with log.attach(shop(broker)):
            broker.rebalance()
            await asyncio.sleep(2)
            log.open.set()
            await broker.idle()

    assert set(log.handled) == set(places(10, 10))
    assert broker.committed("shop", "orders") == {0: 10, 1: 10}


@simulated
async def test_consuming_goes_on_after_a_commit_that_failed_in_a_rebalance() -> None:
    """The error ended the poll thread, and the worker stayed up doing nothing."""
    broker = orders(5, 5)
    log = Log()
    async with log.attach(shop(broker)), log.attach(shop(broker)):
        await broker.idle()
        broker.fail("commit", error="REBALANCE_IN_PROGRESS", times=3)
        broker.rebalance()
        await asyncio.sleep(1)
        broker.produce("orders", b"5", partition=0)
        broker.produce("orders", b"5", partition=1)
        await broker.idle()

    assert {(0, 5), (1, 5)} <= set(log.handled)
    assert broker.committed("shop", "orders") == {0: 6, 1: 6}


@simulated
async def test_what_ends_late_does_not_make_a_fresh_record_look_handled() -> None:
    """Work of an earlier assignment was counted for the next one of the partition."""
    broker = orders(3)
    log = Log()
    async with log.attach(shop(broker, revoke_timeout=0.5), waits_at=(0, 1)):
        await asyncio.sleep(0.1)
        broker.rebalance()  # away, and back to the same member
        await asyncio.sleep(1)
        assert committed(broker) == {0: 1}
        log.open.set()
        await broker.idle()

    assert log.handled == [(0, 0), (0, 1), (0, 1), (0, 2)]
    assert broker.committed("shop", "orders") == {0: 3}


@simulated
async def test_what_cannot_be_decoded_takes_no_other_record_with_it() -> None:
    """The committed offset itself was counted as done: exactly one record was lost."""
    broker = orders(2)
    log = Log()
    async with log.attach(shop(broker)):
        await broker.idle()
    broker.produce("orders", b"?")  # the first one that the next worker reads
    broker.produce("orders", b"3")
    async with log.attach(shop(broker)):
        await broker.idle()

    assert log.handled == [(0, 0), (0, 1), (0, 3)]
    assert [r.value() for r in broker.messages("orders-dlt")] == [b"?"]
    assert broker.committed("shop", "orders") == {0: 4}


@simulated
async def test_an_idle_partition_keeps_its_offset_through_many_rebalances() -> None:
    """It committed a wrong one, went out of range, and replayed everything."""
    broker = orders(4, 0)
    log = Log()
    async with log.attach(shop(broker)), log.attach(shop(broker)):
        await broker.idle()
        for _ in range(20):
            broker.rebalance()
            await asyncio.sleep(0.3)
        assert committed(broker) == {0: 4}
        broker.produce("orders", b"0", partition=1)
        await broker.idle()

    assert sorted(log.handled) == places(4, 1)


@simulated
async def test_a_record_that_is_retried_for_long_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What failed went to a queue without a bound, and reading went on."""
    monkeypatch.setattr(intake, "HIGH_RECORDS", 20)
    monkeypatch.setattr(intake, "LOW_RECORDS", 10)
    broker = orders(500, poll_records=5)
    app = shop(broker, retry=Retry(attempts=50, delay=10, max_delay=10))
    most = 0

    @app.consumes()
    async def on_orders(order: int) -> None:
        if order == 3:
            raise ConnectionError

    async with app:
        [consumer] = [
            c for c in broker._cluster.clients if isinstance(c, MemoryConsumer)
        ]
        for _ in range(100):
            await asyncio.sleep(1)
            [room] = consumer._fetches.intake.values()
            most = max(most, room.records_in - room.records_out)

    assert 20 < most <= 25


@simulated
async def test_every_record_that_fails_for_good_gets_its_dead_letter() -> None:
    """There was a limit of dead letters, above which it only went on committing."""
    broker = orders(1500)
    app = shop(broker, retry=Retry(attempts=1))

    @app.consumes()
    async def on_orders(order: int) -> None:
        raise ValueError(order)

    async with app:
        await broker.idle()

    letters = [int(r.value() or b"") for r in broker.messages("orders-dlt")]
    assert letters == list(range(1500))
    assert broker.committed("shop", "orders") == {0: 1500}


@pytest.mark.parametrize("batches", [False, True])
@simulated
async def test_success_in_one_partition_does_not_reset_the_attempts_in_another(
    batches: bool,
) -> None:
    """Poison was retried for ever while the other partition was well."""
    broker = orders(1, 200, poll_records=2)
    app = shop(broker, retry=Retry(attempts=3, delay=0.5))
    calls: Counter[int] = Counter()

    async def single(order: int, meta: EventMetadata) -> None:
        calls[meta.partition] += 1
        await asyncio.sleep(0.01)
        if meta.partition == 0:
            raise ConnectionError

    async def batch(orders: list[int], metas: list[EventMetadata]) -> None:
        await single(orders[0], metas[0])

    app.consumes(topic="orders")(batch if batches else single)
    async with app:
        await broker.idle()

    assert calls[0] == 3
    assert len(broker.messages("orders-dlt")) == 1
    assert broker.committed("shop", "orders") == {0: 1, 1: 200}


@pytest.mark.parametrize("stops", [False, True])
@simulated
async def test_no_commit_passes_a_dead_letter_that_is_still_in_flight(
    stops: bool,
) -> None:
    """Neither the periodic commit nor the one at the stop waited for it."""
    broker = orders(3)
    broker.create_topic("orders-dlt")
    broker.delay(3600, topic="orders-dlt")
    app = shop(broker, retry=Retry(attempts=1), shutdown_timeout=5)

    @app.consumes()
    async def on_orders(order: int) -> None:
        if order == 1:
            raise ValueError

    if stops:
        with pytest.raises(Exception, match="1 produced records were not acknowledged"):
            async with app:
                await asyncio.sleep(0.1)
    else:
        async with app:
            await asyncio.sleep(5)
            assert committed(broker) == {0: 1}
            broker.crash("consumer-1")
            broker.advance(3600)

    assert committed(broker) == {0: 1}


@simulated
async def test_holding_back_runs_no_handler_twice() -> None:
    """Back-pressure handed the same record in again."""
    broker = orders(300)
    app = shop(broker, librdkafka={"queue.buffering.max.messages": 1})
    calls: Counter[int] = Counter()

    @app.consumes()
    async def on_orders(order: int) -> None:
        calls[order] += 1
        await to_invoices(order)

    @app.produces()
    async def to_invoices(order: int) -> int:
        return order

    broker.delay(0.2, topic="invoices")
    async with app:
        await broker.idle()

    assert calls == Counter(range(300))
    assert len(broker.messages("invoices")) == 300


@simulated
async def test_records_that_are_filtered_out_advance_the_offset() -> None:
    """Only what produced an output did."""
    broker = orders(10)
    app = shop(broker)

    @app.consumes(topic="orders")
    @app.produces(topic="invoices")
    async def invoice(order: int) -> int | None:
        return order if order == 0 else None

    async with app:
        await broker.idle()
        await asyncio.sleep(1.5)
        assert broker.committed("shop", "orders") == {0: 10}

    assert len(broker.messages("invoices")) == 1


@simulated
async def test_the_last_records_of_a_topic_that_falls_idle_are_committed() -> None:
    """A commit came only with the next record."""
    broker = orders(3)
    async with Log().attach(shop(broker)):
        await broker.idle()
        await asyncio.sleep(1.5)
        assert broker.committed("shop", "orders") == {0: 3}


@simulated
async def test_a_partition_that_was_held_back_goes_on_after_a_rebalance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It stayed paused with its next owner, or when it came back."""
    monkeypatch.setattr(intake, "HIGH_RECORDS", 4)
    monkeypatch.setattr(intake, "LOW_RECORDS", 2)
    broker = orders(30, 30, poll_records=2)
    log = Log()
    async with log.attach(shop(broker, revoke_timeout=1), waits_at=(0, 0)):
        await asyncio.sleep(1)  # both partitions are its own, and one is full
        broker.rebalance()  # away and back
        await asyncio.sleep(2)
        log.open.set()
        await broker.idle()

    assert set(log.handled) == set(places(30, 30))


@simulated
async def test_room_that_is_given_back_late_fetches_nothing_that_is_anothers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A paused consumer resumed partitions that it had lost meanwhile."""
    monkeypatch.setattr(intake, "HIGH_RECORDS", 4)
    monkeypatch.setattr(intake, "LOW_RECORDS", 2)
    broker = orders(30, poll_records=2)
    first, second = Log(), Log()
    async with first.attach(shop(broker, revoke_timeout=1), waits_at=(0, 0)):
        await asyncio.sleep(1)
        async with second.attach(shop(broker)):
            broker.rebalance()
            await asyncio.sleep(2)
            first.open.set()
            await broker.idle()

    assert first.begun == [(0, 0)]
    assert second.handled == places(30)


@simulated
async def test_a_stop_drops_nothing_that_was_fetched_and_commits_nothing_undone() -> (
    None
):
    """Four of six fetched records were handled at the stop, and all committed."""
    broker = orders(6)
    log = Log()
    app = log.attach(shop(broker), waits_at=(0, 3))
    async with app:
        await asyncio.sleep(0.1)
        asyncio.get_running_loop().call_later(1, log.open.set)
    assert log.handled == places(4)
    assert broker.committed("shop", "orders") == {0: 4}

    async with log.attach(shop(broker)):
        await broker.idle()
    assert log.handled == places(6)


@simulated
async def test_a_stop_does_not_work_off_everything_that_was_fetched() -> None:
    """It drained 100,000 records beyond the kill deadline, having committed them."""
    broker = orders(2000)
    app = shop(broker)
    handled: list[int] = []

    @app.consumes()
    async def on_orders(order: int) -> None:
        await asyncio.sleep(0.1)
        handled.append(order)

    loop = asyncio.get_running_loop()
    async with app:
        await asyncio.sleep(1.05)
        began = loop.time()
    assert loop.time() - began < 1
    assert len(handled) < 15
    assert broker.committed("shop", "orders") == {0: len(handled)}


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ("fetch", "TOPIC_AUTHORIZATION_FAILED"),
        ("join", "GROUP_AUTHORIZATION_FAILED"),
    ],
)
@simulated
async def test_an_error_that_no_retry_cures_ends_the_app_and_is_no_empty_poll(
    request_: Any, error: str
) -> None:
    """Errors of the client came as records that were None, and nobody was told."""
    broker = orders(3)
    broker.fail(request_, error=error, times=None)

    with pytest.raises(ClientError, match=error):
        async with Log().attach(shop(broker)) as app:
            await app.wait_stopped()


@simulated
async def test_equal_keys_are_one_key_whatever_object_they_are() -> None:
    """Keys were compared by identity, so two records of one key ran at once."""
    broker = MemoryBroker({"orders": 1})
    for number in range(20):
        broker.produce("orders", b"%d" % number, key=bytes(bytearray(b"one key")))
    app = shop(broker, order="key", concurrency=8)
    inside = most = 0

    @app.consumes()
    async def on_orders(order: int) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.1)
        inside -= 1

    async with app:
        await broker.idle()

    assert most == 1


@simulated
async def test_every_message_of_a_list_keeps_its_own_key_and_partition() -> None:
    """The first one above a full batch lost its key, or all went to one partition."""
    broker = MemoryBroker({"orders": 1, "invoices": 4})
    broker.produce("orders", b"0")
    app = shop(broker, librdkafka={"queue.buffering.max.messages": 3})

    @app.consumes()
    async def on_orders(order: int) -> None:
        await to_invoices()

    @app.produces()
    async def to_invoices() -> list[KafkaEvent[int]]:
        return [KafkaEvent(n, key=b"k%d" % n) for n in range(50)]

    async with app:
        await broker.idle()

    invoices = broker.messages("invoices")
    assert sorted(int(r.value() or b"") for r in invoices) == list(range(50))
    assert all(r.key() == b"k%s" % (r.value() or b"") for r in invoices)
    assert {r.partition() for r in invoices} == {0, 1, 2, 3}


@simulated
async def test_rebalances_need_no_package_for_tracing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was imported in the revoke, and where it was missing every one failed."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    broker = orders(3, 3)
    log = Log()
    async with log.attach(shop(broker)), log.attach(shop(broker)):
        broker.rebalance()
        await broker.idle()
        assert set.union(*broker.members("shop").values()) == {
            TopicPartition("orders", 0),
            TopicPartition("orders", 1),
        }

    assert sorted(log.handled) == places(3, 3)
