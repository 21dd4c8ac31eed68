"""Order and concurrency: lanes handle records, and never two of them at once one key.

Each function has a `Pool` of lanes. What may not overlap shares a key: with
`order="partition"` the key is the partition, with "key" the partition and the record's
key, with "none" every piece of work has a key of its own. A key is handled by one lane
at a time, so its records stay in order; up to `concurrency` keys are handled at once.
Keys outlive assignments: a partition that is revoked and comes back waits for the
handler that is still busy with it.

A lane is one long-lived task: there is no task, no queue operation and no switch for
each record. It works in slices: records that are decoded together, handled one by one
and finished together, once everything that they produced is acknowledged. Slices grow
while handling is fast and shrink to one record when it is slow, so that a slice takes
about `SLICE_SECONDS`: long enough to cost nothing, short enough that other tasks get
their turn and that a crash repeats little.
"""

from __future__ import annotations

import asyncio
import contextvars
import operator
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from fastkafka import codecs
from fastkafka.engine.calling import Caller
from fastkafka.engine.delivery import DeliveryScope, Failure, Outbox, current_outbox
from fastkafka.errors import DecodingError, HandlerError, RecordError
from fastkafka.messages import Record
from fastkafka.routing import Handler
from fastkafka.transport.base import Run, TopicPartition

SLICE_SECONDS = 0.005
LONGEST_SLICE = 1000

_Handle = Callable[[list[Any], Sequence[Record]], Awaitable[None]]

_value = operator.methodcaller("value")


class LaneOwner(Protocol):
    """The assignment that records belong to."""

    partition: TopicPartition
    stopping: bool
    """No record is handled any more but those that are being handled."""

    def entered(self) -> None:
        """A slice was begun."""

    def left(self) -> None:
        """A slice is settled."""

    def finished(self, handler: int, start: int, end: int) -> None:
        """Records `[start, end)` are handled, and their outputs acknowledged."""

    def taken(self, handler: int, records: int, size: int) -> None:
        """The lanes are done with records: there is room for more."""

    def failed(self, error: RecordError) -> None:
        """A record could not be processed and is not finished."""


@dataclass(slots=True)
class Chunk:
    """Records of one key, for one lane.

    Attributes:
        owner: Whose they are.
        handler: The function's number among those that read the partition.
        key: What no other lane may handle at the same time.
        records: In offset order.
        starts: Where the stretch of each record begins; see `OffsetTracker`. With one
            entry, the records adjoin each other and share one stretch.
        size: Bytes of the values together.
    """

    owner: LaneOwner
    handler: int
    key: Hashable
    records: Sequence[Record]
    starts: Sequence[int]
    size: int


class Pool:
    """The lanes of one function.

    Args:
        handler: The function and how to call it.
        app: Given to handlers that ask for it.
        threads: Where a sync handler runs.
        broke: Told when a lane itself breaks, which ends the app.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        app: object,
        threads: ThreadPoolExecutor | None,
        broke: Callable[[BaseException], None],
    ) -> None:
        self.handler = handler
        self.route = route = handler.route
        self.threads = threads
        self.caller = Caller(route.plan, app)
        self.slice = handler.max_batch if route.plan.batch else 1
        """How many records a lane takes at once; all lanes learn it together."""
        self._broke = broke
        self._lanes: list[Lane] = []
        self._idle: list[Lane] = []
        self._ready: deque[Hashable] = deque()
        self._waiting: dict[Hashable, deque[Chunk]] = {}
        # With order="partition" there are as many lanes as partitions have work.
        self._most = None if handler.order == "partition" else handler.concurrency

    def put(self, owner: LaneOwner, handler: int, run: Run, start: int) -> None:
        """Queue a run whose stretch of offsets begins at *start*."""
        order = self.handler.order
        if order == "partition":
            chunk = Chunk(
                owner, handler, run.partition, run.records, (start,), run.size
            )
            self._queue(chunk)
        elif order == "key":
            self._put_by_key(owner, handler, run, start)
        else:
            self._put_pieces(owner, handler, run, start)

    def _put_by_key(self, owner: LaneOwner, handler: int, run: Run, start: int) -> None:
        parts: dict[
            tuple[TopicPartition, int | bytes], tuple[list[Record], list[int]]
        ] = {}
        for record in run.records:
            offset, key = record.offset(), record.key()
            # Records without a key have no order among each other.
            own = (run.partition, offset if key is None else key)
            part = parts.get(own)
            if part is None:
                part = parts[own] = ([], [])
            part[0].append(record)
            part[1].append(start)
            start = offset + 1
        for own, (records, starts) in parts.items():
            self._queue(Chunk(owner, handler, own, records, starts, _size(records)))

    def _put_pieces(self, owner: LaneOwner, handler: int, run: Run, start: int) -> None:
        for at in range(0, len(run.records), self.slice):
            records = run.records[at : at + self.slice]
            key = (run.partition, records[0].offset())
            size = _size(records)
            self._queue(Chunk(owner, handler, key, records, (start,), size))
            start = records[-1].offset() + 1

    def _queue(self, chunk: Chunk) -> None:
        waiting = self._waiting.get(chunk.key)
        if waiting is not None:
            waiting.append(chunk)  # a lane is busy with this key, or will be
            return
        self._waiting[chunk.key] = deque((chunk,))
        self._ready.append(chunk.key)
        if self._idle:
            self._idle.pop().wake()
        elif self._most is None or len(self._lanes) < self._most:
            lane = Lane(self)
            lane.task.add_done_callback(self._lane_ended)
            self._lanes.append(lane)

    def take(self) -> Chunk | None:
        """Return the next chunk whose key is free; it is busy until `release`."""
        if not self._ready:
            return None
        return self._waiting[self._ready.popleft()].popleft()

    def release(self, chunk: Chunk) -> None:
        """A lane is done with a chunk: its key is free again."""
        if self._waiting[chunk.key]:
            self._ready.append(chunk.key)
        else:
            del self._waiting[chunk.key]

    def rest(self, lane: Lane) -> None:
        """A lane found nothing to do."""
        self._idle.append(lane)

    def cut(self) -> None:
        """End every slice after its current record: what is done gets finished."""
        for lane in self._lanes:
            lane.cut()

    def cancel(self) -> list[asyncio.Task[None]]:
        """Cancel every lane, and with it the handler that it runs; return the tasks."""
        tasks = [lane.task for lane in self._lanes]
        for task in tasks:
            task.cancel()
        return tasks

    def busy(self) -> list[str]:
        """Return what is being handled, for messages."""
        return [str(lane) for lane in self._lanes if lane.chunk is not None]

    def _lane_ended(self, task: asyncio.Task[None]) -> None:
        """A lane that breaks must not look like one that has nothing to do."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._broke(error)


