"""The consumer of the broker in memory.

What librdkafka's does in a thread, this one does in turns on the event loop. Whatever
happens (a record is written, a partition assigned, room made) wakes it, and in its next
turn it looks what there is to do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any

from fastkafka.errors import ClientError
from fastkafka.observe.events import Measure
from fastkafka.transport import operations
from fastkafka.transport.base import (
    Committed,
    ConsumerListener,
    ConsumerState,
    Run,
    TopicPartition,
)
from fastkafka.transport.memory.clock import done_within
from fastkafka.transport.memory.cluster import Cluster
from fastkafka.transport.memory.commits import Commits
from fastkafka.transport.memory.faults import Refusal
from fastkafka.transport.memory.fetches import Fetches
from fastkafka.transport.memory.gaps import Gaps
from fastkafka.transport.memory.groups import Group, Member
from fastkafka.transport.memory.starts import Assigned, Starts
from fastkafka.transport.wording import not_assigned

logger = logging.getLogger("fastkafka.transport")

RETRY_SECONDS = 0.1
"""After a fetch that was refused, the next one."""


class MemoryConsumer:
    """See `Consumer` and `Transport.consumer`."""

    settles = 0.05  # the others give partitions up as soon as their handlers end

    def __init__(
        self,
        cluster: Cluster,
        config: Mapping[str, Any],
        topics: Collection[str],
        listener: ConsumerListener,
        *,
        start_at: Mapping[str, str],
        on_gap: Mapping[str, str],
        revoke_timeout: float,
    ) -> None:
        self.id = cluster.name(str(config.get("client.id", "consumer")))
        self.topics: Collection[str] = sorted(topics)
        self.session_timeout = int(config.get("session.timeout.ms", 45_000)) / 1000
        self.member: Member | None = None
        self._cluster = cluster
        self._listener = listener
        self._revoke_timeout = revoke_timeout
        self._servers = str(config.get("bootstrap.servers", ""))
        self._group_id: str | None = config.get("group.id")
        committed_only = (
            config.get("isolation.level", "read_committed") == "read_committed"
        )
        self._group: Group | None = None
        self._loop: asyncio.AbstractEventLoop
        self._measure: Measure | None = None
        self._running = self._closing = self._awake = False
        self._resumed = asyncio.Event()
        self._resumed.set()
        self._no_intake = False
        self._revoking: asyncio.Task[None] | None = None
        self._done: dict[TopicPartition, int] = {}
        self._ours: dict[TopicPartition, str] = {}
        """Which topic the offsets of a partition are of."""
        self._commits = Commits(
            cluster.clock,
            int(config.get("auto.commit.interval.ms", 5000)) / 1000,
            self._commit,
            self._is_connected,
            self._ours,
        )
        self._starts = Starts(
            cluster,
            self.topics,
            self._commits,
            self._ours,
            start_at=start_at,
            on_gap=on_gap,
            committed_only=committed_only,
        )
        self._fetches = Fetches(
            cluster,
            self._ours,
            self._starts.end,
            committed_only=committed_only,
        )
        self._gaps = Gaps(
            self._starts,
            self._fetches,
            self._commits,
            self._done,
            listener,
            in_group=self._group_id is not None,
            tell=self._tell,
            give_up=self._give_up_on,
        )

    # What the engine calls.

    def measure(self, tell: Measure) -> None:
        """See `Consumer`; a poll takes no time here, but commits wait for brokers."""
        self._measure = tell

    async def start(self) -> Collection[str]:
        """See `Consumer`."""
        self._loop = asyncio.get_running_loop()
        await self._cluster.connect(self._servers)
        missing = self._cluster.missing(self.topics)
        self._starts.look()
        if self._group_id is not None:
            self._group = self._cluster.group(self._group_id)
        self._running = True
        self._cluster.clients.append(self)
        self.wake()
        return missing

    def finished(self, partition: TopicPartition, offset: int) -> None:
        """See `Consumer`."""
        if (
            not self._running
            or partition not in self._fetches.intake
            or partition in self._gaps.unheard
        ):
            return
        self._done[partition] = offset
        if self._group is not None:
            self._commits.finished(partition, offset)
        self._cluster.changed()

    def note(self, partition: TopicPartition, metadata: str) -> None:
        """See `Consumer`."""
        ours = partition in self._fetches.intake and partition not in self._gaps.unheard
        if self._running and self._group is not None and ours:
            self._commits.note(partition, metadata)

    async def commit(
        self, partition: TopicPartition, offset: int, metadata: str
    ) -> None:
        """See `Consumer`."""
        ours = partition in self._fetches.intake
        if self._running and self._group is not None and ours:
            began = self._loop.time()
            await self._resumed.wait()
            await self._cluster.up.wait()
            self.note(partition, metadata)
            refusal = self._commits.now({partition: offset})
            self._committed([partition], began, refusal)
            if refusal is not None:
                raise ClientError(f"{partition}: not committed.", code="_FAIL")

    def taken(self, partition: TopicPartition, records: int, size: int) -> None:
        """See `Consumer`."""
        if self._fetches.taken(partition, records, size):
            self.wake()

    async def seek(self, partition: TopicPartition, offset: int) -> bool:
        """See `Consumer`."""
        intakes = self._fetches.intake
        intake = intakes.get(partition)
        await self._resumed.wait()
        await self._cluster.up.wait()
        while self._revoking is not None:
            await asyncio.wait([self._revoking])
        # One that went away and came back is another assignment.
        same = intake is not None and intakes.get(partition) is intake
        if not self._running or not same:
            raise not_assigned(partition)
        return self._move(partition, offset)

    def _move(self, partition: TopicPartition, offset: int) -> bool:
        self._commits.rewind(partition)
        self._done[partition] = offset
        self._fetches.begin(partition, offset)
        self._tell(self._listener.on_sought, partition, offset)
        self.wake()
        if self._group is None:
            return True
        refusal = self._commits.now({partition: offset})
        self._committed([partition], self._loop.time(), refusal)
        return refusal is None

    def pause(self) -> None:
        """See `Consumer`."""
        self._no_intake = True
        self._cluster.changed()

    def state(self) -> ConsumerState:
        """See `Consumer`."""
        return ConsumerState(
            connected=self._cluster.up.is_set(),
            polled=self._loop.time(),
            commits=self._commits.succeeded,
            commit_failures=self._commits.failed,
            failing_since=self._commits.failing_since,
            missing=self._cluster.not_there(self.topics),
            paused=set(self._fetches.full),
            ends={
                p: self._starts.end(self._cluster.log(p))
                for p in self._fetches.positions
                if self._fetches.is_there(p)
            },
        )

    async def stop(self, timeout: float) -> None:
        """See `Consumer`."""
        if not self._running or self._closing:
            return
        self._closing = True
        closing = self._loop.create_task(self._close())
        if not await done_within(self._cluster.clock, timeout, closing):
            closing.cancel()
            self.vanish()
            logger.error(
                "The consumer did not close in %.0f s and is abandoned. "
                "What it could not commit will be read again.",
                timeout,
            )

    # What tests do to it, through the broker.

    def vanish(self) -> None:
        """Be gone, as a process that was killed: nothing more is committed or said."""
        self._running = False
        self._revoke_no_more()
        self._commits.stop()
        if self in self._cluster.clients:
            self._cluster.clients.remove(self)
        if self._group is not None and self.member is not None:
            self._group.fell_silent(self.member)
        self._cluster.changed()

    def commit_due(self) -> None:
        """Commit what is finished, as when the interval is over."""
        self._commits.due()

    def suspend(self) -> None:
        """Hang, as a process that was stopped: no heartbeat, no commit, no intake."""
        self._resumed.clear()
        if self._group is not None and self.member is not None:
            self._group.fell_silent(self.member)

    def resume(self) -> None:
        """Go on, and find out whether the group did without this member."""
        self._resumed.set()
        if self._group is not None and self.member is not None:
            if self._group.came_back(self.member):
                self._group.reconcile()
            else:
                self.member = None
                self._revoke_no_more()
                lost = list(self._fetches.intake)
                self._forget(lost)
                self._tell(self._listener.on_lost, lost)
        self.wake()

    # What the coordinator tells.

    @property
    def answers(self) -> bool:
        """See `GroupClient`."""
        return self._running and self._resumed.is_set() and not self._closing

    def assign(self, partitions: Collection[TopicPartition]) -> None:
        """See `GroupClient`."""
        assert self._group is not None
        try:
            assigned = self._starts.of_group(self._group, partitions)
        except ClientError as error:
            self._fail(error)
            self._loop.call_soon(self._leave)
        else:
            self._take_over(assigned)

    def revoke(self, partitions: Collection[TopicPartition]) -> None:
        """See `GroupClient`."""
        self._revoking = self._loop.create_task(self._revoke(partitions))

    # Turns.

    @property
    def busy(self) -> bool:
        """See `cluster.Client`."""
        if self._closing or self._no_intake:
            return False
        if self._group is not None and self.member is None:
            return True
        has_more = self._fetches.has_more
        return any(has_more(p, self._done[p]) for p in self._fetches.positions)

    def wake(self) -> None:
        """See `cluster.Client`."""
        if not self._awake and self._running:
            self._awake = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._awake = False
        if not self.answers or not self._cluster.up.is_set():
            return
        if self._group is None:
            self._assign_by_hand()
        elif self.member is None:
            self._join(self._group)
        self._gaps.cross_into_other_topics()
        self._commits.in_time()
        if self._revoking is None and not self._no_intake:
            self._fetch()

    def _join(self, group: Group) -> None:
        refusal = self._cluster.faults.refusal("join")
        if refusal is None:
            self.member = group.admit(self)
            group.rebalance()
        elif refusal.fatal:
            self._fail(refusal.error("consume"))
        else:
            self._retry()

    def _retry(self) -> None:
        clock = self._cluster.clock
        clock.call_at(clock.time() + RETRY_SECONDS, self.wake)

    def _assign_by_hand(self) -> None:
        """Without a group, take every partition, and those that appear later too."""
        positions = self._starts.by_hand(self._fetches.intake)
        if positions:
            self._take_over(Assigned(positions, {}, ()))

    def _take_over(self, assigned: Assigned) -> None:
        positions, committed, gaps = assigned
        self._done.update(positions)
        for partition, offset in positions.items():
            self._fetches.begin(partition, offset)
        self._tell(self._listener.on_assigned, {p: committed.get(p) for p in positions})
        self._gaps.look_for_rewinds(committed)
        for gap in gaps:
            self._commits.rewind(TopicPartition(str(gap.topic), gap.partition or 0))
            self._gaps.passed(gap)
        self.wake()

    # Fetching.

    def _fetch(self) -> None:
        """One poll: records of some partitions."""
        runs: list[Run] = []
        room = self._cluster.poll_records
        for partition in self._fetches.ready():
            read = self._fetches.read(partition, room) if room else None
            if isinstance(read, Refusal):
                self._refused(partition, read)
            elif read is not None:
                room -= len(read.records)
                runs.append(read)
        if runs:
            if self._measure is not None:
                for poll in operations.polled(runs, 0.0):
                    self._tell(self._measure, poll)
            self._tell(self._listener.on_records, runs)
            self.wake()

    def _refused(self, partition: TopicPartition, refusal: Refusal) -> None:
        if refusal.code == "OFFSET_OUT_OF_RANGE":
            self._gaps.cross(partition, refusal)
            self.wake()
        elif refusal.fatal:
            del self._fetches.positions[partition]
            self._fail(refusal.error("consume"))
        else:
            logger.warning("%s", refusal.error("consume"))
            self._retry()

    # Committing and leaving.

    def _commit(self, offsets: Mapping[TopicPartition, Committed]) -> Refusal | None:
        """Ask the coordinator to commit; return why it does not."""
        assert self._group is not None
        assert self.member is not None
        refusals = (self._cluster.faults.refusal("commit", p) for p in sorted(offsets))
        refusal = next((r for r in refusals if r is not None), None)
        if any(self._cluster.topic_id(p) is None for p in offsets):
            refusal = Refusal("UNKNOWN_TOPIC_OR_PART")
        if refusal is None:
            member = self.member
            refusal = self._group.commit(member.id, member.generation, offsets)
        return refusal

    def _is_connected(self) -> bool:
        return self._resumed.is_set() and self._cluster.up.is_set()

    async def _revoke(self, partitions: Collection[TopicPartition]) -> None:
        group, member = self._group, self.member
        assert group is not None
        assert member is not None
        await self._give_up(partitions)
        self._revoking = None
        if self._running:
            group.released(member, partitions)
            self.wake()

    async def _give_up(self, partitions: Collection[TopicPartition]) -> None:
        """Let what is in flight end, commit what is finished, forget the rest."""
        clock = self._cluster.clock
        ending = self._loop.create_task(self._listener.on_revoked(partitions))
        try:
            ended = await done_within(clock, self._revoke_timeout, ending)
        finally:
            ending.cancel()
        if not ended or ending.cancelled():
            logger.warning(
                "Handlers did not end within %.0f s of a revoke; what they are doing "
                "is not committed, and the partitions' next owner does it again: %s",
                self._revoke_timeout,
                ", ".join(map(str, partitions)),
            )
        elif (error := ending.exception()) is not None:
            self._fail(
                ClientError(f"A revoke failed: {error!r}.", code="_FAIL", fatal=True)
            )
        await self._resumed.wait()
        await self._cluster.up.wait()
        if self._running:
            # What is of a topic that is gone is not for one that takes its place.
            began = self._loop.time()
            there = [p for p in partitions if self._fetches.is_there(p)]
            if committed := self._commits.waiting(there):
                self._committed(committed, began, self._commits.now(committed))
            self._forget(partitions)

    def _committed(
        self,
        partitions: Collection[TopicPartition],
        began: float,
        refusal: Refusal | None,
    ) -> None:
        """Tell who measures of a commit that was waited for."""
        if self._measure is not None:
            seconds = self._loop.time() - began
            error = None if refusal is None else refusal.code
            self._measure(operations.committed(partitions, seconds, error))

    def _revoke_no_more(self) -> None:
        if self._revoking is not None:
            self._revoking.cancel()
            self._revoking = None

    async def _close(self) -> None:
        await self._resumed.wait()
        await self._cluster.up.wait()
        if self._revoking is not None:
            await asyncio.wait([self._revoking])
        if self._group is not None and self._fetches.intake:
            await self._give_up(sorted(self._fetches.intake))
        self._leave()

    def _leave(self) -> None:
        group, member, self.member = self._group, self.member, None
        self.vanish()
        if group is not None and member is not None:
            group.leave(member)

    def _forget(self, partitions: Collection[TopicPartition]) -> None:
        for partition in partitions:
            self._fetches.forget(partition)
            self._done.pop(partition, None)
            self._commits.forget(partition)

    # Telling.

    def _give_up_on(self, partition: TopicPartition, error: ClientError) -> None:
        self._forget([partition])
        self._fail(error)

    def _fail(self, error: ClientError) -> None:
        error.fatal = True
        self._tell(self._listener.on_error, error)

    def _tell(self, function: Callable[..., None], *args: Any) -> None:
        self._loop.call_soon(self._say, function, args)

    def _say(self, function: Callable[..., None], args: Any) -> None:
        if self._running:
            function(*args)
