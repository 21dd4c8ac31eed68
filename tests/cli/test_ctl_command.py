"""`fastkafka ctl` against a run of real workers on the embedded broker.

The tests share it, and run in one process one after another: see `TOGETHER`.
"""

from __future__ import annotations

import http.server
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fastkafka.cli.controlling import RefusedError, Server
from fastkafka.testing import EmbeddedBroker
from tests.cli.test_crashes import IMPATIENT
from tests.cli.test_http import until
from tests.cli.test_run import APP, Command
from tests.clients import committed, produce
from tests.tools.commands import Ended, fastkafka

TOKEN = "a-token-of-32-characters-or-more"

SHOP = (
    APP.replace("import FastKafka", "import EventMetadata, FastKafka")
    + """
@app.consumes(topic="orders", order="key", concurrency=4, auto_commit_interval_ms=100)
async def on_orders(number: int, meta: EventMetadata):
    print("handled", number, "of", meta.partition)

@app.consumes(topic="orders", auto_commit_interval_ms=100)
async def audit(number: int):
    pass
"""
)


class Shop:
    """A run of two workers with a page, that wants a token."""

    def __init__(self, folder: Path, servers: str) -> None:
        (folder / "shop.py").write_text(SHOP)
        self.servers = servers
        self.command = Command(
            [
                *(sys.executable, "-c", IMPATIENT, "run", "shop:app"),
                *("--num-workers=2", "--http=127.0.0.1:0"),
                f"--kafka-broker={servers}",
            ],
            folder,
        )
        (self.url,) = self.command.wait_for(r"Page, probes and metrics: (\S+)")
        self.command.wait_for(r"^\[(\d+)\]: started", times=2)
        until(lambda: len(self.partitions()) == 4 and self.all_ready())

    def ctl(self, *arguments: str) -> Ended:
        return fastkafka("ctl", *arguments, "--url", self.url)

    def status(self, kind: str) -> list[Any]:
        """Return what `ctl status --json` prints of a kind, but cheaply."""
        try:
            found = Server(self.url).get()
        except RefusedError:  # no worker runs at this moment
            return []
        return [*found[f"{kind}s"]]

    def function(self, name: str = "on_orders") -> Any:
        (found,) = [f for f in self.status("function") if f["name"] == name]
        return found

    def partitions(self) -> dict[int, Any]:
        return {one["partition"]: one for one in self.status("partition")}

    def all_ready(self) -> bool:
        return all(one["pid"] and one["ready"] for one in self.status("worker"))

    def send(self, count: int, partition: int) -> None:
        values = [b"%d" % number for number in range(count)]
        produce(self.servers, "orders", values, partition=partition)

    def handled(self, *partitions: int) -> int:
        found = re.findall(r"handled \d+ of (\d)$", self.command.out, re.MULTILINE)
        return sum(int(partition) in partitions for partition in found)

    def committed(self, *partitions: int) -> dict[int, int]:
        found = committed(self.servers, "shop", "orders")
        return {p: offset for p, offset in found.items() if p in partitions}


