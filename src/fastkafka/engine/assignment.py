"""One partition while it is ours: its offsets, and what is in flight of it.

Every assignment is an object of its own: what ends after the partition was revoked ends
in an object that nobody listens to any more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Protocol

from fastkafka.engine.care import Care
from fastkafka.engine.finished import Note, Stretch, read
from fastkafka.engine.offsets import OffsetTracker
from fastkafka.engine.pool import Pool
from fastkafka.errors import ClientError, CrashError, RecordError
from fastkafka.messages import Record
from fastkafka.observe.snapshot import Partition
from fastkafka.transport.base import (
    Committed,
    Consumer,
    ConsumerState,
    Run,
    TopicPartition,
)

logger = logging.getLogger(__name__)

MARK_SECONDS = 2.0
"""How long handling waits for a mark to be committed; then it goes on without."""

ALONE_SECONDS = 10.0
"""How long a record waits to be tried alone, after a crash."""

_AGAIN_SECONDS = 0.2


class Owner(Protocol):
    """The group's member that a partition is assigned to."""

    consumer: Consumer
    group: str | None
    one_by_one: asyncio.Lock
    """Held while a record is tried that may have killed a process."""

    def given_up(self, error: RecordError) -> None:
        """A record failed for good and was passed over."""

    def failed(self, error: BaseException) -> None:
        """End the app."""


