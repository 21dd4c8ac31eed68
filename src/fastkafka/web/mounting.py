"""An app's web in the app's own process: what `app.asgi` is."""

from __future__ import annotations

from collections.abc import Collection

from starlette.applications import Starlette

from fastkafka.app import FastKafka
from fastkafka.asyncapi import document
from fastkafka.web import page
from fastkafka.web.asgi import make_app
from fastkafka.web.guard import Access, read_token, rules
from fastkafka.web.source import AppSource


def mounted(
    app: FastKafka,
    *,
    allowed_hosts: Collection[str] = (),
    access: Access | None = None,
    web_actions: bool = True,
) -> Starlette:
    """Return what serves an app's probes, metrics, document and page.

    `app.asgi` is this without arguments. Probes and metrics are open; for the rest a
    token is needed, or a function that decides::

        api = FastAPI(lifespan=app.fastapi_lifespan("production"))
        api.mount("/kafka", mounted(app, access=lambda scope: "read"))

    Args:
        app: The app, which may start later.
        allowed_hosts: The only names by which it may be called; none is any.
        access: Given a request's ASGI scope, returns "none", "read" or "write".
        web_actions: False takes sending and replaying away from everybody.

    Raises:
        ConfigError: The token is too short, or an allowed host is no name.
    """
    source = AppSource(app)
    allowed = rules(
        None,
        token=read_token(),
        allowed_hosts=allowed_hosts,
        access=access,
        web_actions=web_actions,
    )
    return make_app(
        source,
        document=lambda: document(app),
        rules=allowed,
        routes=page.routes(source, allowed, app, mode="mounted"),
    )