class Lane:
    """One task that handles chunks of its pool, one after another."""

    def __init__(self, pool: Pool) -> None:
        self.chunk: Chunk | None = None
        self._pool = pool
        self._route = pool.route
        self._outbox = Outbox()
        self._call = pool.caller
        self._handle = self._choose_handle()
        self._awake: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self.task = self._loop.create_task(self._work(), name=pool.route.name)

    def __str__(self) -> str:
        where = "" if self.chunk is None else f" {self.chunk.owner.partition}"
        return f"`{self._route.name}`{where}"

    def wake(self) -> None:
        """There is something to do."""
        if self._awake is not None and not self._awake.done():
            self._awake.set_result(None)

    def cut(self) -> None:
        """End the slice after the current record."""
        self._outbox.cut = True

    async def _work(self) -> None:
        current_outbox.set(self._outbox)
        while True:
            self.chunk = chunk = self._pool.take()
            if chunk is None:
                self._awake = self._loop.create_future()
                self._pool.rest(self)
                await self._awake
                continue
            try:
                await self._work_off(chunk)
            finally:
                self._pool.release(chunk)
                self.chunk = None
            chunk.owner.taken(chunk.handler, len(chunk.records), chunk.size)

    async def _work_off(self, chunk: Chunk) -> None:
        """Handle a chunk, slice by slice."""
        records, starts, owner = chunk.records, chunk.starts, chunk.owner
        start, at = starts[0], 0
        while at < len(records) and not owner.stopping:
            size = self._pool.slice
            part = records[at : at + size]
            # Records that do not adjoin each other are finished one by one.
            own = (start,) if len(starts) == 1 else starts[at : at + size]
            began = time.perf_counter()
            done, error = await self._work_slice(chunk, part, own)
            if error is not None:
                owner.failed(error)
                return
            if not done:
                raise AssertionError(f"{self} makes no progress")  # it would spin
            at += done
            start = part[done - 1].offset() + 1
            self._resize(time.perf_counter() - began, done, size)
            congested, self._outbox.congested = self._outbox.congested, None
            if congested is not None:
                await congested.room()
            else:
                await asyncio.sleep(0)

    async def _work_slice(
        self, chunk: Chunk, records: Sequence[Record], starts: Sequence[int]
    ) -> tuple[int, RecordError | None]:
        """Decode and handle some records.

        Returns:
            How many were handled, and what was wrong with the one after them.
        """
        messages: list[Any] = []
        undecoded: RecordError | None = None
        failure: RecordError | None = None
        try:
            messages.extend(map(self._route.decode, map(_value, records)))
        except Exception as undecodable:  # noqa: BLE001 - whatever a decoder raises
            undecoded = _decoding_error(records[len(messages)], chunk, undecodable)
        outbox = self._outbox
        outbox.index, outbox.cut = 0, False
        done = 0

        def settled(failures: list[Failure]) -> None:
            self._settled(chunk, records[:done], starts, failures)

        outbox.scope = scope = DeliveryScope(self._loop, settled)
        chunk.owner.entered()
        try:
            await self._handle(messages, records)
        except BaseException as raised:  # even SystemExit is a failure
            if _is_cancelled(raised):
                raise
            failure = self._failure(records[outbox.index], chunk, raised)
        finally:
            done = outbox.index
            outbox.scope = None
            scope.close()
        if failure is None and done == len(messages):
            failure = undecoded  # unless the slice was cut before that record
        return done, failure

    def _settled(
        self,
        chunk: Chunk,
        records: Sequence[Record],
        starts: Sequence[int],
        failures: list[Failure],
    ) -> None:
        """Finish the records of a slice, but none whose output was refused."""
        owner, handler = chunk.owner, chunk.handler
        refused: dict[int, RecordError] = {}
        for index, error, report, producer in failures:
            # What a failing handler had sent before is refused with it.
            if index < len(records) and index not in refused:
                cause = producer.explain(error, report)
                refused[index] = self._failure(records[index], chunk, cause)
        if records and len(starts) == 1:
            good = records[: min(refused, default=len(records))]
            if good:
                owner.finished(handler, starts[0], good[-1].offset() + 1)
        else:
            for index, (record, start) in enumerate(zip(records, starts, strict=False)):
                if index not in refused:
                    owner.finished(handler, start, record.offset() + 1)
        for failure in refused.values():
            owner.failed(failure)
        owner.left()

    def _resize(self, seconds: float, done: int, size: int) -> None:
        pool = self._pool
        if self._route.plan.batch:
            return
        if seconds < SLICE_SECONDS / 2:
            if done == size == pool.slice:
                pool.slice = min(size * 2, LONGEST_SLICE)
        elif seconds > SLICE_SECONDS:
            pool.slice = max(1, int(done * SLICE_SECONDS / seconds))

    # The ways to call a handler. Each advances `outbox.index` after a record, so that
    # what is produced, and what is raised, is known to belong to that record.

    def _choose_handle(self) -> _Handle:
        plan = self._route.plan
        if self._call.needs_loop:
            return self._handle_resolved
        if not plan.is_async:
            return self._handle_in_thread
        if plan.batch:
            return self._handle_batch
        return self._handle_alone if plan.message_only else self._handle_filled

    async def _handle_alone(
        self, messages: list[Any], records: Sequence[Record]
    ) -> None:
        handler, outbox = self._route.function, self._outbox
        for message in messages:
            await handler(message)
            outbox.index += 1
            if outbox.cut:
                return

    async def _handle_filled(
        self, messages: list[Any], records: Sequence[Record]
    ) -> None:
        handler, outbox, fill = self._route.function, self._outbox, self._call.fill
        for message, record in zip(messages, records, strict=False):
            args, kwargs = fill(message, record)
            await handler(*args, **kwargs)
            outbox.index += 1
            if outbox.cut:
                return

    async def _handle_batch(
        self, messages: list[Any], records: Sequence[Record]
    ) -> None:
        if messages:
            args, kwargs = self._call.fill(messages, records[: len(messages)])
            await self._route.function(*args, **kwargs)
            self._outbox.index = len(messages)

    async def _handle_resolved(
        self, messages: list[Any], records: Sequence[Record]
    ) -> None:
        """Call a handler, sync or async, that has dependencies."""
        outbox, call = self._outbox, self._call.call
        function, threads = self._route.function, self._pool.threads
        if self._route.plan.batch:
            if messages:
                await call(function, messages, records[: len(messages)], threads)
                outbox.index = len(messages)
            return
        for message, record in zip(messages, records, strict=False):
            await call(function, message, record, threads)
            outbox.index += 1
            if outbox.cut:
                return

    async def _handle_in_thread(
        self, messages: list[Any], records: Sequence[Record]
    ) -> None:
        """Handle a whole slice in one thread: one hop for all its records."""
        run = contextvars.copy_context().run
        await self._loop.run_in_executor(
            self._pool.threads, run, self._handle_sync, messages, records
        )

    def _handle_sync(self, messages: list[Any], records: Sequence[Record]) -> None:
        handler, outbox, fill = self._route.function, self._outbox, self._call.fill
        if self._route.plan.batch:
            if messages:
                args, kwargs = fill(messages, records[: len(messages)])
                handler(*args, **kwargs)
                outbox.index = len(messages)
            return
        for message, record in zip(messages, records, strict=False):
            args, kwargs = fill(message, record)
            handler(*args, **kwargs)
            outbox.index += 1
            if outbox.cut:
                return

    def _failure(
        self, record: Record, chunk: Chunk, cause: BaseException
    ) -> RecordError:
        if isinstance(cause, codecs.Unfit):
            return _decoding_error(record, chunk, cause)
        failure = HandlerError(
            f"`{self._route.name}` failed: {cause!r}", **_place(record, chunk)
        )
        failure.__cause__ = cause
        return failure


def _decoding_error(record: Record, chunk: Chunk, cause: Exception) -> DecodingError:
    return DecodingError(codecs.describe(cause), **_place(record, chunk))


def _place(record: Record, chunk: Chunk) -> dict[str, Any]:
    topic, partition = chunk.owner.partition
    return {"topic": topic, "partition": partition, "offset": record.offset()}


def _size(records: Sequence[Record]) -> int:
    return sum(len(record.value() or b"") for record in records)


def _is_cancelled(raised: BaseException) -> bool:
    """Whether the lane's own task is being cancelled, not the handler's work."""
    task = asyncio.current_task()
    return (
        isinstance(raised, asyncio.CancelledError)
        and task is not None
        and task.cancelling() > 0
    )
