"""`fastkafka ctl` and what becomes of a pause when workers die."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastkafka.testing import mock_cluster
from tests.cli.test_ctl_command import Shop, running
from tests.cli.test_http import until


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A run on a broker that soon misses a member which has died."""
    monkeypatch.setattr(mock_cluster, "SESSION_TIMEOUT_MS", 1_000)
    with running(tmp_path) as started:
        yield started


def test_a_function_of_several_workers_is_paused_and_stays_so_when_one_dies(
    shop: Shop,
) -> None:
    everywhere = range(4)
    ended = shop.ctl("pause", "on_orders")
    assert (ended.out, ended.err, ended.code) == ("`on_orders` is paused.\n", "", 0)
    for partition in everywhere:
        shop.send(5, partition)
    until(lambda: shop.function()["waiting"] == 20)
    printed = shop.ctl("status", "--json").json
    (function,) = [one for one in printed if one.get("name") == "on_orders"]
    assert (function["kind"], function["paused"]) == ("function", True)
    assert {one["kind"] for one in printed} == {"function", "partition", "worker"}
    assert shop.handled(*everywhere) == 0
    assert shop.ctl("concurrency", "on_orders", "7").code == 0

    worker = next(w for w in shop.status("worker") if w["worker"] == 1)
    os.kill(worker["pid"], signal.SIGKILL)
    until(lambda: worker["pid"] != shop.status("worker")[0]["pid"] is not None)
    # The two partitions of the one that died are taken up in steps: a step may be one
    # record, and what comes after it does not wait at the function yet.
    until(lambda: [p["lag"] for p in shop.partitions().values()] == [5, 5, 5, 5])
    until(lambda: shop.function()["waiting"] >= 12)
    assert shop.handled(*everywhere) == 0
    assert shop.function()["concurrency"] == 7
    assert {p["paused_for"][0] for p in shop.partitions().values()} == {"on_orders"}

    ended = shop.ctl("resume", "on_orders")
    assert (ended.out, ended.err, ended.code) == ("`on_orders` goes on.\n", "", 0)
    until(lambda: shop.handled(*everywhere) == 20)
    until(lambda: shop.committed(*everywhere) == dict.fromkeys(everywhere, 5))
