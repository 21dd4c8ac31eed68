"""One Apache Kafka for every test in this folder."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from fastkafka.testing import ApacheKafkaBroker


@pytest.fixture(scope="session")
def apache_kafka_broker() -> Iterator[ApacheKafkaBroker]:
    broker = ApacheKafkaBroker()
    with broker:
        yield broker


@pytest.fixture(scope="session")
def apache_kafka(apache_kafka_broker: ApacheKafkaBroker) -> str:
    """The bootstrap servers of a broker that all tests here share: break nothing."""
    return apache_kafka_broker.bootstrap_servers


@pytest.fixture(scope="session")
def _numbers() -> Iterator[int]:
    return itertools.count()


@pytest.fixture
def topic(
    apache_kafka_broker: ApacheKafkaBroker, _numbers: Iterator[int]
) -> Callable[..., str]:
    """Create a topic with that many partitions; its name is nobody else's."""

    def create(partitions: int = 1) -> str:
        name = f"topic-{next(_numbers)}"
        apache_kafka_broker.create_topic(name, partitions)
        return name

    return create
