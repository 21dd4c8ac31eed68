"""The endpoints, against an embedded broker that no app reads from."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import Producer
from starlette.testclient import TestClient

from fastkafka.engine.deadletters import headers_of
from fastkafka.errors import HandlerError
from fastkafka.observe.snapshot import Partition, Problem
from fastkafka.testing import EmbeddedBroker
from fastkafka.transport.librdkafka import connection
from fastkafka.web.failures import readable_trace
from fastkafka.web.guard import rules
from fastkafka.web.page import Broken
from tests.web.consoles import (
    WRITING,
    Failed,
    Said,
    client,
    console,
    shop,
    snapshot,
)

BIG = 9223372036854775807


def order(**changes: Any) -> bytes:
    return json.dumps({"id": 1, "customer": "c-1", "total": 1.5} | changes).encode()


class Cluster:
    """A broker with the shop's topics, to which a test writes."""

    def __init__(self, servers: str) -> None:
        self.servers = servers
        self._producer = Producer(
            {"bootstrap.servers": servers, "partitioner": "murmur2_random"}
        )

    def write(self, topic: str, *values: bytes | None, **rest: Any) -> None:
        for value in values:
            self._producer.produce(topic, value, partition=0, **rest)
        assert self._producer.flush(30) == 0

    def park(self, value: bytes, why: Exception, *, key: bytes = b"c-1") -> None:
        """Write a dead letter as the engine does."""
        said = f"`on_orders` failed: {why!r}"
        error = HandlerError(said, topic="orders", partition=0, offset=7)
        error.__cause__ = why
        record = Failed(value, key)
        headers = headers_of(record, error, group="shop", attempts=3)
        self.write("orders-dlt", value, key=key, headers=headers)


@pytest.fixture
def cluster(embedded: EmbeddedBroker) -> Cluster:
    for topic in ("orders", "invoices", "orders-dlt"):
        embedded.create_topic(topic, 2)
    return Cluster(embedded.bootstrap_servers)


@pytest.fixture
def page(cluster: Cluster) -> Iterator[TestClient]:
    with client(console(app=shop(cluster.servers))) as page:
        yield page


def raised(error: Exception) -> Exception:
    """Return an error with a traceback."""
    try:
        raise error
    except Exception as caught:  # noqa: BLE001 - whatever a test wants
        return caught


def test_the_app_is_described() -> None:
    with client(console(Said(snapshot(time.time())))) as page:
        app = page.get("/api/app").json()
    assert (app["title"], app["version"], app["group"]) == ("Shop", "1.2", "shop")
    assert app["cluster"] == "127.0.0.1:1"
    assert app["can"] == dict.fromkeys(("read", "send", "replay", "control"), True)
    assert app["edges"] == [
        {"from": "t:orders", "to": "f:on_orders", "via": ""},
        {"from": "f:on_orders", "to": "t:invoices", "via": "to_invoices"},
    ]
    [function] = app["functions"]
    assert function["retry"] == "Retry(attempts=3, delay=0.5)"
    assert function["description"] == "Write an invoice."


def test_who_may_only_read_is_told_so() -> None:
    with client(console(allowed=rules("127.0.0.1"), mode="run")) as page:
        app = page.get("/api/app").json()
    assert app["can"] == {
        "read": True,
        **dict.fromkeys(("send", "replay", "control"), False),
    }


def test_an_app_that_cannot_be_imported_says_why() -> None:
    broken = Broken("Could not import it.", "Traceback ...")
    with client(console(broken=broken)) as page:
        app = page.get("/api/app").json()
        assert app["title"] == "shop:app"
        assert app["broken"] == {
            "error": "Could not import it.",
            "traceback": "Traceback ...",
        }
        assert page.get("/api/topics/orders/records").status_code == 404
        assert page.get("/api/health").json()["settings"] == []


def test_an_app_that_contradicts_itself_says_how() -> None:
    app = shop()

    @app.consumes(topic="orders", auto_offset_reset="latest")
    async def on_others(order: dict[str, int]) -> None: ...

    with client(console(app=app)) as page:
        broken = page.get("/api/app").json()["broken"]
    assert broken["error"].startswith("`on_orders` starts 'orders' at 'earliest' and ")


