"""The broker that a test of the seam runs on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from fastkafka.testing import ApacheKafkaBroker, EmbeddedBroker
from tests.contract.brokers import KINDS, Apache, Broker, Embedded, Memory
from tests.contract.members import Members


@pytest.fixture(scope="session")
def embedded_for_all() -> Iterator[EmbeddedBroker]:
    with (broker := EmbeddedBroker()):
        yield broker


@pytest.fixture(scope="session")
def apache_for_all() -> Iterator[ApacheKafkaBroker]:
    with (
        broker := ApacheKafkaBroker(properties={"auto.create.topics.enable": "false"})
    ):
        yield broker


@pytest.fixture(params=[pytest.param(k, marks=marks) for k, marks in KINDS.items()])
def broker(request: pytest.FixtureRequest) -> Broker:
    """One of the brokers: by default, the test runs on each."""
    make: dict[str, Callable[[], Broker]] = {
        "memory": Memory,
        "embedded": lambda: Embedded(request.getfixturevalue("embedded_for_all")),
        "kafka": lambda: Apache(request.getfixturevalue("apache_for_all")),
    }
    return make[request.param]()


@pytest.fixture
async def members(broker: Broker) -> AsyncIterator[Members]:
    """Makes consumers and producers, and stops those that a test leaves running."""
    made = Members(broker)
    yield made
    await made.stop()
