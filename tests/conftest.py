"""What every test may use: the embedded broker, and `--kafka` for a real one."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from fastkafka.testing import EmbeddedBroker
from tests.ports import unused_port

# The processes that tests start share the machine with the other tests. Each model of
# the guides would have its own threads spin on every core while it learns.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background has SIGINT ignored, and the programs
# that they start would inherit that: they would not hear of a Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kafka",
        action="store_true",
        help="run the tests that need a real Apache Kafka, too",
    )
    parser.addoption(
        "--browser",
        action="store_true",
        help="run the tests that drive the page in chromium, too",
    )
    parser.addoption(
        "--long",
        action="store_true",
        help="simulate 10,000 schedules rather than 200",
    )


def pytest_configure() -> None:
    """Look for no garbage while tests are collected: that is a quarter of it."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Look for garbage among what the tests make, not in what was collected."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    unwanted = [m for m in ("kafka", "browser") if not config.getoption(f"--{m}")]
    left_out = [i for i in items if any(i.get_closest_marker(m) for m in unwanted)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


TOGETHER = {
    "tests/cli/test_ctl_command.py": "a run that is controlled",
    "tests/cli/test_dev.py": "an app that is developed",
    "tests/cli/test_probes_of_a_run.py": "a run that is probed",
    "tests/compat/test_clusters.py": "guides",
    "tests/compat/test_encoding.py": "guides",
    "tests/compat/test_hello.py": "greetings",
    "tests/compat/test_iris.py": "guides",
    "tests/test_readme.py": "guides",
}
"""Files whose tests share running apps, or scikit-learn, and with which others. One
process runs those, one after another, while the other tests go to whichever process has
time."""


class Schedule(LoadScopeScheduling):  # type: ignore[misc]
    """What pytest-xdist runs where."""

    def _split_scope(self, nodeid: str) -> str:
        return TOGETHER.get(nodeid.partition("::")[0], nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(
    config: pytest.Config, log: Any
) -> LoadScopeScheduling | None:
    return Schedule(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.fixture
def unused_tcp_port() -> int:
    """A port that nobody has and nobody gets."""
    return unused_port()


@pytest.fixture
def embedded() -> Iterator[EmbeddedBroker]:
    """A broker of this test's own that has started, without topics."""
    broker = EmbeddedBroker()
    with broker:
        yield broker
