"""`fastkafka docs` as a user sees it: files, a port, signals.

What listens or is stopped by a signal is a process of its own; the rest runs in this
one.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.tools.commands import Ended, fastkafka

APP = """
from fastkafka import FastKafka

app = FastKafka(title="Shop", root_path="from-the-app")

@app.consumes(topic="orders")
async def on_orders(number: int):
    pass
"""

Start = Callable[..., "subprocess.Popen[str]"]
Run = Callable[..., Ended]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Give a function that runs `fastkafka docs` beside a `shop.py`."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, app: str = APP) -> subprocess.Popen[str]:
        (tmp_path / "shop.py").write_text(app)
        process = subprocess.Popen(
            [sys.executable, "-m", "fastkafka", "docs", *arguments],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={key: os.environ[key] for key in os.environ if "COLOR" not in key},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Give a function that runs `fastkafka docs` to its end, beside a `shop.py`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*arguments: str, app: str = APP) -> Ended:
        (tmp_path / "shop.py").write_text(app)
        return fastkafka("docs", *arguments)

    yield run
    sys.modules.pop("shop", None)


def serving(process: subprocess.Popen[str]) -> str:
    """Wait until it serves; return where."""
    assert process.stdout is not None
    for line in process.stdout:
        found = re.fullmatch(r"Serving documentation on (http://\S+)\n", line)
        if found:
            return found[1]
    raise AssertionError(process.communicate()[1])


def test_generate_writes_to_the_apps_root_path(start: Start, tmp_path: Path) -> None:
    process = start("generate", "shop:app")
    out, err = process.communicate()

    assert out == (
        "AsyncAPI 3.0 document: from-the-app/asyncapi/spec/asyncapi.yml\n"
        "Page: from-the-app/asyncapi/docs/index.html\n"
    )
    assert (err, process.returncode) == ("", 0)
    folder = tmp_path / "from-the-app" / "asyncapi"
    document = yaml.safe_load((folder / "spec" / "asyncapi.yml").read_text("utf-8"))
    assert document["asyncapi"] == "3.0.0"
    assert "on_orders" in (folder / "docs" / "index.html").read_text("utf-8")


def test_generate_writes_another_version_to_another_place(
    run: Run, tmp_path: Path
) -> None:
    ended = run("generate", "--root-path=there", "--asyncapi=2.6", "shop:app")

    assert ended.code == 0
    document = tmp_path / "there" / "asyncapi" / "spec" / "asyncapi.yml"
    assert yaml.safe_load(document.read_text("utf-8"))["asyncapi"] == "2.6.0"
    assert not (tmp_path / "from-the-app").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_shows_the_page_until_a_signal(
    start: Start, number: signal.Signals
) -> None:
    process = start("serve", "--port=0", "shop:app")
    address = serving(process)
    with urllib.request.urlopen(address) as answer:
        page = answer.read().decode("utf-8")
    with urllib.request.urlopen(f"{address}/asyncapi.yml") as answer:
        document = yaml.safe_load(answer.read())
    process.send_signal(number)
    out, err = process.communicate()

    assert address.startswith("http://127.0.0.1:")
    assert "<h1>Shop" in page
    assert document["info"]["title"] == "Shop"
    assert out == "Interupting serving of documentation and cleaning up...\n"
    assert "Traceback" not in err
    assert process.returncode == 0


def test_a_port_in_use_is_one_line(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("serve", f"--port={port}", "shop:app")

    assert ended.err == (
        f"127.0.0.1:{port} is in use. Choose another port with `--port`; 0 is a free "
        "one.\n"
    )
    assert ended.code == 1


def test_an_address_of_another_machine_is_one_line(run: Run) -> None:
    ended = run("serve", "--bind=192.0.2.1", "shop:app")

    assert re.fullmatch(
        r"Cannot listen at 192.0.2.1:8000: [^.]+. Use an address of this machine: "
        r"`--bind 127.0.0.1`.\n",
        ended.err,
    )
    assert ended.code == 1


@pytest.mark.parametrize("command", ["generate", "serve"])
def test_an_app_that_is_not_there_is_one_line(run: Run, command: str) -> None:
    ended = run(command, "shop:application")

    assert ended.err == (
        'Attribute "application" not found in module "shop". Write `shop:app`.\n'
    )
    assert (ended.out, ended.code) == ("", 1)


def test_an_app_that_cannot_be_described_is_one_line(run: Run) -> None:
    ended = run("generate", "shop:app", app=f"{APP}\napp.contact = {{'url': 'us'}}\n")

    assert ended.err == (
        "FastKafka: the contact's `url` is 'us'. "
        "Write a web address: 'https://example.com'.\n"
    )
    assert ended.code == 1


def test_what_a_module_raises_is_shown(run: Run) -> None:
    ended = run("generate", "shop:app", app=APP + "\n1 / 0\n")

    assert "    1 / 0\n" in ended.err
    assert ended.err.endswith(
        'Could not import module "shop". It raised '
        "ZeroDivisionError: division by zero\n"
    )
    assert ended.code == 1


def test_a_place_that_cannot_be_written_to_is_one_line(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    ended = run("generate", "--root-path=file", "shop:app")

    assert ended.err == (
        "Cannot write the documentation: [Errno 20] Not a directory: "
        "'file/asyncapi/spec'.\n"
    )
    assert ended.code == 1


def test_there_is_nothing_to_install(run: Run) -> None:
    ended = run("install_deps")

    assert ended.out == (
        "There is nothing to install: FastKafka makes the page itself.\n"
    )
    assert (ended.err, ended.code) == ("", 0)
