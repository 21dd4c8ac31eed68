"""Records that kill their process, and what a worker says when it is asked."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastkafka.testing import EmbeddedBroker, mock_cluster
from tests import clients
from tests.cli.test_run import Command

DEADLY = """
import ctypes
from fastkafka import FastKafka

app = FastKafka(title="Shop")

@app.consumes(topic="orders")
async def on_orders(number: int) -> None:
    print("handles", number)
    if number == 5:
        ctypes.string_at(0)
"""

HANGS = """
import time
from fastkafka import FastKafka

app = FastKafka(title="Shop")

@app.consumes(topic="orders")
async def on_orders(number: int) -> None:
    blocks_the_loop(number)

def blocks_the_loop(number):
    print("handles", number)
    time.sleep(3600)
"""


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A broker that soon misses a member which has died."""
    monkeypatch.setattr(mock_cluster, "SESSION_TIMEOUT_MS", 1_000)
    broker = EmbeddedBroker()
    with broker:
        broker.create_topic("orders", 1)
        broker.create_topic("orders-dlt", 1)
        yield broker.bootstrap_servers


IMPATIENT = """
from fastkafka.cli import main, supervise

supervise.Restarts.FIRST_DELAY = supervise.Restarts.LONGEST_DELAY = 0.1
main()
"""
"""The `fastkafka` command, which restarts workers with hardly a delay."""


def run(tmp_path: Path, servers: str, app: str, *arguments: str) -> Command:
    (tmp_path / "shop.py").write_text(app)
    arguments = ("--num-workers=1", f"--kafka-broker={servers}", *arguments, "shop:app")
    return Command([sys.executable, "-c", IMPATIENT, "run", *arguments], tmp_path)


def test_a_record_that_kills_its_process_is_parked_by_the_fifth(
    tmp_path: Path, servers: str
) -> None:
    clients.produce(servers, "orders", [b"%d" % number for number in range(10)])
    command = run(tmp_path, servers, DEADLY)

    command.wait_for("handles 9")
    command.signal(signal.SIGTERM)

    assert command.end() == 0
    assert [line.partition(": ")[2] for line in command.out.splitlines()].count(
        "handles 5"
    ) == 4
    assert "orders[0]@5: 4 processes died while they handled it" in (
        command.out + command.err
    )
    (parked,) = clients.read(servers, "orders-dlt", 1)
    assert parked.value() == b"5"


def test_a_worker_that_is_asked_shows_its_lanes_and_every_stack(
    tmp_path: Path, servers: str
) -> None:
    clients.produce(servers, "orders", [b"1", b"2"])
    command = run(tmp_path, servers, HANGS, "--shutdown-timeout=0.1")
    command.wait_for("handles 1")

    for times, number in enumerate((signal.SIGUSR1, signal.SIGQUIT), start=1):
        command.signal(number)
        command.wait_for("in blocks_the_loop", times=times, on="err")
    os.kill(command.process.pid, signal.SIGTERM)
    command.end()

    first, second = command.err.split("== State of process ")[1:]
    for report in (first, second):
        assert "== Threads" in report
        assert "`on_orders` orders[0]: handling for " in report
        assert "orders[0] of shop: done up to 0, read up to 2, end " in report
