"""`/livez` and `/readyz`: what they answer, and when."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from fastkafka.observe.snapshot import Snapshot
from fastkafka.observe.workers import SILENCE, Workers
from fastkafka.web.asgi import make_app
from fastkafka.web.guard import rules
from tests.snapshots import problem, snapshot
from tests.web.made import Made


def client(*snapshots: Snapshot) -> TestClient:
    made = make_app(Made(*snapshots), document=dict, rules=rules("127.0.0.1"))
    return TestClient(made)


def test_a_worker_without_problems_is_live_and_ready() -> None:
    with client(snapshot()) as http:
        assert http.get("/livez").json() == {"live": True, "reasons": []}
        assert http.get("/readyz").json() == {"ready": True, "reasons": []}


def test_a_broker_that_is_away_makes_it_unready_and_leaves_it_live() -> None:
    with client(snapshot(problems=[problem()])) as http:
        live, ready = http.get("/livez"), http.get("/readyz")

    assert live.status_code == 200
    assert ready.status_code == 503
    assert ready.json() == {
        "ready": False,
        "reasons": [
            {
                "kind": "no_broker",
                "what": "kafka:9092",
                "text": "No broker answers.",
                "since": 900.0,
                "worker": 1,
                "pid": 11,
            }
        ],
    }


@pytest.mark.parametrize("kind", ["blocked_loop", "poll_thread"])
def test_what_cannot_go_on_is_not_live(kind: str) -> None:
    with client(snapshot(problems=[problem(kind, live=False)])) as http:
        answer = http.get("/livez")

    assert answer.status_code == 503
    assert answer.json()["live"] is False
    assert [reason["kind"] for reason in answer.json()["reasons"]] == [kind]


def test_a_problem_that_leaves_it_ready_is_no_reason() -> None:
    with client(snapshot(problems=[problem(ready=True)])) as http:
        assert http.get("/livez").status_code == 200
        assert http.get("/readyz").json() == {"ready": True, "reasons": []}


def test_what_is_paused_is_listed_and_leaves_it_ready() -> None:
    text = "`on_orders` is paused."
    paused = problem("paused", ready=True, text=text)
    with client(snapshot(problems=[paused])) as http:
        ready = http.get("/readyz")
        assert http.get("/livez").json() == {"live": True, "reasons": []}

    assert ready.status_code == 200
    assert (ready.json()["ready"], ready.json()["reasons"]) == (True, [])
    assert [one["text"] for one in ready.json()["paused"]] == [text]


def test_dead_letters_that_cannot_be_written_make_it_unready() -> None:
    text = "Dead letters of 'orders-dlt' cannot be written."
    with client(snapshot(problems=[problem("dead_letters_fail", text=text)])) as http:
        assert http.get("/livez").status_code == 200
        assert http.get("/readyz").json()["reasons"][0]["text"] == text


def test_one_worker_of_several_is_enough_and_says_which_it_is() -> None:
    run = Workers(2)
    run.heard(1, snapshot(11))
    run.heard(2, snapshot(12))
    run.ended(2, "Worker 12 was killed by SIGKILL. Another one starts.")
    with client(*run.snapshots()) as http:
        live, ready = http.get("/livez"), http.get("/readyz")

    assert live.status_code == 200
    assert ready.status_code == 503
    (reason,) = ready.json()["reasons"]
    assert reason["worker"] == 2
    assert reason["pid"] is None
    assert reason["text"] == "Worker 12 was killed by SIGKILL. Another one starts."


def test_a_worker_that_is_suspended_is_not_live() -> None:
    now = [0.0]
    run = Workers(1, lambda: now[0], lambda: now[0])
    run.heard(1, snapshot(11))
    now[0] += SILENCE
    with client(*run.snapshots()) as http:
        assert http.get("/livez").json()["reasons"][0]["kind"] == "silent"


def test_probes_and_metrics_are_open_to_every_name() -> None:
    with client(snapshot()) as http:
        for path in ("/livez", "/readyz", "/metrics"):
            answer = http.get(path, headers={"host": "10.1.2.3:8080"})
            assert answer.status_code == 200, path


def test_a_probe_is_not_cached_and_takes_no_writes() -> None:
    with client(snapshot()) as http:
        assert http.get("/livez").headers["cache-control"] == "no-store"
        assert http.head("/livez").status_code == 200
        assert http.post("/livez").status_code == 405


def test_probes_answer_without_a_thread_or_a_wait() -> None:
    """A probe must be answered when the pool of threads is full of slow handlers."""
    app = make_app(Made(snapshot()), document=dict, rules=rules("127.0.0.1"))
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        raise AssertionError("a probe has no body to wait for")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/livez",
        "root_path": "",
        "headers": [],
        "query_string": b"",
    }
    coroutine = app(scope, receive, send)
    with pytest.raises(StopIteration):
        coroutine.send(None)  # it is done at once: it gave the loop nothing to wait for
    assert sent[0]["status"] == 200
