"""`fastkafka run` as a user sees it: real processes, real signals, real apps."""

from __future__ import annotations

import faulthandler
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from fastkafka.cli.worker import StopSignal
from tests.tools.commands import fastkafka

CLEANUP = "Starting process cleanup, this may take a few seconds..."

APP = """
import asyncio, os, signal, sys, threading, time
from contextlib import asynccontextmanager
from fastkafka import FastKafka

@asynccontextmanager
async def lifespan(app):
    print("started")
    yield
    print("stopped")

app = FastKafka(title="Shop", lifespan=lifespan)
"""
"""An app without topics needs no broker."""

CONSUMER = """
@app.consumes(topic="orders")
async def on_orders(number: int):
    pass
"""


class Command:
    """A running command in a process group of its own, as in a terminal."""

    def __init__(self, arguments: list[str], cwd: Path) -> None:
        self.process = subprocess.Popen(
            arguments,
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            process_group=0,
            env={key: os.environ[key] for key in os.environ if "COLOR" not in key},
        )
        self._changed = threading.Condition()
        self._printed: dict[str, list[str]] = {"out": [], "err": []}
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=("out", self.process.stdout)),
            threading.Thread(target=self._read, args=("err", self.process.stderr)),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                with self._changed:
                    self._printed[name].append(line)
                    self._changed.notify_all()
        with self._changed:
            self._printed[name].append("")  # the end
            self._changed.notify_all()

    @property
    def out(self) -> str:
        """What stdout has got so far."""
        return "".join(self._printed["out"])

    @property
    def err(self) -> str:
        """What stderr has got so far."""
        return "".join(self._printed["err"])

    def wait_for(self, pattern: str, *, times: int = 1, on: str = "out") -> list[str]:
        """Wait until lines of a stream match, and return their first groups."""

        def found() -> list[str]:
            return re.findall(pattern, "".join(self._printed[on]), re.MULTILINE)

        with self._changed:
            self._changed.wait_for(
                lambda: len(found()) >= times or self._printed[on][-1:] == [""]
            )
        assert len(found()) >= times, f"{self.out}\n{self.err}"
        return found()

    def signal(self, number: int) -> None:
        """Signal the parent alone, as `kill` does."""
        self.process.send_signal(number)

    def press_ctrl_c(self) -> None:
        """Signal the whole process group, as a terminal does."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> int:
        """Wait for the end and return the exit code."""
        code = self.process.wait()
        for reader in self._readers:
            reader.join()
        return code


Start = Callable[..., Command]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Give a function that writes `shop.py` and runs a command beside it."""
    commands: list[Command] = []

    def start(*arguments: str, app: str = APP) -> Command:
        (tmp_path / "shop.py").write_text(app)
        commands.append(Command([sys.executable, "-m", *arguments], tmp_path))
        return commands[-1]

    yield start
    for command in commands:
        command.process.kill()
        command.end()


def run(*arguments: str) -> list[str]:
    """Return the arguments of `fastkafka run`, with one worker unless told."""
    return ["fastkafka", "run", "--num-workers=1", *arguments]


# An app's life


def test_the_app_of_the_guide_predicts_and_stops_on_ctrl_c(start: Start) -> None:
    command = start(
        *run("--kafka-broker=embedded", "shop:app"),
        app=APP
        + """
from pydantic import BaseModel

class Message(BaseModel):
    number: int

@app.consumes(topic="numbers")
async def on_numbers(msg: Message):
    await to_squares(msg.number)

@app.produces(topic="squares")
async def to_squares(number: int) -> Message:
    return Message(number=number ** 2)

@app.consumes(topic="squares")
async def on_squares(msg: Message):
    print("square", msg.number)

@app.run_in_background()
async def feed():
    for number in (2, 3):
        await to_numbers(number)

@app.produces(topic="numbers")
async def to_numbers(number: int) -> Message:
    return Message(number=number)
""",
    )
    command.wait_for(r"^\[\d+\]: square (\d+)$", times=2)
    command.press_ctrl_c()

    assert command.end() == 0
    assert re.match(
        r"Embedded broker on 127.0.0.1:\d+: for development only, nothing is kept.\n",
        command.out,
    )
    assert set(re.findall(r"square (\d+)", command.out)) == {"4", "9"}
    assert re.search(
        rf"\n{re.escape(CLEANUP)}\n(\[.*\n)*\[\d+\]: stopped\n", command.out
    )


