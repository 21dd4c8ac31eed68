"""The broker that everybody is measured on, and what is in its topics."""

from __future__ import annotations

import itertools
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench.child import KEYS
from fastkafka.errors import FastKafkaError
from fastkafka.testing import ApacheKafkaBroker, EmbeddedBroker
from fastkafka.testing.installation import KAFKA_VERSION

PARTITIONS = 8
EMBEDDED_MOST = 300_000
"""Records that fit: the embedded broker keeps 5 MiB of a partition."""

VALUE = b'{"sepal_length":5.1,"sepal_width":3.5,"petal_length":1.4,"petal_width":%d}'
"""A record's value; its number is the last of its fields."""

_SECONDS = 30.0
_FLUSH_SECONDS = 120.0
ANSWER_SECONDS = 5.0

_EMBEDDED_CONSUMER = {
    "group.protocol": "consumer",  # joins in milliseconds there, "classic" in seconds
    "fetch.wait.max.ms": 10,  # its fetches wait this long even when data arrives
}


class BenchError(Exception):
    """The bench cannot go on."""


FAILURES = (
    BenchError,
    FastKafkaError,
    KafkaException,
    OSError,
    ValueError,  # a result that is none
    subprocess.SubprocessError,
)
"""What ends one measurement and not the whole run."""


@dataclass
class Cluster:
    """A broker and its topics.

    Attributes:
        name: What it is, for the report.
        bootstrap: Its address.
        embedded: It is librdkafka's mock cluster.
    """

    name: str
    bootstrap: str
    embedded: bool
    _create: Callable[[str, int], None]
    _topics: list[str] = field(default_factory=list)
    _groups: list[str] = field(default_factory=list)
    _partitions: dict[str, int] = field(default_factory=dict)

    @property
    def consumer_settings(self) -> dict[str, object]:
        """What a consumer has to set for a fair run on this broker."""
        return _EMBEDDED_CONSUMER if self.embedded else {}

    def create_topic(self, name: str, partitions: int = PARTITIONS) -> str:
        """Create a topic whose name begins with *name*; return its name."""
        return self.create(f"bench-{name}-{uuid.uuid4().hex[:8]}", partitions)

    def create(self, topic: str, partitions: int) -> str:
        """Create a topic of exactly that name."""
        self._create(topic, partitions)
        self._topics.append(topic)
        self._partitions[topic] = partitions
        return topic

    def create_group(self) -> str:
        """Return the name of a new group."""
        group = f"bench-{uuid.uuid4().hex[:8]}"
        self._groups.append(group)
        return group

    def fill(
        self,
        topics: str | Sequence[str],
        records: int,
        *,
        keys: int = KEYS,
        partition: Callable[[int], int] | None = None,
    ) -> None:
        """Write records of about 82 bytes, numbered from 0, and see that they stay.

        Args:
            topics: Where; several get records in turn.
            records: How many in all.
            keys: A record's key is its number modulo this.
            partition: A record's partition by its number; by its key without.

        Raises:
            BenchError: The broker did not keep them all.
        """
        topics = [topics] if isinstance(topics, str) else topics
        where = itertools.cycle(topics)
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,  # or a retry could change the order
                "linger.ms": 20,
                "queue.buffering.max.messages": 500_000,
                "log_level": 3,  # not that the coordinator is still being made
            }
        )
        for number in range(records):
            topic, value, key = next(where), VALUE % number, b"%d" % (number % keys)
            at = -1 if partition is None else partition(number)
            while True:
                try:
                    producer.produce(topic, value, key, at)
                except BufferError:
                    producer.poll(0.1)
                else:
                    break
        if producer.flush(_FLUSH_SECONDS):
            raise BenchError(
                f"The broker at {self.bootstrap} did not acknowledge {records:,} "
                f"records in {_FLUSH_SECONDS:.0f} s."
            )
        kept = sum(end - first for first, end in map(self._offsets, topics))
        if kept != records:
            raise BenchError(
                f"The broker kept {kept:,} of {records:,} records. The embedded "
                "broker keeps 5 MiB of a partition: use fewer `--records`."
            )

    def written(self, topic: str) -> int:
        """Return how many records were ever written to a topic."""
        return self._offsets(topic)[1]

    def committed(self, topic: str, group: str) -> int:
        """Return how many records of a topic a group has committed."""
        partitions = [
            TopicPartition(topic, number) for number in range(self._partitions[topic])
        ]
        with _asking(self.bootstrap, group) as client:
            found = client.committed(partitions, timeout=_SECONDS)
        return sum(partition.offset for partition in found if partition.offset > 0)

    def _offsets(self, topic: str) -> tuple[int, int]:
        """Return the first and the next offset of a topic, summed over partitions."""
        first = end = 0
        with _asking(self.bootstrap) as client:
            for number in range(self._partitions[topic]):
                partition = TopicPartition(topic, number)
                low, high = client.get_watermark_offsets(partition, _SECONDS)
                first, end = first + low, end + high
        return first, end

    def clean_up(self) -> None:
        """Delete the topics and groups that were made, as far as that is allowed."""
        admin = _admin(self.bootstrap)
        waiting: list[Future[None]] = []
        if self._topics:
            waiting += admin.delete_topics(self._topics).values()
        if self._groups:
            waiting += admin.delete_consumer_groups(self._groups).values()
        for future in waiting:
            future.exception(_SECONDS)


