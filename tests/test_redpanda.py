"""`LocalRedpandaBroker`, with a `docker` that starts an embedded broker instead."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from fastkafka import BrokerUnavailableError, ConfigError, FastKafka
from fastkafka.testing import LocalRedpandaBroker, Tester

DOCKER = """#!/bin/sh
here=$(dirname "$0")
echo "$@" >>"$here/calls"
if [ -e "$here/$1" ]; then
    cat "$here/$1"
    exit 1
fi
if [ "$1" = run ]; then
    while [ "$1" != --publish ]; do shift; done
    exec {python} -m fastkafka broker --port "${{2##*:}}"
fi
"""


class Docker:
    """A folder with a `docker` that writes down how it was called."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        program = folder / "docker"
        program.write_text(DOCKER.format(python=sys.executable))
        program.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return (self._folder / "calls").read_text().splitlines()

    def refuse(self, command: str, answer: str) -> None:
        """Let a command print something and fail."""
        (self._folder / command).write_text(answer)


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return Docker(tmp_path)


@pytest.fixture
def port(unused_tcp_port: int) -> int:
    return unused_tcp_port


def test_a_container_is_started_asked_for_topics_and_stopped(
    docker: Docker, port: int
) -> None:
    broker = LocalRedpandaBroker(
        {"orders": 6, "invoices": 1},
        listener_port=port,
        tag="v24.3.1",
        seastar_core=2,
        memory="2G",
        default_log_level="info",
    )

    with broker as servers:
        assert servers == broker.bootstrap_servers == f"127.0.0.1:{port}"
        assert broker.is_started
        with pytest.raises(ConfigError, match="it runs already, at '127"):
            broker.start()

    assert not broker.is_started
    image = "docker.redpanda.com/redpandadata/redpanda:v24.3.1"
    rpk = f"exec redpanda_{port} rpk topic create"
    assert docker.calls == [
        f"image inspect {image}",
        f"rm --force redpanda_{port}",
        f"run --rm --name redpanda_{port} --publish 127.0.0.1:{port}:{port} {image} "
        f"redpanda start --kafka-addr 0.0.0.0:{port} "
        f"--advertise-kafka-addr 127.0.0.1:{port} --smp 2 --memory 2G "
        "--mode dev-container --default-log-level info",
        f"{rpk} orders --partitions 6 --brokers 127.0.0.1:{port}",
        f"{rpk} invoices --partitions 1 --brokers 127.0.0.1:{port}",
    ]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port))


async def test_a_tester_runs_on_it(docker: Docker, port: int) -> None:
    app = FastKafka(title="Shop")

    @app.consumes()
    async def on_orders(order: int) -> None: ...

    async with Tester(app).using_local_redpanda(listener_port=port) as tester:
        await tester.to_orders(7)
        await app.awaited_mocks.on_orders.assert_awaited_once_with(7, timeout=20)

    assert any("rpk topic create orders --partitions 1" in c for c in docker.calls)


def test_a_port_in_use_is_not_taken(docker: Docker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        broker = LocalRedpandaBroker(listener_port=port)
        with broker as servers:
            assert servers != f"127.0.0.1:{port}"

    assert f"redpanda_{port}" not in " ".join(docker.calls)


def test_a_port_that_others_take_meanwhile_is_tried_again(
    docker: Docker, port: int
) -> None:
    docker.refuse("run", "Bind for 127.0.0.1:9092 failed: port is already allocated")

    with pytest.raises(
        BrokerUnavailableError,
        match=r"^LocalRedpandaBroker: its ports were taken by others, 3 times in a "
        r"row\. Give it more `retries`\.$",
    ):
        LocalRedpandaBroker(listener_port=port, retries=2).start()

    assert sum(call.startswith("run ") for call in docker.calls) == 3


def test_what_docker_says_is_in_the_error(docker: Docker, port: int) -> None:
    docker.refuse("run", "no space left on device")

    with pytest.raises(
        BrokerUnavailableError,
        match=r"^LocalRedpandaBroker: `docker run` ended with exit code 1\. The end of "
        r"its output:\nno space left on device$",
    ):
        LocalRedpandaBroker(listener_port=port).start()


def test_an_image_that_cannot_be_fetched(docker: Docker) -> None:
    docker.refuse("image", "No such image")
    docker.refuse("pull", "Using default tag\nmanifest unknown\n")

    with pytest.raises(
        BrokerUnavailableError,
        match=r"^LocalRedpandaBroker: Docker cannot fetch "
        r"'docker\.redpanda\.com/redpandadata/redpanda:v1'\. manifest unknown$",
    ):
        LocalRedpandaBroker(tag="v1").start()


def test_a_topic_that_is_refused_stops_it(docker: Docker, port: int) -> None:
    docker.refuse("exec", "TOPIC  STATUS\norders INVALID_PARTITIONS\n")
    broker = LocalRedpandaBroker(["orders"], listener_port=port)

    with pytest.raises(
        ConfigError,
        match=r"^LocalRedpandaBroker: topic 'orders' cannot be created\. "
        r"orders INVALID_PARTITIONS$",
    ):
        broker.start()

    assert not broker.is_started


def test_without_docker_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(
        RuntimeError,
        match=r"^Docker installation not found! Please install docker manually and "
        r"retry\.$",
    ):
        LocalRedpandaBroker().start()


def test_misuse_is_one_sentence() -> None:
    with pytest.raises(
        ConfigError,
        match=r"^LocalRedpandaBroker: `topics` is the string 'orders'\. "
        r"Write `topics=\['orders'\]`\.$",
    ):
        LocalRedpandaBroker("orders")
    with pytest.raises(
        ConfigError,
        match=r"^LocalRedpandaBroker: it does not run\. Call `start\(\)`, or use it "
        r"as a context manager\.$",
    ):
        _ = LocalRedpandaBroker().bootstrap_servers
