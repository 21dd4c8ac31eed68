"""Order and concurrency: a lane handles records one after another.

`order="partition"` has one lane for each handler and assigned partition. A lane is one
long-lived task: there is no task, no queue operation and no switch for each record.

A lane works in slices: some records that are decoded together, handled one by one and
finished together, once everything that they produced is acknowledged. A slice grows
while handling is fast and shrinks to one record when it is slow, so that a slice takes
about `SLICE_SECONDS`: long enough to cost nothing, short enough that other tasks get
their turn and that a crash repeats little.
"""

from __future__ import annotations

import asyncio
import contextvars
import operator
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from fastkafka import codecs
from fastkafka.engine.delivery import DeliveryScope, Failure, Outbox, current_outbox
from fastkafka.errors import DecodingError, HandlerError, RecordError
from fastkafka.messages import EventMetadata, Record
from fastkafka.params import Source
from fastkafka.routing import ConsumerRoute
from fastkafka.transport.base import Run, TopicPartition

SLICE_SECONDS = 0.005
LONGEST_SLICE = 1000

_Handle = Callable[[list[Any], Sequence[Record]], Awaitable[None]]

_value = operator.methodcaller("value")


class LaneOwner(Protocol):
    """Who a lane works for."""

    def finished(self, handler: int, start: int, end: int) -> None:
        """Records `[start, end)` are handled, and their outputs acknowledged."""

    def taken(self, run: Run) -> None:
        """The lane holds *run* no longer: there is room for more."""

    def failed(self, error: RecordError) -> None:
        """A record could not be processed, and the lane has stopped before it."""


