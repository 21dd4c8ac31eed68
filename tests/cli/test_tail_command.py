"""`fastkafka tail`: in this process, in a pipe, in a terminal."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fastkafka.testing import EmbeddedBroker
from tests.tools.clients import Sent
from tests.tools.commands import APP, fastkafka

EVIL = '{"id": 9007199254740993, "status": "\u202e\x9b[red]", "total": 1.10}'


@pytest.fixture
def servers(embedded: EmbeddedBroker) -> str:
    """A broker with three orders, the last of which does not fit."""
    embedded.create_topic("orders", 2)
    sent = Sent(embedded.bootstrap_servers)
    good = b'{"id": 1, "status": "paid", "total": 1.5}'
    sent.send("orders", good, b"c-1", [("trace", b"abc")], 1, 1_700_000_000_000)
    sent.send("orders", EVIL.encode(), b"\x1b[31mkey", (), 0, 1_700_000_001_000)
    sent.send("orders", b"\x1b[2Jnope", None, (), 0, 1_700_000_002_000)
    return embedded.bootstrap_servers


def tail(servers: str, *arguments: str) -> list[str]:
    ended = fastkafka("tail", APP, "orders", "--kafka-broker", servers, *arguments)
    assert (ended.err, ended.code) == ("", 0)
    return ended.lines


def test_a_pipe_gets_a_line_for_each_record(servers: str) -> None:
    lines = [line.split("\t") for line in tail(servers)]

    assert [line[1:] for line in lines] == [
        [
            "orders[1]@0",
            "c-1",
            '{"id": 1, "status": "paid", "total": 1.5}',
        ],
        [
            "orders[0]@0",
            "\\x1b[31mkey",
            '{"id": 9007199254740993, "status": "\\u202e\\u009b[red]", "total": 1.10}',
        ],
        [
            "orders[0]@1",
            "-",
            "\\x1b[2Jnope",
            "! invalid JSON: expected value at line 1 column 1",
        ],
    ]
    assert re.fullmatch(r"2023-11-1\dT\d\d:\d\d:20\.000", lines[0][0])


def test_json_holds_the_message_as_it_was_sent(servers: str) -> None:
    lines = tail(servers, "--json")

    assert lines[1] == (
        '{"topic":"orders","partition":0,"offset":0,"timestamp":1700000001000,'
        '"key":"\\\\x1b[31mkey","headers":[],"size":63,"error":null,'
        '"value":{"id": 9007199254740993, "status": "\\u202e\\u009b[red]", '
        '"total": 1.10}}'
    )
    assert '"headers":[["trace","abc"]]' in lines[0]
    assert lines[2].endswith(
        '"error":"invalid JSON: expected value at line 1 column 1",'
        '"text":"\\\\x1b[2Jnope"}'
    )


def test_raw_is_the_bytes(servers: str) -> None:
    assert tail(servers, "--raw", "-n", "1") == ["\x1b[2Jnope"]


def test_it_is_told_where_to_begin_and_what_to_find(servers: str) -> None:
    assert len(tail(servers, "--from", "oldest", "-n", "2")) == 2
    assert len(tail(servers, "-n", "1")) == 1
    [found] = tail(servers, "--find", "id=9007199254740993")
    assert "orders[0]@0" in found
    [found] = tail(servers, "--partition", "1")
    assert "orders[1]@0" in found
    assert tail(servers, "--from", "1s") == []


def test_a_topic_that_is_not_the_apps_is_one_line(servers: str) -> None:
    ended = fastkafka("tail", APP, "payroll", "--kafka-broker", servers)

    assert ended.err == (
        "The app has no topic 'payroll'. Its topics: 'orders', 'orders-dlt', "
        "'payments', 'blobs', 'refunds', 'invoices'.\n"
    )
    assert ended.code == 2


def test_a_topic_that_is_not_there_says_how_to_make_it(servers: str) -> None:
    ended = fastkafka("tail", APP, "orders-dlt", "--kafka-broker", servers)

    assert ended.err == (
        f"Topic 'orders-dlt' does not exist at {servers}. Create it: "
        f"`fastkafka topics {APP} --create`.\n"
    )
    assert ended.code == 2


@contextmanager
def in_terminal(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run a command in a terminal of its own; give the terminal's other end."""
    ours, theirs = pty.openpty()
    environment = {key: os.environ[key] for key in os.environ if "COLOR" not in key}
    with subprocess.Popen(
        [sys.executable, "-m", "fastkafka", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environment, "TERM": "xterm-256color", "COLUMNS": "120"},
    ) as process:
        os.close(theirs)
        try:
            yield process, ours
        finally:
            process.kill()
            os.close(ours)


def shown(terminal: int, until: str = "") -> str:
    """Return what a terminal shows until the end, or until some text."""
    output = b""
    while not until or until not in output.decode(errors="replace"):
        try:
            more = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        if not more:
            break
        output += more
    return output.decode()


def test_a_terminal_shows_colours_and_obeys_no_message(servers: str) -> None:
    with in_terminal("tail", APP, "orders", "--kafka-broker", servers) as (process, at):
        output = shown(at)
        assert process.wait() == 0

    assert "\x1b[31m    invalid JSON: expected value" in output, "red"
    assert "trace: abc" in output
    assert "\\x1b[31mkey" in output
    assert "\\u202e\\u009b[red]" in output
    assert not re.search("\x1b\\[2J|\x9b|\u202e", output)


def test_following_shows_what_comes_until_ctrl_c(servers: str) -> None:
    arguments = ("tail", APP, "orders", "-f", "-n", "1", "--kafka-broker", servers)
    with in_terminal(*arguments) as (process, at):
        shown(at, until="nope")
        Sent(servers).send("orders", b'{"id": 77, "status": "new", "total": 1}')
        shown(at, until='"id": 77')
        process.send_signal(signal.SIGINT)
        rest = shown(at)
        assert (process.wait(), "Traceback" in rest) == (130, False)


def test_a_pipe_that_is_closed_ends_it_quietly(servers: str) -> None:
    sent = Sent(servers)
    for _ in range(500):
        sent._producer.produce("orders", b'{"id": 1, "status": "%s"}' % (b"x" * 900))
    sent._producer.flush()
    command = [sys.executable, "-m", "fastkafka", "tail", APP, "orders", "-n", "900"]
    with subprocess.Popen(
        [*command, "--kafka-broker", servers],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() != 0


def test_following_in_a_pipe_lets_each_record_out_at_once(servers: str) -> None:
    command = [sys.executable, "-m", "fastkafka", "tail", APP, "orders", "--json", "-f"]
    with subprocess.Popen(
        [*command, "-n", "1", "--kafka-broker", servers], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        try:
            assert b'"text"' in process.stdout.readline()
            Sent(servers).send("orders", b'{"id": 77, "status": "new", "total": 1}')
            assert b'"value":{"id": 77,' in process.stdout.readline()
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait() == 130
