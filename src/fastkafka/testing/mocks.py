"""Mocks that record how an app's functions are called, and assertions to be awaited.

The functions themselves run as ever: a mock stands before its function, not in its
place.
"""

from __future__ import annotations

import asyncio
import collections
import copy
import dataclasses
import inspect
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial, wraps
from typing import Any, TypeVar
from unittest.mock import AsyncMock, MagicMock, NonCallableMock

from pydantic import BaseModel

from fastkafka.app import FastKafka
from fastkafka.engine.delivery import call_soon
from fastkafka.errors import RecordError
from fastkafka.params import CallPlan, Source, function_name, is_async
from fastkafka.wrapping import preceded

T = TypeVar("T")

TIMEOUT_SECONDS = 60.0

_namedtuple: Any = collections.namedtuple  # whose fields no type checker can know

_MOST_CALLS_SHOWN = 10
_ORIGINAL = "__fastkafka_original__"


class Watch:
    """Wakes who waits: for the next call of a mock, or the failure of an app.

    Mocks are called in any thread, and awaited on any loop.

    Args:
        apps: Whose failures are raised, each once.
    """

    def __init__(self, apps: Sequence[FastKafka]) -> None:
        self._apps = apps
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._raised: list[BaseException] = []
        self._given_up: list[RecordError] = []

    def ring(self) -> None:
        """A mock was called."""
        while self._waiting:
            waiting = self._waiting.popleft()
            call_soon(waiting.get_loop(), partial(_wake, waiting))

    def gave_up(self, error: RecordError) -> None:
        """A record failed for good, and its app went on."""
        self._given_up.append(error)
        self.ring()

    def see_given_up(self, topic: str) -> None:
        """The test looks at the dead letters of a topic: it knows of their errors."""
        self._raised += [e for e in self._given_up if e.topic == topic]

    def failure(self, *, given_up: bool = True) -> BaseException | None:
        """Return what failed and was not raised yet.

        Args:
            given_up: Count records that failed for good while their app went on.
        """
        failures: list[BaseException | None] = [app.failure for app in self._apps]
        if given_up:
            failures += self._given_up
        return next((f for f in failures if f is not None and not self.saw(f)), None)

    def saw(self, failure: BaseException | None) -> bool:
        """Whether a failure was raised already: the test knows of it."""
        return any(raised is failure for raised in self._raised)

    def raise_failure(self, *, given_up: bool = True) -> None:
        """Raise a failure, once; see `failure`."""
        failure = self.failure(given_up=given_up)
        if failure is not None:
            self._raised.append(failure)
            raise failure

    async def until(
        self,
        assertion: Callable[[], T],
        timeout: float,
        *,
        found: Callable[[], str] = str,
    ) -> T:
        """Try an assertion after every call, until it holds.

        Args:
            assertion: Raises `AssertionError` while it does not hold.
            timeout: Seconds after which its error is raised.
            found: Says what is there, for the error.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            self.raise_failure()
            # First, so that a call between the assertion and the wait counts.
            called: asyncio.Future[None] = loop.create_future()
            self._waiting.append(called)
            try:
                return assertion()
            except AssertionError as error:
                left = deadline - loop.time()
                if left <= 0:
                    raise AssertionError(f"{error}\n{found()}") from None
                await self.first(called, left)
            finally:
                called.cancel()

    async def first(self, awaited: asyncio.Future[Any], timeout: float) -> None:
        """Return when something is done, an app has failed, or the time is over."""
        failing = [
            asyncio.ensure_future(app.wait_stopped())
            for app in self._apps
            if app.failure is None and _runs_here(app)
        ]
        try:
            await asyncio.wait(
                [awaited, *failing],
                timeout=timeout,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            for waiting in failing:
                waiting.cancel()
            await asyncio.gather(*failing, return_exceptions=True)


class AwaitedMock:
    """A mock whose methods are awaited: they wait until they hold.

    Each public method of the mock is here as a coroutine function that takes another
    argument, ``timeout`` (seconds, default 60). An assertion that does not hold then
    says what did arrive. What must *not* have happened is not waited for.

    Args:
        mock: The mock.
        watch: Told of its calls.
    """

    def __init__(self, mock: NonCallableMock, watch: Watch) -> None:
        self._mock = mock
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        method = None if name.startswith("_") else getattr(self._mock, name)
        if not inspect.ismethod(method):
            raise AttributeError(
                f"An awaited mock has only a mock's methods, not `{name}`. "
                "For anything else use `mocks` instead of `awaited_mocks`."
            )
        watch, found = self._watch, partial(_found, self._mock)

        @wraps(method)
        async def awaited(
            *args: Any, timeout: float = TIMEOUT_SECONDS, **kwargs: Any
        ) -> Any:
            if name.startswith("assert_not_"):
                timeout = 0  # time makes it no truer
            return await watch.until(
                partial(method, *args, **kwargs),
                timeout,
                found=partial(found, timeout),
            )

        return awaited

    def __dir__(self) -> Iterable[str]:
        return [
            name
            for name in dir(self._mock)
            if not name.startswith("_") and inspect.ismethod(getattr(self._mock, name))
        ]


class Mocks:
    """What records the calls of some functions; made anew for each test.

    Args:
        watch: Told of the calls.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._by_function: dict[Callable[..., Any], Any] = {}

    def of(
        self, function: Callable[..., Any], plan: CallPlan | None = None
    ) -> Callable[..., Any]:
        """Return a function that calls its mock, and then the function.

        Args:
            function: The user's.
            plan: How a handler is called: what it depends on is not copied.
        """
        mock = self._by_function.get(function)
        if mock is None:
            asynchronous = is_async(function) or inspect.isasyncgenfunction(function)
            make = AsyncMock if asynchronous else MagicMock
            mock = self._by_function[function] = make(name=function_name(function))
        mocked = preceded(function, partial(self._record, mock, _shared(plan)))
        setattr(mocked, _ORIGINAL, function)
        return mocked

    def awaited(self, function: Callable[..., Any]) -> AwaitedMock:
        """Return the assertions about one function."""
        return AwaitedMock(self._by_function[function], self._watch)

    def stand_before(self, app: FastKafka) -> None:
        """Put a mock before each function of an app, which must not run."""
        producing = {function.call for function in app._producing}
        app._consumers[:] = [
            # A producing function that consumes, too, has its mock as a producer.
            route
            if route.function in producing or _is_mocked(route.function)
            else dataclasses.replace(
                route, function=self.of(route.function, route.plan)
            )
            for route in app._consumers
        ]
        for function in app._producing:
            route = function.route
            if not _is_mocked(route.function):
                mocked = self.of(route.function)
                function.route = dataclasses.replace(route, function=mocked)

    def named(
        self, functions: Sequence[tuple[str, Callable[..., Any]]]
    ) -> tuple[Any, Any]:
        """Return the mocks and the awaited mocks of functions, as named tuples.

        Raises:
            ValueError: Two have one name, or one begins with an underscore.
        """
        kind = _namedtuple("AppMocks", [name for name, _ in functions])
        return (
            kind(*(self._by_function[function] for _, function in functions)),
            kind(*(self.awaited(function) for _, function in functions)),
        )

    @property
    def functions(self) -> Sequence[tuple[str, Callable[..., Any]]]:
        """The functions that have a mock, with their names."""
        return [(function_name(f), f) for f in self._by_function]

    def _record(
        self, mock: Any, shared: Collection[int | str], *args: Any, **kwargs: Any
    ) -> Awaitable[None] | None:
        copies = [
            value if at in shared else _copied(value) for at, value in enumerate(args)
        ]
        named = {
            name: value if name in shared else _copied(value)
            for name, value in kwargs.items()
        }
        called = mock(*copies, **named)
        if isinstance(mock, AsyncMock):
            return self._awaited(called)
        self._watch.ring()
        return None

    async def _awaited(self, called: Awaitable[Any]) -> None:
        await called
        self._watch.ring()


