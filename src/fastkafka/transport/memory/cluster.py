"""What the clients of one broker share: topics, groups, faults, chance and time."""

from __future__ import annotations

import asyncio
import base64
import itertools
import random
import re
from collections.abc import Iterable
from typing import Protocol

from fastkafka.errors import BrokerUnavailableError, ConfigError, did_you_mean
from fastkafka.policies import SUFFIX, leaves_out_dead_letters
from fastkafka.transport.base import TopicPartition
from fastkafka.transport.memory.clock import Clock, done_within
from fastkafka.transport.memory.faults import Faults, Refusal
from fastkafka.transport.memory.groups import Group
from fastkafka.transport.memory.log import MemoryRecord, PartitionLog, Topic
from fastkafka.transport.memory.partitioner import choose_partition
from fastkafka.transport.memory.transactions import (
    TransactionalProducer,
    Transactions,
)

CONNECT_SECONDS = 10.0
"""How long a start waits for a broker that is away."""

MAX_MESSAGE_BYTES = 1_048_588
"""Kafka's default of ``max.message.bytes``."""


_PATTERN = "^"
"""What begins a subscription that is a regular expression, as in librdkafka."""


def is_meant(subscription: str, topic: str) -> bool:
    """Whether a name or a pattern means a topic."""
    if not subscription.startswith(_PATTERN):
        return subscription == topic
    if topic.endswith(SUFFIX) and leaves_out_dead_letters(subscription):
        return False
    return bool(re.fullmatch(subscription, topic))


class Client(Protocol):
    """A consumer or a producer that has started."""

    @property
    def busy(self) -> bool:
        """Whether it has records that are not finished, or not acknowledged."""

    def wake(self) -> None:
        """Look whether there is something to do."""