class Lane:
    """Handles the records of one partition by one function, in order.

    Args:
        handler: The number of the function among those that read the partition.
        route: The function and how to call it.
        partition: Where the records come from.
        owner: Told of what is finished and what failed.
        app: Given to handlers that ask for it.
        threads: Where a sync handler runs.
        after: A lane of an earlier assignment that may still be handling a record of
            this partition; this one starts when that one has ended.
    """

    def __init__(
        self,
        handler: int,
        route: ConsumerRoute,
        partition: TopicPartition,
        owner: LaneOwner,
        *,
        app: object,
        threads: ThreadPoolExecutor | None,
        after: asyncio.Task[None] | None = None,
    ) -> None:
        self._handler = handler
        self._route = route
        self._partition = partition
        self._owner = owner
        self._app = app
        self._threads = threads
        self._runs: deque[tuple[Run, int]] = deque()
        self._idle: asyncio.Future[None] | None = None
        self._stopping = False
        self._slice = route.max_batch if route.plan.batch else 1
        self._unsettled = 0
        self._all_settled = asyncio.Event()
        self._all_settled.set()
        self._outbox = Outbox()
        self._handle = self._choose_handle()
        self._loop = asyncio.get_running_loop()
        self.task = self._loop.create_task(
            self._work(after), name=f"{route.name} {partition}"
        )

    def put(self, run: Run, start: int) -> None:
        """Queue a run whose stretch of offsets begins at *start*."""
        self._runs.append((run, start))
        self._wake()

    def stop(self) -> None:
        """Handle no record after the current one; `task` ends once all is settled."""
        self._stopping = self._outbox.cut = True
        self._wake()

    def cut(self) -> None:
        """End the slice after the current record, so that what is done is finished."""
        self._outbox.cut = True

    def _wake(self) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    async def _work(self, after: asyncio.Task[None] | None) -> None:
        if after is not None:
            await asyncio.wait([after])
        current_outbox.set(self._outbox)
        while not self._stopping:
            if self._runs:
                run, start = self._runs.popleft()
                await self._work_off(run, start)
                self._owner.taken(run)
            else:
                self._idle = self._loop.create_future()
                await self._idle
        await self._all_settled.wait()

    async def _work_off(self, run: Run, start: int) -> None:
        """Handle a run, slice by slice."""
        records = run.records
        at = 0
        while at < len(records) and not self._stopping:
            part = records[at : at + self._slice]
            began = time.perf_counter()
            done, error = await self._work_slice(part, start)
            if error is not None:
                self._stopping = True
                self._owner.failed(error)
                return
            at += done
            start = part[done - 1].offset() + 1 if done else start
            self._resize(time.perf_counter() - began, done)
            congested, self._outbox.congested = self._outbox.congested, None
            if congested is not None:
                await congested.room()
            else:
                await asyncio.sleep(0)

    async def _work_slice(
        self, records: Sequence[Record], start: int
    ) -> tuple[int, RecordError | None]:
        """Decode and handle some records.

        Returns:
            How many were handled, and what was wrong with the one after them.
        """
        messages: list[Any] = []
        error: RecordError | None = None
        try:
            messages.extend(map(self._route.decode, map(_value, records)))
        except Exception as undecodable:  # noqa: BLE001
            error = self._error(DecodingError, records[len(messages)], undecodable)
        outbox = self._outbox
        outbox.index, outbox.cut = 0, self._stopping
        ends = [start]

        def settled(failures: list[Failure]) -> None:
            self._settled(records, start, ends[0], failures)

        outbox.scope = scope = DeliveryScope(self._loop, settled)
        self._unsettled += 1
        self._all_settled.clear()
        try:
            await self._handle(messages, records)
        except BaseException as raised:  # even SystemExit is a failure
            if _is_cancelled(raised):
                raise
            failing = records[outbox.index]
            error = self._error(HandlerError, failing, raised)
            error.__cause__ = raised
        finally:
            done = outbox.index
            outbox.scope = None
            if done:
                ends[0] = records[done - 1].offset() + 1
            scope.close()
        if done < len(messages) and not isinstance(error, HandlerError):
            error = None  # cut before the record that cannot be decoded
        return done, error

    def _settled(
        self,
        records: Sequence[Record],
        start: int,
        end: int,
        failures: list[Failure],
    ) -> None:
        """Finish the records of a slice, up to the first whose output was refused."""
        self._unsettled -= 1
        if not self._unsettled:
            self._all_settled.set()
        if failures:
            index, error, record, producer = min(failures, key=operator.itemgetter(0))
            refused = records[index]
            end = min(end, refused.offset())
            failure = self._error(
                HandlerError, refused, producer.explain(error, record)
            )
            failure.__cause__ = producer.explain(error, record)
            self.stop()
            self._owner.failed(failure)
        if end > start:
            self._owner.finished(self._handler, start, end)

    def _resize(self, seconds: float, done: int) -> None:
        if self._route.plan.batch:
            return
        if seconds < SLICE_SECONDS / 2:
            if done >= self._slice:
                self._slice = min(self._slice * 2, LONGEST_SLICE)
        elif seconds > SLICE_SECONDS:
            fitting = int(done * SLICE_SECONDS / seconds)
            self._slice = max(1, fitting)

    # The ways to call a handler. Each advances `outbox.index` after a record, so that
    # what is produced, and what is raised, is known to belong to that record.

    def _choose_handle(self) -> _Handle:
        plan = self._route.plan
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
        handler, outbox = self._route.function, self._outbox
        for message, record in zip(messages, records, strict=False):
            args, kwargs = self._arguments(message, record)
            await handler(*args, **kwargs)
            outbox.index += 1
            if outbox.cut:
                return

    async def _handle_batch(
        self, messages: list[Any], records: Sequence[Record]
    ) -> None:
        if messages:
            args, kwargs = self._arguments(messages, records[: len(messages)])
            await self._route.function(*args, **kwargs)
            self._outbox.index = len(messages)

    async def _handle_in_thread(
        self, messages: list[Any], records: Sequence[Record]
    ) -> None:
        """Handle a whole slice in one thread: one hop for all its records."""
        run = contextvars.copy_context().run
        await self._loop.run_in_executor(
            self._threads, run, self._handle_sync, messages, records
        )

    def _handle_sync(self, messages: list[Any], records: Sequence[Record]) -> None:
        handler, outbox = self._route.function, self._outbox
        if self._route.plan.batch:
            if messages:
                args, kwargs = self._arguments(messages, records[: len(messages)])
                handler(*args, **kwargs)
                outbox.index = len(messages)
            return
        for message, record in zip(messages, records, strict=False):
            args, kwargs = self._arguments(message, record)
            handler(*args, **kwargs)
            outbox.index += 1
            if outbox.cut:
                return

    def _arguments(self, message: Any, record: Any) -> tuple[list[Any], dict[str, Any]]:
        """Fill the call plan for one record, or for the records of a batch."""
        plan = self._route.plan
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for parameter in plan.parameters:
            value: Any
            if parameter.source is Source.MESSAGE:
                value = message
            elif parameter.source is Source.APP:
                value = self._app
            elif plan.batch:
                value = [EventMetadata.create_event_metadata(r) for r in record]
            else:
                value = EventMetadata.create_event_metadata(record)
            if parameter.keyword:
                kwargs[parameter.name] = value
            else:
                args.append(value)
        return args, kwargs

    def _error(
        self, kind: type[RecordError], record: Record, cause: BaseException
    ) -> RecordError:
        if kind is DecodingError and isinstance(cause, Exception):
            message = codecs.describe(cause)
        else:
            message = f"`{self._route.name}` failed: {cause!r}"
        return kind(
            message,
            topic=self._partition.topic,
            partition=self._partition.partition,
            offset=record.offset(),
        )


def _is_cancelled(raised: BaseException) -> bool:
    """Whether the lane's own task is being cancelled, not the handler's work."""
    task = asyncio.current_task()
    return (
        isinstance(raised, asyncio.CancelledError)
        and task is not None
        and task.cancelling() > 0
    )
