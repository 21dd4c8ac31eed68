"""Lifespans: what users open before an app's clients exist and close after them."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastkafka.errors import ConfigError

Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]
"""An async context manager that gets the app."""


def check(lifespan: object) -> None:
    """Refuse what cannot be a lifespan.

    Raises:
        ConfigError: It cannot be called.
    """
    if lifespan is not None and not callable(lifespan):
        raise ConfigError(
            f"FastKafka: `lifespan` is {lifespan!r}. Pass a function that takes "
            "the app and is decorated with `@asynccontextmanager`."
        )


@asynccontextmanager
async def entered(lifespan: Lifespan | None, app: object) -> AsyncIterator[None]:
    """Be within a lifespan, if there is one.

    Raises:
        ConfigError: What it returns is no async context manager.
    """
    if lifespan is None:
        yield
        return
    manager = lifespan(app)
    if not hasattr(manager, "__aenter__"):
        if inspect.iscoroutine(manager):
            manager.close()  # it will never be awaited
        raise ConfigError(
            f"FastKafka: `lifespan` returned {manager!r}, which is not an async "
            "context manager. Decorate the function with `@asynccontextmanager`."
        )
    async with manager:
        yield
