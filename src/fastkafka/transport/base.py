"""The only seam to the outside: what the engine needs of Kafka, and no more.

`librdkafka.py` implements it with confluent-kafka. A fake for tests implements the
same three protocols; nothing above this line knows which one it talks to.

Threads: the engine calls a consumer from the event loop only, and a consumer calls
its listener on the event loop only. A producer may be called from any thread; its
delivery callbacks come from a thread of the producer's, or on the loop, and must not
block.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from fastkafka.errors import BrokerUnavailableError, ClientError, ProduceError
from fastkafka.messages import Record
from fastkafka.observe.events import Delivered, Event, Measure

Headers = Sequence[tuple[str, bytes]]
"""Record headers in order; a name may appear more than once."""


class TopicPartition(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


class Run(NamedTuple):
    """Records of one partition in offset order, as they came in one poll."""

    partition: TopicPartition
    records: Sequence[Record]
    size: int
    """Bytes of the values together."""


class Committed(NamedTuple):
    """What a group has committed of a partition.

    Attributes:
        offset: The next one to read.
        metadata: What the engine noted there; which topic the offset is of the consumer
            notes beside it, and reads itself.
    """

    offset: int
    metadata: str


class ConsumerListener(Protocol):
    """What a consumer tells the engine, always on the event loop, always in order."""

    def on_assigned(
        self, partitions: Mapping[TopicPartition, Committed | None]
    ) -> None:
        """Take over partitions, and what is committed of each; their records follow."""

    def on_records(self, runs: Sequence[Run]) -> None:
        """Take in what one poll brought, grouped by partition."""

    async def on_revoked(self, partitions: Collection[TopicPartition]) -> None:
        """Stop intake of *partitions* and let what is in flight end.

        The consumer waits for this, but no longer than its `revoke_timeout`; then it
        commits what was `finished` and gives the partitions up.
        """

    def on_lost(self, partitions: Collection[TopicPartition]) -> None:
        """Forget *partitions*, which belong to another member by now."""

    def on_sought(self, partition: TopicPartition, offset: int) -> None:
        """Take *partition* up anew: its records from *offset* on follow, no others."""

    def on_error(self, error: ClientError) -> None:
        """Hear of an error of the client: fatal, or lasting until it is retried."""

    def on_event(self, event: Event) -> None:
        """Hear of a "gap", that the topic was "made_again", or the group "rewound".

        Behind a topic that was made again, and behind a gap at a lower offset than what
        came before, a partition begins anew: what was read of it before does not count,
        and what is `finished` of that until this returns is ignored.
        """


class ConsumerState(NamedTuple):
    """How a consumer is, for those who watch it. Times are the event loop's."""

    connected: bool = True
    """A broker answers, as far as the consumer knows."""
    polled: float = 0.0
    """When its thread last asked for records."""
    commits: int = 0
    """Commits that succeeded."""
    commit_failures: int = 0
    commit_seconds: float = 0.0
    """From sending commits to their answers."""
    poll_seconds: float = 0.0
    """That its thread spent in the client, waiting for records and taking them."""
    failing_since: float | None = None
    """When commits began to fail; None when the last one succeeded."""
    missing: Collection[str] = ()
    """Topics that it subscribes to and that do not exist."""
    paused: Collection[TopicPartition] = ()
    """Partitions whose intake is full."""
    ends: Mapping[TopicPartition, int] = {}
    """The end of each assigned partition, as far as it is known."""


class Consumer(Protocol):
    """A member of one group, subscribed to some topics."""

    @property
    def settles(self) -> float:
        """Seconds after which a member that was assigned nothing is a standby."""

    def measure(self, tell: Measure) -> None:
        """From the start on, tell of each poll that brings records, and each commit
        that somebody waits for, on the event loop; to be called before `start`."""

    async def start(self) -> Collection[str]:
        """Connect and subscribe; return before the first assignment.

        Returns:
            The topics that do not exist. They are joined when somebody makes them.

        Raises:
            BrokerUnavailableError: No broker answered.
            ClientError: The broker refused: group, topic or credentials.
        """

    def finished(self, partition: TopicPartition, offset: int) -> None:
        """Everything below *offset* is done: commit it when it suits the client."""

    def note(self, partition: TopicPartition, metadata: str) -> None:
        """Let *metadata* travel with the partition's commits from now on.

        It is committed within the interval also when the offset does not move.
        """

    async def commit(
        self, partition: TopicPartition, offset: int, metadata: str
    ) -> None:
        """Commit now, and return when it is acknowledged.

        Raises:
            ClientError: The coordinator refused.
        """

    def taken(self, partition: TopicPartition, records: int, size: int) -> None:
        """*records* of *size* bytes left the engine: there is room for others."""

    async def seek(self, partition: TopicPartition, offset: int) -> bool:
        """Read an assigned partition from *offset* on, and commit that at once.

        The listener hears of it in `on_sought`. What was `finished` before and is not
        committed yet never will be. An offset that the log does not have is a gap; see
        `Transport.consumer`.

        Returns:
            Whether the coordinator has acknowledged the commit within a few seconds.

        Raises:
            ClientError: The partition is not assigned, or not any more when its turn
                comes; one that came back since is another assignment.
        """

    def pause(self) -> None:
        """Stop intake of every partition, but stay in the group."""

    def state(self) -> ConsumerState:
        """Return how it is."""

    async def stop(self, timeout: float) -> None:
        """Commit what is `finished`, leave the group, close the client.

        Args:
            timeout: Seconds after which it is given up: the client is abandoned, and
                what it could not commit will be read again.
        """


