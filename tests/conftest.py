"""What every test may use: the embedded broker, and `--kafka` for a real one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastkafka.testing import EmbeddedBroker


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kafka",
        action="store_true",
        help="run the tests that need a real Apache Kafka, too",
    )


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    if config.getoption("--kafka"):
        return
    needs_kafka = [item for item in items if item.get_closest_marker("kafka")]
    if needs_kafka:
        config.hook.pytest_deselected(items=needs_kafka)
        items[:] = [item for item in items if item not in needs_kafka]


@pytest.fixture
def embedded() -> Iterator[EmbeddedBroker]:
    """A broker of this test's own that has started, without topics."""
    broker = EmbeddedBroker()
    with broker:
        yield broker
