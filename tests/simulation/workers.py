"""Workers: apps with the real engine, whose seams tell the ledger what goes through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextvars import ContextVar, copy_context
from typing import Any

from fastkafka import FastKafka
from fastkafka.errors import ClientError
from fastkafka.observe.events import Event
from fastkafka.transport.base import (
    Committed,
    ConsumerListener,
    Run,
    TopicPartition,
)
from fastkafka.transport.memory import MemoryBroker, MemoryConsumer, MemoryProducer
from fastkafka.transport.memory.faults import Refusal
from fastkafka.transport.memory.groups import Group, Member
from tests.simulation.apps import make_app
from tests.simulation.ledger import Ledger

LATE_SECONDS = 2.0
"""What a stop may take above its deadline: handlers that clean up."""

current_worker: ContextVar[Worker | None] = ContextVar("current_worker", default=None)
"""Whose code runs."""


class Worker:
    """One process, so to speak: an app from its start to its end.

    It is the app's `Transport`, too, and hands it clients of the broker.
    """

    def __init__(self, name: str, broker: MemoryBroker, ledger: Ledger) -> None:
        self.name = name
        self.ledger = ledger
        self.dead = False
        self.app: FastKafka | None = None
        self.stopping = asyncio.Event()
        self.clients: list[MemoryConsumer | MemoryProducer] = []
        self.tasks: dict[asyncio.Task[Any], None] = {}
        """In the order of their making, so that they always end in the same one."""
        self._broker = broker
        self._context = copy_context()
        self._context.run(current_worker.set, self)

    # As a transport.

    def consumer(
        self,
        config: Mapping[str, Any],
        topics: Collection[str],
        listener: ConsumerListener,
        *,
        start_at: Mapping[str, str],
        on_gap: Mapping[str, str],
        revoke_timeout: float,
    ) -> MemoryConsumer:
        """See `Transport`."""
        made = WatchedConsumer(
            self._broker._cluster,
            config,
            topics,
            WatchedListener(listener, self, self.ledger),
            start_at=start_at,
            on_gap=on_gap,
            revoke_timeout=revoke_timeout,
        )
        made.worker = self
        self.clients.append(made)
        return made

    def producer(
        self, config: Mapping[str, Any], topics: Collection[str]
    ) -> MemoryProducer:
        """See `Transport`."""
        if self.dead:
            raise ClientError("a dead process connects", code="_FAIL")
        made = self._broker.producer(config, topics)
        self.clients.append(made)
        return made

    # As a process.

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something of this worker's."""
        context = self._context.copy()
        return asyncio.get_running_loop().create_task(coroutine, context=context)

    def call(self, function: Callable[..., None], *args: Any) -> None:
        """Call something of this worker's."""
        self._context.copy().run(function, *args)

    def kill(self) -> None:
        """End it as SIGKILL would."""
        self.dead = True
        for client in self.clients:
            client.vanish()
        for task in list(self.tasks):
            task.cancel()
        self.ledger.died(self.name)

    async def run(self) -> None:
        """Be an app until it is stopped, or ends by itself."""
        loop = asyncio.get_running_loop()
        app = self.app = make_app(self, self.ledger)
        async with app:
            stopped = asyncio.ensure_future(self.stopping.wait())
            failed = asyncio.ensure_future(_until_failed(app))
            await asyncio.wait([stopped, failed], return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            failed.cancel()
            began = loop.time()
            self.ledger.note(f"{self.name} stops")
        self.ledger.gone(self.name)
        took = loop.time() - began
        most = self.ledger.schedule.shutdown_timeout + LATE_SECONDS
        self.ledger.check(took <= most, f"I7: the stop took {took:.1f} s")


async def _until_failed(app: Any) -> None:
    try:
        await app.wait_stopped()
    except Exception:  # noqa: BLE001 - leaving the app raises it, too
        return


class WatchedConsumer(MemoryConsumer):
    """Tells the ledger when it is to take in no more."""

    worker: Worker

    def pause(self) -> None:
        """See `Consumer`."""
        super().pause()
        self.worker.ledger.stops(self.worker.name)

    def _move(self, partition: TopicPartition, offset: int) -> bool:
        self.worker.ledger.sought(self.worker.name, partition.partition, offset)
        return super()._move(partition, offset)

    def _leave(self) -> None:
        self.worker.ledger.released(self.worker.name)
        super()._leave()


class WatchedListener:
    """Tells the ledger and then the engine, as that worker."""

    def __init__(self, inner: ConsumerListener, worker: Worker, ledger: Ledger) -> None:
        self._inner = inner
        self._worker = worker
        self._ledger = ledger

    def on_assigned(
        self, partitions: Mapping[TopicPartition, Committed | None]
    ) -> None:
        """See `ConsumerListener`."""
        self._ledger.assigned(self._worker.name, [p.partition for p in partitions])
        self._worker.call(self._inner.on_assigned, partitions)

    def on_records(self, runs: Sequence[Run]) -> None:
        """See `ConsumerListener`."""
        for run in runs:
            offsets = [record.offset() for record in run.records]
            self._ledger.came(self._worker.name, run.partition.partition, offsets)
        self._worker.call(self._inner.on_records, runs)

    async def on_revoked(self, partitions: Collection[TopicPartition]) -> None:
        """See `ConsumerListener`."""
        name, numbers = self._worker.name, [p.partition for p in partitions]

        async def revoke() -> None:
            self._ledger.stops(name, numbers)
            await self._inner.on_revoked(partitions)

        self._ledger.waited(name, numbers, in_time=False)
        inner = self._worker.spawn(revoke())
        try:
            await inner
        except asyncio.CancelledError:
            inner.cancel()
            raise
        self._ledger.waited(name, numbers, in_time=True)

    def on_lost(self, partitions: Collection[TopicPartition]) -> None:
        """See `ConsumerListener`."""
        self._ledger.gone(self._worker.name, [p.partition for p in partitions])
        self._worker.call(self._inner.on_lost, partitions)

    def on_sought(self, partition: TopicPartition, offset: int) -> None:
        """See `ConsumerListener`."""
        self._ledger.begins_anew(self._worker.name, partition.partition)
        self._worker.call(self._inner.on_sought, partition, offset)

    def on_error(self, error: ClientError) -> None:
        """See `ConsumerListener`."""
        self._ledger.note(f"{self._worker.name} hears {error}")
        self._worker.call(self._inner.on_error, error)

    def on_event(self, event: Event) -> None:
        """See `ConsumerListener`."""
        self._ledger.hears(self._worker.name, event)
        self._worker.call(self._inner.on_event, event)


class WatchedGroup(Group):
    """Tells the ledger what is committed and what is given up."""

    ledger: Ledger

    def commit(
        self,
        member_id: str,
        generation: int,
        offsets: Mapping[TopicPartition, Committed],
    ) -> Refusal | None:
        """See `Group`."""
        refusal = super().commit(member_id, generation, offsets)
        if refusal is None:
            member = self.members[member_id]
            numbers = {where.partition: c.offset for where, c in offsets.items()}
            self.ledger.commit(_name(member), member.owned, numbers)
        return refusal

    def released(self, member: Member, partitions: Collection[TopicPartition]) -> None:
        """See `Group`."""
        self.ledger.released(_name(member), [p.partition for p in partitions])
        super().released(member, partitions)


def _name(member: Member) -> str:
    client = member.client
    assert isinstance(client, WatchedConsumer)
    return client.worker.name