def test_only_the_apps_own_topics_exist(page: TestClient) -> None:
    for topic in ("secrets", "__consumer_offsets", "orders%2f..%2fx", "^orders"):
        answer = page.get(f"/api/topics/{topic}/records")
        assert answer.status_code == 404, topic
    assert page.get("/api/topics/secrets/records").json()["error"] == (
        "The app has no topic 'secrets'. Its topics: 'orders', 'orders-dlt', "
        "'invoices'."
    )


def test_the_newest_records_come_with_their_digits(
    page: TestClient, cluster: Cluster
) -> None:
    cluster.write("orders", order(id=BIG), order(id=2), b"not json", None, key=b"k")
    found = page.get("/api/topics/orders/records").json()
    assert [record["offset"] for record in found["records"]] == [0, 1, 2, 3]
    assert str(BIG) in found["records"][0]["value"]
    assert [record["error"] is None for record in found["records"]] == [
        *(True, True, False, False)
    ]
    assert found["records"][3]["value"] is None
    assert (found["searched"], found["more"]) == (4, False)


def test_older_records_come_page_by_page(page: TestClient, cluster: Cluster) -> None:
    cluster.write("orders", *(order(id=n) for n in range(10)))
    newest = page.get("/api/topics/orders/records?limit=4").json()
    assert [record["offset"] for record in newest["records"]] == [6, 7, 8, 9]
    assert newest["more"]
    older = page.get(
        f"/api/topics/orders/records?limit=4&before={newest['back_to']}"
    ).json()
    assert [record["offset"] for record in older["records"]] == [2, 3, 4, 5]


def test_records_come_from_a_place(page: TestClient, cluster: Cluster) -> None:
    cluster.write("orders", *(order(id=n) for n in range(10)))

    def offsets(at: str) -> list[int]:
        found = page.get(f"/api/topics/orders/records?limit=3&at={at}").json()
        return [record["offset"] for record in found["records"]]

    assert offsets("beginning") == [0, 1, 2]
    assert offsets("0:5") == [5, 6, 7]
    assert offsets("t0") == [0, 1, 2]
    assert offsets(f"t{time.time() + 60}") == []


def test_records_are_found_by_what_they_hold(
    page: TestClient, cluster: Cluster
) -> None:
    cluster.write("orders", *(order(id=n, total=n + 1) for n in range(9)), key=b"k")
    found = page.get(
        "/api/topics/orders/records", params={"find": "total>7 key:k", "partition": 0}
    ).json()
    assert [record["offset"] for record in found["records"]] == [7, 8]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"find": '"open'}, 400),
        ({"limit": "none"}, 400),
        ({"limit": "-1"}, 400),
        ({"before": "newest"}, 400),
        ({"at": "t1e999"}, 400),
        ({"partition": "9"}, 404),
        ({"partition": "x"}, 404),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(
    page: TestClient, query: dict[str, str], status: int
) -> None:
    answer = page.get("/api/topics/orders/records", params=query)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "fields"}


def test_one_record_is_shown_whole(cluster: Cluster) -> None:
    value = order(note="x" * 70_000)
    cluster.write("invoices", value, headers=[("a", b"1"), ("b", b"\xff")])
    said = Said(snapshot(time.time()))
    with client(console(said, app=shop(cluster.servers))) as page:
        short = page.get("/api/topics/invoices/records").json()["records"][0]
        whole = page.get("/api/topics/invoices/records/0/0").json()
        missing = page.get("/api/topics/invoices/records/0/99")
    assert short["truncated"]
    assert len(short["value"]) == 64_000
    assert json.loads(whole["value"])["note"] == "x" * 70_000
    assert base64.b64decode(whole["raw"]) == value
    assert whole["headers"] == [["a", "1"], ["b", "base64:/w=="]]
    assert missing.status_code == 404
    assert missing.json()["error"] == (
        "invoices[0]@99 is not there. It may have been removed by retention or "
        "compaction."
    )


