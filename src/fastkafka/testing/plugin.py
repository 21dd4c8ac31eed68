"""A pytest plugin: brokers, topics and testers as fixtures.

pytest loads it wherever FastKafka is installed, so that nothing but pytest is imported
here before a fixture is used.
"""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import fastkafka.testing

_LONGEST_NAME = 200
_SESSION = secrets.token_hex(4)
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[str]:
    """Start an embedded broker for the session, and return its bootstrap servers.

    It speaks Kafka's protocol on loopback; see `EmbeddedBroker` for what it lacks.
    """
    with fastkafka.testing.EmbeddedBroker() as bootstrap_servers:
        yield bootstrap_servers


@pytest.fixture
def kafka_topic(request: pytest.FixtureRequest) -> str:
    """Return a topic's name that no other test gets, nor this one the next time."""
    test = re.sub(r"[^a-zA-Z0-9._-]+", "-", request.node.name)[:_LONGEST_NAME]
    return f"{test.strip('-')}-{_SESSION}-{next(_numbers)}"


@pytest.fixture(name="tester")
def make_tester() -> Callable[..., Any]:
    """Return what makes a `Tester`: `async with tester(app) as t: ...`.

    It takes the arguments of `Tester`.
    """
    return fastkafka.testing.Tester
