"""`fastkafka dev` as a user has it: a broker, a page, a new start for each change.

Some tests share one, and run in one process one after another: see `TOGETHER`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastkafka.cli.controlling import Server
from fastkafka.cli.dev import free_port
from fastkafka.cli.reload import check_watchfiles
from fastkafka.errors import ConfigError
from tests.cli.test_http import until
from tests.cli.test_run import Command
from tests.tools.commands import Ended, fastkafka

APP = """
from pydantic import BaseModel
from fastkafka import FastKafka

class Order(BaseModel):
    id: int

app = FastKafka(title="Shop")

@app.consumes(topic="orders")
async def on_orders(order: Order) -> None:
    print("first handled", order.id)
    if order.id == 13:
        raise ValueError("unlucky")
"""


class Developing:
    """A running `fastkafka dev`, its app's file and its page."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.file = folder / "shop.py"
        self.file.write_text(APP)
        self.command = Command(
            [
                *(sys.executable, "-m", "fastkafka", "dev", "shop:app"),
                *("--port", "0", *options),
            ],
            folder,
        )
        [self.address] = self.command.wait_for(r"^Page: +(http://127\.0\.0\.1:\d+)$")
        self.command.wait_for(r"^Ready after ")

    def edit(self, text: str) -> None:
        """Write the app anew, as an editor does: in another file, then in its place."""
        new = self.file.with_suffix(".tmp")
        new.write_text(text)
        os.replace(new, self.file)

    def ask(self, path: str, body: Any = None) -> Any:
        """Ask the page's API."""
        request = urllib.request.Request(f"{self.address}/api/{path}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
            request.add_header("X-FastKafka", "1")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def send(self, number: int) -> None:
        """Send an order by the page."""
        self.ask("topics/orders/records", {"value": json.dumps({"id": number})})


@pytest.fixture(scope="module")
def developing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Developing]:
    """A `fastkafka dev` that runs until it gets a SIGTERM."""
    started = Developing(tmp_path_factory.mktemp("developing"))
    try:
        yield started
        started.command.signal(signal.SIGTERM)
        assert started.command.end() == 0
    finally:
        started.command.process.kill()
        started.command.end()


def test_each_event_is_one_line_and_only_the_last_failure_says_where(
    developing: Developing,
) -> None:
    command = developing.command
    command.wait_for(r"^Topics:  made orders$")
    command.wait_for(r"Assigned: orders\[0\]")
    developing.send(13)
    command.wait_for(r"it goes to the dead-letter topic$")
    command.wait_for(r"ValueError: unlucky$")
    assert command.out.count("attempt 1 of 3, again in") == 1
    assert command.out.count("Traceback (most recent call last):") == 1
    assert "fastkafka/engine/lanes.py" not in command.out


def test_a_change_starts_the_app_again_where_its_group_was(
    developing: Developing,
) -> None:
    command = developing.command
    developing.send(1)
    command.wait_for(r"first handled 1$")
    developing.edit(APP.replace("first handled", "then handled"))
    command.wait_for(r"^Changed shop\.py: ready again after ")
    developing.send(2)
    command.wait_for(r"then handled 2$")
    assert "then handled 1" not in command.out
    assert developing.ask("app")["mode"] == "dev"


def test_it_is_controlled_without_a_token_also_after_a_reload_until_ctrl_c_ends_it(
    tmp_path: Path,
) -> None:
    developing = Developing(tmp_path)

    def ctl(*arguments: str) -> Ended:
        return fastkafka("ctl", *arguments, "--url", developing.address)

    def paused() -> bool:
        functions = Server(developing.address).get()["functions"]
        return any(one["paused"] for one in functions)

    try:
        assert ctl("pause", "on_orders").code == 0
        until(paused)
        developing.send(1)
        developing.edit(APP.replace("first handled", "then handled"))
        # A new run knows of no pause.
        developing.command.wait_for(r"^\[\d+\]: then (handled 1)")
        until(lambda: ctl("pause", "on_orders").code == 0)
        until(paused)
        assert ctl("resume", "on_orders").code == 0
    finally:
        developing.command.press_ctrl_c()
        assert developing.command.end() == 0


def test_what_cannot_be_imported_is_shown_until_it_can_or_ctrl_c_ends_it(
    tmp_path: Path,
) -> None:
    developing = Developing(tmp_path)
    command = developing.command
    developing.edit(APP + "\nimport nothing_like_that\n")
    command.wait_for(r"^(Could not import module \"shop\")\. It raised ", on="err")
    command.wait_for(r"^It is tried again as soon as a file changes\.$", on="err")
    broken = developing.ask("app")["broken"]
    assert broken["error"] == (
        'Could not import module "shop". It raised ModuleNotFoundError: '
        "No module named 'nothing_like_that'"
    )
    assert broken["traceback"].startswith("Traceback (most recent call last):\n")
    developing.edit(APP)
    command.wait_for(r"^Changed shop\.py: ready again after ")
    developing.send(3)
    command.wait_for(r"first handled 3$")
    assert developing.ask("app")["broken"] is None
    developing.edit("not python")
    command.wait_for(r"^It is tried again", on="err", times=2)
    command.press_ctrl_c()
    assert command.end() == 1


def test_a_run_can_reload_too(tmp_path: Path) -> None:
    file = tmp_path / "shop.py"
    file.write_text(
        APP.replace('@app.consumes(topic="orders")\n', "") + "print('alpha')"
    )
    command = Command(
        [
            *(sys.executable, "-m", "fastkafka", "run", "shop:app"),
            *("--reload", "--num-workers", "1"),
        ],
        tmp_path,
    )
    try:
        command.wait_for(r"alpha$")
        command.wait_for(r"^Ready after ")
        file.write_text(file.read_text().replace("alpha", "omega"))
        command.wait_for(r"omega$")
        command.wait_for(r"^Changed shop\.py: ready again after ")
    finally:
        command.press_ctrl_c()
        assert command.end() == 0


def test_a_port_that_is_taken_is_an_error_if_it_was_asked_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as caught:
            free_port(port)
    assert str(caught.value) == (
        f"Port {port} cannot be opened: Address already in use. Take another one; "
        "without `--port` it is the next free one from 8080 on."
    )


def test_the_next_free_port_is_taken_if_none_was_asked_for() -> None:
    with free_port(None) as first, free_port(None) as second:
        assert first.getsockname()[1] < second.getsockname()[1]


def test_reloading_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(ConfigError) as caught:
        check_watchfiles()
    assert str(caught.value) == (
        "Reloading (`fastkafka dev` does without it: `--no-reload`) needs "
        "`watchfiles`, which is not installed. Install FastKafka's extra `reload`: in "
        'its checkout, `pip install ".[reload]"`.'
    )
