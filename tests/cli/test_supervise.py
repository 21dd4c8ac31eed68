"""The parent with small workers: what they print, how they end, what follows.

The workers here are a few lines of Python without the framework, so that each takes
some milliseconds; `test_run.py` has the real ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from fastkafka.cli.process import LONGEST_LINE, Lines
from fastkafka.cli.supervise import Restarts, Supervisor

PREAMBLE = """
import os, signal, sys, time
control = int(sys.argv[1])
def report(text): os.write(control, text.encode() + b"\\n")
def wait_for_the_end():
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    report("ready")
    while True: time.sleep(0.05)
"""


class AtOnce(Restarts):
    """Restarts without the waiting."""

    FIRST_DELAY = 0.001


def supervisor(
    script: str, *, num_workers: int = 1, shutdown_timeout: float = 30.0
) -> Supervisor:
    """Make a parent of workers that run *script*."""
    return Supervisor(
        lambda _, control: [
            *(sys.executable, "-IS", "-c", PREAMBLE + script),
            str(control),
        ],
        num_workers=num_workers,
        shutdown_timeout=shutdown_timeout,
        restarts=AtOnce,
    )


@contextlib.asynccontextmanager
async def running(parent: Supervisor) -> AsyncIterator[asyncio.Task[int]]:
    """Run *parent*; leave nothing behind."""
    task = asyncio.create_task(parent.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


def without_pids(text: str) -> str:
    """Write `N` for each process id."""
    return re.sub(r"\[\d+\]:|Worker \d+", lambda m: re.sub(r"\d+", "N", m[0]), text)


# Lines


def test_lines_come_out_whole_however_they_came_in() -> None:
    lines = Lines("[7]: ")

    out = [lines.feed(part) for part in (b"a", b"b\nc", b"\n\nd")]

    assert out == [b"", b"[7]: ab\n", b"[7]: c\n[7]: \n"]
    assert lines.end() == b"[7]: d\n"
    assert lines.end() == b""


def test_bytes_that_are_no_text_pass_unchanged() -> None:
    assert Lines("[7]: ").feed(b"\xff\x00[red]\r\t\n") == b"[7]: \xff\x00[red]\r\t\n"


def test_a_long_line_stays_whole() -> None:
    lines = Lines("[7]: ")
    half = b"x" * (LONGEST_LINE // 2)

    assert lines.feed(half) == b""
    assert lines.feed(half + b"\n") == b"[7]: " + half + half + b"\n"


def test_an_endless_line_comes_in_pieces() -> None:
    lines = Lines("[7]: ")

    assert lines.feed(b"x" * (LONGEST_LINE + 1)) == (
        b"[7]: " + b"x" * LONGEST_LINE + b"\n"
    )
    assert lines.end() == b"[7]: x\n"


# What workers print


async def test_both_streams_come_out_prefixed(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    await supervisor(
        "os.write(1, b'out\\n\\xff\\n'); os.write(2, b'err\\n'); os._exit(1)"
    ).run()

    out, err = capfdbinary.readouterr()
    assert re.fullmatch(rb"\[(\d+)\]: out\n\[\1\]: \xff\n", out)
    assert re.match(rb"\[\d+\]: err\n", err)


async def test_the_last_words_of_a_dying_worker_are_kept(
    capfd: pytest.CaptureFixture[str],
) -> None:
    await supervisor(
        "os.write(1, b'x' * 200_000 + b'\\nlast'); os.kill(os.getpid(), 9)"
    ).run()

    assert without_pids(capfd.readouterr().out).endswith("x\n[N]: last\n")


async def test_a_process_that_holds_a_dead_workers_pipes_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fastkafka.cli.process.LAST_WORDS", 0.05)
    await supervisor(
        "if os.fork() == 0: time.sleep(5); os._exit(0)\n"
        "os.write(1, b'half a line'); os._exit(1)"
    ).run()

    assert without_pids(capfd.readouterr().out) == "[N]: half a line\n"


# How they end


async def test_a_worker_that_crashed_is_replaced(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    parent = supervisor(
        f"""
if not os.path.exists({str(tmp_path / "again")!r}):
    open({str(tmp_path / "again")!r}, "w").close()
    os._exit(3)
os.kill(os.getppid(), signal.SIGTERM)
wait_for_the_end()
"""
    )

    assert await parent.run() == 0
    out, err = capfd.readouterr()
    assert out == "Starting process cleanup, this may take a few seconds...\n"
    assert without_pids(err) == (
        "Worker N ended with exit code 3. Another one starts in 0.0 s.\n"
    )


@pytest.mark.parametrize(
    ("end", "how", "code"),
    [
        ("os.kill(os.getpid(), 9)", "was killed by SIGKILL", 137),
        ("os._exit(3)", "ended with exit code 3", 3),
        ("os._exit(0)", "ended with exit code 0", 1),
    ],
)
async def test_a_worker_that_keeps_dying_ends_the_run_with_its_exit_code(
    end: str, how: str, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert await supervisor(end).run() == code

    err = without_pids(capfd.readouterr().err)
    again = f"Worker N {how}. Another one starts in 0.0 s.\n"
    assert err.startswith(
        2 * again + f"Worker N {how}. 3 in a row did not live for 10 s, "
        "so there will be no other.\n"
    )


async def test_an_app_that_failed_is_not_started_again(
    capfd: pytest.CaptureFixture[str],
) -> None:
    parent = supervisor("report('ready'); os._exit(1)")

    assert await parent.run() == 1
    assert capfd.readouterr() == ("", "Return codes are not all zero: [1]\n")


async def test_an_app_that_failed_stops_the_other_workers(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "ready")
    parent = supervisor(
        f"""
