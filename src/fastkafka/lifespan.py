"""Lifespans: what users open before an app's clients exist and close after them."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
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


def beside(
    app: AbstractAsyncContextManager[Any], before: Callable[[], None]
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return a lifespan for another app, beside which *app* runs.

    Args:
        app: It starts and stops with the other one.
        before: Called before it starts.
    """

    @asynccontextmanager
    async def lifespan(other: Any) -> AsyncIterator[None]:
        before()
        async with app:
            yield

    return lifespan


async def left(stack: AsyncExitStack, error: BaseException | None) -> None:
    """Leave what *stack* holds; it hears of the error, but cannot swallow it."""
    trace = None if error is None else error.__traceback__
    await stack.__aexit__(None if error is None else type(error), error, trace)


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
