"""Consumers and producers of the broker in memory, without an engine."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from fastkafka.errors import ClientError
from fastkafka.observe.events import Event
from fastkafka.transport.base import Committed, Run, TopicPartition
from fastkafka.transport.memory import MemoryBroker, MemoryConsumer, MemoryProducer

GROUP = "shop"


class Listener:
    """Notes what a consumer tells; `finishes` makes it an engine that is quick."""

    def __init__(self, *, finishes: bool = False) -> None:
        self.consumer: MemoryConsumer
        self.told: list[str] = []
        self.records: list[tuple[int, int]] = []
        self.values: list[bytes | None] = []
        self.assigned: set[TopicPartition] = set()
        self.errors: list[ClientError] = []
        self.events: list[Event] = []
        self.committed: dict[TopicPartition, Committed | None] = {}
        self.may_give_up = asyncio.Event()
        self.may_give_up.set()
        self._finishes = finishes

    def on_assigned(
        self, partitions: Mapping[TopicPartition, Committed | None]
    ) -> None:
        self.told.append(f"assigned {names(partitions)}")
        self.assigned.update(partitions)
        self.committed.update(partitions)

    def on_records(self, runs: Sequence[Run]) -> None:
        for run in runs:
            self.values += [record.value() for record in run.records]
            self.records += [(r.partition(), r.offset()) for r in run.records]
            if self._finishes:
                end = run.records[-1].offset() + 1
                self.consumer.taken(run.partition, len(run.records), run.size)
                self.consumer.finished(run.partition, end)

    async def on_revoked(self, partitions: Collection[TopicPartition]) -> None:
        self.told.append(f"revoked {names(partitions)}")
        await self.may_give_up.wait()
        self.assigned.difference_update(partitions)

    def on_lost(self, partitions: Collection[TopicPartition]) -> None:
        self.told.append(f"lost {names(partitions)}")
        self.assigned.difference_update(partitions)

    def on_sought(self, partition: TopicPartition, offset: int) -> None:
        self.told.append(f"sought {partition} to {offset}")

    def on_error(self, error: ClientError) -> None:
        self.errors.append(error)

    def on_event(self, event: Event) -> None:
        self.events.append(event)


def names(partitions: Collection[TopicPartition]) -> str:
    return ", ".join(str(partition) for partition in sorted(partitions))


async def turns() -> None:
    """Let everything happen that needs no time."""
    for _ in range(30):
        await asyncio.sleep(0)


async def joined(
    broker: MemoryBroker,
    *topics: str,
    group: str | None = GROUP,
    start_at: str = "earliest",
    on_gap: str = "stop",
    finishes: bool = False,
    **config: Any,
) -> Listener:
    """Start a consumer; librdkafka's settings with underscores."""
    listener = Listener(finishes=finishes)
    settings: dict[str, Any] = {
        "bootstrap.servers": "memory:9092",
        "session.timeout.ms": 10_000,
        "auto.commit.interval.ms": 1000,
    }
    settings |= {name.replace("_", "."): value for name, value in config.items()}
    if group is not None:
        settings["group.id"] = group
    listener.consumer = broker.consumer(
        settings,
        topics or ("orders",),
        listener,
        start_at=dict.fromkeys(topics or ("orders",), start_at),
        on_gap=dict.fromkeys(topics or ("orders",), on_gap),
        revoke_timeout=5.0,
    )
    await listener.consumer.start()
    await turns()
    return listener


async def producing(broker: MemoryBroker, **config: Any) -> MemoryProducer:
    settings = {name.replace("_", "."): value for name, value in config.items()}
    producer = broker.producer(
        {"bootstrap.servers": "memory:9092"} | settings, ["orders"]
    )
    await producer.start()
    return producer