@contextmanager
def running(folder: Path) -> Iterator[Shop]:
    """Run a shop on a broker of its own; the token is in the environment meanwhile."""
    broker = EmbeddedBroker({"orders": 4})
    with pytest.MonkeyPatch.context() as patch, broker as servers:
        patch.setenv("FASTKAFKA_HTTP_TOKEN", TOKEN)
        started = Shop(folder, servers)
        yield started
        started.command.process.kill()
        started.command.end()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One run for all tests of this file: each has partitions of its own."""
    with running(tmp_path_factory.mktemp("shop")) as started:
        yield started


def test_one_partition_is_paused_and_sought_where_it_is(shop: Shop) -> None:
    for partition in (1, 2):
        shop.send(5, partition)
    until(lambda: shop.handled(1, 2) == 10)
    until(lambda: shop.committed(1, 2) == {1: 5, 2: 5})

    assert shop.ctl("pause", "on_orders", "--at", "orders:1").code == 0
    shown = shop.ctl("seek", "orders[1]", "--to", "2", "--dry-run")
    assert shown.out == (
        "orders[1] of group 'shop': from 5 to 2. 3 offsets are read again.\n"
    )
    asked = shop.ctl("seek", "orders:1", "--to", "2")
    assert (asked.out, asked.code) == ("", 2)
    assert asked.err == (
        "orders[1] of group 'shop': from 5 to 2. 3 offsets are read again. Go there? "
        "Nobody can be asked here. Add `--yes`.\n"
    )
    done = shop.ctl("seek", "orders:1", "--to", "2", "--yes")
    assert (done.out, done.code) == (
        "orders[1] of group 'shop' was sought from 5 to 2: 3 offsets are read again.\n",
        0,
    )
    assert shop.committed(1, 2) == {1: 2, 2: 5}
    assert shop.handled(1, 2) == 10

    shop.ctl("resume", "on_orders", "--at", "orders:1")
    until(lambda: shop.handled(1, 2) == 13)
    until(lambda: shop.committed(1, 2) == {1: 5, 2: 5})


def test_a_step_forward_is_a_warning_in_the_log_of_who_makes_it(shop: Shop) -> None:
    shop.ctl("pause", "on_orders")
    shop.send(5, 3)
    until(lambda: shop.partitions()[3]["lag"] == 5)

    done = shop.ctl("seek", "orders:3", "--to", "latest", "--yes", "--json")

    assert done.json[0]["skipped"] == 5
    assert shop.committed(3) == {3: 5}
    shop.command.wait_for(
        r"\[WARNING\].*orders\[3\] of group 'shop' was sought from 0 to 5: 5 offsets "
        r"are passed over on purpose\."
    )
    shop.command.wait_for(r"127\.0\.0\.1 asks for this: (seek orders\[3\] to 5)")
    shop.ctl("resume", "on_orders")
    shop.send(1, 3)
    until(lambda: shop.handled(3) == 1)


def test_what_cannot_be_is_one_line_and_a_code(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [
        (
            ("pause", "on_oders"),
            "No function 'on_oders' consumes here. Did you mean 'on_orders'?",
            2,
        ),
        (
            ("pause", "on_orders", "--at", "orders:9"),
            "'orders' has no partition 9; they count from 0 to 3.",
            2,
        ),
        (
            ("pause", "on_orders", "--at", "orders"),
            "--at 'orders' is no partition. Write its topic and its number: orders:3.",
            2,
        ),
        (
            ("seek", "orders:1", "--to", "yesterday", "--yes"),
            "`--to` 'yesterday' is no place. Write earliest, latest, an offset such as "
            "1042, a time such as 2026-11-25T20:30 or 20:30, or how long ago: 15m, 2h, "
            "3d.",
            2,
        ),
        (
            ("concurrency", "audit", "9"),
            '`audit` has `order="partition"`: it handles as many records at once as '
            'partitions have some. More partitions let it do more, or `order="key"` in '
            "the decorator.",
            1,
        ),
    ]
    for arguments, sentence, code in cases:
        ended = shop.ctl(*arguments)
        assert (ended.out, ended.err, ended.code) == ("", f"{sentence}\n", code)

    monkeypatch.setenv("FASTKAFKA_HTTP_TOKEN", "another-token-that-is-wrong")
    assert shop.ctl("status").err == (
        f"{shop.url} does not know this token. Give the one that the app was started "
        "with: `FASTKAFKA_HTTP_TOKEN` or `--token-file`.\n"
    )
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert shop.ctl("status", "--token-file", str(file)).code == 0
    monkeypatch.delenv("FASTKAFKA_HTTP_TOKEN")
    ended = shop.ctl("pause", "on_orders")
    assert (ended.code, ended.err) == (
        2,
        f"{shop.url} wants a token: `FASTKAFKA_HTTP_TOKEN` or `--token-file`.\n",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="SIGSTOP")
def test_a_worker_that_hangs_is_named_and_does_it_when_it_goes_on(
    shop: Shop,
) -> None:
    worker = next(w for w in shop.status("worker") if w["worker"] == 2)
    os.kill(worker["pid"], signal.SIGSTOP)
    try:
        ended = shop.ctl("pause", "on_orders")
    finally:
        os.kill(worker["pid"], signal.SIGCONT)

    assert ended.code == 1
    assert ended.err == (
        f"Worker 2, process {worker['pid']}, has not answered within 5 s. If it is "
        "blocked, it does it when it goes on. The other workers have done it.\n"
    )
    shop.command.wait_for(rf"^\[{worker['pid']}\]: .*(`on_orders` is paused\.)")
    assert shop.ctl("resume", "on_orders").code == 0


def test_nobody_there_and_somebody_else_there_are_told_apart() -> None:
    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Other) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        other = fastkafka("ctl", "status", "--url", url)
        server.shutdown()
        thread.join()
    nobody = fastkafka("ctl", "status", "--url", url)
    nowhere = fastkafka("ctl", "status", "--url", "localhost:8080")

    assert (other.code, other.err) == (
        2,
        f"{url} answers 302, but not as the page of an app does. Is the address "
        "right?\n",
    )
    assert nobody.code == 2
    assert nobody.err.startswith(f"Nobody answers at {url}: ")
    assert (nowhere.code, nowhere.err) == (
        2,
        "`--url` is 'localhost:8080'. Write it as `http://127.0.0.1:8080`.\n",
    )
