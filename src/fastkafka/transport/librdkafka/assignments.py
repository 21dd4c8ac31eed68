"""Which partitions a consumer has: as its group decides, or without one, all.

The client calls back in the poll thread, inside `poll`, `consume` and `close`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import re
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaException

from fastkafka.observe.events import Event
from fastkafka.transport.base import Committed, ConsumerListener, TopicPartition
from fastkafka.transport.librdkafka.backpressure import BackPressure
from fastkafka.transport.librdkafka.commits import Commits
from fastkafka.transport.librdkafka.connection import (
    REQUEST_SECONDS,
    Connection,
    logger,
)
from fastkafka.transport.librdkafka.gaps import Gaps
from fastkafka.transport.librdkafka.starts import Starts
from fastkafka.transport.wording import rewound

NEW_PARTITIONS_SECONDS = 10.0
"""How often topics are looked for that did not exist."""


class Assignments:
    """The partitions of one consumer.

    Args:
        topics: Names and patterns that it reads.
        listener: Told of what comes and goes.
        loop: The listener's.
        tell: Calls a function on the loop.
        starts, commits, gaps, pressure, connection: The consumer's.
        incremental: Whether assignments are changed, rather than replaced.
        revoke_timeout: Seconds that a revoke waits for the listener.
    """

    def __init__(
        self,
        topics: Collection[str],
        listener: ConsumerListener,
        loop: asyncio.AbstractEventLoop,
        tell: Callable[..., None],
        *,
        starts: Starts,
        commits: Commits,
        gaps: Gaps,
        pressure: BackPressure,
        connection: Connection,
        incremental: bool,
        revoke_timeout: float,
    ) -> None:
        self._topics = topics
        self._listener = listener
        self._loop = loop
        self._tell = tell
        self._starts = starts
        self._commits = commits
        self._gaps = gaps
        self._pressure = pressure
        self._connection = connection
        self._incremental = incremental
        self._revoke_timeout = revoke_timeout
        self._next_look = 0.0

    # In a group.

    def subscribe(self, client: Any) -> None:
        """Join the group."""
        client.subscribe(
            self._topics,
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    def _on_assign(self, client: Any, assigned: list[Any]) -> None:
        positions: list[Any] = []
        committed: Mapping[TopicPartition, Committed] = {}
        gaps: list[Event] = []
        if assigned:
            positions, committed, gaps = self._starts.positions(client, assigned)
        self._take_over({p: committed.get(p) for p in _places(assigned)})
        self._look_for_rewinds(committed)
        for gap in gaps:
            self._commits.rewind(TopicPartition(str(gap.topic), gap.partition or 0))
            self._gaps.passed(gap)
        if self._incremental:
            client.incremental_assign(positions)
        else:
            client.assign(positions)
        self._pressure.apply(client)

    def _take_over(self, partitions: Mapping[TopicPartition, Committed | None]) -> None:
        self._pressure.add(partitions)
        self._tell(self._listener.on_assigned, partitions)

    def _look_for_rewinds(self, committed: Mapping[TopicPartition, Committed]) -> None:
        for partition, (offset, _) in committed.items():
            before = self._commits.found(partition, offset)
            if before is not None:
                event = rewound(partition, before, offset)
                logger.warning("%s", event.text)
                self._tell(self._listener.on_event, event)

    def _on_revoke(self, client: Any, revoked: list[Any]) -> None:
        partitions = _places(revoked)
        if not partitions:
            return
        ending = self._listener.on_revoked(partitions)
        try:
            waiting = asyncio.run_coroutine_threadsafe(ending, self._loop)
        except RuntimeError:  # the loop is closed: the program ended without a stop
            ending.close()
            return
        try:
            waiting.result(self._revoke_timeout)
        except (TimeoutError, concurrent.futures.CancelledError):
            waiting.cancel()
            logger.warning(
                "Handlers did not end within %.0f s of a revoke; what they are doing "
                "is not committed, and the partitions' next owner does it again: %s",
                self._revoke_timeout,
                ", ".join(map(str, partitions)),
            )
        self._commit(client, partitions)
        self._forget(partitions)
        if self._incremental:
            client.incremental_unassign(revoked)
        else:
            client.unassign()

    def _commit(self, client: Any, partitions: Collection[TopicPartition]) -> None:
        """Commit what is finished, and wait until it is."""
        try:
            # Of all partitions: the interval commits what is finished in the others.
            self._commits.send(client, self._pressure.intake)
            self._gaps.drop_old_offsets(client, partitions)
            self._commits.commit_now(client, partitions)
        except KafkaException as error:
            self._commits.on_failure(error.args[0])

    def _on_lost(self, client: Any, lost: list[Any]) -> None:
        partitions = _places(lost)
        self._forget(partitions)
        self._tell(self._listener.on_lost, partitions)

    def _forget(self, partitions: Collection[TopicPartition]) -> None:
        for partition in partitions:
            self._pressure.forget(partition)
            self._commits.forget(partition)

    # Without one.

    def by_hand(self, client: Any) -> None:
        """Take every partition, and those that appear later too."""
        now = time.monotonic()
        if now < self._next_look or not self._connection.up:
            return
        first = not self._next_look
        self._next_look = now + NEW_PARTITIONS_SECONDS
        added = []
        try:
            found = client.list_topics(timeout=REQUEST_SECONDS).topics
        except KafkaException:
            self._connection.lost()
            return
        for topic in found:
            if not any(t == topic or re.fullmatch(t, topic) for t in self._topics):
                continue
            offset = self._starts.without_group(topic)
            added += [
                confluent_kafka.TopicPartition(topic, number, offset)
                for number in found[topic].partitions
                if TopicPartition(topic, number) not in self._pressure.intake
            ]
        if added or first:
            self._take_over(dict.fromkeys(_places(added)))
            if added:
                client.incremental_assign(added)
                self._gaps.hint()


def _places(partitions: list[Any]) -> list[TopicPartition]:
    return [TopicPartition(p.topic, p.partition) for p in partitions]
