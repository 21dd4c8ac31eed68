"""`fastkafka lag`."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys

import pytest

from fastkafka.testing import EmbeddedBroker
from fastkafka.transport.librdkafka import connection
from fastkafka.transport.librdkafka.inspection import Commit
from tests.tools.clients import Sent, looking_at
from tests.tools.commands import APP, fastkafka
from tests.tools.shop import app


def shop(embedded: EmbeddedBroker) -> str:
    """Start a group that is behind in one of two partitions."""
    embedded.create_topic("orders", 2)
    servers = embedded.bootstrap_servers
    for partition in (0, 1, 1):
        Sent(servers).send("orders", b"1", partition=partition)
    with looking_at(app, servers, "orders") as (clusters, topic):
        clusters.of(topic).commit("shop", "orders", {0: Commit(1)})
    return servers


def test_the_worst_comes_first(embedded: EmbeddedBroker) -> None:
    ended = fastkafka("lag", APP, "--kafka-broker", shop(embedded))

    header, first, second = ended.lines
    assert header == ("Group  Topic   Partition  Committed  End  Lag  Oldest waits")
    assert re.fullmatch(
        r"shop   orders          1    nothing    2    2  [\d.]+ s", first
    )
    assert second == "shop   orders          0          1    1    0"
    assert (ended.err, ended.code) == ("", 0)


def test_json_is_one_object_in_each_line(embedded: EmbeddedBroker) -> None:
    ended = fastkafka("lag", APP, "--json", "--kafka-broker", shop(embedded))

    first, second = ended.json
    assert first.pop("seconds") > 0
    assert first.pop("time") > 1_700_000_000
    assert first == {
        "group": "shop",
        "topic": "orders",
        "cluster": embedded.bootstrap_servers,
        "partition": 1,
        "committed": None,
        "end": 2,
        "lag": 2,
        "functions": ["on_orders"],
    }
    assert (second["lag"], second["seconds"], second["committed"]) == (0, 0, 1)


def test_no_broker_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.1)
    ended = fastkafka("lag", APP, "--kafka-broker", "127.0.0.1:1")

    assert ended.err == (
        "No broker answers at 127.0.0.1:1. Is Kafka running? To try without one: "
        "`--kafka-broker embedded`.\n"
    )
    assert (ended.out, ended.code) == ("", 2)


def test_watching_goes_on_until_ctrl_c(embedded: EmbeddedBroker) -> None:
    command = [sys.executable, "-m", "fastkafka", "lag", APP, "--json", "--watch"]
    servers = shop(embedded)
    with subprocess.Popen(
        [*command, "--interval", "0.2", "--kafka-broker", servers],
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        try:
            lags = [json.loads(process.stdout.readline())["lag"] for _ in range(2)]
            assert lags == [2, 0]
            Sent(servers).send("orders", b"1", partition=1)
            while json.loads(process.stdout.readline())["lag"] != 3:
                pass
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait() == 130
