"""The ways to call a handler with the messages of a slice.

Each keeps `outbox.index` at the record that is handled, so that what is produced, and
what is raised, is known to belong to it; behind the last one it is how many were. Which
way it is, is settled once.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from fastkafka.engine.calling import Caller
from fastkafka.engine.delivery import Outbox
from fastkafka.messages import Record
from fastkafka.observe.events import Tracer
from fastkafka.routing import Handler

Handle = Callable[[list[Any], Sequence[Record]], Awaitable[None]]
"""Handles messages, and the records that they were decoded from."""


class Handling:
    """Calls one function for one lane.

    Attributes:
        handle: Calls it for some messages, until all are handled or the slice is cut.

    Args:
        handler: The function and how to call it.
        caller: Fills its parameters.
        threads: Where it runs if it is sync.
        outbox: The lane's.
        group: Its consumer group, for the tracer.
        tracer: Stands around each call.
    """

    def __init__(
        self,
        handler: Handler,
        caller: Caller,
        threads: ThreadPoolExecutor | None,
        outbox: Outbox,
        *,
        group: str | None,
        tracer: Tracer | None,
    ) -> None:
        self._name = handler.name
        self._group = group
        self._tracer = tracer
        self._function = handler.route.function
        self._plan = handler.route.plan
        self._timeout = handler.timeout
        self._caller = caller
        self._threads = threads
        self._outbox = outbox
        self.handle = self._choose()

    def _choose(self) -> Handle:
        if self._tracer is not None:
            return partial(self._traced, self._tracer)
        return self._choose_untraced()

    def _choose_untraced(self) -> Handle:
        if self._timeout is not None:
            return self._timed
        return self._choose_untimed()

    def _choose_untimed(self) -> Handle:
        plan = self._plan
        if self._plan.has_dependencies:
            return self._resolved
        if not plan.is_async:
            return self._in_thread
        if plan.batch:
            return self._batch
        return self._alone if plan.message_only else self._filled

    async def _alone(self, messages: list[Any], records: Sequence[Record]) -> None:
        handler, outbox = self._function, self._outbox
        for outbox.index, message in enumerate(messages):
            await handler(message)
            if outbox.cut:
                outbox.index += 1
                return
        outbox.index = len(messages)

    async def _filled(self, messages: list[Any], records: Sequence[Record]) -> None:
        handler, outbox, fill = self._function, self._outbox, self._caller.fill
        for message, record in zip(messages, records, strict=False):
            args, kwargs = fill(message, record)
            await handler(*args, **kwargs)
            outbox.index += 1
            if outbox.cut:
                return

    async def _traced(
        self, tracer: Tracer, messages: list[Any], records: Sequence[Record]
    ) -> None:
        """Call a handler with a tracer around each call."""
        handle, outbox = self._choose_untraced(), self._outbox
        step = len(messages) if self._plan.batch else 1
        for at in range(0, len(messages), step or 1):
            part = records[at : at + step]
            with tracer.processing(self._name, self._group, part):
                await handle(messages[at : at + step], part)
            if outbox.cut:
                return

    async def _timed(self, messages: list[Any], records: Sequence[Record]) -> None:
        """Call a handler that may take `handler_timeout` seconds for each record."""
        seconds = self._timeout
        handle, outbox = self._choose_untimed(), self._outbox
        step = len(messages) if self._plan.batch else 1
        for at in range(0, len(messages), step or 1):
            limit = asyncio.timeout(seconds)
            try:
                async with limit:
                    await handle(messages[at : at + step], records[at : at + step])
            except TimeoutError:
                if not limit.expired():
                    raise  # the handler's own
                raise TimeoutError(f"it took longer than {seconds:g} s") from None
            if outbox.cut:
                return

    async def _batch(self, messages: list[Any], records: Sequence[Record]) -> None:
        if messages:
            args, kwargs = self._caller.fill(messages, records[: len(messages)])
            results = await self._function(*args, **kwargs)
            self._take_results(results, len(messages))

    async def _resolved(self, messages: list[Any], records: Sequence[Record]) -> None:
        """Call a handler, sync or async, that has dependencies."""
        outbox, call = self._outbox, self._caller.call
        function, threads = self._function, self._threads
        if self._plan.batch:
            if messages:
                results = await call(
                    function, messages, records[: len(messages)], threads
                )
                self._take_results(results, len(messages))
            return
        for message, record in zip(messages, records, strict=False):
            await call(function, message, record, threads)
            outbox.index += 1
            if outbox.cut:
                return

    async def _in_thread(self, messages: list[Any], records: Sequence[Record]) -> None:
        """Handle a whole slice in one thread: one hop for all its records."""
        run = contextvars.copy_context().run
        await asyncio.get_running_loop().run_in_executor(
            self._threads, run, self._sync, messages, records
        )

    def _sync(self, messages: list[Any], records: Sequence[Record]) -> None:
        handler, outbox, fill = self._function, self._outbox, self._caller.fill
        if self._plan.batch:
            if messages:
                args, kwargs = fill(messages, records[: len(messages)])
                self._take_results(handler(*args, **kwargs), len(messages))
            return
        for message, record in zip(messages, records, strict=False):
            args, kwargs = fill(message, record)
            handler(*args, **kwargs)
            outbox.index += 1
            if outbox.cut:
                return

    def _take_results(self, results: Any, count: int) -> None:
        """Take note of which records of a batch failed, if the handler says so."""
        if isinstance(results, list):
            if len(results) != count:
                raise ValueError(
                    f"it returned {len(results)} results for {count} records"
                )
            self._outbox.failed.update(
                (index, result)
                for index, result in enumerate(results)
                if isinstance(result, BaseException)
            )
        self._outbox.index = count
