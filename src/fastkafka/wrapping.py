"""Functions around functions, which stay what they were: sync, async or generators."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from fastkafka.params import is_async

Before = Callable[..., Awaitable[Any] | None]


def preceded(function: Callable[..., Any], before: Before) -> Callable[..., Any]:
    """Return a function of the same kind that calls *before* first.

    Args:
        function: Called with the arguments, as ever.
        before: Called with the same arguments; what it returns is awaited, if it is
            something and *function* is async.
    """
    if is_async(function) or inspect.isasyncgenfunction(function):
        return _preceded_async(function, before)
    if inspect.isgeneratorfunction(function):

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            before(*args, **kwargs)
            yield from function(*args, **kwargs)
    else:

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            before(*args, **kwargs)
            return function(*args, **kwargs)

    return call


def _preceded_async(function: Callable[..., Any], before: Before) -> Callable[..., Any]:
    async def first(*args: Any, **kwargs: Any) -> None:
        awaitable = before(*args, **kwargs)
        if awaitable is not None:
            await awaitable

    if inspect.isasyncgenfunction(function):

        @wraps(function)
        async def call(*args: Any, **kwargs: Any) -> Any:
            await first(*args, **kwargs)
            async for value in function(*args, **kwargs):
                yield value
    else:

        @wraps(function)
        async def call(*args: Any, **kwargs: Any) -> Any:
            await first(*args, **kwargs)
            return await function(*args, **kwargs)

    return call
