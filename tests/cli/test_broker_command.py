"""`fastkafka broker` and `fastkafka testing` as a user sees them.

What runs until a signal, and what starts other programs, is a process of its own.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Producer

from fastkafka.testing.installation import KAFKA_VERSION
from tests.tools.commands import fastkafka

FASTKAFKA = [sys.executable, "-m", "fastkafka"]
WIDE = {**os.environ, "COLUMNS": "400"}


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FASTKAFKA, *arguments],
        env={**WIDE, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def running_broker(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the command; give its address as soon as it has printed it."""
    with subprocess.Popen(
        [*FASTKAFKA, "broker", *arguments],
        env=WIDE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            first_line = process.stdout.readline()
            assert first_line.startswith("A Kafka broker listens at 127.0.0.1:")
            yield process, first_line.split()[-1]
        finally:
            process.kill()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_clients_until_a_signal_and_ends_with_exit_code_0(
    stop: signal.Signals,
) -> None:
    with running_broker("--topic", "orders:6", "--topic", "payments") as (process, at):
        topics = Producer({"bootstrap.servers": at}).list_topics(timeout=10).topics
        assert {name: len(topic.partitions) for name, topic in topics.items()} == {
            "orders": 6,
            "payments": 4,
        }
        process.send_signal(stop)
        assert process.stdout is not None
        assert process.stderr is not None
        said, complained = process.stdout.read(), process.stderr.read()
        assert (process.wait(), complained) == (0, "")
    assert [line.strip() for line in said.splitlines()] == [
        "Topics   orders (6)",
        "payments (4)",
        "others appear with 4 partitions when a producer asks for them",
        "For      demos, development and tests, by any client on this machine",
        "Not for  production, load tests or exactly-once. A partition keeps at most "
        "5 MiB or 100,000 batches, and older records vanish silently. Nothing is kept "
        "when the broker stops. Read-committed consumers see aborted records. There "
        "are no ACLs.",
        "Ctrl-C stops it.",
    ]


def test_it_listens_at_the_port_that_was_asked_for(unused_tcp_port: int) -> None:
    port = unused_tcp_port
    with running_broker("--port", str(port)) as (_, at):
        assert at == f"127.0.0.1:{port}"
        brokers = Producer({"bootstrap.servers": at}).list_topics(timeout=10).brokers
        assert [broker.port for broker in brokers.values()] == [port]


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = fastkafka("broker", "--port", str(port))
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"EmbeddedBroker: port {port} cannot be opened. Address already in use. Stop "
        "what listens there, or take another port.\n"
    )


BAD_TOPICS = {
    ("orders:six",): (
        "`--topic` 'orders:six': 'six' is not a number of partitions. Write it as "
        "`name:partitions`, for example `orders:6`."
    ),
    ("orders:",): (
        "`--topic` 'orders:': '' is not a number of partitions. Write it as "
        "`name:partitions`, for example `orders:6`."
    ),
    ("orders:0",): (
        "EmbeddedBroker: topic 'orders' cannot have 0 partitions. Give 1 to 10000."
    ),
    ("my orders",): (
        "EmbeddedBroker: 'my orders' cannot be a topic's name. Kafka allows letters, "
        "digits, '.', '_' and '-', at most 249 of them."
    ),
    ("orders", "orders:6"): ("`--topic` 'orders:6': topic 'orders' is given twice."),
}


@pytest.mark.parametrize("topics", BAD_TOPICS)
def test_a_topic_that_cannot_be_is_one_line(topics: tuple[str, ...]) -> None:
    options = [option for topic in topics for option in ("--topic", topic)]
    done = fastkafka("broker", *options)
    assert (done.code, done.out) == (1, "")
    assert done.err == f"{BAD_TOPICS[topics]}\n"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A Java and a Maven that only pretend."""
    folder = tmp_path / "bin"
    folder.mkdir()
    add(folder, "java", "echo 'openjdk version \"17.0.15\" 2025-04-15' >&2")
    add(folder, "mvn", "mkdir libs && echo jar > libs/kafka.jar")
    return folder


def add(folder: Path, name: str, script: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_install_deps_says_where_kafka_is_and_fetches_it_once(
    programs: Path, tmp_path: Path
) -> None:
    environment = {
        "FASTKAFKA_CACHE": str(tmp_path),
        "PATH": f"{programs}:/usr/bin:/bin",
        "JAVA_HOME": "",
    }
    folder = tmp_path / f"kafka_2.13-{KAFKA_VERSION}"
    first = process("testing", "install_deps", **environment)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.splitlines()[-1] == (
        f"Apache Kafka {KAFKA_VERSION} is now in {folder}"
    )
    assert (folder / "kafka.jar").exists()

    second = process("testing", "install_deps", **environment)
    assert (second.returncode, second.stderr) == (0, "")
    assert second.stdout == f"Apache Kafka {KAFKA_VERSION} is already in {folder}\n"


def test_install_deps_says_in_one_line_what_is_missing(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (programs / "java").unlink()
    monkeypatch.setenv("FASTKAFKA_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("JAVA_HOME", "")
    done = fastkafka("testing", "install_deps")
    assert done.code == 1
    assert done.err == (
        f"JDK installation not found! Apache Kafka {KAFKA_VERSION} needs Java 17 or "
        "newer. Install one and put it on the PATH, or set JAVA_HOME.\n"
    )