def create_mocks(app: FastKafka) -> None:
    """Give an app its mocks; see `FastKafka.create_mocks`.

    Raises:
        RuntimeError: The app runs.
        ValueError: Two functions have one name, or one begins with an underscore.
    """
    if app.is_started:
        raise RuntimeError(
            f"`create_mocks`: the app '{app.title or app._module}' runs already. "
            "Create the mocks before it starts."
        )
    remove_mocks(app)
    mocks = Mocks(Watch([app]))
    mocks.stand_before(app)
    try:
        give(app, mocks, mocks.functions)
    except ValueError:
        remove_mocks(app)
        raise


def create_what_can_be_named(app: FastKafka, watch: Watch) -> Mocks:
    """Give an app a mock for each function whose name is its own, and return all."""
    remove_mocks(app)
    mocks = Mocks(watch)
    mocks.stand_before(app)
    count = Counter(name for name, _ in mocks.functions)
    give(
        app,
        mocks,
        [
            (name, function)
            for name, function in mocks.functions
            if count[name] == 1 and name.isidentifier() and name[0] != "_"
        ],
    )
    return mocks


def give(
    app: FastKafka, mocks: Mocks, named: Sequence[tuple[str, Callable[..., Any]]]
) -> None:
    """Set the attributes of an app by which tests find its mocks."""
    app.mocks, app.awaited_mocks = mocks.named(named)
    app.AppMocks = type(app.mocks)


def remove_mocks(app: FastKafka) -> None:
    """Take the mocks away that stand before an app's functions."""
    app._consumers[:] = [
        dataclasses.replace(route, function=original(route.function))
        for route in app._consumers
    ]
    for function in app._producing:
        route = function.route
        function.route = dataclasses.replace(route, function=original(route.function))


def original(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the user's function that a mock may stand before."""
    found: Callable[..., Any] = getattr(function, _ORIGINAL, function)
    return found


def _is_mocked(function: Callable[..., Any]) -> bool:
    return hasattr(function, _ORIGINAL)


def _shared(plan: CallPlan | None) -> Collection[int | str]:
    """Return the arguments that are no messages: they are not ours to copy."""
    if plan is None:
        return ()
    by_position = [p for p in plan.parameters if not p.keyword]
    return {
        p.name if p.keyword else by_position.index(p)
        for p in plan.parameters
        if p.source in (Source.APP, Source.DEPENDENCY)
    }


def _copied(value: Any) -> Any:
    """Copy an argument, which its function may change."""
    if isinstance(value, BaseModel):
        return value.model_copy(deep=True)
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001 - some things cannot be copied; show them as is
        return value


def _found(mock: Any, timeout: float) -> str:
    calls = mock.call_args_list
    if not calls:
        return f"Nothing arrived within {timeout:g} s."
    lines = [f"  {call!r}" for call in calls[-_MOST_CALLS_SHOWN:]]
    if len(calls) > len(lines):
        lines.insert(0, f"  {len(calls) - len(lines)} others, and then:")
    return "\n".join([f"Arrived within {timeout:g} s, {len(calls)} in all:", *lines])


def _runs_here(app: FastKafka) -> bool:
    supervisor = app._supervisor
    return supervisor is not None and supervisor.loop is asyncio.get_running_loop()


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
