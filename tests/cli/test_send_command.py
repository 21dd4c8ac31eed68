"""`fastkafka send`."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastkafka.testing import EmbeddedBroker
from tests.clients import ends, read
from tests.tools.commands import APP, Ended, fastkafka

GOOD = '{"id": 9007199254740993, "status": "paid", "total": 1.10}'
WRONG = (
    "It is not the message `Order` of 'orders': input should be a valid integer, "
    "unable to parse string as an integer - at `$.id`."
)


@pytest.fixture
def servers(embedded: EmbeddedBroker) -> str:
    for name in ("orders", "blobs", "refunds"):
        embedded.create_topic(name, 2)
    return embedded.bootstrap_servers


def send(servers: str, *arguments: str, stdin: str | None = None) -> Ended:
    return fastkafka(
        *("send", APP, "orders", "--kafka-broker", servers, *arguments), stdin=stdin
    )


def test_a_message_is_acknowledged_before_it_ends(servers: str) -> None:
    ended = send(servers, GOOD, "--key", "c-1", "--header", "a=b=c", "--partition", "1")

    assert (ended.out, ended.err, ended.code) == ("Sent: orders[1]@0\n", "", 0)
    [record] = read(servers, "orders", 1)
    assert (record.value(), record.key(), record.headers()) == (
        GOOD.encode(),
        b"c-1",
        [("a", b"b=c")],
    )


def test_json_says_where_it_is(servers: str) -> None:
    ended = send(servers, GOOD, "--json", "--partition", "0")

    assert ended.json == [{"topic": "orders", "partition": 0, "offset": 0}]


def test_what_does_not_fit_names_the_fields_and_is_not_sent(servers: str) -> None:
    bad = '{"id": "x", "status": "paid", "total": 1}'
    ended = send(servers, bad)
    as_json = send(servers, bad, "--json")

    field = "Input should be a valid integer, unable to parse string as an integer"
    assert ended.err == f"{WRONG}\n  id: {field}\n"
    assert (ended.out, ended.code) == ("", 1)
    assert as_json.json == [{"error": WRONG, "fields": [{"loc": ["id"], "msg": field}]}]
    assert ends(servers, "orders") == {}


def test_each_line_of_stdin_is_a_message_up_to_the_first_wrong_one(
    servers: str,
) -> None:
    ended = send(servers, stdin=f"{GOOD}\n\n{GOOD}\r\nnope\n{GOOD}\n")

    assert (ended.out, ended.code) == ("Sent 2 to 'orders'.\n", 1)
    assert ended.err == (
        "Line 4: It is not the message `Order` of 'orders': invalid JSON: expected "
        "ident at line 1 column 2.\n"
    )
    assert {r.value() for r in read(servers, "orders", 2)} == {GOOD.encode()}


def test_of_a_file_nothing_is_sent_if_one_does_not_fit(
    servers: str, tmp_path: Path
) -> None:
    file = tmp_path / "orders.jsonl"
    file.write_text(f"{GOOD}\nnope\n")
    wrong = send(servers, "--file", str(file))
    assert (wrong.out, wrong.code, ends(servers, "orders")) == ("", 1, {})

    file.write_text(f"{GOOD}\n" * 250)
    checked = send(servers, "--file", str(file), "--check-only")
    assert checked.out == "All 250 fit 'orders'. Nothing was sent.\n"
    right = send(servers, "--file", str(file), "--json")
    assert (right.json, right.code) == ([{"topic": "orders", "sent": 250}], 0)
    assert sum(ends(servers, "orders").values()) == 250


def test_check_only_sends_nothing(servers: str) -> None:
    ended = send(servers, GOOD, "--check-only")

    assert (ended.out, ended.code) == ("It fits 'orders'. Nothing was sent.\n", 0)
    assert ends(servers, "orders") == {}


def test_raw_sends_the_text_unchecked(servers: str) -> None:
    assert send(servers, "no json", "--raw").code == 0
    assert [r.value() for r in read(servers, "orders", 1)] == [b"no json"]


def test_a_tombstone_deletes_a_key(servers: str) -> None:
    arguments = ("--tombstone", "--key", "c-1", "--kafka-broker", servers)
    refused = fastkafka("send", APP, "orders", *arguments)
    taken = fastkafka("send", APP, "refunds", *arguments)

    assert refused.code == 1
    assert "Declare the message as `Model | None` to receive tombstones" in refused.err
    assert taken.code == 0
    [record] = read(servers, "refunds", 1)
    assert (record.value(), record.key()) == (None, b"c-1")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([GOOD, "--tombstone"], "Give either a message or `--tombstone`, not both."),
        (
            ["--tombstone"],
            "A tombstone deletes a key, so it needs one: `--tombstone --key ...`.",
        ),
        (
            [GOOD, "--header", "x"],
            "`--header` 'x' is no header. Write `name=value`.",
        ),
        (
            [GOOD, "--partition", "9"],
            "Topic 'orders' has no partition 9. Its partitions are 0 to 1.",
        ),
    ],
)
def test_arguments_that_cannot_be_are_one_line(
    servers: str, arguments: list[str], line: str
) -> None:
    ended = send(servers, *arguments)

    assert (ended.err, ended.out, ended.code) == (f"{line}\n", "", 2)
