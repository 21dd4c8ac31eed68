"""The three brokers on which every promise of the seam is tried."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from fastkafka.messages import Record
from fastkafka.testing import ApacheKafkaBroker, EmbeddedBroker
from fastkafka.transport.base import TopicPartition, Transport
from fastkafka.transport.librdkafka import LibrdkafkaTransport
from fastkafka.transport.memory import MemoryBroker
from tests import clients

_numbers = itertools.count()


Commits = Mapping[int, tuple[int, str]]
"""By partition, an offset and its metadata."""


class Broker(Protocol):
    """What a test of the seam needs beside the seam."""

    servers: str
    transport: Transport

    async def topic(self, partitions: int = 1) -> str:
        """Create a topic of a name that nobody else has."""

    async def create(self, name: str, partitions: int = 1) -> None:
        """Create a topic."""

    async def grow(self, topic: str, partitions: int) -> None:
        """Give a topic so many partitions."""

    async def delete(self, topic: str, partition: int, before: int) -> None:
        """Delete what is below an offset."""

    async def remove(self, topic: str) -> None:
        """Delete a topic."""

    async def fill(
        self, topic: str, values: Sequence[bytes], *, partition: int = 0
    ) -> None:
        """Write records without the seam."""

    async def read(self, topic: str, count: int) -> Sequence[Record]:
        """Read records without the seam."""

    async def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return what a group has committed."""

    async def commits(self, group: str, topic: str) -> Commits:
        """Return what a group has committed, with the metadata."""

    async def commit(self, group: str, topic: str, commits: Commits) -> None:
        """Commit offsets of a group that has no members, as a tool would."""

    def unreachable(self) -> AbstractContextManager[None]:
        """Answer nobody, as long as the context lasts."""


def new_name() -> str:
    """Return a name for a topic or a group."""
    return f"contract-{next(_numbers)}"


class Memory:
    """The broker in memory."""

    servers = "memory:9092"

    def __init__(self) -> None:
        self.broker = MemoryBroker(auto_create_topics=False)
        self.transport: Transport = self.broker

    async def topic(self, partitions: int = 1) -> str:
        await self.create(name := new_name(), partitions)
        return name

    async def create(self, name: str, partitions: int = 1) -> None:
        self.broker.create_topic(name, partitions)

    async def grow(self, topic: str, partitions: int) -> None:
        self.broker.create_partitions(topic, partitions)

    async def delete(self, topic: str, partition: int, before: int) -> None:
        self.broker.delete_records(topic, partition, before)

    async def remove(self, topic: str) -> None:
        self.broker.delete_topic(topic)

    async def fill(
        self, topic: str, values: Sequence[bytes], *, partition: int = 0
    ) -> None:
        for value in values:
            self.broker.produce(topic, value, partition=partition)

    async def read(self, topic: str, count: int) -> Sequence[Record]:
        records = self.broker.messages(topic)
        assert len(records) == count
        return records

    async def committed(self, group: str, topic: str) -> dict[int, int]:
        return self.broker.committed(group, topic)

    async def commits(self, group: str, topic: str) -> Commits:
        metadata = self.broker._group(group).metadata
        return {
            partition: (offset, metadata[TopicPartition(topic, partition)])
            for partition, offset in self.broker.committed(group, topic).items()
        }

    async def commit(self, group: str, topic: str, commits: Commits) -> None:
        found = self.broker._group(group)
        for partition, (offset, metadata) in commits.items():
            found.committed[TopicPartition(topic, partition)] = offset
            found.metadata[TopicPartition(topic, partition)] = metadata

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        self.broker.down()
        yield
        self.broker.up()


class _Wire:
    """What the two brokers have in common that speak Kafka's protocol."""

    idempotent = False

    def __init__(self, servers: str) -> None:
        self.servers = servers
        self.transport: Transport = LibrdkafkaTransport()

    async def fill(
        self, topic: str, values: Sequence[bytes], *, partition: int = 0
    ) -> None:
        await clients.in_thread(
            clients.produce,
            self.servers,
            topic,
            values,
            partition=partition,
            idempotent=self.idempotent,
        )

    async def read(self, topic: str, count: int) -> Sequence[Record]:
        records: list[Record] = await clients.in_thread(
            clients.read, self.servers, topic, count
        )
        return records

    async def committed(self, group: str, topic: str) -> dict[int, int]:
        offsets: dict[int, int] = await clients.in_thread(
            clients.committed, self.servers, group, topic
        )
        return offsets

    async def commits(self, group: str, topic: str) -> Commits:
        found: Commits = await clients.in_thread(
            clients.commits, self.servers, group, topic
        )
        return found

    async def commit(self, group: str, topic: str, commits: Commits) -> None:
        await clients.in_thread(clients.commit, self.servers, group, topic, commits)


class Embedded(_Wire):
    """librdkafka's mock cluster."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        super().__init__(broker.bootstrap_servers)
        self._broker = broker

    async def topic(self, partitions: int = 1) -> str:
        await self.create(name := new_name(), partitions)
        return name

    async def create(self, name: str, partitions: int = 1) -> None:
        self._broker.create_topic(name, partitions)

    async def grow(self, topic: str, partitions: int) -> None:
        raise NotImplementedError

    async def delete(self, topic: str, partition: int, before: int) -> None:
        raise NotImplementedError

    async def remove(self, topic: str) -> None:
        raise NotImplementedError

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        self._broker.broker_down(1)
        yield
        self._broker.broker_up(1)


class Apache(_Wire):
    """A real Apache Kafka."""

    idempotent = True

    def __init__(self, broker: ApacheKafkaBroker) -> None:
        super().__init__(broker.bootstrap_servers)
        self._broker = broker
        self._admin = AdminClient({"bootstrap.servers": self.servers})

    async def topic(self, partitions: int = 1) -> str:
        await self.create(name := new_name(), partitions)
        return name

    async def create(self, name: str, partitions: int = 1) -> None:
        await clients.in_thread(self._broker.create_topic, name, partitions)

    async def grow(self, topic: str, partitions: int) -> None:
        asked = self._admin.create_partitions([NewPartitions(topic, partitions)])
        await clients.in_thread(asked[topic].result)

    async def delete(self, topic: str, partition: int, before: int) -> None:
        where = confluent_kafka.TopicPartition(topic, partition, before)
        asked = self._admin.delete_records([where])
        await clients.in_thread(asked[where].result)

    async def remove(self, topic: str) -> None:
        asked = self._admin.delete_topics([topic])
        await clients.in_thread(asked[topic].result)
        await clients.until(
            lambda: topic not in self._admin.list_topics(timeout=5).topics
        )

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        self._broker.suspend(1)
        yield
        self._broker.resume(1)


KINDS: Mapping[str, tuple[pytest.MarkDecorator, ...]] = {
    "memory": (),
    "embedded": (),
    "kafka": (pytest.mark.kafka,),
}


def on_each(**cannot: str) -> pytest.MarkDecorator:
    """Try a promise on every broker, but not on those that cannot, for a reason."""
    params = [
        pytest.param(
            kind,
            marks=[*marks, pytest.mark.skip(reason=cannot[kind])]
            if kind in cannot
            else marks,
        )
        for kind, marks in KINDS.items()
    ]
    return pytest.mark.parametrize("broker", params, indirect=True)
