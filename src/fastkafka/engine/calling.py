"""Fill a call plan with a record, and call."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

from fastkafka.messages import Depends, EventMetadata, Record
from fastkafka.params import CallPlan, Dependency, Parameter, Source, plan_dependency

_Arguments = tuple[list[Any], dict[str, Any]]


class Caller:
    """Calls one handler.

    Args:
        plan: How.
        app: Given to who asks for it; its `dependency_overrides` replace dependencies.
    """

    def __init__(self, plan: CallPlan, app: Any) -> None:
        self._plan = plan
        self._app = app

    def fill(self, message: Any, record: Any) -> _Arguments:
        """Return the arguments for a record, or for the records of a batch.

        Raises:
            codecs.Unfit: A key or a header is missing or does not fit.
        """
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for parameter in self._plan.parameters:
            self._put(parameter, self._value(parameter, message, record), args, kwargs)
        return args, kwargs

    async def call(
        self,
        function: Callable[..., Any],
        message: Any,
        record: Any,
        threads: Executor | None,
    ) -> Any:
        """Call a handler with what it depends on; undo the dependencies afterwards."""
        async with AsyncExitStack() as stack:
            resolve = _Resolution(self, message, record, threads, stack)
            args, kwargs = await resolve.arguments(self._plan.parameters)
            if self._plan.is_async:
                return await function(*args, **kwargs)
            return await _in_thread(threads, function, args, kwargs)

    def _value(self, parameter: Parameter, message: Any, record: Any) -> Any:
        source = parameter.source
        if source is Source.MESSAGE:
            return message
        if source is Source.APP:
            return self._app
        if self._plan.batch:
            return [_of_record(parameter, one) for one in record]
        return _of_record(parameter, record)

    def _put(
        self,
        parameter: Parameter,
        value: Any,
        args: list[Any],
        kwargs: dict[str, Any],
    ) -> None:
        if value is _MISSING:
            return  # it keeps its default
        if parameter.keyword:
            kwargs[parameter.name] = value
        else:
            args.append(value)


class _Resolution:
    """Fills the arguments for one message, calling each dependency once."""

    def __init__(
        self,
        caller: Caller,
        message: Any,
        record: Any,
        threads: Executor | None,
        stack: AsyncExitStack,
    ) -> None:
        self._caller = caller
        self._message = message
        self._record = record
        self._threads = threads
        self._stack = stack
        self._cache: dict[Callable[..., Any], Any] = {}

    async def arguments(self, parameters: Sequence[Parameter]) -> _Arguments:
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for parameter in parameters:
            if parameter.dependency is not None:
                value = await self._resolve(parameter.dependency)
            else:
                value = self._caller._value(parameter, self._message, self._record)
            self._caller._put(parameter, value, args, kwargs)
        return args, kwargs

    async def _resolve(self, dependency: Dependency) -> Any:
        function = dependency.function
        if dependency.use_cache and function in self._cache:
            return self._cache[function]
        dependency = self._overridden(dependency)
        args, kwargs = await self.arguments(dependency.parameters)
        value = await self._call(dependency, args, kwargs)
        self._cache[function] = value
        return value

    async def _call(
        self, dependency: Dependency, args: list[Any], kwargs: dict[str, Any]
    ) -> Any:
        function = dependency.function
        if dependency.yields and dependency.is_async:
            manager = asynccontextmanager(function)(*args, **kwargs)
            return await self._stack.enter_async_context(manager)
        if dependency.yields:
            entered = _ThreadedManager(
                contextmanager(function)(*args, **kwargs), self._threads
            )
            return await self._stack.enter_async_context(entered)
        if dependency.is_async:
            return await function(*args, **kwargs)
        return await _in_thread(self._threads, function, args, kwargs)

    def _overridden(self, dependency: Dependency) -> Dependency:
        overrides: Mapping[Any, Any] = getattr(
            self._caller._app, "dependency_overrides", {}
        )
        override = overrides.get(dependency.function)
        if override is None:
            return dependency
        plan: Any = self._caller._plan
        return plan_dependency(
            Depends(override, dependency.use_cache),
            type(self._caller._app),
            list[plan.message] if plan.batch else plan.message,
            batch=plan.batch,
        )


class _ThreadedManager:
    """Enters and leaves a sync context manager in worker threads."""

    def __init__(self, manager: Any, threads: Executor | None) -> None:
        self._manager = manager
        self._threads = threads

    async def __aenter__(self) -> Any:
        return await _in_thread(self._threads, self._manager.__enter__, [], {})

    async def __aexit__(self, *raised: Any) -> Any:
        return await _in_thread(self._threads, self._manager.__exit__, [*raised], {})


class _Missing:
    """Tells a missing key or header, which keeps the default, from None."""


_MISSING = _Missing()


def _of_record(parameter: Parameter, record: Record) -> Any:
    """Return what a record itself has for a parameter."""
    if parameter.source is Source.METADATA:
        return EventMetadata.create_event_metadata(record)
    assert parameter.convert is not None
    if parameter.source is Source.KEY:
        raw = record.key()
    else:
        raw = next(_last(record, parameter.header), None)
    if raw is None and parameter.optional:
        return _MISSING
    return parameter.convert(raw)


def _last(record: Record, name: str) -> Iterator[bytes]:
    for header, value in reversed(record.headers() or ()):
        if header == name:
            yield value


async def _in_thread(
    threads: Executor | None,
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Any:
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(
        threads, lambda: context.run(function, *args, **kwargs)
    )
