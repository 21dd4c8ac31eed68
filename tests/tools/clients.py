"""What the tests of the tools send beforehand."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from confluent_kafka import Producer

from fastkafka import FastKafka
from fastkafka.tools.records import RecordReader
from fastkafka.tools.topics import AppTopic, Clusters, app_topics, topic_named
from tests.clients import WAIT_SECONDS
from tests.tools import shop

Header = tuple[str, bytes | None]


class Sent:
    """Sends records one by one, so that their order is known."""

    def __init__(self, servers: str) -> None:
        self._producer = Producer({"bootstrap.servers": servers, "linger.ms": 0})

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: Sequence[Header] = (),
        partition: int = 0,
        timestamp: int = 0,
    ) -> None:
        self._producer.produce(
            topic,
            value,
            key,
            partition,
            headers=list(headers) or None,
            timestamp=timestamp,
        )
        assert self._producer.flush(WAIT_SECONDS) == 0


@contextmanager
def looking(app: FastKafka, servers: str) -> Iterator[tuple[Clusters, list[AppTopic]]]:
    """Give the clusters and the topics of an app at an address."""
    app.set_bootstrap_servers(servers)
    with Clusters() as clusters:
        yield clusters, app_topics(app, clusters)


@contextmanager
def looking_at(
    app: FastKafka, servers: str, topic: str
) -> Iterator[tuple[Clusters, AppTopic]]:
    with looking(app, servers) as (clusters, topics):
        yield clusters, topic_named(topics, topic)


@contextmanager
def reading(
    servers: str, topic: str, longest: int | None = None
) -> Iterator[RecordReader]:
    """Read a topic of the shop."""
    with (
        looking_at(shop.app, servers, topic) as (clusters, place),
        RecordReader(place, clusters, longest=longest) as reader,
    ):
        yield reader


def spring(
    *,
    topic: str = "orders",
    partition: int = 0,
    offset: int = 0,
    error: str = "builtins.ValueError",
    message: str = "no",
    trace: str = "Traceback",
) -> list[Header]:
    """Return the headers of a dead letter as Spring and FastKafka write them."""
    p = "kafka_dlt-"
    return [
        (f"{p}original-topic", topic.encode()),
        (f"{p}original-partition", struct.pack(">i", partition)),
        (f"{p}original-offset", struct.pack(">q", offset)),
        (f"{p}original-timestamp", struct.pack(">q", 1_700_000_000_000)),
        (f"{p}original-timestamp-type", b"CreateTime"),
        (f"{p}original-consumer-group", b"shop"),
        (f"{p}exception-fqcn", error.encode()),
        (f"{p}exception-cause-fqcn", error.encode()),
        (f"{p}exception-message", message.encode()),
        (f"{p}exception-stacktrace", trace.encode()),
        ("kafka_deliveryAttempt", struct.pack(">i", 3)),
    ]
