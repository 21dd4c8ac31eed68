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

CONSUMER = """
import pathlib

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


@pytest.mark.timeout(180)
def test_the_probes_and_the_file_tell_what_befalls_a_run(
    start: Callable[..., Command], embedded: EmbeddedBroker, tmp_path: Path
) -> None:
    embedded.create_topic("orders", partitions=1)
    servers, file = embedded.bootstrap_servers, tmp_path / "alive"
    command = start(
        *("--num-workers=1", f"--kafka-broker={servers}", "--http=127.0.0.1:0"),
        f"--health-file={file}",
        app=APP.replace("import FastKafka", "import FastKafka, Retry") + CONSUMER,
    )
    (url,) = command.wait_for(r"Page, probes and metrics: (\S+)")
    server = Server(url)

    def reasons() -> set[str]:
        _, text = server.get("/readyz")
        return {reason["kind"] for reason in json.loads(text)["reasons"]}

    def all_is_well() -> bool:
        return server.get("/readyz")[0] == 200

    until(all_is_well)

    produce(servers, "orders", [b'"block"'])
    until(lambda: reasons() == {"blocked_loop"})
    assert server.get("/livez")[0] == 200
    assert file.exists()
    (tmp_path / "go-on").touch()
    until(all_is_well)

    # The broker refuses its dead letter, but not the record that becomes one.
    embedded.create_topic("orders-dlt", partitions=1)
    produce(servers, "orders", [b'"fail"'])
    embedded.fail_requests(PRODUCE, TOPIC_AUTHORIZATION_FAILED, times=4)
    (tmp_path / "fail").touch()
    until(lambda: "dead_letters_fail" in reasons())
    assert server.get("/livez")[0] == 200
    until(all_is_well)

    embedded.broker_down(1)
    until(lambda: "no_broker" in reasons())
    assert server.get("/livez")[0] == 200
    assert file.exists()
    embedded.broker_up(1)
    until(all_is_well)
    assert server.get("/livez")[0] == 200
