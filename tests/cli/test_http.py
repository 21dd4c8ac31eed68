"""`fastkafka run` with `--http`, `--health-file` and `--log-format json`."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fastkafka.cli.listening import listening, url_of
from fastkafka.cli.process import JsonLines
from fastkafka.cli.watch import Watch
from fastkafka.errors import ConfigError
from fastkafka.observe.workers import Workers
from fastkafka.testing import EmbeddedBroker
from tests.cli.test_run import APP, Command, run
from tests.clients import WAIT_SECONDS, produce
from tests.snapshots import problem, snapshot
from tests.tools.commands import fastkafka

CONSUMER = """
@app.consumes(topic="orders", auto_commit_interval_ms=100)
async def on_orders(number: int):
    pass
"""


class Server:
    """What a run serves, asked as a scraper or a kubelet asks."""

    def __init__(self, url: str) -> None:
        self._url = url

    def get(self, path: str) -> tuple[int, str]:
        """Return the status and the text; a connection may wait for its server."""
        try:
            with urllib.request.urlopen(self._url + path, timeout=WAIT_SECONDS) as got:
                return got.status, got.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()

    def handled(self) -> float:
        """Return how many records all workers have handled."""
        _, text = self.get("/metrics")
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "fastkafka_records_total"
            and sample.labels["outcome"] == "handled"
        )

    def reasons(self) -> list[str]:
        """Return why the run is not ready."""
        _, text = self.get("/readyz")
        return [reason["text"] for reason in json.loads(text)["reasons"]]


def until(condition: Callable[[], object]) -> None:
    """Ask until it is so: a scrape is what there is to wait for."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    """Give a function that writes `shop.py` and runs it."""
    commands: list[Command] = []

    def start(*arguments: str, app: str) -> Command:
        (tmp_path / "shop.py").write_text(app)
        command = [sys.executable, "-m", *run(*arguments, "shop:app")]
        commands.append(Command(command, tmp_path))
        return commands[-1]

    yield start
    for command in commands:
        command.process.kill()
        command.end()


def web_process_of(command: Command) -> int:
    """Return the process id of the child that serves HTTP."""
    pid = command.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    (web,) = [
        int(child)
        for child in children
        if b"fastkafka.cli.web_process" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
    return web


# A run that is served


@pytest.mark.skipif(sys.platform != "linux", reason="it looks for children in /proc")
def test_one_port_serves_all_workers_whoever_dies(
    start: Callable[..., Command], embedded: EmbeddedBroker
) -> None:
    embedded.create_topic("orders", partitions=4)
    command = start(
        "--num-workers=2",
        f"--kafka-broker={embedded.bootstrap_servers}",
        "--http=127.0.0.1:0",
        app=APP + CONSUMER,
    )
    (url,) = command.wait_for(r"Page, probes and metrics: (\S+)")
    server = Server(url)
    workers = command.wait_for(r"^\[(\d+)\]: started", times=2)
    until(lambda: server.get("/readyz")[0] == 200)
    produce(embedded.bootstrap_servers, "orders", [b"%d" % n for n in range(100)])
    until(lambda: server.handled() >= 100)
    text = server.get("/metrics")[1]
    assert 'fastkafka_live{worker="1"} 1.0' in text
    assert 'fastkafka_live{worker="2"} 1.0' in text
    assert json.loads(server.get("/asyncapi.json")[1])["info"]["title"] == "Shop"
    status = fastkafka("ctl", "status", "--url", url)
    assert status.lines[0].split()[:3] == ["Function", "Group", "Order"]
    without_token = fastkafka("ctl", "pause", "on_orders", "--url", url)
    assert (without_token.code, without_token.err) == (
        2,
        "Sending, replaying and controlling are switched off here. Start the app with "
        "`FASTKAFKA_HTTP_TOKEN` set, and give it here, too; or use `fastkafka dev`.\n",
    )

    # The web process dies: what was counted is known to the next one, which gets the
    # connections that waited.
    os.kill(web_process_of(command), signal.SIGKILL)
    command.wait_for(r"The web process \d+ was killed by SIGKILL\.", on="err")
    assert server.handled() >= 100

    # A worker dies.
    os.kill(int(workers[0]), signal.SIGKILL)
    killed = f"Worker {workers[0]} was killed by SIGKILL."
    seen = []

    def is_said() -> bool:
        seen.append(server.handled())
        return f"{killed} Another one starts." in server.reasons()

    until(is_said)
    assert server.get("/livez")[0] == 200
    produce(embedded.bootstrap_servers, "orders", [b"1"] * 20)
    command.wait_for(r"^\[(\d+)\]: started", times=3)
    seen += [server.handled(), server.handled()]
    assert seen == sorted(seen)
    assert seen[0] >= 100

    command.signal(signal.SIGTERM)
    assert command.end() == 0, command.err


def test_a_port_that_is_in_use_is_one_clear_line(
    start: Callable[..., Command],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = start(f"--http=127.0.0.1:{port}", app=APP)

        assert command.end() == 1
    assert command.err == (
        f"127.0.0.1:{port} is in use. Choose another port with `--http`; 0 is a free "
        "one.\n"
    )


# Logs


def test_every_line_is_json_whoever_printed_it(
    start: Callable[..., Command], tmp_path: Path
) -> None:
    health = tmp_path / "alive"
    command = start(
        "--log-format=json",
        f"--health-file={health}",
        app=APP + "import sys, warnings\nprint('no json', file=sys.stderr)\n"
        "warnings.warn('old')\n",
    )
    command.wait_for('"message": "started"')
    assert health.exists()
    command.signal(signal.SIGTERM)
    assert command.end() == 0
    assert not health.exists()

    said = [json.loads(line) for line in command.out.splitlines()]
    errors = [json.loads(line) for line in command.err.splitlines()]
    worker = {line["pid"] for line in said if line["message"] == "started"}
    assert {line["logger"] for line in said} >= {"stdout", "fastkafka.cli"}
    assert [line["message"] for line in errors][:1] == ["no json"]
    assert {line["logger"] for line in errors} == {"stderr"}
    assert {line["pid"] for line in errors} == worker
    assert any(line["logger"] == "py.warnings" for line in said)
    assert all(set(line) >= {"time", "level", "logger", "message"} for line in said)


def test_json_lines_pass_what_is_json_and_wrap_the_rest() -> None:
    lines = JsonLines(7, 1)

    own, wrapped = lines.feed(b'{"own": 1}\n\xff{not json\n').splitlines()

    assert own == b'{"own": 1}'
    said: dict[str, Any] = json.loads(wrapped)
    assert said["message"] == "\\xff{not json"
    assert said["logger"] == "stdout"
    assert said["level"] == "INFO"
    assert said["pid"] == 7


# The health file


def test_the_file_is_there_while_all_workers_are_live(tmp_path: Path) -> None:
    file, workers = tmp_path / "alive", Workers(1)
    watch = Watch(workers, health_file=file)
    assert file.exists()

    watch.heard(1, snapshot(problems=[problem()]).to_json().decode())
    watch.tell()
    assert file.exists()  # not ready is not dead

    stuck = snapshot(problems=[problem("blocked_loop", live=False)])
    watch.heard(1, stuck.to_json().decode())
    watch.tell()
    assert not file.exists()

    watch.heard(1, snapshot().to_json().decode())
    watch.tell()
    assert file.exists()


async def test_the_file_goes_with_the_run(tmp_path: Path) -> None:
    file = tmp_path / "alive"
    async with Watch(Workers(1), health_file=file).telling():
        assert file.exists()
    assert not file.exists()


def test_a_file_that_cannot_be_written_is_an_error_at_once(tmp_path: Path) -> None:
    file = tmp_path / "no-such-folder" / "alive"
    with pytest.raises(ConfigError) as raised:
        Watch(Workers(1), health_file=file)

    assert str(raised.value) == (
        f"`--health-file` {str(file)!r} cannot be written: No such file or directory. "
        "Name a file in a folder that exists and may be written."
    )


# The address


@pytest.mark.parametrize(
    "address", ["8080", ":8080", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:70000"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError) as raised, listening(address):
        pass

    assert str(raised.value) == (
        f"`--http` {address!r} is not an address. Write `127.0.0.1:8080`."
    )


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigError) as raised, listening("192.0.2.1:0"):
        pass

    assert str(raised.value) == (
        "Cannot listen at 192.0.2.1:0: Cannot assign requested address. Use an address "
        "of this machine: `--http 127.0.0.1:8080`."
    )


def test_a_url_has_the_port_that_was_free() -> None:
    with listening("localhost:0") as server:
        port = server.getsockname()[1]
        assert url_of(server) in {f"http://127.0.0.1:{port}", f"http://[::1]:{port}"}
