"""The page: `routes` mounts it. `console.py` is what it shows.

`api.py` has the endpoints, `static/` what runs in the browser, `guard.py` who may what.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from fastkafka.app import FastKafka
from fastkafka.web import api
from fastkafka.web.assets import assets, import_map_hash
from fastkafka.web.console import Broken, Console, Mode
from fastkafka.web.guard import Guard, Rules
from fastkafka.web.source import Source

__all__ = ["Broken", "Console", "routes", "routes_of"]


def routes(
    source: Source,
    rules: Rules,
    app: FastKafka | None,
    *,
    mode: Mode = "run",
    name: str = "",
    broken: Broken | None = None,
) -> Sequence[BaseRoute]:
    """Return the routes of the page and its API, behind their guard.

    They take every address that is left, so they come last. Nothing runs before the
    first request, and nothing is connected before somebody looks.

    Args:
        source: What runs.
        rules: Who may read and who may write.
        app: It; it need not run in this process. None while it cannot be imported.
        mode: How it was started.
        name: What to call an app that cannot be imported: ``module:app``.
        broken: Why it cannot.
    """
    console = Console(source, rules, app, mode=mode, name=name, broken=broken)
    return routes_of(console)


def routes_of(console: Console) -> Sequence[BaseRoute]:
    """Return the routes of a console, behind their guard."""
    inner = Starlette(
        routes=[
            Route("/", _index),
            Route("/static/{path:path}", _static),
            Mount("/api", routes=api.routes(console)),
        ],
        exception_handlers={HTTPException: _refused},
    )
    return [Mount("", app=Guard(inner, console.rules, import_map_hash()))]


async def _index(request: Request) -> Response:
    return assets()["index.html"].response(request)


async def _static(request: Request) -> Response:
    asset = assets().get(request.path_params["path"])
    if asset is None:
        raise HTTPException(404, "The page has no such file.")
    return asset.response(request)


async def _refused(_: Request, error: Exception) -> Response:
    """Say what Starlette refuses, as everything here is said."""
    assert isinstance(error, HTTPException)
    body = {"error": error.detail, "fields": []}
    return JSONResponse(body, error.status_code, error.headers)
