"""What a consumer has still to commit, and what became of its commits.

The engine says on the event loop what is finished; the poll thread commits it in the
interval. Single operations on dictionaries are atomic, so the two need no lock.

The client could do that by itself (`enable.auto.commit`), but it does not wait for one
commit before it sends the next. When the coordinator moves it sends them again, and of
two that are on their way the older may come last: the offset moves backward.
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

PATIENCE_SECONDS = 10.0
"""How long a partition's commit may be without an answer before the next is sent."""

_HURRY_SECONDS = 1.0


class _Awaited(NamedTuple):
    partition: TopicPartition
    offset: int
    metadata: str
    acknowledged: asyncio.Future[None]


class Commits:
    """The offsets of one consumer on their way to its group.

    Args:
        interval: Seconds between commits; ``auto.commit.interval.ms``.
        loop: The engine's.
        topic_ids: Which topic each partition belongs to, for the metadata.
        measure: Told on the loop of each commit, if somebody measures.
    """

    def __init__(
        self,
        interval: float,
        loop: asyncio.AbstractEventLoop,
        topic_ids: Mapping[TopicPartition, str],
        measure: Measure | None = None,
    ) -> None:
        self.succeeded = self.failed = 0
        self.seconds = 0.0
        """From sending a commit to its answer, of all that were answered."""
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
        self._offsets: dict[TopicPartition, int] = {}
        self._metadata: dict[TopicPartition, str] = {}
        self._due: set[TopicPartition] = set()
        """What changed since it was sent."""
        self._sent: dict[tuple[Any, Any], float] = {}
        """When a commit was sent that is not answered yet."""
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
        self._wanted.append(_Awaited(partition, offset, metadata, acknowledged))
        self.hurry = time.monotonic() + _HURRY_SECONDS

    def reopen(self, partition: TopicPartition) -> None:
        """The engine has heard that a partition begins anew: go on with it."""
        self._finished.pop(partition, None)
        self._notes.pop(partition, None)
        self._closed.discard(partition)

    # In the poll thread.

    def send(self, client: Any, owned: Collection[TopicPartition]) -> None:
        """Commit what is waited for, at once; and what is finished, in the interval.

        Nothing of a partition is sent while a commit of it is on its way.
        """
        now = time.monotonic()
        self._send_wanted(client, owned, now)
        self._take_news(owned)
        if not self._due or now < self._next:
            return
        ready = [p for p in self._due if not self._is_on_its_way(p, now)]
        if ready:
            self._next = now + self._interval
            self._due.difference_update(ready)
            self._send(client, {p: self._offsets[p] for p in ready}, now)

    @property
    def waiting(self) -> bool:
        """Whether `send` has something to do, or will have."""
        return bool(self._finished or self._wanted or self._notes or self._due)

    def _take_news(self, owned: Collection[TopicPartition]) -> None:
        """Take in what the engine has said since."""
        while self._notes:
            partition, note = self._notes.popitem()
            if partition in self._closed or partition not in owned:
                continue
            if self._metadata.get(partition) != note:
                self._metadata[partition] = note
                if partition in self._offsets:
                    self._due.add(partition)
        while self._finished:
            partition, offset = self._finished.popitem()
            if partition in self._closed or partition not in owned:
                continue
            if offset > self._offsets.get(partition, -1):
                self._offsets[partition] = offset
                self._due.add(partition)

    def _send_wanted(
        self, client: Any, owned: Collection[TopicPartition], now: float
    ) -> None:
        offsets: dict[TopicPartition, int] = {}
        later = []
        while self._wanted:
            awaited = self._wanted.popleft()
            partition = awaited.partition
            if partition not in owned:
                self._loop.call_soon_threadsafe(_give_up, awaited)
            elif partition in offsets or self._is_on_its_way(partition, now):
                later.append(awaited)
            else:
                self._awaited.setdefault(partition, []).append(awaited)
                self._metadata[partition] = awaited.metadata
                offsets[partition] = awaited.offset
        self._wanted.extendleft(reversed(later))
        if offsets:
            self._send(client, offsets, now)

    def _is_on_its_way(self, partition: TopicPartition, now: float) -> bool:
        sent = self._sent.get(partition)
        return sent is not None and now < sent + PATIENCE_SECONDS

    def _send(
        self, client: Any, offsets: Mapping[TopicPartition, int], now: float
    ) -> None:
        self._sent.update(dict.fromkeys(offsets, now))
        commit = self._with_metadata(offsets)
        try:
            client.commit(offsets=commit, asynchronous=True)
        except KafkaException as failed:
            self.on_commit(failed.args[0], commit)

    def commit_now(self, client: Any, partitions: Collection[TopicPartition]) -> None:
        """Commit what is finished of *partitions*, and wait until it is."""
        offsets = {p: self._offsets[p] for p in partitions if p in self._offsets}
        if offsets:
            self._sent.update(dict.fromkeys(offsets, time.monotonic()))
            commit = self._with_metadata(offsets)
            self.on_commit(None, client.commit(offsets=commit, asynchronous=False))

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
        self._offsets.pop(partition, None)
        self._metadata.pop(partition, None)
        self._due.discard(partition)
        self._sent.pop(partition, None)
        for awaited in self._awaited.pop(partition, ()):
            self._loop.call_soon_threadsafe(_give_up, awaited)

    def rewind(self, partition: TopicPartition) -> None:
        """Let a partition's offset go back: its log is another one."""
        self.forget(partition)
        self._acknowledged.pop(partition, None)

    def begin_anew(self, partition: TopicPartition) -> None:
        """Let a partition go on in another log, or further down.

        What the engine finishes until it has heard of that, see `reopen`, does not
        count.
        """
        self._closed.add(partition)
        self.rewind(partition)

    def pin(self, client: Any, partition: TopicPartition, offset: int) -> None:
        """Commit where a partition goes on, though that may be a step back."""
        self._offsets[partition] = offset
        self._send(client, {partition: offset}, time.monotonic())

    def on_commit(self, error: KafkaError | None, offsets: list[Any]) -> None:
        """Take note of what became of a commit."""
        answers = [
            (TopicPartition(each.topic, each.partition), each.offset, each.error)
            for each in offsets
        ]
        if error is not None and not offsets:  # of whatever is on its way
            on_their_way = {*self._sent, *self._awaited}
            answers = [(TopicPartition(*where), -1, error) for where in on_their_way]
        failed, began = error, time.monotonic()
        now = began
        for index, (partition, offset, own) in enumerate(answers):
            problem = error or own
            began = min(began, self._sent.pop(partition, now))
            if problem is not None and problem.code() == KafkaError._NO_OFFSET:
                problem = None
            elif problem is None and offset >= 0:
                self._note_committed(partition, offset)
            if problem is not None and partition in self._offsets:
                self._due.add(partition)
            failed = failed or problem
            answers[index] = partition, offset, problem
        self._took(now - began, [partition for partition, _, _ in answers], failed)
        if failed is not None and failed.code() != KafkaError._NO_OFFSET:
            self.on_failure(failed)
        else:
            self.succeeded += 1
            if self.failing_since is not None:
                self.failing_since = None
                logger.warning("Commits succeed again.")
        for answer in answers:
            self._settle_awaited(*answer)

    def _note_committed(self, partition: TopicPartition, offset: int) -> None:
        if offset < self._acknowledged.get(partition, -1):
            self._due.update({partition} & self._offsets.keys())  # an older one, late
        self._acknowledged[partition] = offset

    def _took(
        self,
        seconds: float,
        partitions: Collection[TopicPartition],
        problem: KafkaError | None,
    ) -> None:
        """Take note of how long a commit took."""
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
            if problem is None:
                self._offsets.setdefault(TopicPartition(*where), awaited.offset)
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
