"""Batches that are not full yet: they wait for more records, but not for long.

With `batch_timeout` a pool (pool.py) puts its runs in here first. What fills a batch
goes on to the lanes at once; the rest waits for the records behind it, until its first
record has waited for so long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fastkafka.engine.chunks import LaneOwner
from fastkafka.messages import Record
from fastkafka.transport import intake
from fastkafka.transport.base import Run, TopicPartition

Put = Callable[[LaneOwner, int, Run, int], None]
"""Queues a run for the lanes; see `Pool.put`."""


class Batches:
    """The batches of one function that wait for more, one for each assignment.

    Args:
        most: The records of a full one.
        seconds: How long the first record of one waits for the others.
        put: Takes what waits no longer.
    """

    def __init__(self, most: int, seconds: float, put: Put) -> None:
        self._most = most
        self._seconds = seconds
        self._put = put
        self._open: dict[LaneOwner, _Batch] = {}

    def add(self, owner: LaneOwner, handler: int, run: Run, start: int) -> None:
        """Pass on the batches that a run fills, and let the rest of it wait."""
        batch = self._open.get(owner)
        if batch is not None and batch.records[-1].offset() + 1 != start:
            self.close(owner)  # what lies between is done: there are two stretches
            batch = None
        if batch is None:
            batch = self._begin(owner, handler, run.partition, start)
        batch.records.extend(run.records)
        batch.size += run.size
        if len(batch.records) >= self._most:
            self._pass_on(owner, len(batch.records) // self._most * self._most)
        elif batch.size >= intake.HIGH_BYTES:
            self.close(owner)  # nothing more comes in before these are handled

    def starts_at(self, owner: LaneOwner) -> int | None:
        """Return from which offset on an assignment's records wait, if any do."""
        batch = self._open.get(owner)
        return None if batch is None else batch.start

    def close(self, owner: LaneOwner) -> None:
        """Let the batch of an assignment wait no longer, if there is one."""
        if (batch := self._open.get(owner)) is not None:
            self._pass_on(owner, len(batch.records))

    def _begin(
        self, owner: LaneOwner, handler: int, partition: TopicPartition, start: int
    ) -> _Batch:
        later = asyncio.get_running_loop().call_later
        timer = later(self._seconds, self.close, owner)
        batch = self._open[owner] = _Batch(handler, partition, start, timer)
        return batch

    def _pass_on(self, owner: LaneOwner, count: int) -> None:
        """Queue so many records; what is left of them begins a batch."""
        batch = self._open.pop(owner)
        batch.timer.cancel()
        owner.waited(batch.start)
        records, rest = batch.records[:count], batch.records[count:]
        rest_size = batch.size * len(rest) // len(batch.records)
        run = Run(batch.partition, records, batch.size - rest_size)
        self._put(owner, batch.handler, run, batch.start)
        if rest:
            start = records[-1].offset() + 1
            left = self._begin(owner, batch.handler, batch.partition, start)
            left.records, left.size = rest, rest_size


class _Batch:
    """What a batch has so far."""

    __slots__ = ("handler", "partition", "records", "size", "start", "timer")

    def __init__(
        self,
        handler: int,
        partition: TopicPartition,
        start: int,
        timer: asyncio.TimerHandle,
    ) -> None:
        self.handler = handler
        self.partition = partition
        self.start = start
        self.timer = timer
        self.records: list[Record] = []
        self.size = 0
