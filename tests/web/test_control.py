"""`api/control`: what is asked, what the workers answer, and what comes of it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from starlette.testclient import TestClient

from fastkafka.engine.commands import Answer, Command
from fastkafka.observe.snapshot import Partition, Snapshot
from fastkafka.testing import EmbeddedBroker
from fastkafka.web.guard import LARGEST_BODY, rules
from fastkafka.web.mounting import mounted
from tests.clients import produce, until
from tests.web.consoles import HOST, WRITING, Said, client, console, shop, snapshot


def worker(number: int = 1, **changes: Any) -> Snapshot:
    said = snapshot(time.time(), **changes)
    return Snapshot(
        said.time,
        pid=70 + number,
        worker=number,
        functions=said.functions,
        partitions=[
            Partition("orders", number - 1, "shop", committed=5, end=9, lag=4),
        ],
    )


def ask(page: TestClient, **wish: Any) -> Any:
    return page.post("/api/control", json=wish, headers=WRITING)


def test_how_it_is_is_told_for_all_workers() -> None:
    paused: Any = {"paused_partitions": (("orders", 1),), "busy": 2}
    said = Said(worker(1, **paused), worker(2, **paused))
    with client(console(said)) as page:
        found = page.get("/api/control").json()

    [function] = found["functions"]
    assert (function["concurrency"], function["busy"]) == (8, 4), "of each, of all"
    assert function["paused"] is False
    assert function["paused_partitions"] == [["orders", 1]]
    assert [(p["partition"], p["worker"]) for p in found["partitions"]] == [
        (0, 1),
        (1, 2),
    ]
    assert [w["pid"] for w in found["workers"]] == [71, 72]


def test_what_is_asked_reaches_the_workers_and_their_answer_comes_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    said = Said(worker(1), worker(2))
    said.answers = [
        Answer("done", "`on_orders` is paused.", 1),
        Answer("later", "Worker 2 is starting, and does it then.", 2),
    ]
    with caplog.at_level("INFO", "fastkafka"), client(console(said)) as page:
        answer = ask(page, action="pause", function="on_orders")

    assert answer.status_code == 200
    assert answer.json() == {
        "done": True,
        "texts": ["`on_orders` is paused.", "Worker 2 is starting, and does it then."],
    }
    assert said.commands == [Command("pause", "on_orders")]
    assert "testclient asks for this: pause on_orders" in caplog.messages


@pytest.mark.parametrize(
    ("answers", "status", "sentence"),
    [
        (
            [
                Answer("wrong", "It has an order.", 1),
                Answer("wrong", "It has an order."),
            ],
            422,
            "It has an order.",
        ),
        (
            [Answer("done", "Done.", 1), Answer("silent", "Worker 2 is silent.", 2)],
            504,
            "Worker 2 is silent. The other workers have done it.",
        ),
        ([Answer("failed", "No broker.", 1)], 503, "No broker."),
        ([], 503, "No worker runs at this moment."),
    ],
)
def test_what_workers_refuse_is_said(
    answers: list[Answer], status: int, sentence: str
) -> None:
    said = Said(worker())
    said.answers = answers
    with client(console(said)) as page:
        answer = ask(page, action="concurrency", function="on_orders", concurrency=9)

    assert answer.status_code == status
    assert answer.json() == {"error": sentence, "fields": []}


def test_an_unknown_function_is_named_with_the_nearest_and_asked_of_nobody() -> None:
    said = Said(worker())
    with client(console(said)) as page:
        answer = ask(page, action="pause", function="on_oders")

    assert answer.status_code == 404
    assert answer.json()["error"] == (
        "No function 'on_oders' consumes here. Did you mean 'on_orders'?"
    )
    assert said.commands == []


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"action": "stop"}, "action"),
        ({"action": "pause", "partition": -1}, "partition"),
        ({"action": "concurrency", "concurrency": 0}, "concurrency"),
        ({"action": "pause", "more": 1}, "more"),
    ],
)
def test_what_does_not_fit_is_said_with_its_field(wish: Any, field: str) -> None:
    with client(console(Said(worker()))) as page:
        answer = ask(page, **wish)
    assert answer.status_code == 422
    assert answer.json()["fields"][0]["loc"] == [field]


def test_foreign_and_oversized_requests_do_not_get_through() -> None:
    said = Said(worker())
    wish = {"action": "pause", "function": "on_orders"}
    with client(console(said)) as page:
        bare = page.post("/api/control", json=wish)
        foreign = page.post(
            "/api/control", json=wish, headers=WRITING | {"Origin": "http://evil"}
        )
        large = ask(page, action="pause", function="o" * LARGEST_BODY)

    assert [a.status_code for a in (bare, foreign, large)] == [403, 403, 413]
    assert said.commands == []


def test_without_a_token_there_is_no_control_in_production() -> None:
    with client(console(Said(worker()), allowed=rules("127.0.0.1"))) as page:
        assert page.get("/api/control").status_code == 200
        answer = ask(page, action="pause", function="on_orders")
    assert answer.status_code == 404
    assert answer.json()["error"] == (
        "Sending, replaying and controlling are switched off here."
    )


# Seeking.


@pytest.fixture
def cluster(embedded: EmbeddedBroker) -> str:
    embedded.create_topic("orders", 2)
    servers = embedded.bootstrap_servers
    produce(servers, "orders", [b"%d" % n for n in range(9)], partition=0)
    return servers


def seeking(cluster: str, *answers: Answer) -> tuple[Said, Any]:
    said = Said(worker())
    said.answers = answers or (Answer("done", "Sought."),)
    return said, console(said, app=shop(cluster))


@pytest.mark.parametrize(
    ("to", "offset", "skipped", "repeated"),
    [
        ("latest", 9, 4, 0),
        ("earliest", 0, 0, 5),
        ("7", 7, 2, 0),
        ("t1", 0, 0, 5),
        ("t99999999999", 9, 4, 0),
    ],
)
def test_a_seek_is_shown_before_it_is_done(
    cluster: str, to: str, offset: int, skipped: int, repeated: int
) -> None:
    said, there = seeking(cluster)
    wish = {"action": "seek", "topic": "orders", "partition": 0, "to": to}
    with client(there) as page:
        shown = ask(page, **wish, check_only=True)
        assert said.commands == []
        done = ask(page, **wish)

    preview = {
        "topic": "orders",
        "partition": 0,
        "group": "shop",
        "from": 5,
        "to": offset,
        "skipped": skipped,
        "repeated": repeated,
        "owner": 1,
    }
    assert shown.json() == preview
    assert done.json() == {"done": True, "texts": ["Sought."], **preview}
    assert said.commands == [
        Command("seek", topic="orders", partition=0, offset=offset, group="shop")
    ]


@pytest.mark.parametrize(
    ("wish", "status", "sentence"),
    [
        (
            {"partition": 7, "to": "0"},
            404,
            "'orders' has no partition 7; they count from 0 to 1.",
        ),
        (
            {"partition": 0, "to": "10"},
            422,
            "orders[0] has no offset 10: it holds 0 to 9.",
        ),
        (
            {"partition": 0, "to": "soon"},
            422,
            "'soon' is no place. Write earliest, latest, an offset, or `t` and epoch "
            "seconds.",
        ),
        (
            {"partition": 0, "to": "1", "group": "other"},
            404,
            "No group 'other' reads 'orders': 'shop'.",
        ),
        ({"partition": 0}, 422, "A seek needs `topic`, `partition` and `to`."),
        (
            {"topic": "bills", "partition": 0, "to": "1"},
            404,
            "The app has no topic 'bills'. Its topics: 'orders', 'orders-dlt', "
            "'invoices'.",
        ),
    ],
)
def test_a_seek_that_cannot_be_is_refused(
    cluster: str, wish: Any, status: int, sentence: str
) -> None:
    said, there = seeking(cluster)
    with client(there) as page:
        answer = ask(page, **({"action": "seek", "topic": "orders"} | wish))
    assert (answer.json()["error"], answer.status_code) == (sentence, status)
    assert said.commands == []


def test_a_partition_of_nobody_here_is_refused_and_says_what_to_do(
    cluster: str,
) -> None:
    _, there = seeking(cluster, Answer("elsewhere", "orders[1] is not this process's."))
    with client(there) as page:
        wish: Any = {"topic": "orders", "partition": 1, "to": "earliest"}
        shown = ask(page, action="seek", check_only=True, **wish)
        answer = ask(page, action="seek", **wish)

    assert shown.json()["owner"] is None
    assert answer.status_code == 409
    assert answer.json()["error"] == (
        "No worker here has orders[1] of group 'shop' at this moment: another member "
        "of the group has it, or it is on its way. Ask there; or stop the whole group "
        "and use kafka-consumer-groups.sh --reset-offsets."
    )


def test_a_partition_that_is_not_there_cannot_be_paused(cluster: str) -> None:
    _, there = seeking(cluster)
    wish: Any = {"action": "pause", "function": "on_orders", "topic": "orders"}
    with client(there) as page:
        gone = ask(page, partition=7, **wish)
        there_but_not_here = ask(page, partition=1, **wish)

    assert gone.status_code == 404
    assert gone.json()["error"] == (
        "'orders' has no partition 7; they count from 0 to 1."
    )
    assert there_but_not_here.status_code == 200


# Mounted.


async def test_a_mounted_page_controls_the_app_in_its_process(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 1)
    app = shop(embedded.bootstrap_servers)
    with TestClient(mounted(app, access=lambda scope: "write"), base_url=HOST) as page:

        async def asked(**wish: Any) -> int:
            answer = await asyncio.to_thread(ask, page, function="on_orders", **wish)
            return int(answer.status_code)

        async with app:
            assert await asked(action="pause") == 200
            await until(lambda: app.snapshot().functions[0].paused)
            assert await asked(action="concurrency", concurrency=3) == 200
            await until(lambda: app.snapshot().functions[0].concurrency == 3)
            assert await asked(action="resume") == 200
            await until(lambda: not app.snapshot().functions[0].paused)