def test_what_has_become_of_a_record_is_said(cluster: Cluster) -> None:
    cluster.write("orders", *(order(id=n) for n in range(9)))
    said = Said(snapshot(time.time()))  # which has committed offset 5
    with client(console(said, app=shop(cluster.servers))) as page:

        def state(offset: int) -> Any:
            return page.get(f"/api/topics/orders/records/0/{offset}").json()["state"]

        assert state(4) == [{"group": "shop", "state": "handled", "behind": 0}]
        assert state(7) == [{"group": "shop", "state": "waiting", "behind": 2}]


def test_secrets_are_in_no_answer(cluster: Cluster) -> None:
    number = "4111-1111-1111-1111"
    value = order(card={"number": number}, note="hush-hush-note")
    cluster.write("orders", value, headers=[("copy", f"card {number}".encode())])
    why = raised(ValueError(f"the card {number} of hush-hush-note is refused"))
    cluster.park(value, why)
    app = shop(cluster.servers)
    app.redact = ("note",)
    with client(console(app=app)) as page:
        groups = page.get("/api/failures").json()["groups"]
        answers = [
            page.get("/api/topics/orders/records").text,
            page.get("/api/topics/orders/records/0/0").text,
            page.get("/api/topics/orders-dlt/records").text,
            page.get("/api/topics/orders-dlt/records/0/0").text,
            page.get("/api/failures").text,
            page.get(f"/api/failures/{groups[0]['id']}").text,
            page.get("/api/health").text,
            page.post("/api/replays", json={"check_only": True}, headers=WRITING).text,
        ]
        found = page.get("/api/topics/orders/records?find=4111").json()
    for answer in answers:
        assert number not in answer
        assert base64.b64encode(number.encode()).decode()[:12] not in answer
        assert "hush-hush-note" not in answer
    assert found["records"] == []
    assert "**********" in answers[0]
    assert "the card ********** of ********** is refused" in answers[4]


def test_no_setting_that_is_a_secret_is_shown(cluster: Cluster) -> None:
    app = shop(
        cluster.servers,
        sasl_plain_username="somebody",
        sasl_plain_password="a-password",
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
    )
    with client(console(app=app)) as page:
        health = page.get("/api/health")
    assert "a-password" not in health.text
    assert "somebody" not in health.text
    assert health.json()["settings"][1]["settings"]["sasl.mechanism"] == "PLAIN"


def test_a_message_is_checked_field_by_field(page: TestClient) -> None:
    answer = page.post(
        "/api/topics/orders/records",
        json={"value": order(customer="me", total=-1).decode(), "check_only": True},
        headers=WRITING,
    )
    assert answer.status_code == 422
    assert answer.json()["fields"] == [
        {"loc": ["customer"], "msg": r"String should match pattern '^c-\d+$'"},
        {"loc": ["total"], "msg": "Input should be greater than 0"},
    ]


def test_a_message_is_sent_as_it_was_written(
    page: TestClient, cluster: Cluster
) -> None:
    value = '{"id":  9223372036854775807, "customer": "c-1", "total": 1.10}'
    body = {"value": value, "key": "c-1", "headers": [["a", "b"]], "partition": 1}
    sent = page.post("/api/topics/orders/records", json=body, headers=WRITING)
    assert sent.status_code == 201
    assert sent.json() == {"partition": 1, "offset": 0}
    whole = page.get("/api/topics/invoices/records/1/0")
    assert whole.status_code == 404
    record = page.get("/api/topics/orders/records/1/0").json()
    assert (record["key"], record["headers"]) == ("c-1", [["a", "b"]])
    assert '"total": 1.10' in record["value"]
    assert str(BIG) in record["value"]


@pytest.mark.parametrize(
    "body",
    [
        "not json",
        "[]",
        '{"value": 5}',
        '{"value": "1", "topic": "secrets"}',
        '{"value": "1", "partition": -1}',
    ],
)
def test_a_request_that_does_not_fit_is_refused(page: TestClient, body: str) -> None:
    answer = page.post("/api/topics/orders/records", content=body, headers=WRITING)
    assert answer.status_code == 422
    assert answer.json()["fields"]


def test_a_tombstone_is_only_sent_to_who_takes_it(page: TestClient) -> None:
    body = {"value": None, "key": "c-1"}
    sent = page.post("/api/topics/orders/records", json=body, headers=WRITING)
    assert sent.status_code == 422
    assert "tombstone" in sent.json()["error"]


