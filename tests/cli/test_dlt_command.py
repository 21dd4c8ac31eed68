"""`fastkafka dlt`: what is parked, why, and back it goes."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from fastkafka import FastKafka, Retry
from fastkafka.testing import EmbeddedBroker
from fastkafka.tools.parking import Parking
from tests.clients import produce, read, until
from tests.tools.clients import Sent, looking_at, spring
from tests.tools.commands import APP, Ended, fastkafka
from tests.tools.shop import Order, app

TRACE = """Traceback (most recent call last):
  File "/srv/shop/app.py", line 31, in on_orders
    raise NoStock("shoes")
app.NoStock: shoes"""


@pytest.fixture
def servers(embedded: EmbeddedBroker) -> str:
    """A broker with three dead letters of one cause and one of another."""
    embedded.create_topic("orders", 2)
    embedded.create_topic("orders-dlt", 2)
    sent = Sent(embedded.bootstrap_servers)
    for number in range(4):
        failure = spring(
            offset=number,
            error="app.NoStock",
            message=f"orders[0]@{number}: order {number}: no 'shoes'",
            trace=TRACE,
        )
        sent.send(
            "orders-dlt",
            b'{"id": %d, "status": "paid", "total": 1.10}' % number,
            b"c-%d" % number,
            [("own", b"x"), *(failure if number < 3 else spring(offset=number))],
            number % 2,
            1_700_000_000_000 + number * 1000,
        )
    return embedded.bootstrap_servers


def dlt(servers: str, command: str, *arguments: str) -> Ended:
    return fastkafka("dlt", command, APP, *arguments, "--kafka-broker", servers)


def parked(servers: str) -> list[tuple[int, int]]:
    with (
        looking_at(app, servers, "orders-dlt") as (clusters, topic),
        Parking(topic, clusters) as parking,
    ):
        return [letter.place for letter in parking.read().letters]


def test_list_groups_by_cause(servers: str) -> None:
    ended = dlt(servers, "list")

    header, stock, other = (re.split(r"  +", line) for line in ended.lines)
    assert header == ["Topic", "Parked", "Error", "Last", "Where", "Message"]
    assert stock[:3] == ["orders-dlt", "3", "NoStock"]
    assert stock[4:] == ["shop/app.py:31 in on_orders", "order 2: no 'shoes'"]
    assert other[:3] == ["orders-dlt", "1", "ValueError"]
    assert (ended.err, ended.code) == ("", 0)


def test_list_as_json(servers: str) -> None:
    stock, _ = dlt(servers, "list", "orders", "--json").json

    assert stock == {
        "topic": "orders-dlt",
        "records": 3,
        "error": "app.NoStock",
        "message": "order *: no '*'",
        "place": "shop/app.py:31 in on_orders",
        "first": 1_700_000_000_000,
        "last": 1_700_000_002_000,
        "from": {"orders": 3},
        "written_by": "Spring",
        "example": "orders[0]@2: order 2: no 'shoes'",
    }


def test_show_tells_the_whole_story(servers: str) -> None:
    ended = dlt(servers, "show", "--record", "orders-dlt[0]@1")

    lines = ended.lines
    assert lines[0] == "orders-dlt[0]@1  from orders[0]@2"
    assert re.fullmatch(r"  \d+ days.*, group shop, 3 attempts", lines[1])
    assert lines[2:] == [
        "  app.NoStock",
        "  orders[0]@2: order 2: no 'shoes'",
        "    Traceback (most recent call last):",
        '      File "/srv/shop/app.py", line 31, in on_orders',
        '        raise NoStock("shoes")',
        "    app.NoStock: shoes",
        "  key c-2",
        "  header own: x",
        "  {",
        '    "id": 2,',
        '    "status": "paid",',
        '    "total": 1.10',
        "  }",
        "",
    ]


def test_show_as_json_has_failure_and_value(servers: str) -> None:
    [shown] = dlt(servers, "show", "--error", "ValueError", "--json").json

    assert shown["value"] == {"id": 3, "status": "paid", "total": 1.1}
    assert shown["failure"]["error"] == "builtins.ValueError"
    assert shown["failure"]["topic"] == "orders"
    assert shown["headers"] == [["own", "x"]]


def test_a_dry_run_says_what_would_be_sent(servers: str) -> None:
    ended = dlt(servers, "replay", "--error", "NoStock", "--dry-run")

    assert sorted(ended.lines[:3]) == [
        "orders-dlt[0]@0 to orders[0]  NoStock",
        "orders-dlt[0]@1 to orders[0]  NoStock",
        "orders-dlt[1]@0 to orders[0]  NoStock",
    ]
    assert ended.lines[3:] == ["3 dead letters would be replayed."]
    assert (len(parked(servers)), ended.code) == (4, 0)


def test_a_replay_sends_them_back_and_finishes_them(servers: str) -> None:
    ended = dlt(servers, "replay", "--error", "NoStock", "--yes", "--rate", "0")

    assert ended.lines[-1] == "Replayed 3 dead letters."
    assert (ended.err, ended.code) == ("", 0)
    assert parked(servers) == [(1, 1)]
    records = read(servers, "orders", 3)
    assert {(r.key(), tuple(r.headers() or ())) for r in records} == {
        (b"c-%d" % number, (("own", b"x"),)) for number in range(3)
    }
    assert dlt(servers, "replay", "--all", "--yes", "--json").json == [
        {"replayed": 1, "refused": 0}
    ]
    assert dlt(servers, "list").out == "Nothing is parked.\n"


def test_a_limit_takes_those_that_have_waited_longest(servers: str) -> None:
    assert dlt(servers, "replay", "--limit", "1", "--yes").code == 0
    assert (0, 0) not in parked(servers)
    assert len(parked(servers)) == 3


def test_dismissed_ones_go_nowhere(servers: str) -> None:
    ended = dlt(servers, "dismiss", "orders", "--record", "1:0", "--yes")

    assert (ended.out, ended.code) == ("Dismissed 1 dead letter.\n", 0)
    assert parked(servers) == [(0, 0), (0, 1), (1, 1)]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            [],
            "Say which dead letters: `--all`, `--limit 10`, `--error ValueError` or "
            "`--record 2:1042`.",
        ),
        (
            ["--record", "x"],
            "`--record` 'x' is no record. Write its partition and its offset: 2:1042.",
        ),
        (
            ["payments", "--all"],
            "The app parks no dead letters of 'payments'. Its dead-letter topics: "
            "'orders-dlt'.",
        ),
        (
            ["--all", "--json"],
            "Replay 4 dead letters? Nobody can be asked here. Add `--yes`.",
        ),
    ],
)
def test_arguments_that_cannot_be_are_one_line(
    servers: str, arguments: list[str], line: str
) -> None:
    ended = dlt(servers, "replay", *arguments)

    assert (ended.err, ended.out, ended.code) == (f"{line}\n", "", 2)
    assert len(parked(servers)) == 4


async def test_a_record_fails_is_parked_and_is_handled_after_its_replay(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 1)
    embedded.create_topic("orders-dlt", 1)
    servers = embedded.bootstrap_servers
    broken = FastKafka(title="Shop", bootstrap_servers=servers, retry=Retry(attempts=1))
    handled: list[int] = []
    fixed = False

    @broken.consumes(topic="orders")
    async def on_orders(order: Order) -> None:
        if not fixed:
            raise KeyError("no such customer")
        handled.append(order.id)

    produce(servers, "orders", [b'{"id": 7, "status": "paid", "total": 1}'], key=b"k")
    command = [sys.executable, "-m", "fastkafka", "dlt"]
    arguments = [APP, "--kafka-broker", servers, "--json"]
    environment = {key: os.environ[key] for key in os.environ if "COLOR" not in key}

    def run(*words: str) -> str:
        return subprocess.run(
            [*command, *words, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    async with broken:
        await until(lambda: len(parked(servers)) == 1)
        listed = run("list")
        assert '"error":"builtins.KeyError"' in listed
        assert "in on_orders" in listed
        fixed = True
        assert run("replay", "--all", "--yes") == '{"replayed":1,"refused":0}\n'
        await until(lambda: handled == [7])
    assert parked(servers) == []
