"""What a command says of itself, in a terminal and where there is none."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from fastkafka.cli.terminal import complain, say

SAY = """
import sys
from fastkafka.cli import commands, terminal

terminal.say("one [bold]line[/bold]")
terminal.complain("a mistake")
print(sorted({"rich", "confluent_kafka", "fastkafka.app"} & sys.modules.keys()))
"""


def test_a_pipe_gets_the_plain_text_and_nobody_waits_for_what_draws_it() -> None:
    environment = {k: v for k, v in os.environ.items() if "COLOR" not in k}
    ended = subprocess.run(
        [sys.executable, "-c", SAY],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert (ended.stdout, ended.stderr) == (
        "one [bold]line[/bold]\n[]\n",
        "a mistake\n",
    )


def test_a_mistake_is_red_where_colours_are_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    say("one [bold]line[/bold]")
    complain("a mistake")

    said = capsys.readouterr()
    assert said.out == "one [bold]line[/bold]\n"
    assert said.err == "\x1b[31ma mistake\x1b[0m\n"


def test_what_nobody_reads_any_more_stops_no_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    reading, writing = os.pipe()
    os.close(reading)
    with io.TextIOWrapper(io.FileIO(writing, "w")) as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        say("first")
        say("second")
