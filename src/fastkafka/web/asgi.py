"""What is served over HTTP: probes, metrics, the AsyncAPI document; start here.

The page adds its own routes. `guard.py` says who may read what; probes and metrics
are open to everybody who reaches the port.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from fastkafka.asyncapi.page import page
from fastkafka.asyncapi.schemas import Json
from fastkafka.errors import ConfigError, FastKafkaError
from fastkafka.web.guard import NO_TOKEN, Rules, refuse, refused_host
from fastkafka.web.probes import probe_routes
from fastkafka.web.source import Source

Endpoint = Callable[[Request], Awaitable[Response]]


def make_app(
    source: Source,
    *,
    document: Callable[[], Json],
    rules: Rules,
    routes: Sequence[BaseRoute] = (),
) -> Starlette:
    """Return the ASGI app: the same for one process and for a run of workers.

    All addresses in it are relative, so it can be mounted anywhere.

    Args:
        source: What runs.
        document: Makes the AsyncAPI document, when it is first asked for. When it
            raises a `FastKafkaError`, its sentence is the answer.
        rules: Who may read the document.
        routes: More of them, asked after those here; they guard themselves.
    """
    document = cache(document)

    async def metrics(request: Request) -> Response:
        try:
            prometheus = importlib.import_module("fastkafka.observe.prometheus")
        except ConfigError as missing:
            return PlainTextResponse(str(missing), HTTPStatus.NOT_IMPLEMENTED)
        accept = request.headers.get("accept", "")
        text, content_type = prometheus.exposition(source.snapshots, accept)
        return Response(text, headers={"content-type": content_type})

    async def asyncapi(_: Request) -> Response:
        return JSONResponse(document())

    async def docs(request: Request) -> Response:
        may_send = rules.of(request.scope) == "write"

        def links(topic: str) -> Mapping[str, str]:
            shown = f"./#/topics/{quote(topic)}"
            send = {"Send one": f"{shown}?send=1"} if may_send else {}
            return {"Live messages": shown, **send}

        downloads = {"asyncapi.json": "asyncapi.json"}
        return HTMLResponse(page(document(), downloads=downloads, links=links))

    return Starlette(
        routes=[
            *probe_routes(source),
            Route("/metrics", metrics),
            Route("/asyncapi.json", _read_only_by(rules, asyncapi)),
            Route("/docs", _read_only_by(rules, docs)),
            *routes,
        ]
    )


def _read_only_by(rules: Rules, endpoint: Endpoint) -> Endpoint:
    """Answer those who may read; the sentence of a `FastKafkaError` is an answer."""

    async def answer(request: Request) -> Response:
        refusal = _refusal(rules, request)
        if refusal is not None:
            response = refusal
        else:
            try:
                response = await endpoint(request)
            except FastKafkaError as error:
                response = refuse(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        response.headers.update(_HEADERS)
        return response

    return answer


_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "frame-ancestors 'none'",  # the page has the rest of it
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def _refusal(rules: Rules, request: Request) -> Response | None:
    if refusal := refused_host(rules, request.headers):
        return refusal
    if rules.of(request.scope) != "none":
        return None
    if rules.token is None:
        return refuse(HTTPStatus.FORBIDDEN, NO_TOKEN)
    return refuse(
        HTTPStatus.UNAUTHORIZED,
        "The token is missing or wrong. Send it as `Authorization: Bearer ...`.",
        {"www-authenticate": "Bearer"},
    )
