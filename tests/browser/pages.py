"""An app on an embedded broker, its page, and a browser that nothing goes wrong in."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from fastkafka import FastKafka
from fastkafka.asyncapi import document
from fastkafka.web.asgi import make_app
from fastkafka.web.guard import Rules, rules
from fastkafka.web.page import Broken, routes
from fastkafka.web.source import AppSource, Source

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

ALLOWED = rules("127.0.0.1", dev=True)


@contextlib.asynccontextmanager
async def serving(
    app: FastKafka,
    *,
    source: Source | None = None,
    allowed: Rules = ALLOWED,
    broken: Broken | None = None,
    port: int = 0,
) -> AsyncIterator[str]:
    """Serve an app's page, on a free port unless told otherwise; yield its address."""
    source = source or AppSource(app)
    page = routes(
        source,
        allowed,
        None if broken else app,
        mode="dev",
        name="shop:app",
        broken=broken,
    )
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(
                source, document=lambda: document(app), rules=allowed, routes=page
            ),
            host="127.0.0.1",
            port=port,
            log_config=None,
            access_log=False,
            ws="none",
            timeout_graceful_shutdown=1,
        )
    )
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running


@dataclass(slots=True)
class Trouble:
    """What a page must not do.

    Attributes:
        errors: Console errors, exceptions, reports of its policy.
        foreign: Requests to anything but the server.
    """

    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    expected: Sequence[str] = ()

    def check(self) -> None:
        """Fail if there was any."""
        bad = [e for e in self.errors if not any(part in e for part in self.expected)]
        assert bad == []
        assert self.foreign == []


WATCH_POLICY = """
addEventListener("securitypolicyviolation", (event) => {
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
});
"""


@contextlib.asynccontextmanager
async def looking(
    browser: Any, address: str, *, width: int = 1440, height: int = 900, **context: Any
) -> AsyncIterator[tuple[Any, Trouble]]:
    """Open a window; yield its page, and what goes wrong in it."""
    trouble = Trouble()
    window = await browser.new_context(
        viewport={"width": width, "height": height}, **context
    )
    page = await window.new_page()
    page.set_default_timeout(15_000)
    await page.add_init_script(WATCH_POLICY)
    page.on(
        "console",
        lambda m: trouble.errors.append(m.text) if m.type == "error" else None,
    )
    page.on("pageerror", lambda error: trouble.errors.append(str(error)))

    def requested(request: Any) -> None:
        if not request.url.startswith(address):
            trouble.foreign.append(request.url)

    page.on("request", requested)
    try:
        yield page, trouble
    finally:
        await window.close()
