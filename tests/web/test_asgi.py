"""The ASGI app: metrics, the document, and how it is mounted."""

from __future__ import annotations

import sys

import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel
from starlette.testclient import TestClient

from fastkafka import FastKafka
from fastkafka.asyncapi.schemas import Json
from fastkafka.errors import ConfigError
from fastkafka.transport.memory import MemoryBroker
from fastkafka.web.asgi import make_app
from fastkafka.web.guard import TOKEN_VARIABLE, rules
from fastkafka.web.mounting import mounted
from fastkafka.web.source import AppSource

TOKEN = "a-token-of-a-test-only"


class Order(BaseModel):
    id: int


def shop(broker: MemoryBroker | None = None) -> FastKafka:
    app = FastKafka(title="Shop", transport=broker or MemoryBroker({"orders": 1}))

    @app.consumes(topic="orders")
    async def on_orders(order: Order) -> None:
        pass

    return app


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


async def test_metrics_of_a_running_app_count_what_it_handles() -> None:
    broker = MemoryBroker({"orders": 1})
    app = shop(broker)
    async with app:
        for number in range(3):
            broker.produce("orders", b'{"id": %d}' % number)
        await broker.idle()
        answer = TestClient(mounted(app)).get("/metrics")

    families = list(text_string_to_metric_families(answer.text))
    handled = [
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == "fastkafka_records_total"
        and sample.labels["outcome"] == "handled"
    ]
    assert handled == [3]
    assert answer.headers["content-type"].startswith("text/plain")


async def test_readiness_follows_the_app() -> None:
    app = shop()
    http = TestClient(mounted(app))
    before = http.get("/readyz")
    async with app:
        while_it_runs = http.get("/readyz")
    after = http.get("/readyz")

    assert before.status_code == 503
    assert before.json()["reasons"][0]["text"] == "The app does not run."
    assert while_it_runs.status_code == 200
    assert after.status_code == 503
    assert http.get("/livez").status_code == 200


def test_metrics_without_the_package_name_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "fastkafka.observe.prometheus", raising=False)
    answer = TestClient(mounted(shop())).get("/metrics")

    assert answer.status_code == 501
    assert 'pip install ".[metrics]"' in answer.text


def test_the_document_is_served_where_one_may_read() -> None:
    app = shop()

    def describe() -> Json:
        return {"info": {"title": app.title}}

    served = make_app(AppSource(app), document=describe, rules=rules("127.0.0.1"))
    http = TestClient(served, base_url="http://127.0.0.1:8080")

    assert http.get("/asyncapi.json").json() == {"info": {"title": "Shop"}}


def test_the_page_of_the_document_links_to_it_and_forbids_frames() -> None:
    http = TestClient(mounted(shop(), access=lambda scope: "read"))
    answer = http.get("/docs")

    assert answer.status_code == 200
    assert 'href="asyncapi.json"' in answer.text
    assert '<a href="./#/topics/orders">Live messages</a>' in answer.text
    assert "Send one" not in answer.text
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_of_the_document_leads_to_the_form_who_may_send() -> None:
    http = TestClient(mounted(shop(), access=lambda scope: "write"))

    form = '<a href="./#/topics/orders?send=1">Send one</a>'
    assert form in http.get("/docs").text


@pytest.mark.parametrize("path", ["/docs", "/asyncapi.json"])
def test_a_foreign_host_gets_no_document(path: str) -> None:
    served = make_app(AppSource(shop()), document=dict, rules=rules("127.0.0.1"))
    http = TestClient(served, base_url="http://rebound.example")
    answer = http.get(path)

    assert answer.status_code == 421
    assert answer.json()["error"] == (
        "This server is not called 'rebound.example'. If it is, say so with "
        "`--http-allowed-hosts`."
    )


@pytest.mark.parametrize("path", ["/docs", "/asyncapi.json"])
def test_a_mounted_app_without_a_token_shows_no_document(path: str) -> None:
    answer = TestClient(mounted(shop())).get(path)

    assert answer.status_code == 403
    assert answer.json()["error"] == (
        "Nobody may read here without a token. Set `FASTKAFKA_HTTP_TOKEN`, or listen "
        "on 127.0.0.1."
    )


def test_a_token_opens_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    http = TestClient(mounted(shop()))

    assert http.get("/asyncapi.json").status_code == 401
    authorized = {"authorization": f"Bearer {TOKEN}"}
    assert http.get("/asyncapi.json", headers=authorized).status_code == 200
    assert http.get("/metrics").status_code == 200


def test_an_app_that_cannot_be_imported_says_why_and_has_probes() -> None:
    def describe() -> Json:
        raise ConfigError('Could not import module "shop". It raised KeyError: 1')

    served = make_app(AppSource(shop()), document=describe, rules=rules("127.0.0.1"))
    http = TestClient(served, base_url="http://localhost")
    answer = http.get("/docs")

    assert answer.status_code == 503
    assert answer.json()["error"] == (
        'Could not import module "shop". It raised KeyError: 1'
    )
    assert http.get("/livez").status_code == 200


def test_the_document_is_made_once() -> None:
    made = []

    def describe() -> Json:
        made.append(1)
        return {}

    served = make_app(AppSource(shop()), document=describe, rules=rules("127.0.0.1"))
    http = TestClient(served, base_url="http://localhost")
    http.get("/asyncapi.json")
    http.get("/asyncapi.json")

    assert len(made) == 1


def test_it_is_mounted_in_fastapi_with_its_lifespan() -> None:
    app = shop()
    api = FastAPI(lifespan=app.fastapi_lifespan("localhost"))
    api.mount("/kafka", mounted(app, access=lambda scope: "read"))

    with TestClient(api) as http:
        assert http.get("/kafka/livez").json()["live"] is True
        assert http.get("/kafka/readyz").status_code == 200
        assert http.get("/kafka/metrics").status_code == 200
        assert http.get("/kafka/asyncapi.json").json()["info"]["title"] == "Shop"
        assert http.get("/kafka/docs").status_code == 200
        assert http.get("/docs").status_code == 200  # FastAPI's own


def test_a_proxy_that_cuts_a_prefix_is_respected() -> None:
    http = TestClient(mounted(shop()), root_path="/behind/proxy")

    assert http.get("/behind/proxy/livez").status_code == 200
    assert http.get("/livez").status_code == 200