def test_failures_are_grouped_by_their_cause(
    page: TestClient, cluster: Cluster
) -> None:
    for number in range(3):
        cluster.park(order(id=number), raised(TimeoutError(f"no answer in {number} s")))
    cluster.park(b"{}", raised(KeyError("EUR")))
    found = page.get("/api/failures").json()
    assert (found["parked"], found["read"], found["topics"]) == (4, 4, 1)
    first, second = found["groups"]
    assert (first["kind"], first["count"], first["function"]) == (
        "TimeoutError",
        3,
        "on_orders",
    )
    assert first["message"] == "no answer in 2 s"
    assert first["at"].startswith("web/test_api.py:")
    assert second["kind"] == "KeyError"
    detail = page.get(f"/api/failures/{first['id']}").json()
    assert detail["trace"].endswith("TimeoutError: no answer in 2 s")
    assert [json.loads(r["value"])["id"] for r in detail["records"]] == [2, 1, 0]
    assert detail["records"][0]["original"] == {
        "topic": "orders",
        "partition": 0,
        "offset": 7,
    }
    assert detail["records"][0]["attempts"] == 3
    assert page.get("/api/failures/0000").status_code == 404


def test_a_trace_shows_the_users_frames_with_short_paths() -> None:
    trace = """Traceback (most recent call last):
  File "/opt/lib/python3.13/site-packages/fastkafka/engine/lanes.py", line 4, in _work
    await self._handling.handle(messages, records)
  File "%s/shop.py", line 7, in on_orders
    pay(
    ~~~^
TimeoutError: no answer"""
    assert (
        readable_trace(trace % os.getcwd())
        == """Traceback (most recent call last):
  File "shop.py", line 7, in on_orders
    pay(
    ~~~^
TimeoutError: no answer"""
    )
    assert readable_trace(None) is None


def replayed(page: TestClient, wish: dict[str, Any]) -> dict[str, Any]:
    started = page.post("/api/replays", json=wish, headers=WRITING)
    assert started.status_code == 201, started.text
    job: dict[str, Any] = started.json()
    while job["state"] == "running":
        job = page.get(f"/api/replays/{job['id']}").json()
    return job


def test_a_group_is_replayed_with_its_own_bytes(
    page: TestClient, cluster: Cluster
) -> None:
    cluster.park(order(id=1), raised(TimeoutError("1")))
    cluster.park(order(id=2), raised(KeyError("2")))
    groups = {g["kind"]: g for g in page.get("/api/failures").json()["groups"]}
    job = replayed(page, {"group": groups["KeyError"]["id"]})
    assert (job["total"], job["sent"], job["state"]) == (1, 1, "waiting")
    record = page.get("/api/topics/orders/records").json()["records"][0]
    assert json.loads(record["value"])["id"] == 2
    assert (record["key"], record["headers"]) == ("c-1", [])
    left = page.get("/api/failures").json()
    assert [group["kind"] for group in left["groups"]] == ["TimeoutError"]
    assert page.get("/api/replays").json()["replays"][0]["id"] == job["id"]
    assert page.delete(f"/api/replays/{job['id']}", headers=WRITING).status_code == 200


def test_single_records_are_dismissed(page: TestClient, cluster: Cluster) -> None:
    for number in range(3):
        cluster.park(order(id=number), raised(TimeoutError(str(number))))
    place = {"topic": "orders-dlt", "partition": 0, "offset": 1}
    job = replayed(page, {"records": [place], "action": "dismiss"})
    assert (job["sent"], job["state"]) == (1, "done")
    assert page.get("/api/failures").json()["parked"] == 2
    assert page.get("/api/topics/orders/records").json()["records"] == []