def test_two_workers_share_the_work_and_stop_together_on_sigterm(start: Start) -> None:
    command = start(*run("--num-workers=2", "shop:app"))
    pids = command.wait_for(r"^\[(\d+)\]: started$", times=2)
    command.signal(signal.SIGTERM)

    assert command.end() == 0
    assert len(set(pids)) == 2
    _, _, ending = command.out.partition(CLEANUP + "\n")
    assert set(re.findall(r"^\[(\d+)\]: stopped$", ending, re.MULTILINE)) == set(pids)
    assert command.err == ""


def test_a_ctrl_c_while_the_module_is_imported_is_a_clean_stop(start: Start) -> None:
    command = start(
        *run("shop:app"),
        app="import time\nprint('importing')\ntry: time.sleep(60)\nexcept: pass\n"
        + APP,
    )
    command.wait_for("importing")
    command.press_ctrl_c()

    assert command.end() == 0, command.err
    assert command.err == ""


def test_a_signal_while_the_lifespan_starts_closes_what_it_opened(
    start: Start,
) -> None:
    command = start(
        *run("shop:app"),
        app=APP.replace(
            'print("started")',
            """
    print("starting")
    try:
        await asyncio.sleep(60)
    finally:
        print("closed")
    print("started")
""",
        ),
    )
    command.wait_for("starting")
    command.signal(signal.SIGTERM)

    assert command.end() == 0
    assert re.search(r"^\[\d+\]: closed$", command.out, re.MULTILINE)
    assert command.err == ""


@pytest.mark.parametrize("kind", ["async def", "def"])
def test_a_handler_ends_what_it_was_doing_when_sigterm_came(
    start: Start, kind: str
) -> None:
    command = start(
        *run("--kafka-broker=embedded", "shop:app"),
        app=APP
        + f"""
import time

@app.consumes(topic="orders")
{kind} on_orders(number: int):
    print("begins", number)
    {"await asyncio" if kind == "async def" else "time"}.sleep(1)
    print("ends", number)

@app.run_in_background()
async def feed():
    await to_orders([1, 2, 3])

@app.produces(topic="orders")
async def to_orders(numbers: list[int]) -> list[int]:
    return [KafkaEvent(n, key=b"k") for n in numbers]

from fastkafka import KafkaEvent
""",
    )
    command.wait_for("begins 1")
    command.signal(signal.SIGTERM)

    assert command.end() == 0
    assert command.out.count("ends 1") == 1
    assert "begins 2" not in command.out, "what waits is left for the next start"
    assert command.out.count(": stopped\n") == 1


def test_a_second_signal_kills(start: Start) -> None:
    command = start(
        *run("shop:app"),
        app=APP.replace(
            'print("stopped")', 'print("stopping"); await asyncio.sleep(60)'
        ),
    )
    command.wait_for("started")
    command.press_ctrl_c()
    command.wait_for("stopping")
    command.press_ctrl_c()

    assert command.end() == 1
    assert command.err == "Return codes are not all zero: [-9]\n"


def test_a_signal_to_every_process_of_a_service_is_one_stop(start: Start) -> None:
    command = start(
        *run("shop:app"),
        app=APP.replace(
            'print("stopped")',
            'print("stopping"); await asyncio.sleep(0.2); print("stopped")',
        ),
    )
    (pid,) = command.wait_for(r"^\[(\d+)\]: started$")
    command.signal(signal.SIGTERM)
    command.wait_for("stopping")
    os.kill(int(pid), signal.SIGTERM)

    assert command.end() == 0
    assert command.out.count(f"[{pid}]: stopped\n") == 1


