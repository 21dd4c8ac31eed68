"""The probes of a run: whatever befalls it, they say so, and when it is over.

The tests share it, and run in one process one after another: see `TOGETHER`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastkafka.testing import EmbeddedBroker
from tests.cli.test_http import Server, until
from tests.cli.test_run import APP, Command, run
from tests.clients import produce

PRODUCE = 0
TOPIC_AUTHORIZATION_FAILED = 29

SHOP = (
    APP.replace("import FastKafka", "import FastKafka, Retry")
    + """
import pathlib
from fastkafka.engine import deadletters

deadletters.LONGEST_DELAY = deadletters.FIRST_DELAY

@app.consumes(topic="orders", auto_commit_interval_ms=100, retry=Retry(attempts=1))
async def on_orders(message: str):
    if message == "block":
        while not pathlib.Path("go-on").exists():
            time.sleep(0.01)
    if message == "fail":
        while not pathlib.Path("fail").exists():
            await asyncio.sleep(0.01)
        raise ValueError(message)
"""
)
"""It tries once a second to write a dead letter, however often it could not."""


class Probed:
    """A run, its probes, its file, and its broker."""

    def __init__(self, broker: EmbeddedBroker, folder: Path) -> None:
        self.broker, self.folder = broker, folder
        self._file = folder / "alive"
        (folder / "shop.py").write_text(SHOP)
        options = (
            f"--kafka-broker={broker.bootstrap_servers}",
            *("--http=127.0.0.1:0", f"--health-file={self._file}"),
        )
        command = [sys.executable, "-m", *run(*options, "shop:app")]
        self.command = Command(command, folder)
        (url,) = self.command.wait_for(r"Page, probes and metrics: (\S+)")
        self._server = Server(url)
        until(self.all_is_well)

    def send(self, value: bytes) -> None:
        """Send an order."""
        produce(self.broker.bootstrap_servers, "orders", [value])

    def reasons(self) -> set[str]:
        """Return what makes it not ready."""
        _, text = self._server.get("/readyz")
        return {reason["kind"] for reason in json.loads(text)["reasons"]}

    def all_is_well(self) -> bool:
        """Whether it is ready."""
        return self._server.get("/readyz")[0] == 200

    def is_live(self) -> bool:
        """Whether the probe and the file say so."""
        return self._server.get("/livez")[0] == 200 and self._file.exists()


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probed]:
    """A run that is ready, and is so again after each test."""
    broker = EmbeddedBroker({"orders": 1})
    with broker:
        started = Probed(broker, tmp_path_factory.mktemp("probed"))
        yield started
        started.command.process.kill()
        started.command.end()


def test_a_blocked_loop_makes_a_run_not_ready_until_it_turns(probed: Probed) -> None:
    probed.send(b'"block"')
    until(lambda: probed.reasons() == {"blocked_loop"})
    assert probed.is_live()

    (probed.folder / "go-on").touch()
    until(probed.all_is_well)
    assert probed.is_live()


def test_dead_letters_that_are_refused_make_a_run_not_ready_until_they_are_not(
    probed: Probed,
) -> None:
    # The broker refuses its dead letter, but not the record that becomes one.
    probed.broker.create_topic("orders-dlt", partitions=1)
    probed.send(b'"fail"')
    probed.broker.fail_requests(PRODUCE, TOPIC_AUTHORIZATION_FAILED, times=5)
    (probed.folder / "fail").touch()
    until(lambda: "dead_letters_fail" in probed.reasons())
    assert probed.is_live()

    until(probed.all_is_well)
    assert probed.is_live()


def test_a_broker_that_is_away_makes_a_run_not_ready_until_it_is_back(
    probed: Probed,
) -> None:
    probed.broker.broker_down(1)
    until(lambda: "no_broker" in probed.reasons())
    assert probed.is_live()

    probed.broker.broker_up(1)
    until(probed.all_is_well)
    assert probed.is_live()
