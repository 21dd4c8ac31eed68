"""Records that failed: retried in place, and given up on as the policy says."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
from collections.abc import Awaitable, Callable, Sequence

from fastkafka.engine.chunks import Chunk, Outcome, start_of
from fastkafka.engine.deadletters import DeadLetters, paused
from fastkafka.engine.failure import (
    Action,
    Decision,
    FailurePolicy,
    handler_error,
    stops_at_once,
)
from fastkafka.engine.limits import Limits
from fastkafka.errors import DecodingError, RecordError, Verdict
from fastkafka.messages import Record
from fastkafka.observe.counters import FunctionCounters, error_name
from fastkafka.observe.events import Event, Tell
from fastkafka.policies import SUFFIX

logger = logging.getLogger(__name__)

Work = Callable[[Chunk, Sequence[Record], Sequence[int], int], Awaitable[Outcome]]
"""Handles records once more: a chunk, the records, where they start, which attempt."""

_MOST_ATTEMPTS = 2**31
"""An attempt after which nothing is retried."""

MOST_PARKING = 64
"""Dead letters of one lane that are being written at once."""

_THEN = {
    Action.DEAD_LETTER: "it goes to the dead-letter topic",
    Action.SKIP: "it is skipped",
    Action.ASK: "`on_failure` decides",
}


class Recovery:
    """Deals with the records of one lane that failed.

    The lane waits for retries, and with it what shares its key; nothing else does. It
    does not wait for dead letters, unless they cannot be written.

    Args:
        policy: Decides.
        dead_letters: Where records go that failed for good.
        work: How the lane handles records.
        counters: Count what failed, and what became of it.
        tell: Told of each failure.
        function: Whose records they are.
        limits: While they pause a partition, nothing of it is tried again.
    """

    def __init__(
        self,
        policy: FailurePolicy,
        dead_letters: DeadLetters,
        work: Work,
        *,
        counters: FunctionCounters,
        tell: Tell,
        function: str,
        limits: Limits,
    ) -> None:
        self._counters = counters
        self._tell = tell
        self._function = function
        self.parking: set[asyncio.Future[None]] = set()
        """Dead letters that are being written."""
        self._policy = policy
        self._dead_letters = dead_letters
        self._work = work
        self._limits = limits

    async def recover(
        self,
        chunk: Chunk,
        records: Sequence[Record],
        start: int,
        error: RecordError,
    ) -> int:
        """Retry records that failed together, and give up on what keeps failing.

        Args:
            chunk: What they belong to.
            records: One, or what is left of a batch.
            start: Where the stretch of the first one begins.
            error: What happened.

        Returns:
            How many of them are done with; 0 when the lane has to stop there.
        """
        owner = chunk.owner
        attempt, over = chunk.attempt, 0
        self._counters.failed[error_name(error)] += 1
        while not owner.stopped.is_set():
            decision = self._policy.decide(error, attempt, random.random())
            if decision.action is not Action.RETRY:
                break
            self._log(error, records[over], attempt, decision)
            attempt += decision.counts
            await paused(decision.delay, owner.stopped)
            if not await self._limits.over(owner):
                return 0
            again = records[over:]
            outcome = await self._work(chunk, again, (start,), attempt)
            start = start_of(again, start, outcome.done)
            over += outcome.done
            if outcome.error is None:
                return over
            records = records[: over + outcome.concerned]
            error = outcome.error
            self._counters.failed[error_name(error)] += 1
        if len(records) - over > 1 and not stops_at_once(error):
            return await self._one_by_one(chunk, records, over, start, attempt)
        if owner.stopped.is_set():
            return 0
        if not await self._give_up(chunk, records[over], start, error, attempt):
            return 0
        return over + 1

    async def _one_by_one(
        self,
        chunk: Chunk,
        records: Sequence[Record],
        over: int,
        start: int,
        attempt: int,
    ) -> int:
        """Find out which records of a batch make it fail, and give up on those."""
        for record in records[over:]:
            if not await self._limits.over(chunk.owner):
                return 0
            outcome = await self._work(chunk, (record,), (start,), attempt)
            error = outcome.error
            if error is not None and not await self._give_up(
                chunk, record, start, error, attempt
            ):
                return 0
            start = record.offset() + 1
        return len(records)

    async def _give_up(
        self,
        chunk: Chunk,
        record: Record,
        start: int,
        error: RecordError,
        attempt: int,
    ) -> bool:
        """Do with a record what follows its last attempt; return whether to go on."""
        owner = chunk.owner
        decision = self._policy.decide(error, _MOST_ATTEMPTS, 0)
        if decision.action in (Action.STOP, Action.RETRY):
            self._event("stopped_at", error, record, attempt)
            owner.failed(error)
            return False
        attempts = 0 if isinstance(error, DecodingError) else attempt
        self._log(error, record, attempts, decision)
        if decision.action is Action.DEAD_LETTER:
            return await self._begin_to_park(chunk, record, start, error, attempts)
        owner.entered()
        try:
            if decision.action is Action.ASK:
                answer = self._policy.hook(record, error)
                if inspect.isawaitable(answer):
                    await answer
            self._counters.skipped += 1
            self._event("skipped", error, record, attempts)
            owner.finished(chunk.handler, start, record.offset() + 1)
            owner.given_up(error)
        except Exception as broken:  # noqa: BLE001 - the hook's, whatever it is
            failure = handler_error(record, broken, who="`on_failure`")
            owner.failed(failure)
            return False
        finally:
            owner.left()
        return True

    async def _begin_to_park(
        self,
        chunk: Chunk,
        record: Record,
        start: int,
        error: RecordError,
        attempts: int,
    ) -> bool:
        """Write a dead letter while the lane goes on; return whether it may.

        It goes on while dead letters can be written. Its own record counts as done
        only when its dead letter is acknowledged.
        """
        parking = asyncio.ensure_future(
            self._park(chunk, record, start, error, attempts)
        )
        self.parking.add(parking)
        parking.add_done_callback(self.parking.discard)
        await asyncio.sleep(0)  # it is sent in its turn
        return await self.may_go_on(chunk)

    async def may_go_on(self, chunk: Chunk) -> bool:
        """Wait while dead letters cannot be written, or too many are on their way.

        Returns:
            False when the chunk's partition was stopped meanwhile.
        """
        blocked = self._dead_letters.blocked
        topic = chunk.records[0].topic() + SUFFIX
        while len(self.parking) >= MOST_PARKING or (self.parking and topic in blocked):
            await asyncio.wait(self.parking, return_when=asyncio.FIRST_COMPLETED)
        return not chunk.owner.stopped.is_set()

    async def _park(
        self,
        chunk: Chunk,
        record: Record,
        start: int,
        error: RecordError,
        attempts: int,
    ) -> None:
        owner = chunk.owner
        owner.entered()
        try:
            if await self._dead_letters.park(record, error, attempts, owner.stopped):
                self._counters.parked[error_name(error)] += 1
                self._event("parked", error, record, attempts)
                owner.finished(chunk.handler, start, record.offset() + 1)
                owner.given_up(error)
        except Exception as broken:  # noqa: BLE001 - else the record would be forgotten
            owner.failed(handler_error(record, broken, who="The dead letter"))
        finally:
            owner.left()

    def _event(
        self, kind: str, error: RecordError, record: Record, attempt: int
    ) -> None:
        self._tell(
            Event(
                kind,
                self._function,
                str(error),
                topic=error.topic,
                partition=error.partition,
                offset=error.offset,
                key=record.key(),
                attempt=attempt,
                error=error,
            )
        )

    def _log(
        self, error: RecordError, record: Record, attempt: int, decision: Decision
    ) -> None:
        """Say what happened to a record, once for each attempt."""
        cause = error.__cause__
        self._event("failed", error, record, attempt)
        if decision.action is Action.RETRY:
            most = self._policy.retry.attempts
            then = f"attempt {attempt} of {most}, again in {decision.delay:.3g} s"
            level = logging.WARNING
        else:
            then = _THEN[decision.action]
            level = logging.ERROR
        logger.log(
            level,
            "%s",
            _followed(str(error), then),
            exc_info=None if isinstance(cause, Verdict) else cause,
            extra={
                "topic": error.topic,
                "partition": error.partition,
                "offset": error.offset,
                "key": record.key(),
                "attempt": attempt,
            },
        )


def _followed(said: str, then: str) -> str:
    """Return what was wrong and what follows; a sentence that has ended stays one."""
    if said.endswith((".", "?", "!")):
        return f"{said} {then[0].upper()}{then[1:]}."
    return f"{said}; {then}"