class ProducerState(NamedTuple):
    """How a producer is, for those who watch it."""

    connected: bool = True
    """A broker answers, as far as the producer knows."""
    queued: int = 0
    """Records that are not acknowledged yet."""
    refused: Mapping[str, int] = {}
    """Records that were not acknowledged in the end, by topic."""


class Producer(Protocol):
    """Sends records to one cluster."""

    async def start(self) -> Collection[str]:
        """Connect.

        Returns:
            The topics that do not exist.

        Raises:
            BrokerUnavailableError: No broker answered.
        """

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        headers: Headers | None,
        partition: int,
        timestamp: int,
        delivered: Delivered,
        /,
    ) -> bool:
        """Queue one record; never blocks and never drops.

        What is above the client's own queue is kept in order until there is room.

        Args:
            topic: Where it goes.
            value: None is a tombstone.
            key: Records of one key go to one partition.
            headers: Names and raw values.
            partition: -1 lets Java's partitioner (murmur2) choose by the key.
            timestamp: Milliseconds since the epoch; 0 is now.
            delivered: Called with the outcome.

        Returns:
            Whether callers should wait for room before they send more; as `full`.

        Raises:
            ProduceError: The record can be seen to be refused: it is too large.
        """

    async def partitions(self, topic: str) -> int | None:
        """Return how many partitions a topic has; None if it does not exist.

        Raises:
            ClientError: No broker says.
        """

    async def create_topic(self, topic: str, *, like: str) -> int:
        """Create a topic with as many partitions as another has; return how many.

        Raises:
            ClientError: The broker refuses, or none answers.
        """

    @property
    def full(self) -> bool:
        """Whether callers should wait for room before they send more."""

    async def room(self) -> None:
        """Return when the queue is no longer full."""

    def wait_for_room(self) -> None:
        """Block the calling thread, never the event loop's, until there is room."""

    def once_more(self, error: Any, record: Any, delivered: Delivered, /) -> bool:
        """Send a record again, alone, of which it is not clear what became.

        It may have been refused for its batch-mates; or, without an error, it got no
        offset, which the client also calls success.

        Returns:
            Whether it was sent, and *delivered* will be called; False when what is
            known of it is right.
        """

    def explain(self, error: Any, record: Any) -> ProduceError:
        """Translate what a `Delivered` callback was given, and count it as refused."""

    def state(self) -> ProducerState:
        """Return how it is."""

    async def stop(self, timeout: float) -> int:
        """Flush for at most *timeout* seconds and close.

        Returns:
            How many records were still not acknowledged.
        """


class Transport(Protocol):
    """Makes consumers and producers for one kind of broker."""

    def consumer(
        self,
        config: Mapping[str, Any],
        topics: Collection[str],
        listener: ConsumerListener,
        *,
        start_at: Mapping[str, str],
        on_gap: Mapping[str, str],
        revoke_timeout: float,
    ) -> Consumer:
        """Make a consumer.

        Args:
            config: librdkafka's names, from `settings.consumer_config`.
            topics: What to subscribe to.
            listener: Who takes the records.
            start_at: Per topic ``"earliest"``, ``"latest"`` or ``"none"``: where a
                group that has committed nothing starts.
            on_gap: Per topic ``"stop"``, ``"earliest"`` or ``"latest"``: what follows
                when the broker no longer has the group's offset, or when the topic was
                deleted and made again, so that the offset is of another log. Nothing
                that was finished of the old one is committed into the new one.
            revoke_timeout: Seconds that a revoke waits for what is in flight.
        """

    def producer(self, config: Mapping[str, Any], topics: Collection[str]) -> Producer:
        """Make a producer.

        Args:
            config: librdkafka's names, from `settings.producer_config`.
            topics: What it is known to write to.
        """


__all__ = [
    "BrokerUnavailableError",
    "Committed",
    "Consumer",
    "ConsumerListener",
    "ConsumerState",
    "Delivered",
    "Headers",
    "Producer",
    "ProducerState",
    "Record",
    "Run",
    "TopicPartition",
    "Transport",
]
