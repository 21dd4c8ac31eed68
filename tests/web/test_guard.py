"""Who may read and who may write: Host, Origin, method and token against routes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from fastkafka.errors import ConfigError
from fastkafka.web.guard import LARGEST_BODY, Rules, read_token, rules
from fastkafka.web.page import routes_of
from tests.web.consoles import HOST, TOKEN, WRITING, client, console

DEV = rules("127.0.0.1", dev=True)
LOOPBACK = rules("127.0.0.1")
ANYWHERE = rules("0.0.0.0")
MOUNTED = rules(None)
TOKENED = rules("0.0.0.0", token=TOKEN)
DEV_ELSEWHERE = rules("0.0.0.0", dev=True)
NO_ACTIONS = rules("0.0.0.0", token=TOKEN, web_actions=False)

BEARER = {"Authorization": f"Bearer {TOKEN}"}
WRONG = {"Authorization": "Bearer not-the-token-at-all"}

ORDER = '{"id": 1, "customer": "c-1", "total": 1}'
SEND = {"value": ORDER, "check_only": True}
PAUSE = {"action": "pause", "function": "on_orders"}


@pytest.mark.parametrize(
    ("allowed", "headers", "read", "write"),
    [
        (DEV, {}, 200, 200),
        (LOOPBACK, {}, 200, 404),
        (ANYWHERE, {}, 403, 404),
        (MOUNTED, {}, 403, 404),
        (DEV_ELSEWHERE, {}, 403, 404),
        (TOKENED, {}, 401, 401),
        (TOKENED, WRONG, 401, 401),
        (TOKENED, BEARER, 200, 200),
        (NO_ACTIONS, BEARER, 200, 404),
        (rules(None, access=lambda scope: "none"), {}, 403, 404),
        (rules(None, access=lambda scope: "read"), {}, 200, 404),
        (rules(None, access=lambda scope: "write"), {}, 200, 200),
        (
            rules(None, access=lambda scope: "write", web_actions=False),
            {},
            200,
            404,
        ),
    ],
)
def test_how_it_was_started_decides_who_may_read_and_write(
    allowed: Rules, headers: dict[str, str], read: int, write: int
) -> None:
    with client(console(allowed=allowed), **headers) as page:
        assert page.get("/").status_code == 200  # the page itself is no secret
        assert page.get("/static/app.js").status_code == 200
        for path in (
            *("app", "now", "history", "health", "control"),
            "topics/orders/schema",
        ):
            assert page.get(f"/api/{path}").status_code == read, path
        sent = page.post("/api/topics/orders/records", json=SEND, headers=WRITING)
        assert sent.status_code == write
        paused = page.post("/api/control", json=PAUSE, headers=WRITING)
        assert paused.status_code == write
        stopped = page.delete("/api/replays/none", headers=WRITING)
        assert stopped.status_code == (404 if write == 200 else write)


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "127.0.0.1.evil.example", "localhost.evil.example"),
        *("", "127.0.0.1@evil.example", "10.0.0.1:8080", "[::1", "a b"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/static/app.js", "/api/app", "/nothing"])
def test_a_foreign_host_is_refused(host: str, path: str) -> None:
    with client(console(), Host=host) as page:
        answer = page.get(path)
    assert answer.status_code == 421
    assert answer.json() == {
        "error": f"This server is not called {host!r}. If it is, say so with "
        "`--http-allowed-hosts`.",
        "fields": [],
    }


@pytest.mark.parametrize(
    ("allowed", "host"),
    [
        (DEV, "127.0.0.1:8080"),
        (DEV, "localhost"),
        (DEV, "LOCALHOST:80"),
        (DEV, "localhost."),
        (DEV, "[::1]:8080"),
        (rules("192.0.2.7", token=TOKEN), "192.0.2.7:80"),
        (rules("::2", token=TOKEN), "[::2]:80"),
        (rules("0.0.0.0", token=TOKEN), "198.51.100.1:8080"),
        (rules("127.0.0.1", allowed_hosts=["kafka.example"]), "kafka.example:443"),
        (rules("127.0.0.1", allowed_hosts=["kafka.example:8080"]), "kafka.example"),
        (MOUNTED, "whatever.example"),
    ],
)
def test_our_own_names_are_known(allowed: Rules, host: str) -> None:
    with client(console(allowed=allowed), Host=host) as page:
        assert page.get("/").status_code == 200


def test_a_name_is_refused_where_any_address_is_taken() -> None:
    with client(console(allowed=TOKENED), Host="rebound.example", **BEARER) as page:
        assert page.get("/api/app").status_code == 421


def test_an_allowed_host_must_be_one() -> None:
    with pytest.raises(ConfigError) as caught:
        rules("127.0.0.1", allowed_hosts=["https://kafka.example/"])
    assert str(caught.value) == (
        "`--http-allowed-hosts`: 'https://kafka.example/' is not a host. Write a name "
        "or an address, as in `kafka.example.com`."
    )


@pytest.mark.parametrize(
    ("site", "status"),
    [
        ("same-origin", 200),
        ("none", 200),
        ("same-site", 403),
        ("cross-site", 403),
        ("", 403),
    ],
)
def test_requests_of_other_sites_are_refused(site: str, status: int) -> None:
    headers = {"Sec-Fetch-Site": site}
    with client(console()) as page:
        assert page.get("/api/app", headers=headers).status_code == status
        sent = page.post(
            "/api/topics/orders/records", json=SEND, headers=WRITING | headers
        )
        assert sent.status_code == status
        # A link on another site may lead here.
        assert page.get("/", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 200),
        ({"Origin": HOST}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:9090"}, 403),
        ({"Origin": "http://localhost:8080"}, 403),
        ({"Origin": "null"}, 403),
        ({"X-FastKafka": ""}, 403),
        ({"X-FastKafka": "0"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
    ],
)
def test_a_write_is_what_no_foreign_page_can_send(
    changes: dict[str, str], status: int
) -> None:
    with client(console()) as page:
        answer = page.post(
            "/api/topics/orders/records", json=SEND, headers=WRITING | changes
        )
        assert answer.status_code == status


def test_a_write_without_our_header_is_refused() -> None:
    with client(console()) as page:
        answer = page.post("/api/topics/orders/records", json=SEND)
    assert answer.status_code == 403
    assert answer.json()["error"] == "The header `X-FastKafka: 1` is missing."


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "POST", "DELETE"])
def test_other_methods_change_nothing(method: str) -> None:
    with client(console()) as page:
        answer = page.request(method, "/api/app", headers=WRITING)
        assert answer.status_code == 405
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("told", [True, False])
def test_a_large_body_is_refused(told: bool) -> None:
    body = b'{"value": "' + b"x" * LARGEST_BODY + b'"}'
    content: Any = body if told else iter([body[:10], body[10:]])
    with client(console()) as page:
        answer = page.post(
            "/api/topics/orders/records", content=content, headers=WRITING
        )
    assert answer.status_code == 413
    assert answer.json()["error"] == "The body is larger than 1,000,000 bytes."


@pytest.mark.parametrize(
    "path",
    [
        "/static/../page.py",
        "/static/%2e%2e/page.py",
        "/static/..%2fguard.py",
        "/static//etc/passwd",
        "/static/",
        "/static/vendor/../../guard.py",
        "/static/app.js%00",
    ],
)
def test_no_path_leads_out_of_the_pages_files(path: str) -> None:
    with client(console()) as page:
        answer = page.get(path)
    assert answer.status_code == 404
    assert set(answer.json()) == {"error", "fields"}


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/api/app", "/nothing"])
def test_every_answer_has_the_headers_that_keep_it_harmless(path: str) -> None:
    with client(console()) as page:
        headers = page.get(path).headers
        shown = page.get("/").text
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self' 'sha256-")
    assert policy.endswith(
        "'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    # The one inline script is the import map, and nothing is from elsewhere.
    assert shown.count("<script") - shown.count("<script src=") == 2
    assert "style=" not in shown
    assert "http" not in shown.replace("http-equiv", "")


def test_a_refusal_has_those_headers_too() -> None:
    with client(console(), Host="evil.example") as page:
        headers = page.get("/api/app").headers
    assert headers["x-content-type-options"] == "nosniff"


def test_the_token_is_traded_for_a_cookie_that_does_not_tell_it() -> None:
    with client(console(allowed=TOKENED)) as page:
        assert page.get("/api/app").status_code == 401
        answer = page.post("/api/login", json={"token": TOKEN}, headers=WRITING)
        assert answer.status_code == 204
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Path=/" in cookie
        assert TOKEN not in cookie
        assert page.get("/api/app").status_code == 200
        sent = page.post("/api/topics/orders/records", json=SEND, headers=WRITING)
        assert sent.status_code == 200


def test_a_wrong_token_gets_no_cookie() -> None:
    with client(console(allowed=TOKENED)) as page:
        answer = page.post("/api/login", json={"token": "guessed"}, headers=WRITING)
        assert answer.status_code == 401
        assert answer.json()["error"] == "This is not the token."
        assert "set-cookie" not in answer.headers


def test_a_cookie_of_another_token_is_none() -> None:
    other = rules("0.0.0.0", token="another-token-of-32-characters!!")
    with client(console(allowed=TOKENED)) as page:
        page.cookies.set(other.cookie, other.cookie_value)
        page.cookies.set(TOKENED.cookie, other.cookie_value)
        assert page.get("/api/app").status_code == 401


def test_there_is_no_login_without_a_token() -> None:
    with client(console()) as page:
        answer = page.post("/api/login", json={"token": TOKEN}, headers=WRITING)
    assert answer.status_code == 404


def test_it_works_the_same_where_it_is_mounted() -> None:
    inner = Starlette(routes=routes_of(console(allowed=TOKENED)))
    outer = Starlette(routes=[Mount("/kafka", inner)])
    with TestClient(outer, base_url=HOST, headers=BEARER) as page:
        assert page.get("/kafka/").status_code == 200
        assert page.get("/kafka/static/app.js").status_code == 200
        assert page.get("/kafka/api/app").status_code == 200
        answer = page.post("/kafka/api/login", json={"token": TOKEN}, headers=WRITING)
        assert "Path=/kafka" in answer.headers["set-cookie"]
    with TestClient(outer, base_url=HOST) as page:
        assert page.get("/kafka/api/app").status_code == 401


def test_the_token_is_read_from_the_environment_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert read_token({}) is None
    assert read_token({"FASTKAFKA_HTTP_TOKEN": ""}) is None
    assert read_token({"FASTKAFKA_HTTP_TOKEN": TOKEN}) == TOKEN
    assert read_token({"FASTKAFKA_HTTP_TOKEN_FILE": str(file)}) == TOKEN
    with pytest.raises(ConfigError) as caught:
        read_token(
            {"FASTKAFKA_HTTP_TOKEN": TOKEN, "FASTKAFKA_HTTP_TOKEN_FILE": str(file)}
        )
    assert str(caught.value) == (
        "`FASTKAFKA_HTTP_TOKEN` and `FASTKAFKA_HTTP_TOKEN_FILE` are both set. Leave "
        "one out."
    )


def test_a_token_that_can_be_guessed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_token({"FASTKAFKA_HTTP_TOKEN": "secret"})
    assert str(caught.value) == (
        "`FASTKAFKA_HTTP_TOKEN` has 6 characters. That can be guessed. Use at least "
        "16, for example of `openssl rand -hex 16`."
    )
    missing = tmp_path / "none"
    with pytest.raises(ConfigError) as caught:
        read_token({"FASTKAFKA_HTTP_TOKEN_FILE": str(missing)})
    assert str(caught.value) == (
        f"The token in {str(missing)!r} cannot be read: No such file or directory. "
        "Name a file that this user may read."
    )
    empty = tmp_path / "empty"
    empty.touch()
    with pytest.raises(ConfigError) as caught:
        read_token({"FASTKAFKA_HTTP_TOKEN_FILE": str(empty)})
    assert str(caught.value) == (
        f"The token in {str(empty)!r} has 0 characters. That can be guessed. Use at "
        "least 16, for example of `openssl rand -hex 16`."
    )


def test_the_token_is_in_no_repr() -> None:
    assert TOKEN not in repr(TOKENED)
