"""Groups of the broker in memory: members, sessions, commits, time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from fastkafka.transport.base import TopicPartition
from fastkafka.transport.memory import (
    LoopClock,
    ManualClock,
    MemoryBroker,
)
from fastkafka.transport.memory.groups import balance
from tests.listeners import GROUP, Listener, joined, names, turns

ORDERS = TopicPartition("orders", 0)


@pytest.fixture
def broker() -> MemoryBroker:
    """A broker whose time only the test turns."""
    return MemoryBroker({"orders": 2}, clock=ManualClock())


# The clock.


async def test_what_is_due_is_called_in_its_order_at_its_time() -> None:
    clock = ManualClock(start=100.0)
    called: list[tuple[str, float]] = []

    def note(what: str) -> None:
        called.append((what, clock.time()))

    clock.call_at(103.0, lambda: note("third"))
    clock.call_at(101.0, lambda: note("first"))
    clock.call_at(101.0, lambda: note("second"))
    clock.call_at(102.0, lambda: note("never")).cancel()
    clock.call_at(110.0, lambda: note("later"))

    clock.advance(5.0)

    assert called == [("first", 101.0), ("second", 101.0), ("third", 103.0)]
    assert clock.time() == 105.0


async def test_the_loops_clock_can_be_pushed_ahead_and_goes_on_by_itself() -> None:
    clock = LoopClock()
    start = clock.time()
    rang: list[float] = []
    bell = asyncio.Event()
    clock.call_at(start + 3600.0, lambda: rang.append(clock.time()))
    clock.call_at(start + 3600.02, bell.set)

    clock.advance(3600.0)
    assert len(rang) == 1
    assert rang[0] >= start + 3600.0
    await bell.wait()
    assert clock.time() >= start + 3600.02


def test_the_loops_clock_goes_on_in_the_next_loop() -> None:
    clock = LoopClock()

    async def ahead() -> float:
        clock.advance(1000.0)
        return clock.time()

    async def later() -> float:
        bell = asyncio.Event()
        clock.call_at(clock.time() + 0.001, bell.set)
        await bell.wait()
        return clock.time()

    assert asyncio.run(ahead()) <= asyncio.run(later())


async def test_finished_offsets_are_committed_in_the_interval_of_the_clock(
    broker: MemoryBroker,
) -> None:
    broker.produce("orders", b"1", partition=0)
    member = await joined(broker, finishes=True)

    broker.advance(0.9)
    assert broker.committed(GROUP, "orders") == {}
    assert broker.lag(GROUP, "orders") == {0: 1, 1: 0}
    broker.advance(0.2)
    assert broker.committed(GROUP, "orders") == {0: 1}
    assert broker.lag(GROUP, "orders") == {0: 0, 1: 0}
    assert member.values == [b"1"]


async def test_timestamps_are_the_clocks_unless_the_record_has_one() -> None:
    broker = MemoryBroker(clock=ManualClock(start=1000.0))
    broker.advance(2.5)

    assert broker.produce("orders", b"").timestamp() == (1, 1_002_500)
    assert broker.produce("orders", b"", timestamp=7).timestamp() == (1, 7)


# Groups.


async def test_a_member_gives_up_only_what_moves(broker: MemoryBroker) -> None:
    broker.create_partitions("orders", 4)
    first = await joined(broker)
    second = await joined(broker)

    assert first.told == [
        "assigned orders[0], orders[1], orders[2], orders[3]",
        "revoked orders[2], orders[3]",
    ]
    # As with Kafka, its first assignment is empty: nothing is free yet.
    assert second.told == ["assigned ", "assigned orders[2], orders[3]"]

    await first.consumer.stop(1.0)
    assert first.told[2:] == ["revoked orders[0], orders[1]"]
    assert second.told[2:] == ["assigned orders[0], orders[1]"]


async def test_a_member_too_many_stands_by_and_takes_over(
    broker: MemoryBroker,
) -> None:
    one, two, three = [await joined(broker) for _ in range(3)]
    assert three.told == ["assigned "]

    await two.consumer.stop(1.0)
    await turns()

    assert one.told[-1] == "revoked orders[1]"
    assert three.told == ["assigned ", "assigned orders[1]"]


async def test_members_of_one_group_get_only_their_topics() -> None:
    broker = MemoryBroker({"orders": 2, "invoices": 2}, clock=ManualClock())
    both = await joined(broker, "orders", "invoices")
    orders = await joined(broker, "orders")

    assert names(both.assigned) == "invoices[0], invoices[1]"
    assert names(orders.assigned) == "orders[0], orders[1]"


async def test_a_topic_that_somebody_makes_is_joined_at_once() -> None:
    broker = MemoryBroker(auto_create_topics=False, clock=ManualClock())
    member = await joined(broker, "orders", "^invoices-.*$")
    assert member.told == ["assigned "]

    broker.create_topic("orders")
    broker.create_topic("invoices-2024")
    await turns()

    assert member.told[1:] == ["assigned orders[0]", "assigned invoices-2024[0]"]


async def test_the_group_waits_for_a_crashed_member_until_its_session_expires(
    broker: MemoryBroker,
) -> None:
    for partition in range(2):
        broker.produce("orders", b"%d" % partition, partition=partition)
    crashed = await joined(broker, finishes=True)
    survivor = await joined(broker, finishes=True)
    (kept,) = crashed.assigned

    broker.crash(crashed.consumer)
    broker.advance(9.9)
    await turns()
    assert len(survivor.assigned) == 1
    assert kept.partition not in broker.committed(GROUP, "orders")
    broker.advance(0.2)
    await turns()

    # Nothing of the crashed one was committed but on a revoke: it is read again.
    assert survivor.assigned == {TopicPartition("orders", p) for p in range(2)}
    assert (kept.partition, 0) in survivor.records
    assert crashed.told[-1].startswith("revoked")
    await crashed.consumer.stop(1.0)  # which is nothing to a process that is gone
    broker.advance(1.0)
    assert broker.committed(GROUP, "orders") == {0: 1, 1: 1}


async def test_a_member_is_found_by_its_id_in_the_group(broker: MemoryBroker) -> None:
    await joined(broker)
    (member,) = broker.members(GROUP)
    assert broker.members(GROUP) == {
        member: {TopicPartition("orders", 0), TopicPartition("orders", 1)}
    }

    broker.crash(member)
    broker.advance(10.0)

    assert broker.members(GROUP) == {}


async def test_a_zombie_commits_nothing_and_finds_out_that_it_lost(
    broker: MemoryBroker,
) -> None:
    broker.produce("orders", b"1", partition=0)
    broker.produce("orders", b"2", partition=1)
    zombie = await joined(broker)
    other = await joined(broker)
    (mine,) = zombie.assigned

    broker.suspend(zombie.consumer)
    zombie.consumer.finished(mine, 1)
    broker.advance(11.0)
    await turns()
    assert len(other.assigned) == 2
    assert broker.committed(GROUP, "orders") == {}
    broker.resume(zombie.consumer)
    await turns()
    broker.advance(2.0)
    await turns()

    lost, *joined_again = zombie.told[-3:]
    assert lost == f"lost {mine}"
    assert joined_again == ["assigned ", "assigned orders[1]"]
    assert broker.committed(GROUP, "orders") == {}


async def test_a_member_that_is_back_in_time_goes_on(broker: MemoryBroker) -> None:
    broker.produce("orders", b"1", partition=0)
    member = await joined(broker)
    told = list(member.told)

    broker.suspend(member.consumer)
    member.consumer.finished(ORDERS, 1)
    broker.produce("orders", b"2", partition=0)
    broker.advance(9.0)
    await turns()
    assert member.values == [b"1"]
    broker.resume(member.consumer)
    await turns()
    broker.advance(60.0)

    assert member.values == [b"1", b"2"]
    assert member.told == told
    assert broker.committed(GROUP, "orders") == {0: 1}


async def test_a_rebalance_moves_everything(broker: MemoryBroker) -> None:
    first, second = await joined(broker), await joined(broker)
    before = (first.assigned.copy(), second.assigned.copy())

    broker.rebalance(GROUP)
    await turns()

    assert (second.assigned, first.assigned) == before


async def test_a_rebalance_of_a_lone_member_takes_its_partitions_and_returns_them(
    broker: MemoryBroker,
) -> None:
    broker.produce("orders", b"1", partition=0)
    member = await joined(broker)

    broker.rebalance()
    await turns()

    assert member.told == [
        "assigned orders[0], orders[1]",
        "revoked orders[0], orders[1]",
        "assigned orders[0], orders[1]",
    ]
    assert member.values == [b"1", b"1"]  # it was not finished


async def test_a_revoke_that_never_ends_is_cut_off_by_the_clock(
    broker: MemoryBroker, caplog: pytest.LogCaptureFixture
) -> None:
    stuck = await joined(broker)
    stuck.may_give_up.clear()
    other = await joined(broker)
    assert other.assigned == set()

    broker.advance(5.0)
    await turns()

    assert len(other.assigned) == 1
    assert caplog.messages == [
        "Handlers did not end within 5 s of a revoke; what they are doing is not "
        "committed, and the partitions' next owner does it again: orders[1]"
    ]


async def test_a_revoke_that_raises_is_an_error_of_the_client(
    broker: MemoryBroker,
) -> None:
    class Breaks(Listener):
        async def on_revoked(self, partitions: Collection[TopicPartition]) -> None:
            raise ValueError("broken")

    breaks = Breaks()
    breaks.consumer = broker.consumer(
        {"group.id": GROUP},
        ["orders"],
        breaks,
        start_at={"orders": "earliest"},
        on_gap={"orders": "stop"},
        revoke_timeout=5.0,
    )
    await breaks.consumer.start()
    await turns()
    other = await joined(broker)

    assert [str(e) for e in breaks.errors] == ["A revoke failed: ValueError('broken')."]
    assert len(other.assigned) == 1


def test_partitions_are_shared_out_evenly_and_few_move() -> None:
    four = [TopicPartition("t", number) for number in range(4)]
    everybody = dict.fromkeys("abc", four)

    alone = balance({"a": four}, {})
    three = balance(everybody, alone)

    assert alone == {"a": set(four)}
    assert sorted(map(len, three.values())) == [1, 1, 2]
    assert three["a"] < alone["a"]
    assert balance(everybody, three) == three


# Commits that are refused.


async def test_a_commit_that_fails_goes_with_the_next_one(
    broker: MemoryBroker, caplog: pytest.LogCaptureFixture
) -> None:
    broker.produce("orders", b"1", partition=0)
    await joined(broker, finishes=True)
    broker.fail("commit", error="NOT_COORDINATOR", times=2)

    broker.advance(1.0)
    broker.advance(1.0)
    assert broker.committed(GROUP, "orders") == {}
    broker.advance(1.0)

    assert broker.committed(GROUP, "orders") == {0: 1}
    assert caplog.messages == [
        "Kafka could not commit: Broker: Not coordinator (NOT_COORDINATOR). "
        "The offsets go with the next commit.",
        "Commits succeed again.",
    ]


async def test_the_offsets_of_a_topic_that_is_gone_go_with_no_commit(
    broker: MemoryBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """The log promised that they would."""
    broker.produce("orders", b"1", partition=0)
    await joined(broker, finishes=True)
    broker.fail("commit", error="UNKNOWN_TOPIC_OR_PART")

    broker.advance(1.0)

    assert caplog.messages == [
        "Kafka could not commit: Broker: Unknown topic or part "
        "(UNKNOWN_TOPIC_OR_PART). The topic is not there, so nobody keeps these "
        "offsets. If it is made again, `on_gap` decides where the group goes on."
    ]


async def test_a_commit_for_another_topic_is_not_refused(broker: MemoryBroker) -> None:
    broker.produce("orders", b"1", partition=0)
    await joined(broker, finishes=True)
    broker.fail("commit", error="NOT_COORDINATOR", topic="orders", partition=1)

    broker.advance(1.0)

    assert broker.committed(GROUP, "orders") == {0: 1}
