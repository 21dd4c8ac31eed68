"""Lanes handle records.

A lane is one long-lived task of a function's pool (pool.py): there is no task, no queue
operation and no switch for each record. It works in slices: records that are decoded
together, handled one by one and finished together, once everything that they produced
is acknowledged. Slices grow while handling is fast and shrink to one record when it is
slow, so that a slice takes about `SLICE_SECONDS`, or `WAITING_SECONDS` where handlers
wait: long enough to cost little, short enough that a crash repeats little. Lanes go on
with slices for `TURN_SECONDS` in all before they let the rest of the program go on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

from fastkafka.engine.calling import Caller
from fastkafka.engine.chunks import Chunk, LaneOwner, Outcome, start_of
from fastkafka.engine.deadletters import DeadLetters
from fastkafka.engine.delivery import Failure, Outbox, current_outbox
from fastkafka.engine.failure import FailurePolicy, decoding_error, handler_error
from fastkafka.engine.handling import Handling
from fastkafka.engine.limits import Limits
from fastkafka.engine.recovery import Recovery
from fastkafka.errors import BatchError, RecordError
from fastkafka.messages import Record
from fastkafka.observe.counters import FunctionCounters
from fastkafka.observe.events import Tell, Tracer
from fastkafka.routing import Handler

SLICE_SECONDS = 0.005
"""For how long a slice may keep the event loop busy."""

WAITING_SECONDS = 0.05
"""How long one may take while the event loop does other things meanwhile."""

LONGEST_SLICE = 128
"""Decoded messages that are alive together; with many more of them Python's garbage
collector would run for each slice, and look at all of them."""

TURN_SECONDS = 0.001
"""How long the lanes of a pool go on while others on the event loop wait; but each
ends the slice that it is at."""


class Crew(Protocol):
    """What the lanes of one pool share, and get their work from."""

    handler: Handler
    group: str | None
    caller: Caller
    threads: ThreadPoolExecutor | None
    dead_letters: DeadLetters
    policy: FailurePolicy
    counters: FunctionCounters
    tell: Tell
    tracer: Tracer | None
    limits: Limits
    slice: int
    """How many records a lane takes at once; all lanes learn it together."""
    waiting: int
    """Records that were put in and are not done with."""
    running: Lane | None
    """Which lane began a slice last."""

    @property
    def awake(self) -> int:
        """How many lanes have something to do."""

    def take(self) -> Chunk | None:
        """Return the next chunk whose key is free; it is busy until `release`."""

    def release(self, chunk: Chunk) -> None:
        """A lane is done with a chunk: its key is free again."""

    def return_to(self, chunk: Chunk) -> None:
        """Queue a chunk before all others of its key."""

    def rest(self, lane: Lane) -> None:
        """A lane found nothing to do."""

    def must_leave(self, owner: LaneOwner) -> bool:
        """Whether a lane is to put back what it has not begun."""

    def put_back(self, chunk: Chunk, at: int, start: int) -> None:
        """Queue what is left of a chunk from a record on, whose stretch begins there.

        The chunk that a lane has keeps what is done.
        """


class Lane:
    """One task that handles chunks of its pool, one after another."""

    def __init__(self, crew: Crew) -> None:
        self.chunk: Chunk | None = None
        route = crew.handler.route
        self._crew = crew
        self._decode = route.decode
        self._is_batch = route.plan.batch
        self._outbox = Outbox()
        self._who = f"`{crew.handler.name}`"
        self._handle = Handling(
            crew.handler,
            crew.caller,
            crew.threads,
            self._outbox,
            group=crew.group,
            tracer=crew.tracer,
        ).handle
        self._recovery = Recovery(
            crew.policy,
            crew.dead_letters,
            self._work_again,
            counters=crew.counters,
            tell=crew.tell,
            function=crew.handler.name,
            limits=crew.limits,
        )
        self._began = 0.0
        self._turn_ends = 0.0
        self._awake: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self.task = self._loop.create_task(self._work(), name=crew.handler.name)

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
        crew = self._crew
        while True:
            self.chunk = chunk = crew.take()
            if chunk is None:
                self._awake = self._loop.create_future()
                crew.rest(self)
                await self._awake
                self._begin_turn()
                continue
            try:
                if chunk.failure is None:
                    await self._work_off(chunk)
                else:
                    await self._recovery.recover(
                        chunk, chunk.records, chunk.starts[0], chunk.failure
                    )
            finally:
                crew.release(chunk)
                self.chunk = None
            if chunk.failure is None:
                crew.waiting -= len(chunk.records)
                chunk.owner.taken(chunk.handler, len(chunk.records), chunk.size)

    async def _work_off(self, chunk: Chunk) -> None:
        """Handle a chunk, slice by slice."""
        crew, outbox, recovery = self._crew, self._outbox, self._recovery
        records, starts, stopped = chunk.records, chunk.starts, chunk.owner.stopped
        start, at = starts[0], 0
        messages: list[Any] = []
        while at < len(records) and not stopped.is_set():
            if recovery.parking and not await recovery.may_go_on(chunk):
                return
            if crew.limits.any and crew.must_leave(chunk.owner):
                crew.put_back(chunk, at, start)
                return
            # What a slice that was cut, or that failed, has left is decoded already.
            size = len(messages) or crew.slice
            part = records[at : at + size]
            # Records that do not adjoin each other are finished one by one.
            own = (start,) if len(starts) == 1 else starts[at : at + size]
            undecoded = None if messages else self._decode_all(part, messages)
            outcome = await self._work_slice(chunk, part, own, messages, undecoded)
            done = outcome.done
            if outcome.error is None:
                self._resize(outcome.seconds, done, size)
            else:
                failed = part[done : done + outcome.concerned]
                first = own[done] if len(own) > 1 else start_of(part, own[0], done)
                recovered = await recovery.recover(chunk, failed, first, outcome.error)
                if not recovered:
                    return
                done += recovered
            if not done:
                raise AssertionError(f"{self} makes no progress")  # it would spin
            at += done
            if at < len(records):
                start = part[done - 1].offset() + 1
            messages = [] if self._is_batch else messages[done:]
            if outbox.congested is not None or self._is_turn_over(outcome.ended):
                await self._let_others_go_on()

    def _is_turn_over(self, now: float) -> bool:
        if self._crew.running is self:
            return now >= self._turn_ends
        self._turn_ends = 0.0  # others had their turn while the handler waited
        return False

    async def _let_others_go_on(self) -> None:
        """Wait for room in a producer that is full; else for the loop's next turn."""
        congested, self._outbox.congested = self._outbox.congested, None
        if congested is not None:
            await congested.room()
        else:
            await asyncio.sleep(0)
        self._begin_turn()

    def _begin_turn(self) -> None:
        self._turn_ends = time.perf_counter() + TURN_SECONDS / self._crew.awake

    def _decode_all(
        self, records: Sequence[Record], messages: list[Any]
    ) -> RecordError | None:
        """Decode records into *messages*; return what is wrong with the one behind."""
        began = time.perf_counter()
        undecoded: RecordError | None = None
        try:
            # All are of one class; its plain function is what `map` calls fastest.
            values = map(type(records[0]).value, records)
            messages.extend(map(self._decode, values))
        except Exception as undecodable:  # noqa: BLE001 - whatever a decoder raises
            undecoded = decoding_error(records[len(messages)], undecodable)
        self._crew.counters.decode_seconds += time.perf_counter() - began
        return undecoded

    async def _work_again(
        self,
        chunk: Chunk,
        records: Sequence[Record],
        starts: Sequence[int],
        attempt: int,
    ) -> Outcome:
        """Handle records once more, with messages that no handler has seen."""
        if attempt > 1:
            self._crew.counters.repeated(attempt)
        messages: list[Any] = []
        undecoded = self._decode_all(records, messages)
        return await self._work_slice(
            chunk, records, starts, messages, undecoded, attempt
        )

    async def _work_slice(
        self,
        chunk: Chunk,
        records: Sequence[Record],
        starts: Sequence[int],
        messages: list[Any],
        undecoded: RecordError | None,
        attempt: int = 1,
    ) -> Outcome:
        """Handle some records.

        Args:
            chunk: What they belong to.
            records: The records.
            starts: Where their stretches begin; see `Chunk`.
            messages: What they were decoded to, up to the one that could not be.
            undecoded: What is wrong with that one.
            attempt: Which call of their handler it is, from 1.
        """
        failure: RecordError | None = None
        concerned = 1
        crew, outbox, owner = self._crew, self._outbox, chunk.owner
        crew.running = self
        self._began = self._loop.time()
        outbox.open(self._loop)
        owner.entered()
        began = time.perf_counter()
        try:
            await self._handle(messages, records)
        except BaseException as raised:  # even SystemExit is a failure
            if _is_cancelled(raised):
                raise
            batch = range(len(messages)) if self._is_batch else ()
            if isinstance(raised, BatchError) and raised.index in batch:
                outbox.index = raised.index
            elif batch:
                concerned = len(batch)
            failure = handler_error(records[outbox.index], raised, who=self._who)
        finally:
            ended = time.perf_counter()
            done, failed = outbox.index, outbox.failed
            crew.counters.took(ended - began, done - len(failed))
            scope = outbox.close()
            handled = records if done == len(records) else records[:done]
            if scope is None:
                self._settle(chunk, handled, starts, failed, attempt, ())
            else:
                scope.close(
                    partial(
                        self._delivered,
                        *(ended, chunk, handled, starts, failed, attempt),
                    )
                )
        if failure is None and done == len(messages):
            failure = undecoded  # unless the slice was cut before that record
        return Outcome(done, failure, concerned, ended - began, ended)

    def _delivered(
        self,
        ended: float,
        chunk: Chunk,
        records: Sequence[Record],
        starts: Sequence[int],
        failed: dict[int, BaseException],
        attempt: int,
        refused: Sequence[Failure],
    ) -> None:
        """What a slice produced is acknowledged, or refused."""
        self._crew.counters.deliver_seconds += time.perf_counter() - ended
        self._settle(chunk, records, starts, failed, attempt, refused)

    def _settle(
        self,
        chunk: Chunk,
        records: Sequence[Record],
        starts: Sequence[int],
        failed: dict[int, BaseException],
        attempt: int,
        refused: Sequence[Failure],
    ) -> None:
        """Finish the records of a slice, but none that failed after all."""
        owner, handler = chunk.owner, chunk.handler
        if failed or refused:
            causes = self._causes(records, failed, refused)
            self._settle_around(chunk, records, starts, causes, attempt)
        elif len(starts) > 1:
            for start, record in zip(starts, records, strict=False):
                owner.finished(handler, start, record.offset() + 1)
        elif records:
            owner.finished(handler, starts[0], records[-1].offset() + 1)
        owner.left()

    def _settle_around(
        self,
        chunk: Chunk,
        records: Sequence[Record],
        starts: Sequence[int],
        causes: dict[int, BaseException],
        attempt: int,
    ) -> None:
        """Finish the records that did not fail, and give back those that did.

        Args:
            chunk: What they belong to.
            records: Those that were handled.
            starts: Where their stretches begin; see `Chunk`.
            causes: What was wrong with those that failed, by index.
            attempt: Which call of their handler it was.
        """
        owner, handler = chunk.owner, chunk.handler
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
            self._crew.return_to(
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

    def _causes(
        self,
        records: Sequence[Record],
        failed: dict[int, BaseException],
        refused: Sequence[Failure],
    ) -> dict[int, BaseException]:
        """Return why records failed whose handler did not raise, by index."""
        causes = dict(failed)
        for index, error, report, producer in refused:
            # What a handler that raised had sent before is no news.
            if index < len(records):
                refusal = producer.explain(error, report)
                # Nobody knows which record of a batch an output belongs to.
                whose = range(len(records)) if self._is_batch else (index,)
                causes.update((i, refusal) for i in whose if i not in causes)
        return causes

    def _resize(self, seconds: float, done: int, size: int) -> None:
        crew = self._crew
        if self._is_batch:
            return
        most = SLICE_SECONDS if crew.running is self else WAITING_SECONDS
        if seconds < most / 2:
            if done == size == crew.slice:
                crew.slice = min(size * 2, LONGEST_SLICE)
        elif seconds > most:
            crew.slice = max(1, int(done * most / seconds))


def _is_cancelled(raised: BaseException) -> bool:
    """Whether the lane's own task is being cancelled, not the handler's work."""
    task = asyncio.current_task()
    return (
        isinstance(raised, asyncio.CancelledError)
        and task is not None
        and task.cancelling() > 0
    )
