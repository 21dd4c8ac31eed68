"""What a consumer has still to commit, and what became of its commits.

The engine says on the event loop what is finished; the poll thread hands it to the
client, which commits it in its interval. Single operations on dictionaries are atomic,
so the two need no lock.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from fastkafka.errors import ClientError
from fastkafka.observe.events import Measure
from fastkafka.transport import operations
from fastkafka.transport.base import TopicPartition
from fastkafka.transport.librdkafka.connection import client_error, logger
from fastkafka.transport.topic_ids import with_topic_id
from fastkafka.transport.wording import commits_fail

_HURRY_SECONDS = 1.0


class _Awaited(NamedTuple):
    partition: TopicPartition
    offset: int
    metadata: str
    acknowledged: asyncio.Future[None]
    since: float


class Commits:
    """The offsets of one consumer on their way to its group.

    Args:
        interval: Seconds between commits; ``auto.commit.interval.ms``.
        loop: The engine's.
        topic_ids: Which topic each partition belongs to, for the metadata.
        measure: Told on the loop of commits that were waited for, if somebody measures.
    """

    def __init__(
        self,
        interval: float,
        loop: asyncio.AbstractEventLoop,
        topic_ids: Mapping[TopicPartition, str],
        measure: Measure | None = None,
    ) -> None:
        self.succeeded = self.failed = self.awaited = 0
        self.seconds = 0.0
        """For how long those that were awaited took; of the client's own nobody knows
        when they began."""
        self.failing_since: float | None = None
        """When commits began to fail; None when the last one succeeded."""
        self._interval = interval
        self._loop = loop
        self._topic_ids = topic_ids
        self._measure = measure
        self._next = 0.0
        self.hurry = 0.0
        """Until then somebody waits for commits: the thread is to be quick."""
        # Written by the loop, emptied by the thread.
        self._wanted: deque[_Awaited] = deque()
        self._finished: dict[TopicPartition, int] = {}
        self._notes: dict[TopicPartition, str] = {}
        self._closed: set[TopicPartition] = set()
        """Partitions that begin anew, which the engine has not heard yet."""
        # The thread's.
        self._stored: dict[TopicPartition, int] = {}
        self._metadata: dict[TopicPartition, str] = {}
        self._changed: set[TopicPartition] = set()
        self._acknowledged: dict[tuple[Any, Any], int] = {}
        self._awaited: dict[tuple[Any, Any], list[_Awaited]] = {}

    # On the event loop.

    def finished(self, partition: TopicPartition, offset: int) -> None:
        """See `Consumer`."""
        if partition not in self._closed:
            self._finished[partition] = offset

    def note(self, partition: TopicPartition, metadata: str) -> None:
        """See `Consumer`."""
        if partition not in self._closed:
            self._notes[partition] = metadata

    async def commit(
        self, partition: TopicPartition, offset: int, metadata: str
    ) -> None:
        """See `Consumer`; the poll thread sends it, in its next turn.

        Raises:
            ClientError: The coordinator refused, or the partition was given up.
        """
        if partition in self._closed:
            raise _given_up(partition)
        acknowledged = self._loop.create_future()
        self.want(partition, offset, metadata, acknowledged)
        await acknowledged

    def want(
        self,
        partition: TopicPartition,
        offset: int,
        metadata: str,
        acknowledged: asyncio.Future[None],
    ) -> None:
        """From any thread: commit in the poll thread's next turn, and tell a future."""
        now = time.monotonic()
        self._wanted.append(_Awaited(partition, offset, metadata, acknowledged, now))
        self.hurry = now + _HURRY_SECONDS

    def reopen(self, partition: TopicPartition) -> None:
        """The engine has heard that a partition begins anew: go on with it."""
        self._finished.pop(partition, None)
        self._notes.pop(partition, None)
        self._closed.discard(partition)

    # In the poll thread.

    def store(self, client: Any, owned: Collection[TopicPartition]) -> None:
        """Hand what is finished to the client, which commits it in its interval.

        What is waited for is committed at once. Metadata that changed while the offset
        stays where it is has to be committed on purpose: the client sees no news in it.
        """
        self._commit_wanted(client, owned)
        while self._notes:
            partition, note = self._notes.popitem()
            if partition in self._closed:
                continue
            if partition in owned and self._metadata.get(partition) != note:
                self._metadata[partition] = note
                self._changed.add(partition)
        offsets = {}
        while self._finished:
            partition, offset = self._finished.popitem()
            if partition in self._closed:
                continue
            if partition in owned and offset > self._stored.get(partition, -1):
                offsets[partition] = offset
        if offsets:
            client.store_offsets(offsets=self._with_metadata(offsets))
            self._stored.update(offsets)
            self._changed.difference_update(offsets)
        now = time.monotonic()
        if self._changed and now >= self._next:
            self._next = now + self._interval
            unmoved = {p: self._stored[p] for p in self._changed & self._stored.keys()}
            self._changed.clear()
            self._commit_soon(client, self._with_metadata(unmoved))

    @property
    def waiting(self) -> bool:
        """Whether `store` has something to do."""
        return bool(self._finished or self._wanted or self._notes or self._changed)

    def _commit_wanted(self, client: Any, owned: Collection[TopicPartition]) -> None:
        offsets = []
        while self._wanted:
            awaited = self._wanted.popleft()
            partition = awaited.partition
            if partition not in owned:
                self._loop.call_soon_threadsafe(_give_up, awaited)
                continue
            self._awaited.setdefault(partition, []).append(awaited)
            self._metadata[partition] = awaited.metadata
            offsets += self._with_metadata({partition: awaited.offset})
        self._commit_soon(client, offsets)

    def _commit_soon(self, client: Any, offsets: list[Any]) -> None:
        if not offsets:
            return
        try:
            client.store_offsets(offsets=offsets)  # what it commits by itself, later
            client.commit(offsets=offsets, asynchronous=True)
        except KafkaException as failed:
            self.on_commit(failed.args[0], offsets)

    def commit_now(self, client: Any, partitions: Collection[TopicPartition]) -> None:
        """Commit what is finished of *partitions*, and wait until it is."""
        offsets = {p: self._stored[p] for p in partitions if p in self._stored}
        if offsets:
            wanted = self._with_metadata(offsets)
            # It commits what is stored once more when the partitions go.
            client.store_offsets(offsets=wanted)
            began = time.monotonic()
            committed = client.commit(offsets=wanted, asynchronous=False)
            self._took(began, offsets)
            self.on_commit(None, committed)

    def last(self, partition: TopicPartition) -> int | None:
        """Return what the group had committed of a partition, as this consumer knows.

        Returns:
            The offset of its own last commit, or of the one that it found when the
            partition was assigned; None is nothing.
        """
        return self._acknowledged.get(partition)

    def found(self, partition: TopicPartition, committed: int) -> int | None:
        """Take note of what is committed of a partition that was assigned.

        Returns:
            What it was before, if that was more: somebody has set it back.
        """
        before = self.last(partition)
        self._acknowledged[partition] = committed
        return before if before is not None and committed < before else None

    def forget(self, partition: TopicPartition) -> None:
        """Commit nothing more of a partition: it is somebody else's, or starts anew."""
        self._finished.pop(partition, None)
        self._notes.pop(partition, None)
        self._stored.pop(partition, None)
        self._metadata.pop(partition, None)
        self._changed.discard(partition)
        for awaited in self._awaited.pop(partition, ()):
            self._loop.call_soon_threadsafe(_give_up, awaited)

    def drop(self, client: Any, partition: TopicPartition) -> None:
        """Forget a partition that is still assigned.

        The client would commit by itself, when it goes, what was stored of it.
        """
        self.forget(partition)
        nothing = _with_offset(partition, confluent_kafka.OFFSET_INVALID, "")
        client.store_offsets(offsets=[nothing])

    def rewind(self, partition: TopicPartition) -> None:
        """Let a partition's offset go back: its log is another one."""
        self.forget(partition)
        self._acknowledged.pop(partition, None)

    def begin_anew(self, client: Any, partition: TopicPartition) -> None:
        """Let a partition go on in another log, or further down.

        What the engine finishes until it has heard of that, see `reopen`, does not
        count.
        """
        self._closed.add(partition)
        self.drop(client, partition)
        self.rewind(partition)

    def pin(self, client: Any, partition: TopicPartition, offset: int) -> None:
        """Commit where a partition goes on, though that may be a step back.

        The client by itself commits only what is above its last commit.
        """
        self._stored[partition] = offset
        self._commit_soon(client, self._with_metadata({partition: offset}))

    def on_commit(self, error: KafkaError | None, offsets: list[Any]) -> None:
        """Take note of what became of a commit."""
        failed = None
        for committed in offsets:
            where = committed.topic, committed.partition
            problem = error if error is not None else committed.error
            if problem is not None and problem.code() == KafkaError._NO_OFFSET:
                problem = None
            elif problem is None and committed.offset >= 0:
                self._acknowledged[where] = committed.offset
            failed = failed or problem
            self._settle_awaited(where, committed.offset, problem)
        if error is not None and not offsets:
            failed = error
            for where in list(self._awaited):
                self._settle_awaited(where, None, error)
        if failed is not None and failed.code() != KafkaError._NO_OFFSET:
            self.on_failure(failed)
            return
        self.succeeded += 1
        if self.failing_since is not None:
            self.failing_since = None
            logger.warning("Commits succeed again.")

    def _took(
        self,
        since: float,
        partitions: Collection[TopicPartition],
        problem: KafkaError | None = None,
    ) -> None:
        """Take note of how long a commit took that somebody waited for."""
        seconds = time.monotonic() - since
        if problem is None:
            self.awaited += 1
            self.seconds += seconds
        if self._measure is not None:
            error = None if problem is None else problem.name()
            operation = operations.committed(partitions, seconds, error)
            self._loop.call_soon_threadsafe(self._measure, operation)

    def _settle_awaited(
        self, where: tuple[Any, Any], offset: int | None, problem: KafkaError | None
    ) -> None:
        """Tell those who wait for a commit of a partition."""
        for awaited in self._awaited.pop(where, ()):
            if problem is None and awaited.offset != offset:
                self._awaited.setdefault(where, []).append(awaited)
                continue
            self._took(awaited.since, [awaited.partition], problem)
            if problem is None:
                self._stored.setdefault(TopicPartition(*where), awaited.offset)
            self._loop.call_soon_threadsafe(_settle, awaited, problem)

    def on_failure(self, error: KafkaError) -> None:
        """Say that commits fail, if that is new; what they had goes with the next."""
        self.failed += 1
        if self.failing_since is None:
            self.failing_since = time.monotonic()
            logger.warning("%s", commits_fail(client_error(error, doing="commit")))

    def _with_metadata(self, offsets: Mapping[TopicPartition, int]) -> list[Any]:
        metadata, ids = self._metadata, self._topic_ids
        return [
            _with_offset(p, at, with_topic_id(ids.get(p), metadata.get(p, "")))
            for p, at in offsets.items()
        ]


def _with_offset(partition: TopicPartition, offset: int, metadata: str) -> Any:
    return confluent_kafka.TopicPartition(
        partition.topic, partition.partition, offset, metadata
    )


def _settle(awaited: _Awaited, error: KafkaError | None) -> None:
    if awaited.acknowledged.done():
        return
    if error is None:
        awaited.acknowledged.set_result(None)
    else:
        awaited.acknowledged.set_exception(client_error(error, doing="commit"))


def _give_up(awaited: _Awaited) -> None:
    """Tell who waits that the partition is not this consumer's to commit any more."""
    if not awaited.acknowledged.done():
        awaited.acknowledged.set_exception(_given_up(awaited.partition))


def _given_up(partition: TopicPartition) -> ClientError:
    return ClientError(
        f"{partition}: not committed, the partition was given up.", code="_STATE"
    )
