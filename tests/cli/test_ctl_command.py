"""`fastkafka ctl` against runs of real workers on the embedded broker."""

from __future__ import annotations

import http.server
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastkafka.testing import EmbeddedBroker
from tests.cli.test_dev import Developing
from tests.cli.test_http import until
from tests.cli.test_run import APP, Command, run
from tests.clients import committed, produce
from tests.tools.commands import Ended, fastkafka

TOKEN = "a-token-of-32-characters-or-more"

SHOP = (
    APP
    + """
@app.consumes(topic="orders", order="key", concurrency=4, auto_commit_interval_ms=100)
async def on_orders(number: int):
    print("handled", number)

@app.consumes(topic="orders", auto_commit_interval_ms=100)
async def audit(number: int):
    pass
"""
)


class Shop:
    """A run of two workers with a page that wants a token."""

    def __init__(self, folder: Path, servers: str, *options: str) -> None:
        (folder / "shop.py").write_text(SHOP)
        arguments = ("--num-workers=2", f"--kafka-broker={servers}", *options)
        self.servers = servers
        self.command = Command(
            [sys.executable, "-m", *run(*arguments, "--http=127.0.0.1:0", "shop:app")],
            folder,
        )
        (self.url,) = self.command.wait_for(r"Page, probes and metrics: (\S+)")
        self.command.wait_for(r"^\[(\d+)\]: started", times=2)
        until(lambda: len(self.partitions()) == 4 and self.all_ready())

    def ctl(self, *arguments: str) -> Ended:
        return fastkafka("ctl", *arguments, "--url", self.url)

    def status(self, kind: str) -> list[Any]:
        ended = self.ctl("status", "--json")
        return [one for one in ended.json if one["kind"] == kind]

    def function(self, name: str = "on_orders") -> Any:
        (found,) = [f for f in self.status("function") if f["name"] == name]
        return found

    def partitions(self) -> dict[int, Any]:
        ended = self.ctl("status", "--json")
        if ended.code:
            return {}
        return {one["partition"]: one for one in self.status("partition")}

    def all_ready(self) -> bool:
        return all(one["pid"] and one["ready"] for one in self.status("worker"))

    def send(self, count: int, partition: int) -> None:
        values = [b"%d" % number for number in range(count)]
        produce(self.servers, "orders", values, partition=partition)

    def handled(self) -> int:
        return len(re.findall(r"handled \d+", self.command.out))

    def committed(self) -> dict[int, int]:
        return committed(self.servers, "shop", "orders")


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTKAFKA_HTTP_TOKEN", TOKEN)


@pytest.fixture
def shop(tmp_path: Path, embedded: EmbeddedBroker, token: None) -> Iterator[Shop]:
    embedded.create_topic("orders", partitions=4)
    started = Shop(tmp_path, embedded.bootstrap_servers)
    yield started
    started.command.process.kill()
    started.command.end()


def test_a_function_of_several_workers_is_paused_and_stays_so_when_one_dies(
    shop: Shop,
) -> None:
    ended = shop.ctl("pause", "on_orders")
    assert (ended.out, ended.err, ended.code) == ("`on_orders` is paused.\n", "", 0)
    for partition in range(4):
        shop.send(5, partition)
    until(lambda: shop.function()["waiting"] == 20)
    assert shop.function()["paused"] is True
    assert shop.handled() == 0
    assert shop.ctl("concurrency", "on_orders", "7").code == 0

    worker = next(w for w in shop.status("worker") if w["worker"] == 1)
    os.kill(worker["pid"], signal.SIGKILL)
    until(lambda: worker["pid"] != shop.status("worker")[0]["pid"] is not None)
    until(lambda: len(shop.partitions()) == 4 and shop.function()["waiting"] == 20)
    assert shop.handled() == 0
    assert shop.function()["concurrency"] == 7
    assert {p["paused_for"][0] for p in shop.partitions().values()} == {"on_orders"}

    ended = shop.ctl("resume", "on_orders")
    assert (ended.out, ended.err, ended.code) == ("`on_orders` goes on.\n", "", 0)
    until(lambda: shop.handled() == 20)
    until(lambda: shop.committed() == dict.fromkeys(range(4), 5))


def test_one_partition_is_paused_and_sought_where_it_is(shop: Shop) -> None:
    for partition in (1, 2):
        shop.send(5, partition)
    until(lambda: shop.handled() == 10)
    until(lambda: shop.committed() == {1: 5, 2: 5})

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
    assert shop.committed() == {1: 2, 2: 5}
    assert shop.handled() == 10

    shop.ctl("resume", "on_orders", "--at", "orders:1")
    until(lambda: shop.handled() == 13)
    until(lambda: shop.committed() == {1: 5, 2: 5})


def test_a_step_forward_is_a_warning_in_the_log_of_who_makes_it(shop: Shop) -> None:
    shop.ctl("pause", "on_orders")
    shop.send(5, 3)
    until(lambda: shop.partitions()[3]["lag"] == 5)

    done = shop.ctl("seek", "orders:3", "--to", "latest", "--yes", "--json")

    assert done.json[0]["skipped"] == 5
    assert shop.committed()[3] == 5
    shop.command.wait_for(
        r"\[WARNING\].*orders\[3\] of group 'shop' was sought from 0 to 5: 5 offsets "
        r"are passed over on purpose\."
    )
    shop.command.wait_for(r"127\.0\.0\.1 asks for this: (seek orders\[3\] to 5)")
    shop.ctl("resume", "on_orders")
    shop.send(1, 3)
    until(lambda: shop.handled() == 1)


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


def test_without_a_token_it_can_be_seen_but_not_controlled(
    tmp_path: Path, embedded: EmbeddedBroker
) -> None:
    embedded.create_topic("orders", partitions=4)
    shop = Shop(tmp_path, embedded.bootstrap_servers)
    try:
        assert shop.ctl("status").lines[0].split()[:3] == ["Function", "Group", "Order"]
        ended = shop.ctl("pause", "on_orders")
    finally:
        shop.command.process.kill()
        shop.command.end()

    assert (ended.code, ended.err) == (
        2,
        "Sending, replaying and controlling are switched off here. Start the app with "
        "`FASTKAFKA_HTTP_TOKEN` set, and give it here, too; or use `fastkafka dev`.\n",
    )


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


def test_dev_is_controlled_without_a_token_also_after_a_reload(
    tmp_path: Path,
) -> None:
    started = Developing(tmp_path)

    def ctl(*arguments: str) -> Ended:
        return fastkafka("ctl", *arguments, "--url", started.address)

    def paused() -> bool:
        return any(
            json.loads(line).get("paused") for line in ctl("status", "--json").lines
        )

    try:
        assert ctl("pause", "on_orders").code == 0
        until(paused)
        started.send(1)
        text = started.file.read_text()
        started.edit(text.replace("first handled", "then handled"))
        # A new run knows of no pause.
        started.command.wait_for(r"^\[\d+\]: then (handled 1)")
        until(lambda: ctl("pause", "on_orders").code == 0)
        until(paused)
        assert ctl("resume", "on_orders").code == 0
    finally:
        started.command.press_ctrl_c()
        started.command.end()
