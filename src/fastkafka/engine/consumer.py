"""MAIN FLOW: poll -> dispatch -> decode -> handle -> deliver -> finish -> commit.

1. The transport's poll thread brings runs of records, one partition each, to
   `GroupMember.on_records`, on the event loop.
2. Dispatch: the partition's `Assignment` puts each run into the pool of every function
   that reads it.
3. A lane of the pool (lanes.py) decodes and handles, slice by slice, and settles the
   slice's deliveries (delivery.py).
4. `Assignment.finished` moves the offset tracker (offsets.py); what is contiguous goes
   to the transport, which commits it.

Everything here runs on the event loop, so nothing needs a lock. Every assignment is an
object of its own: what ends after a partition was revoked ends in an object that nobody
listens to any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from fastkafka.engine.deadletters import DeadLetters
from fastkafka.engine.lanes import Pool
from fastkafka.engine.offsets import OffsetTracker
from fastkafka.errors import ClientError, RecordError
from fastkafka.routing import Handler
from fastkafka.transport.base import Consumer, Run, TopicPartition

logger = logging.getLogger(__name__)

CUT_SECONDS = 0.5
"""How long a slice may go on before what is done in it is finished (and committed)."""

MOST_THREADS = 256
"""Of one client, however large the `concurrency` of its sync functions."""

EMPTY_SECONDS = 3.0
"""How long a member that got no partition is not yet taken for a standby."""

_CANCEL_SECONDS = 1.0
"""How long a cancelled handler may clean up."""


class Assignment:
    """One partition while it is ours: its offsets and what is in flight.

    Args:
        partition: Which one.
        member: Whose.
        pools: The lanes of each function that reads it.
    """

    def __init__(
        self, partition: TopicPartition, member: GroupMember, pools: Sequence[Pool]
    ) -> None:
        self.partition = partition
        self.live = True
        """What finishes may be committed: the partition is still ours."""
        self.stopped = asyncio.Event()
        """Set: nothing is handled but what is being handled."""
        self.offsets = OffsetTracker(len(pools))
        self.idle = asyncio.Event()
        """Set while no slice of it is in flight."""
        self.idle.set()
        self._member = member
        self._pools = pools
        self._in_flight = 0
        self._taken = [(0, 0)] * len(pools)
        self._given_back = (0, 0)

    def dispatch(self, run: Run) -> None:
        """Hand a run to the lanes of every function."""
        if self.stopped.is_set():
            return
        records = run.records
        start = self.offsets.arrive(records[0].offset(), records[-1].offset() + 1)
        for handler, pool in enumerate(self._pools):
            pool.put(self, handler, run, start)

    def stop(self) -> None:
        """Handle nothing but what is being handled."""
        self.stopped.set()
        for pool in self._pools:
            pool.cut()

    # What the lanes tell; see `LaneOwner`.

    def entered(self) -> None:
        """A slice was begun."""
        self._in_flight += 1
        self.idle.clear()

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


class GroupMember:
    """One member of a consumer group: what comes in, and who handles it.

    Args:
        handlers: The functions that it serves.
        app: Given to handlers that ask for it.
        dead_letters: Where records go that failed for good.
        given_up: Told of a record that failed for good and was passed over.
        failed: Told of an error that ends the app.
    """

    def __init__(
        self,
        handlers: Sequence[Handler],
        *,
        app: object,
        dead_letters: DeadLetters,
        given_up: Callable[[RecordError], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self.given_up = given_up
        self.failed = failed
        self.consumer: Consumer
        self.assigned = asyncio.Event()
        """Set with the first partition, or when it is known that there is none."""
        self.revoking: set[TopicPartition] = set()
        """What is being given up, as soon as its handlers have ended."""
        sync = sum(h.concurrency for h in handlers if not h.route.plan.is_async)
        self._threads = (
            ThreadPoolExecutor(
                min(sync, MOST_THREADS), thread_name_prefix="fastkafka-handler"
            )
            if sync
            else None
        )
        self._pools = [
            Pool(
                handler,
                app=app,
                threads=self._threads,
                dead_letters=dead_letters,
                broke=failed,
            )
            for handler in handlers
        ]
        self._assignments: dict[TopicPartition, Assignment] = {}
        self._stopping = False
        self._ticker: asyncio.Task[None] | None = None

    @property
    def topics(self) -> Collection[str]:
        """What it subscribes to."""
        return {topic for pool in self._pools for topic in pool.route.topics}

    @property
    def assignments(self) -> Collection[Assignment]:
        """What is assigned to it now."""
        return self._assignments.values()

    async def start(self, consumer: Consumer) -> Collection[str]:
        """Join the group.

        Returns:
            The topics that do not exist.

        Raises:
            BrokerUnavailableError: No broker answered.
            ClientError: The broker refused.
        """
        self.consumer = consumer
        self._ticker = asyncio.create_task(self._cut_long_slices())
        return await consumer.start()

    async def drain(self, timeout: float) -> None:
        """Take in no more and let what is in flight end.

        Args:
            timeout: Seconds after which handlers are cancelled. What they were
                handling is not committed.
        """
        self._stopping = True
        self.consumer.pause()
        if await self._all_idle(self._assignments.values(), timeout):
            return
        for busy in [busy for pool in self._pools for busy in pool.busy()]:
            logger.error(
                "%s did not end in time and was cut off. "
                "Its record is not committed and will be read again.",
                busy,
            )
        await self._cancel_lanes()

    async def close(self, timeout: float) -> None:
        """Commit and leave the group; see `Consumer.stop`."""
        await self.consumer.stop(timeout)
        if self._ticker is not None:
            self._ticker.cancel()
        await self._cancel_lanes()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    # What the transport tells; see `ConsumerListener`.

    def on_assigned(self, partitions: Collection[TopicPartition]) -> None:
        """Make an assignment of each partition."""
        with self._ends_the_app():
            for partition in partitions:
                self._assignments[partition] = Assignment(
                    partition,
                    self,
                    [p for p in self._pools if p.handler.reads(partition.topic)],
                )
        if partitions:
            self.assigned.set()
            logger.info("Assigned: %s", _names(partitions))
        else:
            # A cooperative group's new member gets its partitions in a second round,
            # once the others have given them up.
            asyncio.get_running_loop().call_later(EMPTY_SECONDS, self.assigned.set)

    def on_records(self, runs: Sequence[Run]) -> None:
        """Dispatch what one poll brought."""
        if self._stopping:
            return
        with self._ends_the_app():
            for run in runs:
                assignment = self._assignments.get(run.partition)
                if assignment is not None:
                    assignment.dispatch(run)

    async def on_revoked(self, partitions: Collection[TopicPartition]) -> None:
        """Wait for what is in flight, then let the partitions go."""
        revoked = [self._assignments[p] for p in partitions if p in self._assignments]
        self.revoking.update(partitions)
        try:
            await self._all_idle(revoked, timeout=None)
        finally:
            self._release(partitions)
            self.revoking.difference_update(partitions)
        if partitions and not self._stopping:
            logger.info("Revoked: %s", _names(partitions))

    def on_lost(self, partitions: Collection[TopicPartition]) -> None:
        """Forget the partitions at once."""
        self._release(partitions)
        logger.warning(
            "Lost: %s. The group went on without this member; "
            "what it had not committed is read again by others.",
            _names(partitions),
        )

    def on_error(self, error: ClientError) -> None:
        """End the app."""
        self.failed(error)

    def _release(self, partitions: Collection[TopicPartition]) -> None:
        for partition in partitions:
            assignment = self._assignments.pop(partition, None)
            if assignment is not None:
                assignment.live = False
                assignment.stop()

    @contextmanager
    def _ends_the_app(self) -> Iterator[None]:
        """What breaks in here would otherwise stall a partition silently."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - handed to the supervisor whole
            self.failed(error)

    async def _all_idle(
        self, assignments: Collection[Assignment], timeout: float | None
    ) -> bool:
        """Stop assignments and wait until nothing of them is in flight."""
        for assignment in assignments:
            assignment.stop()
        waits = [asyncio.ensure_future(a.idle.wait()) for a in assignments]
        if not waits:
            return True
        try:
            _, late = await asyncio.wait(waits, timeout=timeout)
            return not late
        finally:
            for wait in waits:
                wait.cancel()

    async def _cancel_lanes(self) -> None:
        tasks = [task for pool in self._pools for task in pool.cancel()]
        if tasks:
            await asyncio.wait(tasks, timeout=_CANCEL_SECONDS)

    async def _cut_long_slices(self) -> None:
        while True:
            await asyncio.sleep(CUT_SECONDS)
            for pool in self._pools:
                pool.cut()


def _names(partitions: Collection[TopicPartition]) -> str:
    return ", ".join(str(p) for p in sorted(partitions))
