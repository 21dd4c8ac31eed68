"""Order and concurrency: no two lanes handle what shares a key.

Each function has a `Pool` of lanes (lanes.py). What may not overlap shares a key: with
`order="partition"` the partition, with "key" the partition and the record's key; with
"none" every piece of work has a key of its own. A key is handled by one lane at a time,
so its records stay in order; up to `concurrency` keys are handled at once. Keys outlive
assignments: a partition that is revoked and comes back waits for the handler that is
still busy with it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastkafka.engine.batches import Batches
from fastkafka.engine.calling import Caller
from fastkafka.engine.chunks import Chunk, KeyQueue, LaneOwner
from fastkafka.engine.deadletters import DeadLetters
from fastkafka.engine.failure import FailurePolicy
from fastkafka.engine.lanes import Lane
from fastkafka.engine.limits import Limits
from fastkafka.errors import RecordError
from fastkafka.messages import Record
from fastkafka.observe.counters import FunctionCounters
from fastkafka.observe.events import Tell, Tracer
from fastkafka.observe.snapshot import Function
from fastkafka.routing import Handler
from fastkafka.transport.base import Run, TopicPartition


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
        self.limits = Limits(handler.concurrency)
        self.running: Lane | None = None
        """Which lane began a slice last."""
        self.batches: Batches | None = None
        """What waits until a batch is full."""
        if handler.batch_timeout:
            self.batches = Batches(self.slice, handler.batch_timeout, self._put)
        self._broke = broke
        self._lanes: list[Lane] = []
        self._idle: list[Lane] = []
        self._ready: deque[KeyQueue] = deque()
        self._keys: dict[TopicPartition, dict[Hashable, KeyQueue]] = defaultdict(dict)
        # With order="partition" there are as many lanes as partitions have work.
        self._most = None if handler.order == "partition" else handler.concurrency

    @property
    def awake(self) -> int:
        """How many lanes have something to do."""
        return len(self._lanes) - len(self._idle)

    def put(self, owner: LaneOwner, handler: int, run: Run, start: int) -> None:
        """Queue a run whose stretch of offsets begins at *start*."""
        self.waiting += len(run.records)
        if self.batches is not None:
            self.batches.add(owner, handler, run, start)
        else:
            self._put(owner, handler, run, start)

    def _put(self, owner: LaneOwner, handler: int, run: Run, start: int) -> None:
        order = self.handler.order
        if order == "partition":
            key = KeyQueue.of(self._keys[run.partition], None)
            if key.chunks and self.route.plan.batch:
                run, start = self._fill_up(key.chunks[-1], owner, run, start)
                if not run.records:
                    return
            self._queue(Chunk(owner, handler, key, run.records, (start,), run.size))
        elif order == "key":
            self._put_by_key(owner, handler, run, start)
        else:
            self._put_pieces(owner, handler, run, start)

    def hurry(self, owner: LaneOwner) -> None:
        """Let no record of an assignment wait any longer for its batch to fill."""
        if self.batches is not None:
            self.batches.close(owner)

    def waits_from(self, owner: LaneOwner) -> int | None:
        """Return from which offset on records wait for their batch, if any do."""
        return None if self.batches is None else self.batches.starts_at(owner)

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
        key = KeyQueue(None, None)
        self._queue(Chunk(owner, handler, key, (record,), (start,), 0, error, attempt))

    def _put_by_key(self, owner: LaneOwner, handler: int, run: Run, start: int) -> None:
        records = run.records
        kind: Any = type(records[0])  # all are of one class
        parts: dict[Hashable, tuple[list[Record], list[int]]] = {}
        for record, offset, name in zip(
            records, map(kind.offset, records), map(kind.key, records), strict=True
        ):
            # Records without a key have no order among each other.
            own = offset if name is None else name
            part = parts.get(own)
            if part is None:
                parts[own] = [record], [start]
            else:
                part[0].append(record)
                part[1].append(start)
            start = offset + 1
        keys = self._keys[run.partition]
        # Each gets its share of the bytes, the first one what is left of them.
        share, rest = divmod(run.size, len(records))
        for own, (own_records, starts) in parts.items():
            key, size = KeyQueue.of(keys, own), share * len(own_records) + rest
            self._queue(Chunk(owner, handler, key, own_records, starts, size))
            rest = 0

    def _put_pieces(self, owner: LaneOwner, handler: int, run: Run, start: int) -> None:
        if self._ready and self.route.plan.batch:
            last = self._ready[-1].chunks[-1]
            run, start = self._fill_up(last, owner, run, start)
            if not run.records:
                return
        share, rest = divmod(run.size, len(run.records))
        for at in range(0, len(run.records), self.slice):
            records = run.records[at : at + self.slice]
            key, size = KeyQueue(None, None), share * len(records) + rest
            self._queue(Chunk(owner, handler, key, records, (start,), size))
            start, rest = records[-1].offset() + 1, 0

    def _fill_up(
        self, chunk: Chunk, owner: LaneOwner, run: Run, start: int
    ) -> tuple[Run, int]:
        """Fill the last batch of a chunk that no lane has taken yet.

        While lanes are busy, batches would else be as small as what came in at once.

        Returns:
            What is left of the run, and where that begins.
        """
        room = -len(chunk.records) % self.slice
        adjoins = chunk.owner is owner and chunk.records[-1].offset() + 1 == start
        if not room or not adjoins or chunk.failure is not None:
            return run, start
        more, rest = run.records[:room], run.records[room:]
        rest_size = run.size * len(rest) // len(run.records)
        chunk.records = [*chunk.records, *more]
        chunk.size += run.size - rest_size
        return Run(run.partition, rest, rest_size), more[-1].offset() + 1

    def _queue(self, chunk: Chunk) -> None:
        key = chunk.key
        key.chunks.append(chunk)
        if not key.taken:
            self._make_ready(key)

    def _make_ready(self, key: KeyQueue) -> None:
        key.take()
        self._ready.append(key)
        self._call_lane()

    def _call_lane(self) -> bool:
        """Let one more lane look for work; return whether there was one."""
        if self._idle:
            self._idle.pop().wake()
        elif self._most is None or len(self._lanes) < self._most:
            lane = Lane(self)
            lane.task.add_done_callback(self._lane_ended)
            self._lanes.append(lane)
        else:
            return False
        return True

    def take(self) -> Chunk | None:
        """Return the next chunk whose key is free; it is busy until `release`."""
        if not self._ready or (self.limits.any and not self._may_take()):
            return None
        return self._ready.popleft().chunks.popleft()

    def _may_take(self) -> bool:
        """Whether another lane may work; keys that are paused are put aside."""
        if self._is_crowded:
            return False
        while self._ready:
            if not self.limits.holds(self._ready[0].chunks[0].owner):
                return True
            self.limits.held.append(self._ready.popleft())
        return False

    @property
    def _is_crowded(self) -> bool:
        """Whether more lanes work than may."""
        return self._most is not None and self.awake > self._most

    def must_leave(self, owner: LaneOwner) -> bool:
        """Whether a lane is to put back what it has not begun."""
        return self.limits.holds(owner) or self._is_crowded

    def put_back(self, chunk: Chunk, at: int, start: int) -> None:
        """Queue what is left of a chunk from a record on, whose stretch begins there.

        The chunk that a lane has keeps what is done.
        """
        rest, starts = chunk.records[at:], chunk.starts
        own = (start,) if len(starts) == 1 else starts[at:]
        size = chunk.size * len(rest) // len(chunk.records)
        left = Chunk(chunk.owner, chunk.handler, chunk.key, rest, own, size)
        chunk.records, chunk.size = chunk.records[:at], chunk.size - size
        self.return_to(left)

    def limit(self, concurrency: int | None = None) -> None:
        """Look again at what may be handled, because the limits are others now.

        Args:
            concurrency: How much at once from now on; None leaves it as it is.
        """
        limits = self.limits
        if concurrency is not None:
            limits.concurrency = self._most = concurrency
        few = self._most is not None and len(self._lanes) > self._most
        limits.any = limits.paused or bool(limits.partitions) or few
        self._ready.extendleft(reversed(list(limits.changed())))
        self.cut()
        for _ in range(len(self._ready)):
            if not self._call_lane():
                break

    def release(self, chunk: Chunk) -> None:
        """A lane is done with a chunk: its key is free again."""
        key = chunk.key
        if key.chunks:
            self._ready.append(key)
        else:
            key.free()

    def return_to(self, chunk: Chunk) -> None:
        """Queue a chunk before all others of its key."""
        chunk.key = key = chunk.key.current()
        key.chunks.appendleft(chunk)
        if not key.taken:
            self._make_ready(key)

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
        handler = self.handler
        busy = [lane.seconds for lane in self._lanes if lane.chunk is not None]
        return Function(
            handler.name,
            self.group,
            self.route.topics,
            handler.order,
            self.limits.concurrency,
            busy=len(busy),
            waiting=max(0, self.waiting),
            oldest=max(busy, default=0.0),
            paused=self.limits.paused,
            paused_partitions=tuple(sorted(self.limits.partitions)),
            **self.counters.totals(),
        )

    def edges(self) -> list[tuple[str, str]]:
        """Return its function with each topic that it has produced to."""
        topics = {topic for lane in self._lanes for topic in lane.produced_to}
        return [(self.handler.name, topic) for topic in sorted(topics)]

    def report(self) -> list[str]:
        """Return a line for each lane at work, for people."""
        return [lane.report() for lane in self._lanes if lane.chunk is not None]

    def _lane_ended(self, task: asyncio.Task[None]) -> None:
        """A lane that breaks must not look like one that has nothing to do."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._broke(error)