def test_a_replay_is_shown_before_it_begins(page: TestClient, cluster: Cluster) -> None:
    for number in range(7):
        cluster.park(
            order(id=number, card={"number": "4111"}), raised(TimeoutError(str(number)))
        )
    group = page.get("/api/failures").json()["groups"][0]["id"]
    shown = page.post(
        "/api/replays", json={"group": group, "check_only": True}, headers=WRITING
    )
    assert shown.status_code == 200
    plan = shown.json()
    assert (plan["total"], plan["to"]) == (7, [{"topic": "orders", "records": 7}])
    first = plan["first"]
    assert [one["from"]["offset"] for one in first] == [0, 1, 2, 3, 4]
    assert {one["from"]["topic"] for one in first} == {"orders-dlt"}
    assert first[0]["to"] == {"topic": "orders", "partition": 0}
    assert (first[0]["key"], first[0]["headers"]) == ("c-1", [])
    assert "4111" not in shown.text
    # Nothing was sent, and nothing has begun.
    assert page.get("/api/topics/orders/records").json()["records"] == []
    assert page.get("/api/replays").json() == {"replays": []}
    assert page.get("/api/failures").json()["parked"] == 7


def test_what_is_not_parked_cannot_be_replayed(page: TestClient) -> None:
    place = {"topic": "orders-dlt", "partition": 0, "offset": 1}
    for check_only in (False, True):
        wish = {"records": [place], "check_only": check_only}
        answer = page.post("/api/replays", json=wish, headers=WRITING)
        assert answer.status_code == 404
        assert answer.json()["error"] == "None of these records is parked."


def test_lag_is_the_whole_groups(cluster: Cluster) -> None:
    cluster.write("orders", *(order(id=n) for n in range(9)))
    partition = Partition("orders", 0, "shop", committed=0, end=9, lag=9, paused=True)
    said = Said(replace(snapshot(time.time()), partitions=[partition]))
    with client(console(said, app=shop(cluster.servers))) as page:
        found = page.get("/api/lag").json()
    assert (found["groups"], found["owned"]) == (["shop"], 1)
    first, second = found["rows"]
    assert (first["partition"], first["lag"], first["state"]) == (0, 9, "paused")
    assert (first["worker"], first["committed"], first["end"]) == (1, None, 9)
    assert (second["lag"], second["state"]) == (0, "elsewhere")


def test_a_lag_that_is_what_is_on_its_way_drains_at_once(cluster: Cluster) -> None:
    cluster.write("orders", *(order(id=n) for n in range(9)))
    began = time.time() - 10
    made = console(app=shop(cluster.servers))
    for second in range(9):
        done = 100 * second
        busy = Partition("orders", 0, "shop", committed=done, end=done + 9, lag=9)
        said = replace(snapshot(began + second), partitions=[busy])
        made.source = Said(said)
        made.board.tick(made.shape, [said], began + second)
    with client(made) as page:
        row = page.get("/api/lag").json()["rows"][0]
    assert (row["lag"], row["growth"], row["rate"]) == (9, 0, 100)
    assert (row["drains"], row["grows"]) == (0.1, False)


def test_health_says_what_is_wrong() -> None:
    problem = Problem("no_broker", "a", "No broker answers.", 1.0, ready=False)
    said = Said(replace(snapshot(time.time()), problems=[problem]))
    with client(console(said)) as page:
        health = page.get("/api/health").json()
    assert health["live"] == {"ok": True, "reasons": []}
    assert health["ready"]["ok"] is False
    assert health["ready"]["reasons"][0]["text"] == "No broker answers."
    assert health["workers"][0]["pid"] == 7
    assert health["events"][0]["text"] == "No broker answers."


def test_a_broker_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.1)
    with client(console(app=shop("127.0.0.1:1"))) as page:
        answer = page.get("/api/lag")
    assert answer.status_code == 503
    assert answer.json()["error"].startswith("No broker answers at 127.0.0.1:1.")


def test_the_history_is_there_from_the_first_look() -> None:
    with client(console(Said(snapshot(time.time())))) as page:
        page.get("/api/app")
        history = page.get("/api/history?seconds=900").json()
        minutes = page.get("/api/history?seconds=86400").json()
    assert history["lag"] == [4]
    assert minutes["lag"] == [4]
    assert len(history["t"]) == 1


def test_the_schema_comes_with_an_example_as_text(page: TestClient) -> None:
    found = page.get("/api/topics/orders/schema").json()
    assert found["model"] == "Order"
    assert "73314510714175488" in found["example"]
