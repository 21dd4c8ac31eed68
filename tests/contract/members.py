"""Consumers and producers of the seam, as the engine would have them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from fastkafka import settings
from fastkafka.errors import ClientError
from fastkafka.messages import Record
from fastkafka.observe.events import Event
from fastkafka.transport.base import (
    Committed,
    Consumer,
    Headers,
    Producer,
    Run,
    TopicPartition,
)
from tests.contract.brokers import Broker

WAIT_SECONDS = 30.0
"""Long enough for a slow machine; a test that gets there has failed."""

_QUICK = {
    "auto_commit_interval_ms": 100,
    "heartbeat_interval_ms": 200,
    "metadata_max_age_ms": 300,
}


async def becomes_true(look: Callable[[], Awaitable[bool]]) -> None:
    """Ask a broker until it says so: it tells nobody by itself."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not await look():  # noqa: ASYNC110 - another process, without an event
            await asyncio.sleep(0.01)


class Member:
    """A consumer, and the listener that notes what it is told."""

    def __init__(self) -> None:
        self.consumer: Consumer
        self.assigned: set[TopicPartition] = set()
        self.runs: list[Run] = []
        self.revokes: list[set[TopicPartition]] = []
        self.errors: list[ClientError] = []
        self.events: list[Event] = []
        self.sought: list[tuple[TopicPartition, int]] = []
        """Where partitions went; what had come of them before is forgotten."""
        self.committed: dict[TopicPartition, Committed | None] = {}
        self.broken_rules: list[str] = []
        self.assignments = 0
        self.may_give_up = asyncio.Event()
        """Cleared, a revoke waits for it."""
        self.may_lose = False
        """Partitions may be lost: their topic is deleted."""
        self.may_give_up.set()
        self.on_revoke: Callable[[Collection[TopicPartition]], None] | None = None
        self._heard = asyncio.Event()

    def values(self, partition: int | None = None) -> list[bytes | None]:
        """Return the values that came, of one partition or of all."""
        return [
            record.value()
            for run in self.runs
            if partition in (None, run.partition.partition)
            for record in run.records
        ]

    def offsets(self, partition: int = 0) -> list[int]:
        """Return the offsets that came of one partition."""
        return [
            record.offset()
            for run in self.runs
            if partition == run.partition.partition
            for record in run.records
        ]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what the consumer has told makes it true."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not condition():
                self._heard.clear()
                await self._heard.wait()
        assert self.broken_rules == []

    # The listener.

    def on_assigned(
        self, partitions: Mapping[TopicPartition, Committed | None]
    ) -> None:
        self.assignments += 1
        self.assigned.update(partitions)
        self.committed.update(partitions)
        self._heard.set()

    def on_records(self, runs: Sequence[Run]) -> None:
        for run in runs:
            places = {(r.topic(), r.partition()) for r in run.records}
            offsets = [r.offset() for r in run.records]
            if run.partition not in self.assigned:
                self.broken_rules.append(f"records of {run.partition}, not assigned")
            if places != {run.partition}:
                self.broken_rules.append(f"a run of {run.partition} has {places}")
            if offsets != sorted(set(offsets)):
                self.broken_rules.append(f"a run has the offsets {offsets}")
            if run.size != sum(len(r.value() or b"") for r in run.records):
                self.broken_rules.append(f"a run has the size {run.size}")
        self.runs += runs
        self._heard.set()

    async def on_revoked(self, partitions: Collection[TopicPartition]) -> None:
        self.revokes.append(set(partitions))
        self._heard.set()
        if self.on_revoke is not None:
            self.on_revoke(partitions)
        await self.may_give_up.wait()
        self.assigned.difference_update(partitions)
        self._heard.set()

    def on_lost(self, partitions: Collection[TopicPartition]) -> None:
        if not self.may_lose:
            self.broken_rules.append(f"lost {partitions}")
        self.assigned.difference_update(partitions)
        self._heard.set()

    def on_sought(self, partition: TopicPartition, offset: int) -> None:
        self.sought.append((partition, offset))
        self.runs = [run for run in self.runs if run.partition != partition]
        self._heard.set()

    def on_error(self, error: ClientError) -> None:
        self.errors.append(error)
        self._heard.set()

    def on_event(self, event: Event) -> None:
        self.events.append(event)
        self._heard.set()


class Sent:
    """What became of the records of one producer."""

    def __init__(self, producer: Producer) -> None:
        self.producer = producer
        self.outcomes: list[tuple[Any, Any]] = []
        self._loop = asyncio.get_running_loop()
        self._heard = asyncio.Event()

    def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers | None = None,
        partition: int = -1,
        timestamp: int = 0,
    ) -> None:
        """Send one record and note its outcome."""
        self.producer.send(
            *(topic, value, key, headers, partition, timestamp, self._delivered)
        )

    async def until(self, count: int) -> None:
        """Wait for so many outcomes."""
        async with asyncio.timeout(WAIT_SECONDS):
            while len(self.outcomes) < count:
                self._heard.clear()
                await self._heard.wait()

    def acknowledged(self) -> list[Record]:
        """Return the records that were, in the order of their acknowledgement."""
        assert [error for error, _ in self.outcomes if error is not None] == []
        return [record for _, record in self.outcomes]

    def _delivered(self, error: Any, record: Any) -> None:
        self.outcomes.append((error, record))
        self._loop.call_soon_threadsafe(self._heard.set)


class Members:
    """Makes clients on a broker, configured as an app would."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._stop: list[Callable[[float], Awaitable[object]]] = []

    def consumer(
        self,
        *topics: str,
        group: str | None,
        start_at: str = "earliest",
        on_gap: str = "stop",
        revoke_timeout: float = 10.0,
        **more: Any,
    ) -> Member:
        """Make a consumer that has not started; *more* are settings."""
        member = Member()
        chosen = _QUICK | more
        if chosen.get("group_protocol") == "consumer":
            del chosen["heartbeat_interval_ms"]  # the broker's to decide
        config = settings.consumer_config(chosen)
        config["bootstrap.servers"] = self._broker.servers
        if group is not None:
            config["group.id"] = group
        member.consumer = self._broker.transport.consumer(
            config,
            topics,
            member,
            start_at=dict.fromkeys(topics, start_at),
            on_gap=dict.fromkeys(topics, on_gap),
            revoke_timeout=revoke_timeout,
        )
        self._stop.append(member.consumer.stop)
        return member

    async def join(
        self,
        *topics: str,
        group: str | None,
        start_at: str = "earliest",
        on_gap: str = "stop",
        revoke_timeout: float = 10.0,
        **more: Any,
    ) -> Member:
        """Start a consumer and wait for its first assignment."""
        member = self.consumer(
            *topics,
            group=group,
            start_at=start_at,
            on_gap=on_gap,
            revoke_timeout=revoke_timeout,
            **more,
        )
        assert list(await member.consumer.start()) == []
        await member.until(lambda: member.assignments > 0)
        return member

    async def producer(self, *topics: str, **client: Any) -> Sent:
        """Start a producer.

        Args:
            topics: What it writes to.
            client: librdkafka's settings, with underscores.
        """
        names = {name.replace("_", "."): value for name, value in client.items()}
        config = settings.producer_config({"librdkafka": names})
        config["bootstrap.servers"] = self._broker.servers
        producer = self._broker.transport.producer(config, topics)
        assert list(await producer.start()) == []
        self._stop.append(producer.stop)
        return Sent(producer)

    async def stop(self) -> None:
        """Stop what still runs."""
        for stop in self._stop:
            await stop(5.0)
