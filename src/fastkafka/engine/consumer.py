"""MAIN FLOW: poll -> dispatch -> decode -> handle -> deliver -> finish -> commit.

1. The transport's poll thread brings runs of records, one partition each, to
   `GroupMember.on_records`, on the event loop.
2. Dispatch: an `Assignment` puts each run into a lane of every function that reads the
   partition.
3. The lane (lanes.py) decodes and handles, slice by slice, and settles the slice's
   deliveries (delivery.py).
4. `Assignment.finished` moves the offset tracker (offsets.py); what is contiguous goes
   to the transport, which commits it.

Everything here runs on the event loop, so nothing needs a lock. Every assignment is an
object of its own: what ends after a partition was revoked ends in an object that nobody
listens to any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

from fastkafka.engine.lanes import Lane
from fastkafka.engine.offsets import OffsetTracker
from fastkafka.errors import ClientError, FastKafkaError, RecordError
from fastkafka.routing import ConsumerRoute
from fastkafka.transport.base import Consumer, Run, TopicPartition

logger = logging.getLogger(__name__)

CUT_SECONDS = 0.5
"""How long a slice may go on before what is done in it is finished (and committed)."""


class Assignment:
    """One partition while it is ours: its lanes and its offsets.

    Args:
        partition: Which one.
        member: Whose.
        after: Lanes of an earlier assignment of it that have not ended, by function.
    """

    def __init__(
        self,
        partition: TopicPartition,
        member: GroupMember,
        after: Sequence[asyncio.Task[None]],
    ) -> None:
        self._partition = partition
        self._member = member
        routes = member.routes_of(partition.topic)
        self._offsets = OffsetTracker(len(routes))
        self._holders: dict[int, int] = {}
        self.live = True
        self.lanes = [
            Lane(
                number,
                route,
                partition,
                self,
                app=member.app,
                threads=member.threads,
                after=after[number] if after else None,
            )
            for number, route in enumerate(routes)
        ]

    def dispatch(self, run: Run) -> None:
        """Hand a run to every lane."""
        first, last = run.records[0].offset(), run.records[-1].offset()
        start = self._offsets.arrive(first, last + 1)
        if len(self.lanes) > 1:
            self._holders[first] = len(self.lanes)
        for lane in self.lanes:
            lane.put(run, start)

    def stop(self) -> None:
        """Take in no more; let the lanes end after their current record."""
        for lane in self.lanes:
            lane.stop()

    # What the lanes tell.

    def finished(self, handler: int, start: int, end: int) -> None:
        """See `LaneOwner`; hands the contiguous offset to the transport."""
        if self._offsets.finish(handler, start, end) and self.live:
            committable = self._offsets.committable
            assert committable is not None
            self._member.consumer.finished(self._partition, committable)

    def taken(self, run: Run) -> None:
        """See `LaneOwner`."""
        if self._holders:
            first = run.records[0].offset()
            self._holders[first] -= 1
            if self._holders[first]:
                return
            del self._holders[first]
        if self.live:
            self._member.consumer.taken(self._partition, len(run.records), run.size)

    def failed(self, error: RecordError) -> None:
        """See `LaneOwner`."""
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
        routes: The functions that it serves.
        app: Given to handlers that ask for it.
        failed: Told of an error that ends the app.
    """

    def __init__(
        self,
        routes: Sequence[ConsumerRoute],
        *,
        app: object,
        failed: Callable[[FastKafkaError], None],
    ) -> None:
        self.app = app
        self.failed = failed
        self.consumer: Consumer
        self.assigned = asyncio.Event()
        """Set with the first assignment."""
        self._routes: dict[str, list[ConsumerRoute]] = {}
        for route in routes:
            for topic in route.topics:
                self._routes.setdefault(topic, []).append(route)
        sync = [r.concurrency for r in routes if not r.plan.is_async]
        self.threads = (
            ThreadPoolExecutor(sum(sync), thread_name_prefix="fastkafka-handler")
            if sync
            else None
        )
        self._assignments: dict[TopicPartition, Assignment] = {}
        self._ending: dict[TopicPartition, list[asyncio.Task[None]]] = {}
        self._stopping = False
        self._ticker: asyncio.Task[None] | None = None

    @property
    def topics(self) -> Collection[str]:
        """What it subscribes to."""
        return self._routes.keys()

    @property
    def partitions(self) -> Collection[TopicPartition]:
        """What is assigned to it now."""
        return self._assignments.keys()

    def routes_of(self, topic: str) -> Sequence[ConsumerRoute]:
        """Return the functions that read a topic."""
        return self._routes[topic]

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

    async def drain(self, timeout: float) -> bool:
        """Take in no more and let what is in flight end.

        Args:
            timeout: Seconds after which handlers are cancelled. What they were
                handling is not committed.

        Returns:
            Whether everything ended by itself.
        """
        self._stopping = True
        self.consumer.pause()
        for assignment in self._assignments.values():
            assignment.stop()
        lanes = self._lane_tasks()
        late = await _ended(lanes, timeout)
        for lane in late:
            logger.error(
                "%s did not end in time and was cut off. "
                "Its record is not committed and will be read again.",
                lane.get_name(),
            )
            lane.cancel()
        # A cancelled handler may still have something to clean up, but not for ever.
        await _ended(late, timeout=1.0)
        return not late

    async def close(self, timeout: float) -> None:
        """Commit and leave the group; see `Consumer.stop`."""
        await self.consumer.stop(timeout)
        if self._ticker is not None:
            self._ticker.cancel()
        for lane in self._lane_tasks():
            lane.cancel()
        if self.threads is not None:
            self.threads.shutdown(wait=False, cancel_futures=True)

    # What the transport tells.

    def on_assigned(self, partitions: Collection[TopicPartition]) -> None:
        """See `ConsumerListener`."""
        for partition in partitions:
            ending = self._ending.pop(partition, [])
            self._assignments[partition] = Assignment(partition, self, ending)
        self.assigned.set()
        if partitions:
            logger.info("Assigned: %s", _names(partitions))

    def on_records(self, runs: Sequence[Run]) -> None:
        """See `ConsumerListener`."""
        if self._stopping:
            return
        for run in runs:
            assignment = self._assignments.get(run.partition)
            if assignment is not None:
                assignment.dispatch(run)

    async def on_revoked(self, partitions: Collection[TopicPartition]) -> None:
        """See `ConsumerListener`."""
        revoked = [self._assignments[p] for p in partitions if p in self._assignments]
        for assignment in revoked:
            assignment.stop()
        lanes = [lane.task for a in revoked for lane in a.lanes]
        try:
            if lanes:
                await asyncio.wait(lanes)
        finally:
            self._release(partitions)
        if partitions and not self._stopping:
            logger.info("Revoked: %s", _names(partitions))

    def on_lost(self, partitions: Collection[TopicPartition]) -> None:
        """See `ConsumerListener`."""
        self._release(partitions)
        logger.warning(
            "Lost: %s. The group went on without this member; "
            "what it had not committed is read again by others.",
            _names(partitions),
        )

    def on_error(self, error: ClientError) -> None:
        """See `ConsumerListener`."""
        self.failed(error)

    def _release(self, partitions: Collection[TopicPartition]) -> None:
        for partition in partitions:
            assignment = self._assignments.pop(partition, None)
            if assignment is None:
                continue
            assignment.live = False
            assignment.stop()
            ending = [lane.task for lane in assignment.lanes]
            if not all(task.done() for task in ending):
                self._ending[partition] = ending

    def _lane_tasks(self) -> list[asyncio.Task[None]]:
        mine = [lane.task for a in self._assignments.values() for lane in a.lanes]
        return mine + [task for tasks in self._ending.values() for task in tasks]

    async def _cut_long_slices(self) -> None:
        while True:
            await asyncio.sleep(CUT_SECONDS)
            for assignment in self._assignments.values():
                for lane in assignment.lanes:
                    lane.cut()


async def _ended(
    tasks: Collection[asyncio.Task[None]], timeout: float
) -> set[asyncio.Task[None]]:
    """Wait for tasks; return those that did not end in time."""
    if not tasks:
        return set()
    _, late = await asyncio.wait(tasks, timeout=max(0.0, timeout))
    return late


def _names(partitions: Collection[TopicPartition]) -> str:
    return ", ".join(str(p) for p in sorted(partitions))