class Cluster:
    """See the module.

    Args:
        clock: What everything is timed by.
        seed: Decides what Kafka leaves open.
        num_partitions: Of a topic that appears because a client asks for it.
        auto_create_topics: Whether topics appear like that.
        poll_records: The most records of one poll.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        seed: int,
        num_partitions: int,
        auto_create_topics: bool,
        poll_records: int,
    ) -> None:
        self.clock = clock
        self.chance = random.Random(seed)
        self.poll_records = poll_records
        self.faults = Faults()
        self.topics: dict[str, Topic] = {}
        self.groups: dict[str, Group] = {}
        self.transactions = Transactions(clock, self.wake)
        self.clients: list[Client] = []
        self.up = asyncio.Event()
        self.up.set()
        self._num_partitions = num_partitions
        self._auto_create_topics = auto_create_topics
        self._arrivals = itertools.count()
        self._names = itertools.count(1)
        self._topic_ids = itertools.count(1)
        self._idle: list[asyncio.Future[None]] = []

    # Clients.

    async def connect(self, servers: str) -> None:
        """Return when the broker answers.

        Raises:
            BrokerUnavailableError: It is away for `CONNECT_SECONDS`.
            ClientError: A test wants it to refuse.
        """
        if not self.up.is_set():
            waiting = asyncio.ensure_future(self.up.wait())
            if not await done_within(self.clock, CONNECT_SECONDS, waiting):
                waiting.cancel()
                raise BrokerUnavailableError(
                    f"No broker answers at {servers}. Is Kafka running? To try "
                    "without one: `--kafka-broker embedded`.",
                    bootstrap_servers=servers,
                )
        if (refusal := self.faults.refusal("connect")) is not None:
            raise refusal.error("connect")

    def name(self, kind: str) -> str:
        """Return a name that no other client has."""
        return f"{kind}-{next(self._names)}"

    def wake(self) -> None:
        """Let every client look whether there is something to do."""
        for client in list(self.clients):
            client.wake()
        self.changed()

    def group(self, name: str) -> Group:
        """Return a group, a new one if it has none of that name."""
        if name not in self.groups:
            self.groups[name] = Group(
                name, self.clock, self.partitions_of, self.up.is_set
            )
        return self.groups[name]

    # Topics.

    def not_there(self, topics: Iterable[str]) -> list[str]:
        """Return the topics that do not exist; patterns left out."""
        names = (name for name in topics if not name.startswith(_PATTERN))
        return [name for name in names if name not in self.topics]

    def missing(self, topics: Iterable[str]) -> list[str]:
        """Return the topics that do not exist, if they do not appear by themselves."""
        missing = self.not_there(topics)
        if not self._auto_create_topics:
            return missing
        for name in missing:
            self.create_topic(name, self._num_partitions)
        return []

    def create_topic(
        self,
        name: str,
        partitions: int,
        *,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        retention: float | None = None,
    ) -> None:
        """Create a topic, and let those read it that wait for it.

        Raises:
            ConfigError: It exists, or cannot have so many partitions.
        """
        if name in self.topics:
            raise ConfigError(f"MemoryBroker: topic {name!r} exists already.")
        if partitions < 1:
            raise ConfigError(
                f"MemoryBroker: topic {name!r} cannot have {partitions!r} partitions. "
                "Give at least 1."
            )
        number = next(self._topic_ids).to_bytes(16, "big")
        topic_id = base64.b64encode(number).decode().rstrip("=")
        self.topics[name] = Topic(
            name,
            topic_id,
            partitions,
            max_message_bytes=max_message_bytes,
            retention=retention,
        )
        self.topics_changed()

    def delete_topic(self, name: str) -> None:
        """Delete a topic, and what groups have committed of it.

        Raises:
            ConfigError: It does not exist.
        """
        deleted = self.topic(name)
        del self.topics[name]
        for group in self.groups.values():
            group.forget(log.where for log in deleted.partitions)
        self.topics_changed()

    def topics_changed(self) -> None:
        """Share new partitions out."""
        for group in self.groups.values():
            group.rebalance()
        self.wake()

    def topic(self, name: str) -> Topic:
        """Return a topic.

        Raises:
            ConfigError: It does not exist.
        """
        if name not in self.topics:
            raise ConfigError(
                f"MemoryBroker: there is no topic {name!r}."
                f"{did_you_mean(name, self.topics)}"
            )
        return self.topics[name]

    def partitions_of(self, topics: Iterable[str]) -> list[TopicPartition]:
        """Return the partitions of those topics, or patterns, that exist."""
        return [
            log.where
            for topic in self.topics.values()
            if any(is_meant(name, topic.name) for name in topics)
            for log in topic.partitions
        ]

    def topic_id(self, where: TopicPartition) -> str | None:
        """Return the id of a partition's topic; None if there is no such partition."""
        topic = self.topics.get(where.topic)
        there = topic is not None and where.partition < len(topic.partitions)
        return topic.id if topic is not None and there else None

    def log(self, where: TopicPartition) -> PartitionLog:
        """Return a partition's log as it is at this moment."""
        topic = self.topics[where.topic]
        log = topic.partitions[where.partition]
        if topic.retention is not None:
            log.expire(int((self.clock.time() - topic.retention) * 1000))
        return log

    def write(
        self,
        record: MemoryRecord,
        partition: int,
        producer: TransactionalProducer | None = None,
    ) -> Refusal | None:
        """Write a record; return why not.

        Args:
            record: What to write.
            partition: -1 lets the key decide.
            producer: Whose transaction it belongs to.
        """
        if self.missing([record.topic()]):
            return Refusal("_UNKNOWN_TOPIC")
        topic = self.topics[record.topic()]
        if partition < 0:
            partition = choose_partition(
                record.key(), len(topic.partitions), self.chance
            )
        elif partition >= len(topic.partitions):
            return Refusal("_UNKNOWN_PARTITION")
        record.where = TopicPartition(topic.name, partition)
        log = self.log(record.where)
        refusal = self.faults.refusal("produce", log.where)
        if refusal is None and record.batch_size > topic.max_message_bytes:
            refusal = Refusal("MSG_SIZE_TOO_LARGE")
        if refusal is None:
            if producer is not None:
                self.transactions.write(producer, log)
            log.append(record, next(self._arrivals))
            self.wake()
        return refusal

    # Rest.

    def changed(self) -> None:
        """Tell who waits for it that nothing is left to do, if that is so."""
        if self._idle and not self.busy():
            idle, self._idle = self._idle, []
            for waiting in idle:
                if not waiting.done():
                    waiting.set_result(None)

    async def idle(self) -> None:
        """Return when every record is acknowledged, and finished by its readers."""
        if self.busy():
            waiting = asyncio.get_running_loop().create_future()
            self._idle.append(waiting)
            await waiting

    def busy(self) -> bool:
        """Whether something is left to do."""
        return any(client.busy for client in self.clients) or any(
            self._has_orphans(group) for group in self.groups.values()
        )

    def _has_orphans(self, group: Group) -> bool:
        """Whether there are records for a group in partitions that nobody has."""
        members = group.members.values()
        wanted = {topic for member in members for topic in member.client.topics}
        orphans = set(self.partitions_of(wanted))
        orphans -= {p for m in members if m.client.answers for p in m.owned}
        return any(
            self.log(where).has_after(group.committed.get(where, 0))
            for where in orphans
        )