def test_a_thread_that_hangs_does_not_outlive_the_deadline(start: Start) -> None:
    command = start(
        *run("--shutdown-timeout=0.1", "shop:app"),
        app=APP.replace(
            'print("started")',
            'threading.Thread(target=threading.Event().wait).start(); print("started")',
        ),
    )
    command.wait_for("started")
    command.signal(signal.SIGTERM)

    assert command.end() == 1
    assert "stopped" in command.out
    assert re.match(r"\[\d+\]: Timeout \(0:00:01.1", command.err)
    assert command.err.endswith("Return codes are not all zero: [1]\n")


def test_a_killed_worker_is_replaced(start: Start) -> None:
    command = start(*run("shop:app"))
    (first,) = command.wait_for(r"^\[(\d+)\]: started$")
    os.kill(int(first), signal.SIGKILL)
    _, second = command.wait_for(r"^\[(\d+)\]: started$", times=2)
    command.signal(signal.SIGTERM)

    assert command.end() == 0
    assert second != first
    assert re.fullmatch(
        rf"Worker {first} was killed by SIGKILL. Another one starts in 1.\d s.\n",
        command.err,
    )


def test_workers_stop_cleanly_when_the_parent_is_killed(
    start: Start, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "stopped")
    command = start(
        *run("shop:app"),
        app=APP.replace(
            'print("stopped")',
            """
    print("nobody", "reads this", file=sys.stderr)
    print("nor this")
    with open("stopped", "w") as file: file.write("stopped")
""",
        ),
    )
    command.wait_for("started")
    command.signal(signal.SIGKILL)

    assert (tmp_path / "stopped").read_text() == "stopped"


