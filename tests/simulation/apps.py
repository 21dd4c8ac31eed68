"""The app of a simulation: its handlers do what the schedule says, and say so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from fastkafka import (
    BatchError,
    EventMetadata,
    FastKafka,
    ProduceError,
    RecordError,
    Reject,
    Retry,
    RetryLater,
    StopConsuming,
)
from fastkafka.messages import Record
from tests.simulation.ledger import AUDIT_ORDER, INPUTS, OUTPUTS, Call, Ledger, Place
from tests.simulation.schedules import Does

LARGEST_SENT, LARGEST_OUTPUT = 4000, 2000
"""Bytes that a producer, and the topic of the outputs, would take."""

SLOW_SECONDS, STUBBORN_SECONDS, LATER_SECONDS = 0.8, 0.4, 0.7

_FAILURES: dict[Does, Callable[[], BaseException]] = {
    "raise": ConnectionError,
    "raise after output": ConnectionError,
    "reject": lambda: Reject("no"),
    "later": lambda: RetryLater(LATER_SECONDS),
    "exit": SystemExit,
    "cancelled": asyncio.CancelledError,
    "stop the app": StopConsuming,
}

_RESULTS: dict[Does, str] = {
    "reject": "hopeless",
    "exit": "hopeless",
    "cancelled": "hopeless",
    "later": "later",
    "stop the app": "stops",
}


def make_app(worker: Any, ledger: Ledger) -> FastKafka:
    """Make the app of one worker.

    Args:
        worker: Its transport.
        ledger: Knows what to do, and hears of what was done.
    """
    schedule = ledger.schedule

    def ask(record: Record, error: RecordError) -> None:
        ledger.asked.add((record.partition(), record.offset()))

    app = FastKafka(
        title="Shop",
        transport=worker,
        order=schedule.order,
        concurrency=schedule.concurrency,
        batch_timeout=schedule.batch_timeout,
        retry=Retry(attempts=schedule.attempts, delay=schedule.delay),
        on_failure=ask if schedule.on_failure == "ask" else schedule.on_failure,
        handler_timeout=schedule.handler_timeout,
        revoke_timeout=schedule.revoke_timeout,
        shutdown_timeout=schedule.shutdown_timeout,
        auto_commit_interval_ms=1000,
        session_timeout_ms=10_000,
        librdkafka={
            "queue.buffering.max.messages": schedule.queue,
            "message.max.bytes": LARGEST_SENT,
        },
    )

    @app.produces(topic=OUTPUTS)
    async def to_outputs(value: bytes) -> bytes:
        return value

    handler = _Handler(worker, ledger, to_outputs)
    if schedule.batch:
        max_batch = schedule.batch

        @app.consumes(topic=INPUTS, max_batch=max_batch)
        async def batch(numbers: list[int], metas: list[EventMetadata]) -> Any:
            return await handler.batch([(m.partition, m.offset) for m in metas])
    else:

        @app.consumes(topic=INPUTS)
        async def main(number: int, meta: EventMetadata) -> None:
            await handler.single((meta.partition, meta.offset))

    if schedule.audited:

        @app.consumes(topic=INPUTS, order=AUDIT_ORDER)
        async def audit(number: int, meta: EventMetadata) -> None:
            await handler.audit((meta.partition, meta.offset))

    return app


class _Handler:
    """What the functions of an app do."""

    def __init__(self, worker: Any, ledger: Ledger, to_outputs: Any) -> None:
        self._worker = worker
        self._ledger = ledger
        self._to_outputs = to_outputs

    async def single(self, place: Place) -> None:
        """Handle a record."""
        [call] = self._ledger.begin(self._worker.name, "main", [place])
        try:
            await self._do(call)
        except BaseException:
            self._ledger.end(call, call.result or "cut")
            raise
        self._ledger.end(call, "ok")

    async def audit(self, place: Place) -> None:
        """Handle a record in the second function, some of them slowly."""
        [call] = self._ledger.begin(self._worker.name, "audit", [place])
        try:
            await asyncio.sleep(SLOW_SECONDS if sum(place) % 3 == 0 else 0)
        except BaseException:
            self._ledger.end(call, "cut")
            raise
        self._ledger.end(call, "ok")

    async def batch(self, places: Sequence[Place]) -> list[BaseException | None] | None:
        """Handle records, and say which failed in the way that the schedule wants."""
        how = self._ledger.schedule.batch_failure
        calls = self._ledger.begin(self._worker.name, "main", places)
        results: list[BaseException | None] = []
        try:
            for call in calls:
                try:
                    await self._do(call)
                except ConnectionError as error:
                    if how != "results":
                        raise
                    results.append(error)
                else:
                    results.append(None)
        except BaseException as error:
            done = len(results) if how == "index" else 0
            if not isinstance(error, asyncio.CancelledError) and how == "index":
                self._end(calls[:done], "ok")
                self._end(calls[done : done + 1], calls[done].result or "cut")
                self._end(calls[done + 1 :], "again")
                raise BatchError(done) from error
            self._end(calls, calls[len(results)].result or "cut")
            raise
        for call, result in zip(calls, results, strict=True):
            self._ledger.end(call, "ok" if result is None else "failed")
        return results if how == "results" else None

    def _end(self, calls: Sequence[Call], result: str) -> None:
        for call in calls:
            self._ledger.end(call, result)

    async def _do(self, call: Call) -> None:
        """Do with a record what this call of its handler shall do."""
        if self._worker.dead:
            await asyncio.Event().wait()
        does = self._does(call)
        self._ledger.note(f"  {call.place}: {does}")
        if does == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        elif does in ("output", "raise after output"):
            await self._output(call)
        elif does == "two outputs":
            await self._output(call)
            await asyncio.sleep(0)
            await self._output(call)
        elif does in ("large", "refused"):
            call.result = "failed"
            await self._output(
                call, 1 + (LARGEST_SENT if does == "large" else LARGEST_OUTPUT)
            )
            call.result = None
        elif does == "hang":
            await asyncio.Event().wait()
        elif does == "stubborn":
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(STUBBORN_SECONDS)
        if does in _FAILURES:
            call.result = _RESULTS.get(does, "failed")
            raise _FAILURES[does]()

    def _does(self, call: Call) -> Does:
        wanted = self._ledger.inputs[call.place]
        number = self._ledger.calls["main", call.place].index(call)
        if number < len(wanted.does):
            return wanted.does[number]
        if wanted.ends == "poison":
            return "raise"
        return "output" if wanted.ends == "output" else "ok"

    async def _output(self, call: Call, size: int = 0) -> None:
        text = f"{call.batch}.{call.place}.{len(call.outputs)}".ljust(size, ".")
        call.outputs.append(text)
        try:
            await self._to_outputs(text.encode())
        except ProduceError:  # it was never sent
            call.outputs.remove(text)
            raise
