"""`MemoryBroker`: a Kafka broker that is an object."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from fastkafka.errors import ConfigError
from fastkafka.transport.base import ConsumerListener, Headers, TopicPartition
from fastkafka.transport.intake import POLL_RECORDS
from fastkafka.transport.memory.clock import Clock, LoopClock
from fastkafka.transport.memory.cluster import MAX_MESSAGE_BYTES, Cluster
from fastkafka.transport.memory.consumer import MemoryConsumer
from fastkafka.transport.memory.faults import Request
from fastkafka.transport.memory.groups import Group
from fastkafka.transport.memory.log import MemoryRecord
from fastkafka.transport.memory.lookup import find_client, find_consumer, no_client
from fastkafka.transport.memory.producer import MemoryProducer
from fastkafka.transport.memory.transactions import TransactionalProducer

IsolationLevel = Literal["read_committed", "read_uncommitted"]

_TRANSACTION_SECONDS = 60.0


class MemoryBroker:
    """A Kafka broker in memory: a `Transport` whose clients all talk to it.

    It keeps Kafka's promises where an app can tell: partitions and Java's partitioner,
    groups with generations and cooperative rebalances, committed offsets, retention,
    size limits, transactions with fencing, sessions that expire. There are no threads,
    nothing sleeps, and what Kafka leaves open is decided by *seed*: with a
    `ManualClock`, a test that passes will pass again.

    All clients and all methods belong to one event loop at a time.

    Args:
        topics: Names, with their number of partitions or with *num_partitions*.
        num_partitions: Of topics that appear because a client asks for them.
        auto_create_topics: Whether topics appear like that; otherwise they are missing
            until `create_topic`.
        seed: Decides which partition comes next, and where records without a key go.
        clock: What everything is timed by; default is the event loop's time.
        poll_records: The most records of one poll; fewer make more interleavings.

    Raises:
        ConfigError: A topic cannot be.
    """

    def __init__(
        self,
        topics: Mapping[str, int] | Sequence[str] = (),
        *,
        num_partitions: int = 1,
        auto_create_topics: bool = True,
        seed: int = 0,
        clock: Clock | None = None,
        poll_records: int = POLL_RECORDS,
    ) -> None:
        if isinstance(topics, str):
            raise ConfigError(
                f"MemoryBroker: `topics` is the string {topics!r}. "
                f"Write `topics=[{topics!r}]`."
            )
        self._cluster = Cluster(
            clock=clock or LoopClock(),
            seed=seed,
            num_partitions=num_partitions,
            auto_create_topics=auto_create_topics,
            poll_records=poll_records,
        )
        if not isinstance(topics, Mapping):
            topics = dict.fromkeys(topics, num_partitions)
        for name, partitions in topics.items():
            self._cluster.create_topic(name, partitions)

    # The transport.

    def consumer(
        self,
        config: Mapping[str, Any],
        topics: Collection[str],
        listener: ConsumerListener,
        *,
        start_at: Mapping[str, str],
        on_gap: Mapping[str, str],
        revoke_timeout: float,
    ) -> MemoryConsumer:
        """See `Transport`."""
        return MemoryConsumer(
            self._cluster,
            config,
            topics,
            listener,
            start_at=start_at,
            on_gap=on_gap,
            revoke_timeout=revoke_timeout,
        )

    def producer(
        self, config: Mapping[str, Any], topics: Collection[str]
    ) -> MemoryProducer:
        """See `Transport`."""
        return MemoryProducer(self._cluster, config, topics)

    # Topics and records.

    @property
    def topics(self) -> Sequence[str]:
        """The names of the topics, in the order of their appearance."""
        return tuple(self._cluster.topics)

    def create_topic(
        self,
        name: str,
        partitions: int = 1,
        *,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        retention: float | None = None,
    ) -> None:
        """Create a topic; consumers that wait for it join it at once.

        Args:
            name: The topic's name.
            partitions: How many.
            max_message_bytes: A larger record is refused (``max.message.bytes``).
            retention: Seconds after which a record is deleted (``retention.ms``); None
                is never.

        Raises:
            ConfigError: It exists, or cannot have so many partitions.
        """
        self._cluster.create_topic(
            name, partitions, max_message_bytes=max_message_bytes, retention=retention
        )

    def delete_topic(self, name: str) -> None:
        """Delete a topic, its records, and what groups have committed of it.

        Another one of its name is another topic: it has another id.

        Raises:
            ConfigError: There is no such topic.
        """
        self._cluster.delete_topic(name)

    def create_partitions(self, topic: str, partitions: int) -> None:
        """Give a topic more partitions: so many in all.

        Raises:
            ConfigError: There is no such topic, or it has so many already.
        """
        found = self._cluster.topic(topic)
        if partitions <= len(found.partitions):
            raise ConfigError(
                f"MemoryBroker: topic {topic!r} has {len(found.partitions)} partitions "
                f"and cannot have {partitions!r}. Kafka only adds."
            )
        found.grow(partitions)
        self._cluster.topics_changed()

    def produce(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers | None = None,
        partition: int = -1,
        timestamp: int = 0,
        transaction: TransactionalProducer | None = None,
    ) -> MemoryRecord:
        """Write a record without a client.

        Args:
            topic: Where it goes.
            value: None is a tombstone.
            key: Decides the partition.
            headers: Names and raw values.
            partition: -1 lets the key decide.
            timestamp: Milliseconds since the epoch; 0 is now.
            transaction: Whose open transaction it is part of.

        Raises:
            ClientError: The broker refuses it, or the producer is fenced.
        """
        timestamp = timestamp or int(self._cluster.clock.time() * 1000)
        producer_id = None if transaction is None else transaction.producer_id
        record = MemoryRecord(
            topic, value, key, headers, timestamp, producer_id=producer_id
        )
        refusal = self._cluster.write(record, partition, transaction)
        if refusal is not None:
            raise refusal.error(f"write to '{topic}'")
        return record

    def messages(
        self, topic: str, *, isolation_level: IsolationLevel = "read_committed"
    ) -> list[MemoryRecord]:
        """Return what a topic holds, in the order of arrival.

        Args:
            topic: The topic's name.
            isolation_level: ``"read_uncommitted"`` has open and aborted transactions
                in it, too.

        Raises:
            ConfigError: There is no such topic.
        """
        records: list[MemoryRecord] = []
        for where in self._partitions(topic):
            log = self._cluster.log(where)
            found, _ = log.read(
                log.start,
                log.end - log.start,
                committed=isolation_level == "read_committed",
            )
            records += found
        return sorted(records, key=lambda record: record.arrival)

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        """Delete what is below an offset, as retention does.

        Raises:
            ConfigError: There is no such topic or partition.
        """
        self._cluster.log(self._partition(topic, partition)).delete_before(before)
        self._cluster.wake()

    def truncate(self, topic: str, partition: int, end: int) -> None:
        """Lose the records from an offset on, as an unclean leader election does.

        What is written next takes their offsets.

        Raises:
            ConfigError: There is no such topic or partition.
        """
        self._cluster.log(self._partition(topic, partition)).truncate(end)
        self._cluster.wake()

    # Groups.

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return a group's committed offsets by partition; none where there is none.

        Raises:
            ConfigError: There is no such topic.
        """
        offsets = self._group(group).committed
        return {
            p.partition: offsets[p] for p in self._partitions(topic) if p in offsets
        }

    def lag(self, group: str, topic: str) -> dict[int, int]:
        """Return by partition how many offsets a group has not committed.

        Like Kafka's own tools it counts the markers of transactions, too.

        Raises:
            ConfigError: There is no such topic.
        """
        offsets = self._group(group).committed
        logs = [self._cluster.log(where) for where in self._partitions(topic)]
        return {
            log.where.partition: log.end
            - max(log.start, offsets.get(log.where, log.start))
            for log in logs
        }

    def commit(self) -> None:
        """Let every consumer commit what is finished, as when its interval is over."""
        for client in self._cluster.clients:
            if isinstance(client, MemoryConsumer):
                client.commit_due()

    def members(self, group: str) -> dict[str, set[TopicPartition]]:
        """Return what each member of a group has, by the members' ids."""
        members = self._group(group).members
        return {name: set(member.owned) for name, member in members.items()}

    def generation(self, member_id: str) -> int:
        """Return the last rebalance that a member has caught up with.

        Raises:
            ConfigError: There is no such member.
        """
        for group in self._cluster.groups.values():
            if member_id in group.members:
                return group.members[member_id].generation
        raise no_client(self._cluster, member_id)

    def rebalance(self, group: str | None = None) -> None:
        """Move every partition to another member; a lone member loses and regains its.

        Args:
            group: Which group; None is all of them.
        """
        groups = self._cluster.groups
        for each in groups.values() if group is None else [self._group(group)]:
            each.rotate(self._cluster.chance)

    # What goes wrong.

    def fail(
        self,
        request: Request,
        *,
        error: str,
        topic: str | None = None,
        partition: int | None = None,
        times: int | None = 1,
    ) -> None:
        """Refuse the next requests of one kind.

        Args:
            request: ``"produce"`` is one record, whose delivery fails. ``"commit"`` is
                tried again, with the next one. ``"fetch"`` is tried again unless
                nobody may, and so is ``"join"``, which joins a group. ``"connect"``
                is the start of a client.
            error: Kafka's name of the error, such as ``"NOT_COORDINATOR"``.
            topic: Only those for this topic.
            partition: Only those for this partition of *topic*.
            times: How many; None is all until `heal`.

        Raises:
            ConfigError: There is no such kind of request.
        """
        self._cluster.faults.add(
            request, topic=topic, partition=partition, times=times, code=error
        )

    def delay(
        self,
        seconds: float,
        *,
        topic: str | None = None,
        partition: int | None = None,
        times: int | None = None,
    ) -> None:
        """Acknowledge records late; what is behind one in its partition waits, too.

        Args:
            seconds: How late, by the clock.
            topic: Only records for this topic.
            partition: Only those for this partition of *topic*.
            times: How many; None is all until `heal`.
        """
        self._cluster.faults.add(
            "produce", topic=topic, partition=partition, times=times, delay=seconds
        )

    def heal(self) -> None:
        """End what `fail` and `delay` began."""
        self._cluster.faults.heal()

    def down(self) -> None:
        """Answer nobody: clients wait."""
        self._cluster.up.clear()

    def up(self) -> None:
        """Answer again."""
        self._cluster.up.set()
        for group in self._cluster.groups.values():
            group.reconcile()
        self._cluster.wake()

    def crash(self, client: MemoryConsumer | MemoryProducer | str) -> None:
        """Let a client vanish, as in a process that is killed.

        It commits nothing and does not leave its group, which waits for it until its
        session expires; what a producer has not written it never writes.

        Args:
            client: A client, its id, or the id of a group's member.

        Raises:
            ConfigError: There is no such client.
        """
        find_client(self._cluster, client).vanish()

    def suspend(self, consumer: MemoryConsumer | str) -> None:
        """Let a consumer hang, as in a process that is stopped (SIGSTOP).

        Its handlers run on; but it polls, commits and says nothing. When its session
        expires, its group goes on without it.

        Raises:
            ConfigError: There is no such consumer.
        """
        find_consumer(self._cluster, consumer).suspend()

    def resume(self, consumer: MemoryConsumer | str) -> None:
        """Let a consumer go on that hung.

        If its group went on without it, it finds that out: it has lost its partitions,
        and joins as a new member.

        Raises:
            ConfigError: There is no such consumer.
        """
        find_consumer(self._cluster, consumer).resume()

    # Time.

    def advance(self, seconds: float) -> None:
        """Let time pass at once: commits, sessions, retention, time-outs.

        What falls due is called in its order; the tasks that it sets going run in the
        loop's next turns.
        """
        self._cluster.clock.advance(seconds)
        self._cluster.wake()

    @property
    def busy(self) -> bool:
        """Whether something is left to do; see `idle`."""
        return self._cluster.busy()

    async def idle(self) -> None:
        """Return when nothing is left to do.

        That is, when every record is acknowledged, and finished by the engine of every
        group and consumer that reads it. Offsets may still wait for their commit.
        """
        await self._cluster.idle()

    # Transactions: the seam has none yet, so tests drive them here.

    def init_transactions(
        self, transactional_id: str, *, timeout: float = _TRANSACTION_SECONDS
    ) -> TransactionalProducer:
        """Take a ``transactional.id`` over.

        Who had it is fenced, and what it had open is aborted.

        Args:
            transactional_id: The id.
            timeout: Seconds after which an open transaction is aborted.
        """
        return self._cluster.transactions.init(transactional_id, timeout)

    def begin_transaction(self, producer: TransactionalProducer) -> None:
        """Open a transaction; `produce(..., transaction=producer)` writes in it.

        Raises:
            ClientError: The producer is fenced, or has one open.
        """
        self._cluster.transactions.begin(producer)

    def send_offsets(
        self,
        producer: TransactionalProducer,
        group: str,
        offsets: Mapping[TopicPartition, int],
        *,
        member_id: str,
        generation: int,
    ) -> None:
        """Commit a member's offsets with the open transaction, or not at all.

        Until it ends, those partitions are handed to nobody.

        Raises:
            ClientError: The producer is fenced or has no transaction open, or the
                group has gone on without the member.
        """
        self._cluster.transactions.send_offsets(
            producer, self._group(group), offsets, member_id, generation
        )

    def commit_transaction(self, producer: TransactionalProducer) -> None:
        """Let everybody see what was written.

        Raises:
            ClientError: The producer is fenced, or has no transaction open.
        """
        self._cluster.transactions.end(producer, commit=True)

    def abort_transaction(self, producer: TransactionalProducer) -> None:
        """Hide from those who read committed what was written.

        Raises:
            ClientError: The producer is fenced, or has no transaction open.
        """
        self._cluster.transactions.end(producer, commit=False)

    # Looking up.

    def _group(self, name: str) -> Group:
        return self._cluster.group(name)

    def _partitions(self, topic: str) -> list[TopicPartition]:
        return [log.where for log in self._cluster.topic(topic).partitions]

    def _partition(self, topic: str, number: int) -> TopicPartition:
        partitions = self._partitions(topic)
        if not 0 <= number < len(partitions):
            raise ConfigError(
                f"MemoryBroker: topic {topic!r} has no partition {number!r}. "
                f"It has {len(partitions)}, from 0."
            )
        return partitions[number]
