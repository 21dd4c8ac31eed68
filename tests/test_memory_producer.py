"""Producing to the broker in memory: refusals, delays, partitions."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from fastkafka.errors import (
    ProduceError,
)
from fastkafka.transport.base import TopicPartition
from fastkafka.transport.memory import (
    ManualClock,
    MemoryBroker,
)
from fastkafka.transport.memory.partitioner import murmur2
from tests.listeners import GROUP, producing, turns

ORDERS = TopicPartition("orders", 0)


@pytest.fixture
def broker() -> MemoryBroker:
    """A broker whose time only the test turns."""
    return MemoryBroker({"orders": 2}, clock=ManualClock())


async def test_a_record_above_the_topics_limit_is_refused_alone() -> None:
    broker = MemoryBroker(clock=ManualClock())
    broker.create_topic("orders", max_message_bytes=1000)
    producer = await producing(broker)
    outcomes: list[tuple[Any, Any]] = []

    for value in (b"before", b"x" * 2000, b"after"):
        producer.send(
            *("orders", value, None, None, -1, 0), lambda *o: outcomes.append(o)
        )
    await turns()

    assert [r.value() for r in broker.messages("orders")] == [b"before", b"after"]
    (_, _), (error, record), (_, _) = outcomes
    assert [error for error, _ in outcomes] == [None, error, None]
    explained = producer.explain(error, record)
    assert isinstance(explained, ProduceError)
    assert str(explained) == (
        "A record for 'orders' was not acknowledged: the record has 2,000 bytes, which "
        "is above the limit. Raise the topic's max.message.bytes and "
        "`max_request_size`, or send less."
    )


async def test_a_delivery_fails_when_a_test_says_so(broker: MemoryBroker) -> None:
    producer = await producing(broker)
    broker.fail("produce", topic="orders", error="NOT_ENOUGH_REPLICAS", times=2)
    outcomes: list[Any] = []

    for number in range(4):
        producer.send(
            *("orders", b"%d" % number, b"key", None, 0, 0),
            lambda error, record: outcomes.append(
                None if error is None else producer.explain(error, record)
            ),
        )
    await turns()

    assert [r.value() for r in broker.messages("orders")] == [b"2", b"3"]
    assert outcomes[2:] == [None, None]
    assert str(outcomes[0]) == (
        "A record for 'orders' was not acknowledged: Broker: Not enough replicas "
        "(NOT_ENOUGH_REPLICAS)."
    )
    assert outcomes[0].retriable
    assert outcomes[0].key == b"key"


async def test_a_late_acknowledgement_holds_up_its_partition(
    broker: MemoryBroker,
) -> None:
    producer = await producing(broker)
    acknowledged: list[bytes] = []
    broker.delay(3.0, topic="orders", partition=0, times=1)

    for value, partition in ((b"late", 0), (b"behind", 0), (b"other", 1)):
        producer.send(
            *("orders", value, None, None, partition, 0),
            lambda _, record: acknowledged.append(record.value()),
        )
    await turns()
    assert acknowledged == [b"other"]
    assert len(broker.messages("orders")) == 3
    broker.advance(3.0)

    assert acknowledged == [b"other", b"late", b"behind"]


async def test_records_wait_for_a_broker_that_is_away_but_not_for_ever(
    broker: MemoryBroker,
) -> None:
    producer = await producing(broker, message_timeout_ms=60_000)
    outcomes: list[Any] = []

    def send(value: bytes) -> None:
        producer.send(
            *("orders", value, None, None, 0, 0),
            lambda error, _: outcomes.append(error and error.code),
        )

    broker.down()
    send(b"too long")
    broker.advance(40.0)
    send(b"long enough")
    await turns()
    assert outcomes == []
    broker.advance(25.0)
    await turns()
    broker.up()
    await turns()

    assert outcomes == ["_MSG_TIMED_OUT", None]
    assert [r.value() for r in broker.messages("orders")] == [b"long enough"]


async def test_a_record_for_a_topic_that_does_not_exist_is_refused() -> None:
    broker = MemoryBroker(auto_create_topics=False, clock=ManualClock())
    producer = broker.producer({"bootstrap.servers": "memory:9092"}, ["orders"])
    assert await producer.start() == ["orders"]
    refused: list[str] = []

    producer.send(
        *("orders", b"", None, None, -1, 0),
        lambda error, record: refused.append(str(producer.explain(error, record))),
    )
    await turns()

    assert refused == [
        "A record for 'orders' was not acknowledged: the topic does not exist at "
        "memory:9092. Create it: kafka-topics.sh --create --topic orders."
    ]


async def test_what_a_crashed_producer_had_not_written_is_never_written(
    broker: MemoryBroker,
) -> None:
    producer = await producing(broker)
    outcomes: list[Any] = []
    producer.send(*("orders", b"1", None, None, 0, 0), lambda *o: outcomes.append(o))

    broker.crash(producer)
    await turns()

    assert outcomes == []
    assert broker.messages("orders") == []


def test_topics_appear_with_the_partitions_that_the_broker_gives_them() -> None:
    broker = MemoryBroker(num_partitions=3)

    spread = Counter(
        broker.produce("orders", b"", key=b"%d" % number).partition()
        for number in range(100)
    )

    assert set(spread) == {0, 1, 2}
    assert broker.lag(GROUP, "orders") == dict(sorted(spread.items()))


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_javas(key: bytes, hashed: int) -> None:
    assert murmur2(key) == hashed & 0xFFFFFFFF
