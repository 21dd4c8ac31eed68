"""The broker in memory: what it models beyond the promises of tests/contract."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest

from fastkafka.errors import (
    BrokerUnavailableError,
    ClientError,
    ConfigError,
)
from fastkafka.transport.base import Run, TopicPartition
from fastkafka.transport.memory import (
    ManualClock,
    MemoryBroker,
)
from tests.listeners import GROUP, Listener, joined, producing, turns

ORDERS = TopicPartition("orders", 0)


@pytest.fixture
def broker() -> MemoryBroker:
    """A broker whose time only the test turns."""
    return MemoryBroker({"orders": 2}, clock=ManualClock())


# Retention.


async def test_retention_deletes_and_a_slow_reader_meets_a_gap() -> None:
    broker = MemoryBroker(clock=ManualClock())
    broker.create_topic("orders", retention=60.0)
    broker.produce("orders", b"1")
    broker.produce("orders", b"2")
    member = await joined(broker)
    member.consumer.finished(ORDERS, 1)
    await member.consumer.stop(1.0)

    broker.advance(30.0)
    broker.produce("orders", b"3")
    broker.advance(31.0)
    assert [r.value() for r in broker.messages("orders")] == [b"3"]
    late = await joined(broker)

    assert late.values == []
    assert [str(e) for e in late.errors] == [
        "orders[0]: the group's offset is not there any more: Broker: Offset out of "
        "range. Records were deleted before this group read them, or the topic was "
        "made again. To go on where it begins now or at its end, set `on_gap` to "
        '"earliest" or "latest"; or set the group\'s offset with '
        "kafka-consumer-groups.sh --reset-offsets."
    ]
    assert late.errors[0].fatal


async def test_records_deleted_under_a_reader_are_a_gap_and_others_go_on(
    broker: MemoryBroker,
) -> None:
    member = await joined(broker)
    member.consumer.pause()
    for _ in range(3):
        broker.produce("orders", b"lost", partition=0)
    broker.suspend(member.consumer)
    broker.delete_records("orders", 0, before=2)
    fresh = await joined(broker, group="others", start_at="earliest")
    assert fresh.records == [(0, 2)]

    behind = await joined(broker, group="behind", finishes=True)
    broker.suspend(behind.consumer)
    broker.produce("orders", b"4", partition=0)
    broker.delete_records("orders", 0, before=4)
    broker.produce("orders", b"5", partition=1)
    broker.resume(behind.consumer)
    await turns()

    assert [e.code for e in behind.errors] == ["_AUTO_OFFSET_RESET"]
    assert behind.values == [b"lost", b"5"]


# Fetching.


async def test_a_fetch_that_is_refused_for_good_is_fatal(broker: MemoryBroker) -> None:
    broker.fail("fetch", topic="orders", error="TOPIC_AUTHORIZATION_FAILED")
    broker.produce("orders", b"1", partition=0)
    member = await joined(broker)

    (error,) = member.errors
    assert error.fatal
    assert str(error) == (
        "Kafka could not consume: Broker: Topic authorization failed "
        "(TOPIC_AUTHORIZATION_FAILED)."
    )


async def test_a_fetch_that_fails_is_tried_again(broker: MemoryBroker) -> None:
    broker.fail("fetch", error="NOT_LEADER_FOR_PARTITION", times=2)
    broker.produce("orders", b"1", partition=0)
    member = await joined(broker)
    assert member.values == []

    for _ in range(2):
        broker.advance(0.1)
        await turns()

    assert member.values == [b"1"]
    assert member.errors == []


async def test_a_poll_brings_no_more_than_it_may() -> None:
    broker = MemoryBroker({"orders": 2}, clock=ManualClock(), poll_records=3)
    for number in range(10):
        broker.produce("orders", b"%d" % number, partition=number % 2)
    polls: list[int] = []

    class Counts(Listener):
        def on_records(self, runs: Sequence[Run]) -> None:
            super().on_records(runs)
            polls.append(sum(len(run.records) for run in runs))

    counts = Counts()
    counts.consumer = broker.consumer(
        {},
        ["orders"],
        counts,
        start_at={"orders": "earliest"},
        on_gap={"orders": "stop"},
        revoke_timeout=1.0,
    )
    await counts.consumer.start()
    await turns()

    assert max(polls) == 3
    assert sorted(counts.records) == [(p, o) for p in range(2) for o in range(5)]


async def run_of_events(seed: int) -> tuple[object, ...]:
    """Play a busy scene and return everything that happened."""
    broker = MemoryBroker({"orders": 5}, seed=seed, clock=ManualClock(), poll_records=2)
    members = [await joined(broker, finishes=True) for _ in range(3)]
    producer = await producing(broker)
    outcomes: list[tuple[int, int]] = []
    for number in range(60):
        value = b"%d" % number
        producer.send(
            *("orders", value, None, None, -1, 0),
            lambda _, record: outcomes.append((record.partition(), record.offset())),
        )
        if number % 20 == 10:
            broker.rebalance()
            broker.advance(0.5)
            await turns()
    broker.crash(members[0].consumer)
    broker.advance(12.0)
    await turns()
    return (
        outcomes,
        [(m.told, m.records, m.values) for m in members],
        broker.committed(GROUP, "orders"),
    )


async def test_a_seed_decides_everything() -> None:
    once, again, other = [await run_of_events(seed) for seed in (1, 1, 2)]

    assert once == again
    assert once != other


# A broker that is away.


async def test_a_start_waits_for_a_broker_and_then_gives_up(
    broker: MemoryBroker,
) -> None:
    broker.down()
    consumer = broker.consumer(
        {"bootstrap.servers": "memory:9092", "group.id": GROUP},
        ["orders"],
        Listener(),
        start_at={"orders": "earliest"},
        on_gap={"orders": "stop"},
        revoke_timeout=1.0,
    )
    starting = asyncio.ensure_future(consumer.start())
    await turns()
    broker.advance(9.0)
    await turns()
    assert not starting.done()
    broker.advance(1.0)

    with pytest.raises(BrokerUnavailableError) as away:
        await starting
    assert str(away.value) == (
        "No broker answers at memory:9092. Is Kafka running? To try without one: "
        "`--kafka-broker embedded`."
    )


async def test_nothing_moves_while_the_broker_is_away_and_all_goes_on_after(
    broker: MemoryBroker,
) -> None:
    member = await joined(broker, finishes=True)
    crashed = await joined(broker)
    broker.produce("orders", b"1", partition=0)
    broker.produce("orders", b"2", partition=1)
    broker.down()
    broker.crash(crashed.consumer)
    broker.advance(30.0)
    await turns()
    assert member.values == []
    assert len(broker.members(GROUP)) == 2

    broker.up()
    await turns()
    broker.advance(11.0)
    await turns()
    broker.advance(1.0)

    assert sorted(member.values) == [b"1", b"2"]  # type: ignore[type-var]
    assert broker.committed(GROUP, "orders") == {0: 1, 1: 1}


async def test_a_consumer_that_cannot_close_is_abandoned(
    broker: MemoryBroker, caplog: pytest.LogCaptureFixture
) -> None:
    broker.produce("orders", b"1", partition=0)
    member = await joined(broker, finishes=True)
    broker.down()
    stopping = asyncio.ensure_future(member.consumer.stop(4.0))
    await turns()
    broker.advance(4.0)
    await stopping

    assert caplog.messages == [
        "The consumer did not close in 4 s and is abandoned. "
        "What it could not commit will be read again."
    ]
    broker.up()
    broker.advance(10.0)
    assert broker.members(GROUP) == {}
    assert broker.committed(GROUP, "orders") == {}


async def test_a_client_that_is_refused_says_so(broker: MemoryBroker) -> None:
    broker.fail("connect", error="SASL_AUTHENTICATION_FAILED")
    with pytest.raises(ClientError) as refused:
        await joined(broker)
    assert refused.value.fatal

    broker.fail("join", error="GROUP_AUTHORIZATION_FAILED")
    member = await joined(broker)
    assert [e.code for e in member.errors] == ["GROUP_AUTHORIZATION_FAILED"]
    assert member.told == []


# Looking and waiting.


async def test_idle_waits_for_what_is_not_finished(broker: MemoryBroker) -> None:
    member = await joined(broker)
    await broker.idle()  # there is nothing

    broker.produce("orders", b"1", partition=0)
    waiting = asyncio.ensure_future(broker.idle())
    await turns()
    assert member.values == [b"1"]
    assert not waiting.done()
    member.consumer.finished(ORDERS, 1)
    await waiting


async def test_idle_waits_for_partitions_that_nobody_has_yet(
    broker: MemoryBroker,
) -> None:
    broker.produce("orders", b"1", partition=0)
    broker.produce("orders", b"2", partition=1)
    crashed = await joined(broker)
    other = await joined(broker, finishes=True)
    broker.crash(crashed.consumer)
    waiting = asyncio.ensure_future(broker.idle())
    await turns()
    assert not waiting.done()

    broker.advance(10.0)
    await waiting
    assert sorted(other.values) == [b"1", b"2"]  # type: ignore[type-var]


async def test_idle_waits_for_acknowledgements(broker: MemoryBroker) -> None:
    producer = await producing(broker)
    broker.delay(2.0)
    producer.send(*("orders", b"", None, None, 0, 0), lambda *_: None)
    waiting = asyncio.ensure_future(broker.idle())
    await turns()
    assert not waiting.done()

    broker.advance(2.0)
    await waiting


async def test_messages_are_in_the_order_of_their_arrival(
    broker: MemoryBroker,
) -> None:
    for number in range(10):
        broker.produce("orders", b"%d" % number, partition=number % 2)

    assert [r.value() for r in broker.messages("orders")] == [
        b"%d" % number for number in range(10)
    ]


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        (
            lambda broker: broker.messages("order"),
            "MemoryBroker: there is no topic 'order'. Did you mean 'orders'?",
        ),
        (
            lambda broker: broker.create_topic("orders"),
            "MemoryBroker: topic 'orders' exists already.",
        ),
        (
            lambda broker: broker.create_topic("invoices", 0),
            "MemoryBroker: topic 'invoices' cannot have 0 partitions. Give at least 1.",
        ),
        (
            lambda broker: broker.create_partitions("orders", 2),
            "MemoryBroker: topic 'orders' has 2 partitions and cannot have 2. "
            "Kafka only adds.",
        ),
        (
            lambda broker: broker.delete_records("orders", 2, 1),
            "MemoryBroker: topic 'orders' has no partition 2. It has 2, from 0.",
        ),
        (
            lambda broker: broker.fail("produces", error="X"),
            "MemoryBroker: there is no request 'produces' to fail. "
            "Did you mean 'produce'?",
        ),
        (
            lambda broker: broker.crash("consumer-1"),
            "MemoryBroker: no client 'consumer-1' runs here. These do: [].",
        ),
        (
            lambda broker: MemoryBroker("orders"),
            "MemoryBroker: `topics` is the string 'orders'. Write `topics=['orders']`.",
        ),
    ],
)
def test_a_mistake_is_a_clear_sentence(
    broker: MemoryBroker, mistake: Any, sentence: str
) -> None:
    with pytest.raises(ConfigError) as error:
        mistake(broker)
    assert str(error.value) == sentence


async def test_nothing_is_logged_when_nothing_goes_wrong(
    broker: MemoryBroker, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "fastkafka"):
        member = await joined(broker, finishes=True)
        broker.produce("orders", b"1", partition=0)
        await broker.idle()
        await member.consumer.stop(1.0)
    assert caplog.messages == []
