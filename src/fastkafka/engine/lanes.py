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
import time
from collections import deque
from collections.abc import Callable, Collection, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastkafka.engine.calling import Caller
from fastkafka.engine.chunks import Chunk, LaneOwner, Outcome, start_of
from fastkafka.engine.deadletters import DeadLetters
from fastkafka.engine.delivery import Failure, Outbox, current_outbox
from fastkafka.engine.failure import FailurePolicy, decoding_error, handler_error
from fastkafka.engine.handling import Handling
from fastkafka.engine.recovery import Recovery
from fastkafka.errors import BatchError, RecordError
from fastkafka.messages import Record
from fastkafka.observe.counters import FunctionCounters
from fastkafka.observe.events import Tell, Tracer
from fastkafka.observe.snapshot import Function
from fastkafka.routing import Handler
from fastkafka.transport.base import Run, TopicPartition

SLICE_SECONDS = 0.005
LONGEST_SLICE = 128
"""Decoded messages that are alive together; with many more of them Python's garbage
collector would run for each slice, and look at all of them."""


class Pool:
    """The lanes of one function.

    Args:
        handler: The function and how to call it.
        group: Its consumer group, if it has one.
        app: Given to handlers that ask for it.
        threads: Where a sync handler runs.
        dead_letters: Where records go that failed for good.
        broke: Told when a lane itself breaks, which ends the app.
        tell: Told of events.
        tracer: Stands around each call of the handler.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        group: str | None,
        app: object,
        threads: ThreadPoolExecutor | None,
        dead_letters: DeadLetters,
        broke: Callable[[BaseException], None],
        tell: Tell,
        tracer: Tracer | None,
    ) -> None:
        self.handler = handler
        self.route = route = handler.route
        self.group = group
        self.tell = tell
        self.tracer = tracer
        self.counters = FunctionCounters()
        self.waiting = 0
        """Records that were put in and are not done with."""
        self.threads = threads
        self.dead_letters = dead_letters
        self.policy = FailurePolicy(handler.retry, handler.on_failure)
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
        self.waiting += len(run.records)
        if order == "partition":
            chunk = Chunk(
                owner, handler, run.partition, run.records, (start,), run.size
            )
            self._queue(chunk)
        elif order == "key":
            self._put_by_key(owner, handler, run, start)
        else:
            self._put_pieces(owner, handler, run, start)

    def put_failed(
        self,
        owner: LaneOwner,
        handler: int,
        record: Record,
        start: int,
        error: RecordError,
        attempt: int,
    ) -> None:
        """Queue a record that failed before it could be handled.

        Args:
            owner: Whose it is.
            handler: The function's number among those that read the partition.
            record: The record.
            start: Where its stretch of offsets begins.
            error: What is wrong with it.
            attempt: How often it was tried.
        """
        key = (TopicPartition(record.topic(), record.partition()), record.offset())
        self._queue(Chunk(owner, handler, key, (record,), (start,), 0, error, attempt))

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

    def return_to(self, chunk: Chunk) -> None:
        """Queue a chunk before all others of its key."""
        waiting = self._waiting.get(chunk.key)
        if waiting is None:
            self._queue(chunk)
        else:
            waiting.appendleft(chunk)

    def rest(self, lane: Lane) -> None:
        """A lane found nothing to do."""
        self._idle.append(lane)

    def cut(self) -> None:
        """End every slice after its current record: what is done gets finished."""
        for lane in self._lanes:
            lane.cut()

    def cancel(self) -> list[asyncio.Future[None]]:
        """Cancel every lane, and with it the handler that it runs; return the tasks."""
        tasks = [task for lane in self._lanes for task in lane.tasks()]
        for task in tasks:
            task.cancel()
        return tasks

    def busy(self) -> list[str]:
        """Return what is being handled, for messages."""
        return [str(lane) for lane in self._lanes if lane.chunk is not None]

    def snapshot(self) -> Function:
        """Return what its function has done, and does."""
        counters, handler = self.counters, self.handler
        busy = [lane.seconds for lane in self._lanes if lane.chunk is not None]
        return Function(
            self.route.name,
            self.group,
            self.route.topics,
            handler.order,
            handler.concurrency,
            busy=len(busy),
            waiting=max(0, self.waiting),
            handled=counters.handled,
            retried=counters.retried,
            failed=dict(counters.failed),
            parked=dict(counters.parked),
            skipped=counters.skipped,
            seconds=counters.seconds,
            buckets=tuple(counters.buckets),
            decode_seconds=counters.decode_seconds,
            oldest=max(busy, default=0.0),
        )

    def edges(self) -> list[tuple[str, str]]:
        """Return its function with each topic that it has produced to."""
        topics = {topic for lane in self._lanes for topic in lane.produced_to}
        return [(self.route.name, topic) for topic in sorted(topics)]

    def report(self) -> list[str]:
        """Return a line for each lane at work, for people."""
        return [lane.report() for lane in self._lanes if lane.chunk is not None]

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
        self._who = f"`{pool.route.name}`"
        self._handling = Handling(
            pool.handler,
            pool.caller,
            pool.threads,
            self._outbox,
            group=pool.group,
            tracer=pool.tracer,
        )
        self._recovery = Recovery(
            pool.policy,
            pool.dead_letters,
            self._work_slice,
            counters=pool.counters,
            tell=pool.tell,
            function=pool.route.name,
        )
        self._began = 0.0
        self._awake: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self.task = self._loop.create_task(self._work(), name=pool.route.name)

    def __str__(self) -> str:
        where = "" if self.chunk is None else f" {self.chunk.owner.partition}"
        return f"{self._who}{where}"

    @property
    def seconds(self) -> float:
        """For how long its handler has been at the slice that it is at."""
        return self._loop.time() - self._began if self._outbox.scope else 0.0

    @property
    def produced_to(self) -> Collection[str]:
        """The topics that its handler has produced to."""
        return self._outbox.topics

    def report(self) -> str:
        """Say what it does, for people."""
        chunk = self.chunk
        if chunk is None:
            return f"{self}: nothing"
        at = chunk.records[0].offset()
        doing = f"handling for {self.seconds:.1f} s" if self._outbox.scope else "waits"
        return (
            f"{self}: {doing}, {len(chunk.records)} records from offset {at}, "
            f"record {self._outbox.index} of the slice"
        )

    def tasks(self) -> list[asyncio.Future[None]]:
        """Its own task, and those that write its dead letters."""
        return [self.task, *self._recovery.parking]

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
                if chunk.failure is None:
                    await self._work_off(chunk)
                else:
                    await self._recovery.recover(
                        chunk, chunk.records, chunk.starts[0], chunk.failure
                    )
            finally:
                self._pool.release(chunk)
                self.chunk = None
            if chunk.failure is None:
                self._pool.waiting -= len(chunk.records)
                chunk.owner.taken(chunk.handler, len(chunk.records), chunk.size)

    async def _work_off(self, chunk: Chunk) -> None:
        """Handle a chunk, slice by slice."""
        records, starts, owner = chunk.records, chunk.starts, chunk.owner
        start, at = starts[0], 0
        while at < len(records) and not owner.stopped.is_set():
            if self._recovery.parking and not await self._recovery.may_go_on(chunk):
                return
            size = self._pool.slice
            part = records[at : at + size]
            # Records that do not adjoin each other are finished one by one.
            own = (start,) if len(starts) == 1 else starts[at : at + size]
            outcome = await self._work_slice(chunk, part, own)
            done = outcome.done
            if outcome.error is None:
                self._resize(outcome.seconds, done, size)
            else:
                failed = part[done : done + outcome.concerned]
                first = own[done] if len(own) > 1 else start_of(part, own[0], done)
                recovered = await self._recovery.recover(
                    chunk, failed, first, outcome.error
                )
                if not recovered:
                    return
                done += recovered
            if not done:
                raise AssertionError(f"{self} makes no progress")  # it would spin
            at += done
            start = part[done - 1].offset() + 1
            congested, self._outbox.congested = self._outbox.congested, None
            if congested is not None:
                await congested.room()
            else:
                await asyncio.sleep(0)

    async def _work_slice(
        self,
        chunk: Chunk,
        records: Sequence[Record],
        starts: Sequence[int],
        attempt: int = 1,
    ) -> Outcome:
        """Decode and handle some records."""
        messages: list[Any] = []
        undecoded: RecordError | None = None
        failure: RecordError | None = None
        concerned = 1
        counters = self._pool.counters
        began = time.perf_counter()
        try:
            # All are of one class; its plain function is what `map` calls fastest.
            values = map(type(records[0]).value, records)
            messages.extend(map(self._route.decode, values))
        except Exception as undecodable:  # noqa: BLE001 - whatever a decoder raises
            undecoded = decoding_error(records[len(messages)], undecodable)
        outbox = self._outbox
        done = 0
        self._began = self._loop.time()
        decoded = time.perf_counter()
        counters.decode_seconds += decoded - began

        def settled(refused: list[Failure]) -> None:
            handled = records[:done]
            self._settled(chunk, handled, starts, refused, failed, attempt)

        scope = outbox.open(self._loop, settled)
        failed = outbox.failed
        chunk.owner.entered()
        try:
            await self._handling.handle(messages, records)
        except BaseException as raised:  # even SystemExit is a failure
            if _is_cancelled(raised):
                raise
            batch = range(len(messages)) if self._route.plan.batch else ()
            if isinstance(raised, BatchError) and raised.index in batch:
                outbox.index = raised.index
            elif batch:
                concerned = len(batch)
            failure = handler_error(records[outbox.index], raised, who=self._who)
        finally:
            done = outbox.index
            outbox.scope = None
            scope.close()
            ended = time.perf_counter()
            counters.took(ended - decoded, done - len(failed))
            if attempt > 1:
                counters.retried += 1
        if failure is None and done == len(messages):
            failure = undecoded  # unless the slice was cut before that record
        return Outcome(done, failure, concerned, ended - began)

    def _settled(
        self,
        chunk: Chunk,
        records: Sequence[Record],
        starts: Sequence[int],
        refused: list[Failure],
        failed: dict[int, BaseException],
        attempt: int,
    ) -> None:
        """Finish the records of a slice, but none that failed after all."""
        owner, handler = chunk.owner, chunk.handler
        causes = dict(failed)
        for index, error, report, producer in refused:
            # What a handler that raised had sent before is no news.
            if index < len(records):
                refusal = producer.explain(error, report)
                # Nobody knows which record of a batch an output belongs to.
                whose = range(len(records)) if self._route.plan.batch else (index,)
                causes.update((i, refusal) for i in whose if i not in causes)
        start = starts[0] if starts else 0
        for index in sorted(causes):
            if len(starts) == 1:
                before = start_of(records, starts[0], index)
                if before > start:
                    owner.finished(handler, start, before)
                start = records[index].offset() + 1
            else:
                before = starts[index]
            error = handler_error(records[index], causes[index], who=self._who)
            self._pool.return_to(
                Chunk(
                    *(owner, handler, chunk.key, (records[index],), (before,), 0),
                    failure=error,
                    attempt=attempt,
                )
            )
        if len(starts) == 1:
            if records and records[-1].offset() + 1 > start:
                owner.finished(handler, start, records[-1].offset() + 1)
        else:
            for index, record in enumerate(records):
                if index not in causes:
                    owner.finished(handler, starts[index], record.offset() + 1)
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