@contextmanager
def open_cluster(
    bootstrap: str | None, *, apache: bool, rebalance_delay: float = 0
) -> Iterator[Cluster]:
    """Start a broker, or use the one at *bootstrap*.

    Args:
        bootstrap: Its address; None starts an embedded broker.
        apache: Start an Apache Kafka instead.
        rebalance_delay: Seconds that this one lets a new group wait for members.

    Raises:
        BenchError: No broker answers there, or it creates no topics.
    """
    with ExitStack() as stack:
        if apache:
            delay = {
                "group.initial.rebalance.delay.ms": str(int(rebalance_delay * 1e3))
            }
            address = stack.enter_context(ApacheKafkaBroker(properties=delay))
            name = f"Apache Kafka {KAFKA_VERSION}"
            yield Cluster(name, address, False, _creator(address))
        elif bootstrap is None:
            broker = EmbeddedBroker()
            address = stack.enter_context(broker)
            yield Cluster("embedded broker", address, True, broker.create_topic)
        else:
            _check_answers(bootstrap)
            cluster = Cluster(bootstrap, bootstrap, False, _creator(bootstrap))
            try:
                yield cluster
            finally:
                cluster.clean_up()


def _creator(bootstrap: str) -> Callable[[str, int], None]:
    """Return what creates a topic and waits until it can be written to."""
    admin = _admin(bootstrap)

    def create(topic: str, partitions: int) -> None:
        new = NewTopic(topic, num_partitions=partitions)
        try:
            admin.create_topics([new])[topic].result(_SECONDS)
            deadline = time.monotonic() + _SECONDS
            while not _is_ready(admin.list_topics(topic, timeout=_SECONDS), topic):
                if time.monotonic() > deadline:
                    raise BenchError(f"Topic '{topic}' has no leader yet.")
                time.sleep(0.05)
        except (KafkaException, TimeoutError) as error:
            raise BenchError(
                f"The broker at {bootstrap} does not create topics: {error!r}. Use an "
                "Apache Kafka; without `--bootstrap` a broker is started."
            ) from error

    return create


def _check_answers(bootstrap: str) -> None:
    try:
        _admin(bootstrap).list_topics(timeout=ANSWER_SECONDS)
    except KafkaException as away:
        raise BenchError(
            f"No broker answers at {bootstrap}. Without `--bootstrap` one is started."
        ) from away


def _admin(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})


def _is_ready(metadata: Any, topic: str) -> bool:
    partitions = metadata.topics[topic].partitions.values()
    return bool(partitions) and all(p.leader >= 0 for p in partitions)


@contextmanager
def _asking(bootstrap: str, group: str = "bench") -> Iterator[Consumer]:
    """Make a consumer that joins nothing, to ask for offsets."""
    client = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    try:
        yield client
    finally:
        client.close()
