"""MAIN FLOW: poll -> dispatch -> decode -> handle -> deliver -> finish -> commit.

1. The transport's poll thread brings runs of records, one partition each, to
   `GroupMember.on_records`, on the event loop.
2. Dispatch: the partition's `Assignment` (assignment.py) puts each run into the pool of
   every function that reads it.
3. A lane of the pool (lanes.py) decodes and handles, slice by slice, and settles the
   slice's deliveries (delivery.py).
4. `Assignment.finished` moves the offset tracker (offsets.py); what is contiguous goes
   to the transport, which commits it.

Everything here runs on the event loop, so nothing needs a lock.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from fastkafka.engine.assignment import Assignment
from fastkafka.engine.deadletters import DeadLetters
from fastkafka.engine.pool import Pool
from fastkafka.errors import ClientError, RecordError
from fastkafka.observe.events import Event, Tell, Tracer
from fastkafka.observe.snapshot import Function, Member, Partition
from fastkafka.routing import Handler
from fastkafka.transport.base import Committed, Consumer, Run, TopicPartition

logger = logging.getLogger(__name__)

CUT_SECONDS = 0.5
"""How long a slice may go on before what is done in it is finished (and committed).
As often, commits learn what is finished out of order."""

MOST_THREADS = 256
"""Of one client, however large the `concurrency` of its sync functions."""

_CANCEL_SECONDS = 1.0
"""How long a cancelled handler may clean up."""


class Threads(ThreadPoolExecutor):
    """Where sync handlers run: a thread is started when one is missing."""

    def grow(self, most: int) -> None:
        """Let there be up to *most* threads, if there may not be more already."""
        self._max_workers = max(self._max_workers, min(most, MOST_THREADS))


class GroupMember:
    """One member of a consumer group: what comes in, and who handles it.

    Args:
        handlers: The functions that it serves.
        group: Its name; None takes every partition and commits nothing.
        servers: Its cluster, for messages.
        app: Given to handlers that ask for it.
        dead_letters: Where records go that failed for good.
        given_up: Told of a record that failed for good and was passed over.
        failed: Told of an error that ends the app.
        one_by_one: Held while a record is tried that may have killed a process; one for
            all members of the process.
        tell: Told of events.
        tracer: Stands around each call of a handler.
    """

    def __init__(
        self,
        handlers: Sequence[Handler],
        *,
        group: str | None,
        servers: str,
        app: object,
        dead_letters: DeadLetters,
        given_up: Callable[[RecordError], None],
        failed: Callable[[BaseException], None],
        one_by_one: asyncio.Lock,
        tell: Tell,
        tracer: Tracer | None = None,
    ) -> None:
        self.group = group
        self.servers = servers
        self.timeouts = {
            handler.name: handler.timeout
            for handler in handlers
            if handler.timeout is not None
        }
        self.given_up = given_up
        self.failed = failed
        self.one_by_one = one_by_one
        self.consumer: Consumer
        self.dead_letters = dead_letters
        self.rebalances = 0
        self._tell = tell
        self._tracer = tracer
        self.assigned = asyncio.Event()
        """Set with the first partition, or when it is known that there is none."""
        self.revoking: set[TopicPartition] = set()
        """What is being given up, as soon as its handlers have ended."""
        sync = sum(h.concurrency for h in handlers if not h.route.plan.is_async)
        self._threads = (
            Threads(min(sync, MOST_THREADS), thread_name_prefix="fastkafka-handler")
            if sync
            else None
        )
        self.pools = [
            Pool(
                handler,
                group=group,
                app=app,
                threads=self._threads,
                dead_letters=dead_letters,
                broke=failed,
                tell=tell,
                tracer=tracer,
            )
            for handler in handlers
        ]
        self._assignments: dict[TopicPartition, Assignment] = {}
        self._seeking: set[TopicPartition] = set()
        self._stopping = False
        self._ticker: asyncio.Task[None] | None = None

    @property
    def topics(self) -> Collection[str]:
        """What it subscribes to."""
        return {topic for pool in self.pools for topic in pool.route.topics}

    @property
    def assignments(self) -> Collection[Assignment]:
        """What is assigned to it now."""
        return self._assignments.values()

    def functions(self) -> Sequence[Function]:
        """Return what its functions have done, and do."""
        return [pool.snapshot() for pool in self.pools]

    def partitions(self) -> Sequence[Partition]:
        """Return how its partitions are."""
        state = self.consumer.state()
        return [assignment.snapshot(state) for assignment in self.assignments]

    def snapshot(self) -> Member:
        """Return how it is."""
        state = self.consumer.state()
        return Member(
            self.group,
            sorted(self.topics),
            connected=state.connected,
            assigned=len(self._assignments),
            rebalances=self.rebalances,
            commits=state.commits,
            commit_failures=state.commit_failures,
            commit_seconds=state.commit_seconds,
            poll_seconds=state.poll_seconds,
        )

    def edges(self) -> Sequence[tuple[str, str]]:
        """Return its functions and the topics that they have produced to."""
        return [edge for pool in self.pools for edge in pool.edges()]

    def lanes(self) -> Sequence[str]:
        """Return what each of its lanes does, for people."""
        return [line for pool in self.pools for line in pool.report()]

    async def start(self, consumer: Consumer) -> Collection[str]:
        """Join the group.

        Returns:
            The topics that do not exist.

        Raises:
            BrokerUnavailableError: No broker answered.
            ClientError: The broker refused.
        """
        self.consumer = consumer
        if self._tracer is not None:
            consumer.measure(partial(self._tracer.measured, self.group))
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
        for busy in [busy for pool in self.pools for busy in pool.busy()]:
            logger.error(
                "%s did not end in time and was cut off. "
                "Its record is not committed and will be read again.",
                busy,
            )
        await self._cancel_lanes()

    async def close(self, timeout: float) -> None:
        """Commit and leave the group; see `Consumer.stop`."""
        await self.consumer.stop(timeout)
        self._release(list(self._assignments))  # of a consumer that was abandoned
        if self._ticker is not None:
            self._ticker.cancel()
        await self._cancel_lanes()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    # What who runs the app wants; see control.py.

    def resume(self, pool: Pool, partition: TopicPartition | None) -> None:
        """Let a paused function go on: everywhere, or at one partition."""
        for assignment in self._assignments.values():
            if assignment.paused_for:
                assignment.resumed()
        pool.limits.resume(partition)
        pool.limit()

    def set_concurrency(self, pool: Pool, concurrency: int) -> None:
        """Let a function handle so much at once from now on."""
        pool.limit(concurrency)
        if self._threads is not None:
            sync = [p for p in self.pools if not p.route.plan.is_async]
            self._threads.grow(sum(p.limits.concurrency for p in sync))

    def owns(self, partition: TopicPartition) -> bool:
        """Whether a partition is its own, and stays so for now."""
        return partition in self._assignments and partition not in self.revoking

    async def seek(
        self, partition: TopicPartition, offset: int, timeout: float
    ) -> tuple[int | None, bool]:
        """Read a partition from another offset on, and commit that it is there.

        What is being handled of it ends first; what does not end in time is ignored.

        Args:
            partition: One that it `owns`.
            offset: Where to go on.
            timeout: Seconds that handlers have for ending.

        Returns:
            Where it was, None if nothing was committed or read; and whether the new
            place is committed: if not, it will be with the first record.

        Raises:
            ClientError: The partition went away, or is being sought already.
        """
        assignment = self._assignments[partition]
        if partition in self._seeking:
            text = f"{partition} is on its way to another offset already."
            raise ClientError(text, code="_IN_PROGRESS")
        self._seeking.add(partition)
        try:
            if not await self._all_idle([assignment], timeout):
                logger.warning(
                    "%s: handlers did not end within %g s of a seek; what they are "
                    "doing is not committed.",
                    partition,
                    timeout,
                )
            if self._assignments.get(partition) is not assignment:
                text = f"{partition} went to another member meanwhile."
                raise ClientError(text, code="_STATE")
            assignment.live = False  # what ends from now on counts no more
            committed = await self.consumer.seek(partition, offset)
        finally:
            self._seeking.discard(partition)
        return assignment.committed, committed

    # What the transport tells; see `ConsumerListener`.

    def on_assigned(
        self, partitions: Mapping[TopicPartition, Committed | None]
    ) -> None:
        """Make an assignment of each partition."""
        self.rebalances += 1
        with self._ends_the_app():
            for partition, committed in partitions.items():
                self._assign(partition, committed)
        if partitions:
            self.assigned.set()
            self._say("assigned", "Assigned: %s", partitions)
        else:
            # A cooperative group's new member gets its partitions in a second round,
            # once the others have given them up.
            later = asyncio.get_running_loop().call_later
            later(self.consumer.settles, self.assigned.set)

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
        self.rebalances += 1
        self.revoking.update(partitions)
        for assignment in revoked:
            assignment.close()  # in case that they do not end in time
        try:
            await self._all_idle(revoked, timeout=None)
        finally:
            for assignment in revoked:
                assignment.close()
            self._release(partitions)
            self.revoking.difference_update(partitions)
        if partitions and not self._stopping:
            self._say("revoked", "Revoked: %s", partitions)

    def on_lost(self, partitions: Collection[TopicPartition]) -> None:
        """Forget the partitions at once."""
        self.rebalances += 1
        self._release(partitions)
        self._say(
            "lost",
            "Lost: %s. The group went on without this member; "
            "what it had not committed is read again by others.",
            partitions,
        )

    def on_sought(self, partition: TopicPartition, offset: int) -> None:
        """Make another assignment of a partition, which knows nothing of the last."""
        if partition in self._assignments:
            self._release((partition,))
            self._assign(partition, Committed(offset, ""))

    def on_error(self, error: ClientError) -> None:
        """End the app."""
        self.failed(error)

    def on_event(self, event: Event) -> None:
        """Pass it on; a partition that goes on further down begins anew."""
        if event.kind in ("gap", "made_again") and event.topic is not None:
            with self._ends_the_app():
                self._go_on_at(event)
        self._tell(event)

    def _go_on_at(self, gap: Event) -> None:
        partition = TopicPartition(str(gap.topic), gap.partition or 0)
        assignment = self._assignments.get(partition)
        if assignment is not None:
            further_down = (gap.offset or 0) < assignment.position
            if further_down or gap.kind == "made_again":
                self._release((partition,))
                self._assign(partition, None)

    def _assign(self, partition: TopicPartition, committed: Committed | None) -> None:
        pools = [p for p in self.pools if p.handler.reads(partition.topic)]
        self._assignments[partition] = Assignment(partition, self, pools, committed)

    def _say(
        self, kind: str, text: str, partitions: Collection[TopicPartition]
    ) -> None:
        names = ", ".join(str(p) for p in sorted(partitions))
        logger.log(logging.WARNING if kind == "lost" else logging.INFO, text, names)
        self._tell(Event(kind, self.group or "", text % names))

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
        tasks = [task for pool in self.pools for task in pool.cancel()]
        if tasks:
            await asyncio.wait(tasks, timeout=_CANCEL_SECONDS)

    async def _cut_long_slices(self) -> None:
        while True:
            await asyncio.sleep(CUT_SECONDS)
            for pool in self.pools:
                pool.cut()
            for assignment in self._assignments.values():
                assignment.note()