def test_the_run_stops_when_nobody_reads_its_output(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        APP.replace('print("stopped")', 'open("stopped", "w").close()')
        + """
@app.run_in_background()
async def chatter():
    while True:
        print("still here")
        await asyncio.sleep(0.01)
"""
    )
    with subprocess.Popen(
        [sys.executable, "-m", *run("shop:app")], cwd=tmp_path, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        # The first lines come while it starts: what a stop finds there has not begun.
        while b"still here" not in process.stdout.readline():
            pass
        process.stdout.close()

        assert process.wait() == 0
    assert (tmp_path / "stopped").exists()


# What cannot start


def test_a_wrong_import_string_is_one_line(start: Start) -> None:
    command = start(*run("--num-workers=3", "shop"))

    assert command.end() == 1
    assert (command.out, command.err) == (
        "",
        'Import string "shop" must be in format "<module>:<attribute>". '
        "Write `shop:app` if the app is called `app`.\n",
    )


def test_an_unknown_broker_is_one_line(start: Start) -> None:
    command = start(*run("--num-workers=3", "--kafka-broker=prod", "shop:app"))

    assert command.end() == 1
    assert (command.out, command.err) == (
        "",
        "Given kafka_broker_name 'prod' is not found in kafka_brokers, available "
        "options are dict_keys(['localhost']).\n",
    )


def test_a_placeholder_that_was_never_filled_in_is_one_line(start: Start) -> None:
    command = start(
        *run("--num-workers=3", "shop:app"),
        app=APP.replace(
            'title="Shop"',
            'kafka_brokers={"localhost": '
            '{"url": "<url_of_your_kafka_bootstrap_server>", "port": "9092"}}',
        )
        + CONSUMER,
    )

    assert command.end() == 1
    assert command.err == (
        "Broker 'localhost': `url` is still '<url_of_your_kafka_bootstrap_server>'. "
        "Write the address of a Kafka broker. "
        "To try without one: `--kafka-broker embedded`.\n"
    )


def test_no_broker_is_one_line(start: Start, unused_tcp_port: int) -> None:
    address = f"127.0.0.1:{unused_tcp_port}"
    command = start(
        *run("--num-workers=2", f"--kafka-broker={address}", "shop:app"),
        app=APP
        + CONSUMER
        + """
from fastkafka.transport.librdkafka import connection

connection.CONNECT_SECONDS = 0.5
""",
    )

    assert command.end() == 1
    assert command.err == (
        f"No broker answers at {address}. Is Kafka running? "
        "To try without one: `--kafka-broker embedded`.\n"
    )


def test_a_module_that_raises_is_shown_once_with_its_traceback(
    start: Start, tmp_path: Path
) -> None:
    command = start(*run("--num-workers=3", "shop:app"), app="\n1 / 0\n")

    assert command.end() == 1
    assert command.out == ""
    assert re.sub(r"^\[\d+\]: ", "[N]: ", command.err, flags=re.MULTILINE) == (
        "[N]: Traceback (most recent call last):\n"
        f'[N]:   File "{tmp_path / "shop.py"}", line 2, in <module>\n'
        "[N]:     1 / 0\n"
        "[N]:     ~~^~~\n"
        "[N]: ZeroDivisionError: division by zero\n"
        'Could not import module "shop". It raised '
        "ZeroDivisionError: division by zero\n"
    )


def test_a_lifespan_that_raises_is_shown_with_its_traceback(
    start: Start, tmp_path: Path
) -> None:
    command = start(
        *run("shop:app"), app=APP.replace('print("started")', "raise ValueError(app)")
    )

    assert command.end() == 1
    assert re.match(
        r"\[\d+\]: Traceback \(most recent call last\):\n"
        rf'\[\d+\]:   File "{tmp_path / "shop.py"}", line \d+, in lifespan\n',
        command.err,
    )
    assert command.err.endswith("Return codes are not all zero: [1]\n")


def test_a_handler_that_raises_ends_the_run_with_exit_code_1(start: Start) -> None:
    command = start(
        *run("--kafka-broker=embedded", "shop:app"),
        app=APP
        + """
from fastkafka import Retry

@app.consumes(topic="orders", on_failure="stop", retry=Retry(attempts=1))
async def on_orders(number: int):
    raise ValueError(f"order {number}")

@app.run_in_background()
async def feed():
    await to_orders(7)

@app.produces(topic="orders")
async def to_orders(number: int) -> int:
    return number
""",
    )

    assert command.end() == 1
    assert command.out.count("ValueError: order 7\n") == 1
    assert command.err == "Return codes are not all zero: [1]\n"


# Without a parent


def test_a_worker_in_the_foreground_stops_on_sigint(start: Start) -> None:
    command = start("fastkafka.cli.worker", "--kafka-broker=localhost", "shop:app")
    command.wait_for(r"^started$")
    command.press_ctrl_c()

    assert command.end() == 0
    assert command.out.endswith("stopped\n")


def test_a_second_signal_ends_a_worker_in_the_foreground(start: Start) -> None:
    command = start(
        *("fastkafka.cli.worker", "--kafka-broker=embedded", "shop:app"),
        app=APP.replace('print("stopped")', 'print("stopping"); time.sleep(60)'),
    )
    command.wait_for("started")
    command.signal(signal.SIGTERM)
    command.wait_for("stopping")
    command.signal(signal.SIGTERM)

    assert command.end() == 128 + signal.SIGTERM


def test_the_timer_of_a_stop_can_take_no_signal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thread begins with the signals blocked that are when it is started."""
    numbers = {signal.SIGINT, signal.SIGTERM}
    blocked: list[set[int]] = []

    def blocked_now() -> set[int]:
        return signal.pthread_sigmask(signal.SIG_BLOCK, ()) & numbers

    def start_timer(*_: Any, **__: Any) -> None:
        blocked.append(blocked_now())

    monkeypatch.setattr(faulthandler, "dump_traceback_later", start_timer)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        StopSignal(1.0, repeat_kills=True).start_deadline()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

    assert blocked == [numbers]
    assert blocked_now() == set()


def test_a_worker_in_the_foreground_says_what_is_wrong(start: Start) -> None:
    command = start("fastkafka.cli.worker", "--kafka-broker=localhost", "shop:shop")

    assert command.end() == 1
    assert command.err == (
        'Attribute "shop" not found in module "shop". Write `shop:app`.\n'
    )


# The command


def test_the_version() -> None:
    ended = fastkafka("--version")

    assert ended.code == 0
    assert re.fullmatch(r"fastkafka \d+\.\d+\.\S+\n", ended.out)


def test_the_help_lists_the_commands() -> None:
    ended = fastkafka("--help")

    assert ended.code == 0
    assert {"run", "broker", "testing"} <= set(ended.out.split())
