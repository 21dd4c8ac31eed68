"""The probes of a run: whatever befalls it, they say so, and when it is over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fastkafka.testing import EmbeddedBroker
from tests.cli.test_http import Server, until
from tests.cli.test_http import start as start
from tests.cli.test_run import APP, Command
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
    """A run, its probes, and its file."""

    def __init__(
        self, start: Callable[..., Command], broker: EmbeddedBroker, folder: Path
    ) -> None:
        self.file = folder / "alive"
        broker.create_topic("orders", partitions=1)
        command = start(
            *("--num-workers=1", f"--kafka-broker={broker.bootstrap_servers}"),
            *("--http=127.0.0.1:0", f"--health-file={self.file}"),
            app=SHOP,
        )
        (url,) = command.wait_for(r"Page, probes and metrics: (\S+)")
        self.server = Server(url)
        until(self.all_is_well)

    def reasons(self) -> set[str]:
        """Return what makes it not ready."""
        _, text = self.server.get("/readyz")
        return {reason["kind"] for reason in json.loads(text)["reasons"]}

    def all_is_well(self) -> bool:
        """Whether it is ready."""
        return self.server.get("/readyz")[0] == 200

    def is_live(self) -> bool:
        """Whether the probe and the file say so."""
        return self.server.get("/livez")[0] == 200 and self.file.exists()


@pytest.fixture
def probed(
    start: Callable[..., Command], embedded: EmbeddedBroker, tmp_path: Path
) -> Probed:
    """A run that is ready."""
    return Probed(start, embedded, tmp_path)


def test_a_blocked_loop_makes_a_run_not_ready_until_it_turns(
    probed: Probed, embedded: EmbeddedBroker, tmp_path: Path
) -> None:
    produce(embedded.bootstrap_servers, "orders", [b'"block"'])
    until(lambda: probed.reasons() == {"blocked_loop"})
    assert probed.is_live()

    (tmp_path / "go-on").touch()
    until(probed.all_is_well)
    assert probed.is_live()


def test_dead_letters_that_are_refused_make_a_run_not_ready_until_they_are_not(
    probed: Probed, embedded: EmbeddedBroker, tmp_path: Path
) -> None:
    # The broker refuses its dead letter, but not the record that becomes one.
    embedded.create_topic("orders-dlt", partitions=1)
    produce(embedded.bootstrap_servers, "orders", [b'"fail"'])
    embedded.fail_requests(PRODUCE, TOPIC_AUTHORIZATION_FAILED, times=5)
    (tmp_path / "fail").touch()
    until(lambda: "dead_letters_fail" in probed.reasons())
    assert probed.is_live()

    until(probed.all_is_well)
    assert probed.is_live()


def test_a_broker_that_is_away_makes_a_run_not_ready_until_it_is_back(
    probed: Probed, embedded: EmbeddedBroker
) -> None:
    embedded.broker_down(1)
    until(lambda: "no_broker" in probed.reasons())
    assert probed.is_live()

    embedded.broker_up(1)
    until(probed.all_is_well)
    assert probed.is_live()
