"""`fastkafka check`, `--help` and completion of the commands that look into Kafka."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fastkafka.testing import EmbeddedBroker
from fastkafka.transport.librdkafka import connection
from tests.tools.commands import APP, fastkafka


def test_each_finding_says_what_to_do_and_the_exit_code_is_the_answer(
    embedded: EmbeddedBroker,
) -> None:
    for name in ("orders", "payments", "blobs", "refunds"):
        embedded.create_topic(name, 2)
    servers = embedded.bootstrap_servers

    bad = fastkafka("check", APP, "--kafka-broker", servers, "--num-workers", "3")
    assert bad.lines[:3] == [
        "✗ error  invoices",
        f"    It does not exist at {servers}. `to_invoices` writes it, and fails.",
        f"    Create it: `kafka-topics.sh --bootstrap-server {servers} --create "
        "--topic invoices --partitions 6`, or "
        f"`fastkafka topics {APP} --create`.",
    ]
    assert bad.lines[-1] == "1 error, 5 warnings, 1 note."
    assert (bad.err, bad.code) == ("", 1)

    embedded.create_topic("invoices", 2)
    good = fastkafka("check", APP, "--kafka-broker", servers)
    assert good.lines[-1] == "1 warning, 1 note."
    assert good.code == 0
    strict = fastkafka("check", APP, "--kafka-broker", servers, "--strict")
    assert strict.code == 1


def test_json_is_one_object_in_each_line(embedded: EmbeddedBroker) -> None:
    servers = embedded.bootstrap_servers
    ended = fastkafka("check", APP, "--json", "--kafka-broker", servers)

    assert [set(each) for each in ended.json] == [
        {"severity", "subject", "text", "advice"}
    ] * len(ended.json)
    assert [each["severity"] for each in ended.json] == [
        *["error"] * 5,
        "warning",
        "note",
    ]
    assert ended.code == 1


def test_nothing_to_check_against_is_exit_code_2(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.1)
    ended = fastkafka("check", APP, "--kafka-broker", "127.0.0.1:1")

    assert (ended.out, ended.code) == ("", 2)
    assert ended.err.startswith("No broker answers at 127.0.0.1:1.")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )


def test_help_imports_neither_kafka_nor_the_models() -> None:
    code = (
        "import sys, fastkafka.cli.commands\n"
        "heavy = ['confluent_kafka', 'pydantic', 'asyncio', 'fastkafka.app']\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    assert run("-c", code).stdout == "[]\n"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("fastkafka ", {"topics", "lag", "tail", "send", "dlt", "check"}),
        ("fastkafka dlt ", {"list", "show", "replay", "dismiss"}),
    ],
)
def test_a_shell_completes_the_commands(typed: str, offered: set[str]) -> None:
    ended = subprocess.run(
        [os.path.join(os.path.dirname(sys.executable), "fastkafka")],
        env={
            **os.environ,
            "_FASTKAFKA_COMPLETE": "complete_bash",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(typed.count(" ")),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert offered <= set(ended.stdout.split())