try:
    os.mkdir({str(tmp_path / "first")!r})
except FileExistsError:
    open({str(tmp_path / "ready")!r}, "w").close()
    wait_for_the_end()
report("loaded")
open({str(tmp_path / "ready")!r}).close()
os._exit(1)
""",
        num_workers=2,
    )

    assert await parent.run() == 1
    assert capfd.readouterr().err == "Return codes are not all zero: [1, 0]\n"


async def test_why_an_app_cannot_start_is_said_once_and_by_one_worker(
    capfd: pytest.CaptureFixture[str],
) -> None:
    parent = supervisor("report('error No such app.'); os._exit(1)", num_workers=3)

    assert await parent.run() == 1
    assert capfd.readouterr() == ("", "No such app.\n")


async def test_what_all_workers_find_is_said_once(
    capfd: pytest.CaptureFixture[str],
) -> None:
    parent = supervisor(
        "report('loaded'); report('unavailable No broker.'); os._exit(1)",
        num_workers=3,
    )

    assert await parent.run() == 1
    assert capfd.readouterr() == ("", "No broker.\n")


async def test_a_broker_that_is_away_while_a_worker_is_replaced_is_waited_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    parent = supervisor(
        f"""
lives = len(os.listdir({str(tmp_path)!r}))
os.mkdir(os.path.join({str(tmp_path)!r}, str(lives)))
if lives == 0:
    report("ready"); os.kill(os.getpid(), 9)
elif lives < 5:
    report("unavailable No broker."); os._exit(1)
os.kill(os.getppid(), signal.SIGTERM)
wait_for_the_end()
"""
    )

    assert await parent.run() == 0
    assert without_pids(capfd.readouterr().err) == (
        "Worker N was killed by SIGKILL. Another one starts in 0.0 s.\n"
        + 4 * "No broker. Another one starts in 0.0 s.\n"
    )


# How they are stopped


async def test_a_worker_that_stops_with_an_error_fails_the_run(
    capfd: pytest.CaptureFixture[str],
) -> None:
    parent = supervisor(
        "signal.signal(signal.SIGTERM, lambda *_: os._exit(1))\n"
        "os.kill(os.getppid(), signal.SIGTERM)\n"
        "while True: time.sleep(0.05)"
    )

    assert await parent.run() == 1
    assert capfd.readouterr().err == "Return codes are not all zero: [1]\n"


async def test_a_worker_that_tells_why_it_did_not_stop_cleanly_fails_the_run(
    capfd: pytest.CaptureFixture[str],
) -> None:
    parent = supervisor(
        """
def fail(*_):
    report("error Two records are lost.")
    os._exit(1)
signal.signal(signal.SIGTERM, fail)
report("ready")
os.kill(os.getppid(), signal.SIGTERM)
while True: time.sleep(0.05)
"""
    )

    assert await parent.run() == 1
    assert capfd.readouterr().err == "Two records are lost.\n"


async def test_a_worker_that_had_not_begun_counts_as_stopped_cleanly() -> None:
    assert await supervisor("os.kill(os.getppid(), 15); time.sleep(60)").run() == 0


async def test_a_worker_that_does_not_stop_in_time_is_killed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fastkafka.cli.supervise.GRACE", 0.0)
    parent = supervisor(
        "signal.signal(15, signal.SIG_IGN); os.kill(os.getppid(), 15); time.sleep(60)",
        shutdown_timeout=0.1,
    )

    assert await parent.run() == 1
    assert without_pids(capfd.readouterr().err) == (
        "Worker N did not stop within 0.1 s. It is killed.\n"
        "Return codes are not all zero: [-9]\n"
    )


async def test_a_second_signal_kills_the_workers_and_what_they_started(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "held")
    parent = supervisor(
        f"""
def second(*_): os.kill(os.getppid(), signal.SIGINT)
signal.signal(signal.SIGTERM, second)
held = open({str(tmp_path / "held")!r}, "w")
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
os.kill(os.getppid(), signal.SIGINT)
while True: time.sleep(0.05)
"""
    )
    async with running(parent) as run:
        held = await asyncio.to_thread(open, tmp_path / "held")

        assert await run == 1
        assert await asyncio.to_thread(held.read) == ""  # its writer is gone
        held.close()
    assert capfd.readouterr() == (
        "Starting process cleanup, this may take a few seconds...\n",
        "Return codes are not all zero: [-9]\n",
    )


@pytest.fixture
def hang_ups_count() -> Iterator[None]:
    """The tests themselves may run under `nohup`, where hang-ups are ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hang_ups_count")
async def test_a_hang_up_is_never_the_second_signal() -> None:
    parent = supervisor(
        """
def stop(*_):
    os.kill(os.getppid(), signal.SIGHUP)
    time.sleep(0.05)
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
report("ready")
os.kill(os.getppid(), signal.SIGHUP)
while True: time.sleep(0.05)
"""
    )

    assert await parent.run() == 0


async def test_a_stop_does_not_wait_for_a_worker_that_is_to_be_restarted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []

    def complain(message: str) -> None:
        said.append(message)
        parent.stop()

    monkeypatch.setattr("fastkafka.cli.supervise.complain", complain)
    monkeypatch.setattr(AtOnce, "FIRST_DELAY", 1_000.0)
    monkeypatch.setattr(AtOnce, "JITTER", 0.0)
    parent = supervisor("os._exit(3)")

    assert await parent.run() == 0
    assert [without_pids(message) for message in said] == [
        "Worker N ended with exit code 3. Another one starts in 1000.0 s."
    ]