class Assignment:
    """One partition while it is ours.

    Before its first record is handled, a mark is committed: the partition is open. A
    clean end takes the mark away. Who finds it was preceded by a process that died, and
    is careful; see `Care`.

    Args:
        partition: Which one.
        member: Whose.
        pools: The lanes of each function that reads it.
        committed: What the group has committed of it.
    """

    def __init__(
        self,
        partition: TopicPartition,
        member: Owner,
        pools: Sequence[Pool],
        committed: Committed | None,
    ) -> None:
        self.partition = partition
        self.live = True
        """What finishes may be committed: the partition is still ours."""
        self.stopped = asyncio.Event()
        """Set: nothing is handled but what is being handled."""
        self.position = 0
        """The offset after the last record that came."""
        self.offsets = OffsetTracker(len(pools))
        self.idle = asyncio.Event()
        """Set while no slice of it is in flight."""
        self.idle.set()
        self._loop = asyncio.get_running_loop()
        self._member = member
        self._pools = pools
        self._in_flight = 0
        self._taken = [(0, 0)] * len(pools)
        self._given_back = (0, 0)
        note = read(committed.metadata) if committed is not None else Note()
        self._start = offset = None if committed is None else committed.offset
        attempts = max(pool.handler.retry.attempts for pool in pools)
        self._care = Care(note, offset, attempts)
        self._done_before: Sequence[Stretch] = note.finished
        """What earlier owners have finished above the committed offset."""
        self._opened = self._closed = False
        self._note = ""
        self._backlog: deque[Run] = deque()
        self._arrival = asyncio.Event()
        self._moved = asyncio.Event()
        self._doorkeeper: asyncio.Task[None] | None = None
        self._crowded = False
        self._closed_door = member.group is not None
        """Runs wait in the backlog: the mark is not committed, or care is taken."""
        # For those who watch.
        self._progress = self._loop.time()
        self._read: deque[tuple[int, float]] = deque()
        self._done_until = 0.0

    def dispatch(self, run: Run) -> None:
        """Hand a run to the lanes of every function."""
        if self.stopped.is_set():
            return
        records = run.records
        if self.offsets.committable in (None, self.offsets.arrived):
            self._progress = self._loop.time()  # it had nothing to do until now
        self.position = records[-1].offset() + 1
        self._read.append((self.position, _written(records[-1])))
        if not self._done_until:
            self._done_until = _written(records[0])
        if not self._closed_door:
            self._let_in(run)
            return
        self._backlog.append(run)
        self._arrival.set()
        if self._doorkeeper is None:
            self._doorkeeper = self._loop.create_task(self._keep_door())
            self._doorkeeper.add_done_callback(self._door_ended)

    def stop(self) -> None:
        """Handle nothing but what is being handled."""
        self.stopped.set()
        if self._doorkeeper is not None:
            self._doorkeeper.cancel()
        for pool in self._pools:
            pool.hurry(self)
            pool.cut()
            if pool.limits.any:
                pool.limit()  # what is paused of it need not wait any more

    def resumed(self) -> None:
        """It has had nothing to do until now: a function that reads it was paused."""
        self._progress = self._loop.time()

    def close(self) -> None:
        """Let the commits say that the partition is given back."""
        self._closed = True
        self.note()

    def note(self) -> None:
        """Let the commits say what is finished out of order."""
        if not self._opened or not self.live:
            return
        text = self._care.note(self._finished_above(), opened=not self._closed).text
        if text != self._note:
            self._note = text
            self._member.consumer.note(self.partition, text)

    def snapshot(self, state: ConsumerState) -> Partition:
        """Return what it looks like at this moment."""
        committed, arrived = self.offsets.committable, self.offsets.arrived
        position = arrived if committed is not None else None
        while self._read and committed is not None and self._read[0][0] <= committed:
            self._done_until = self._read.popleft()[1]
        end = state.ends.get(self.partition)
        if end is not None and position is not None:
            end = max(end, position)
        lag = None if end is None or committed is None else end - committed
        busy = committed is not None and committed < arrived and not self._fills
        paused_for = self.paused_for
        return Partition(
            *self.partition,
            self._member.group,
            committed=committed,
            position=position,
            end=end,
            lag=lag,
            lag_seconds=max(0.0, time.time() - self._done_until) if lag else 0.0,
            in_flight=arrived - committed if committed is not None else 0,
            unfinished_seconds=(
                self._loop.time() - self._progress if busy and not paused_for else 0.0
            ),
            paused=self.partition in state.paused,
            paused_for=paused_for,
        )

    @property
    def committed(self) -> int | None:
        """Below it all is done; None when nothing was committed or has come."""
        done = self.offsets.committable
        return self._start if done is None else done

    @property
    def _fills(self) -> bool:
        """Whether nothing is unfinished but what waits for its batch to fill."""
        starts = (pool.waits_from(self) for pool in self._pools)
        return self.offsets.committable in starts

    @property
    def paused_for(self) -> tuple[str, ...]:
        """The functions that are paused at it."""
        return tuple(
            pool.handler.name
            for pool in self._pools
            if pool.limits.pauses(self.partition)
        )

    # What the lanes tell; see `LaneOwner`.

    def entered(self) -> None:
        """A slice was begun."""
        if not self._in_flight:
            self.idle.clear()
        self._in_flight += 1

    def left(self) -> None:
        """A slice is settled."""
        self._in_flight -= 1
        if not self._in_flight:
            self.idle.set()

    def finished(self, handler: int, start: int, end: int) -> None:
        """Hand the offset that is contiguous now to the transport."""
        if self.offsets.finish(handler, start, end) and self.live:
            committable = self.offsets.committable
            assert committable is not None
            self._progress = self._loop.time()
            self._moved.set()
            self._member.consumer.finished(self.partition, committable)

    def taken(self, handler: int, records: int, size: int) -> None:
        """Give back the room of what the slowest function has taken."""
        if not self.live:
            return
        if len(self._pools) > 1:
            before = self._taken[handler]
            self._taken[handler] = (before[0] + records, before[1] + size)
            slowest = min(self._taken)
            records = slowest[0] - self._given_back[0]
            size = slowest[1] - self._given_back[1]
            self._given_back = slowest
        self._member.consumer.taken(self.partition, records, size)

    def waited(self, start: int) -> None:
        """It has had nothing to do until now, if there is nothing before that."""
        if self.offsets.committable == start:
            self._progress = self._loop.time()

    def given_up(self, error: RecordError) -> None:
        """Tell who watches."""
        self._member.given_up(error)

    def failed(self, error: RecordError) -> None:
        """End the app, unless the record is another member's by now."""
        self.stop()
        if self.live:
            self._member.failed(error)
        else:
            logger.warning(
                "%s. The partition belongs to another member by now, "
                "which reads this record again.",
                error,
            )

    # The door.

    def _let_in(self, run: Run) -> None:
        """Dispatch a run, but what is done already."""
        if self._done_before:
            self._let_in_what_is_not_done(run)
            return
        records = run.records
        start = self.offsets.arrive(records[0].offset(), records[-1].offset() + 1)
        for handler, pool in enumerate(self._pools):
            pool.put(self, handler, run, start)

    def _finished_above(self) -> Sequence[Stretch]:
        """Return what is done above the offset: by us, and before us, not yet read."""
        arrived = self.offsets.arrived
        before = [
            (max(start, arrived), end)
            for start, end in self._done_before
            if end > arrived
        ]
        return [*self.offsets.finished_above(), *before]

    def _let_in_what_is_not_done(self, run: Run) -> None:
        for piece, done in _split(run, self._done_before):
            first, end = piece.records[0].offset(), piece.records[-1].offset() + 1
            start = self.offsets.arrive(first, end)
            for handler, pool in enumerate(self._pools):
                if done:
                    self.finished(handler, start, end)
                    self.taken(handler, len(piece.records), piece.size)
                else:
                    pool.put(self, handler, piece, start)
        if run.records[-1].offset() >= self._done_before[-1][1]:
            self._done_before = ()

    async def _keep_door(self) -> None:
        """Open the partition, and let its records in with care while there is need."""
        care, first = self._care, self._backlog[0].records[0].offset()
        if care.needed:
            logger.warning(
                "%s: %s died while it had this partition, at offset %d or soon after. "
                "Its next records are handled in small steps, until it is clear "
                "whether it was one of them.",
                self.partition,
                "a process" if care.deaths == 1 else f"{care.deaths} processes",
                first,
            )
        while care.needed:
            if self._backlog:
                await self._take_step()
                continue
            # Who dies now does not die over what was tried last.
            care.trying = None
            await self._mark(self.offsets.arrived)
            self._arrival.clear()
            if not self._backlog:
                await self._arrival.wait()
        await self._mark(max(first, self.offsets.arrived))
        self._closed_door = False
        while self._backlog:
            self._let_in(self._backlog.popleft())

    async def _take_step(self) -> None:
        """Let some records in, and wait until they are done."""
        run = self._backlog.popleft()
        size = self._care.step(run.records[0].offset())
        step, rest = run.records[:size], run.records[size:]
        if rest:
            rest_size = sum(map(_size, rest))
            self._backlog.appendleft(Run(run.partition, rest, rest_size))
        if len(step) > 1 or not await self._is_alone():
            await self._try(step, said=len(step) > 1)
            return
        # A record is to blame only for what happens while nothing else is tried.
        try:
            await self._try(step, said=True)
            self._care.trying = None
            await self._mark(self.offsets.arrived)
        finally:
            self._member.one_by_one.release()

    async def _is_alone(self) -> bool:
        """Wait until no other partition tries a record alone, but not for ever.

        One whose handler hangs must not hold up the others. They go on without it, and
        what they try then is not to blame.
        """
        if self._crowded:
            return False
        try:
            async with asyncio.timeout(ALONE_SECONDS):
                await self._member.one_by_one.acquire()
        except TimeoutError:
            self._crowded = True
        return not self._crowded

    async def _try(self, step: Sequence[Record], *, said: bool) -> None:
        """Let a step in, and wait until it is done.

        Args:
            step: Its records.
            said: Commit before what is tried.
        """
        care, size = self._care, sum(map(_size, step))
        first, end = step[0].offset(), step[-1].offset() + 1
        if care.is_deadly(first):
            self._give_up_on(step[0], size)
        else:
            care.trying = (first, end) if said else None
            await self._mark(first)
            self._let_in(Run(self.partition, step, size))
            for pool in self._pools:
                pool.hurry(self)
        while self.offsets.committable is None or self.offsets.committable < end:
            self._moved.clear()
            await self._moved.wait()
        care.passed(end)

    def _give_up_on(self, record: Record, size: int) -> None:
        """Treat a record that kills processes as one that failed for good."""
        error = CrashError(
            f"{self._care.deaths} processes died while they handled it, the last of "
            "them with nothing else in work",
            topic=record.topic(),
            partition=record.partition(),
            offset=record.offset(),
        )
        start = self.offsets.arrive(record.offset(), record.offset() + 1)
        for handler, pool in enumerate(self._pools):
            pool.put_failed(self, handler, record, start, error, self._care.deaths)
            self.taken(handler, 1, size)

    async def _mark(self, offset: int) -> None:
        """Commit that the partition is open, before anything of it is handled.

        A coordinator that is on the move must not hold up what can be handled: without
        the mark, a process that dies now is not counted, and nothing else is lost.
        """
        self._opened = True
        text = self._note = self._care.note(self._finished_above(), opened=True).text
        try:
            async with asyncio.timeout(MARK_SECONDS):
                while True:
                    try:
                        await self._member.consumer.commit(self.partition, offset, text)
                        return
                    except ClientError as refused:
                        logger.debug("%s", refused)
                    await asyncio.sleep(_AGAIN_SECONDS)
        except TimeoutError:
            logger.debug("%s: no mark at %d, handled without", self.partition, offset)

    def _door_ended(self, task: asyncio.Task[None]) -> None:
        """A door that breaks must not look like a partition that has no records."""
        if not task.cancelled():
            error = task.exception()
        elif not self.stopped.is_set():
            error = RuntimeError(f"{self.partition}: its door was cancelled.")
        else:
            error = None
        if error is not None:
            self._member.failed(error)


def _split(run: Run, done: Sequence[Stretch]) -> Iterator[tuple[Run, bool]]:
    """Cut a run where what is done begins or ends; tell which pieces are done."""
    starts = [start for start, _ in done]
    piece: list[Record] = []
    piece_done = False
    for record in run.records:
        at = bisect_right(starts, record.offset()) - 1
        is_done = at >= 0 and record.offset() < done[at][1]
        if piece and is_done != piece_done:
            yield Run(run.partition, piece, sum(map(_size, piece))), piece_done
            piece = []
        piece.append(record)
        piece_done = is_done
    yield Run(run.partition, piece, sum(map(_size, piece))), piece_done


def _size(record: Record) -> int:
    return len(record.value() or b"")


def _written(record: Record) -> float:
    """Return when a record was written, in epoch seconds."""
    return record.timestamp()[1] / 1000
