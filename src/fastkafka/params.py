"""A function's signature to a plan of how to call it, made once in the decorator."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from fastkafka.codecs import for_text
from fastkafka.errors import ConfigError
from fastkafka.messages import Depends, EventMetadata, Header, KafkaEvent, Key


class Source(Enum):
    """What fills a parameter."""

    MESSAGE = "message"
    METADATA = "metadata"
    APP = "app"
    KEY = "key"
    HEADER = "header"
    DEPENDENCY = "dependency"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a function and what fills it.

    Attributes:
        name: As the function calls it.
        source: What fills it.
        keyword: It can only be passed by name.
        header: The header's name.
        wanted: The type of a key or a header; of an element's in a batch.
        convert: Makes the value of a key or a header.
        optional: It has a default, which a missing key or header leaves alone.
        dependency: What fills it, for a dependency.
    """

    name: str
    source: Source
    keyword: bool
    header: str = ""
    wanted: Any = None
    convert: Callable[[bytes | None], Any] | None = None
    optional: bool = False
    dependency: Dependency | None = None


@dataclass(frozen=True, slots=True)
class Dependency:
    """A function that fills a parameter.

    Attributes:
        function: The user's.
        parameters: What fills its own parameters.
        use_cache: It is called once for each message.
        is_async: It is a coroutine function or an async generator function.
        yields: What follows its `yield` runs after the handler.
    """

    function: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    use_cache: bool
    is_async: bool
    yields: bool


@dataclass(frozen=True, slots=True)
class CallPlan:
    """How to call a handler.

    Attributes:
        message: The type of one message: of an element for a batch handler.
        batch: The handler takes a list of messages.
        is_async: The handler is a coroutine function.
        parameters: Those that are filled, in the handler's order.
    """

    message: Any
    batch: bool
    is_async: bool
    parameters: tuple[Parameter, ...]

    @property
    def message_only(self) -> bool:
        """Whether the message is the only parameter, and may be passed by position."""
        return len(self.parameters) == 1 and not self.parameters[0].keyword

    @property
    def has_dependencies(self) -> bool:
        """Whether something has to be called before the handler."""
        return any(p.source is Source.DEPENDENCY for p in self.parameters)


Names = Mapping[str, Any]
"""Names that string annotations may use beside the globals of their function."""


def plan_handler(
    function: Callable[..., Any], app_type: type, names: Names | None = None
) -> CallPlan:
    """Work out how to call a consuming function.

    Args:
        function: Sync or async; its annotations may be strings.
        app_type: Parameters of this type get the app.
        names: The local names where it is decorated.

    Raises:
        ConfigError: A parameter that nobody can fill, no message or more than one, an
            annotation that is missing or cannot be resolved.
    """
    name = function_name(function)
    plan = _Plan(function, app_type, names)
    if plan.message is None:
        raise ConfigError(
            f"`{name}` takes no message. Write `async def {name}(message: MyModel)`."
        )
    item = _list_item(plan.message)
    batch = item is not None
    return CallPlan(
        message=item if batch else plan.message,
        batch=batch,
        is_async=is_async(function),
        parameters=plan.parameters(batch=batch),
    )


def plan_dependency(
    depends: Depends,
    app_type: type,
    message: Any = None,
    *,
    batch: bool = False,
    names: Names | None = None,
    outer: tuple[Callable[..., Any], ...] = (),
) -> Dependency:
    """Work out how to call a dependency.

    Args:
        depends: The mark that names it.
        app_type: Parameters of this type get the app.
        message: The type of the handler's first parameter, a list for a batch; a
            parameter of this type gets the message.
        batch: The handler takes batches.
        names: The local names where the handler is decorated.
        outer: The dependencies that this one is nested in.

    Raises:
        ConfigError: A parameter that nobody can fill, or a dependency on itself.
    """
    function = depends.dependency
    if not callable(function):
        raise ConfigError(
            f"`Depends({function!r})` is not given a function. "
            "Write `Depends(function)`, without calling it."
        )
    if function in outer:
        raise ConfigError(
            f"`{function_name(function)}` depends on itself. Break the circle."
        )
    plan = _Plan(function, app_type, names, expects=message, outer=(*outer, function))
    called = function if inspect.isroutine(function) else getattr(function, "__call__")  # noqa: B004, B009
    yields_async = inspect.isasyncgenfunction(called)
    return Dependency(
        function=function,
        parameters=plan.parameters(batch=batch),
        use_cache=depends.use_cache,
        is_async=yields_async or is_async(function),
        yields=yields_async or inspect.isgeneratorfunction(called),
    )


def plan_producer(function: Callable[..., Any], names: Names | None = None) -> Any:
    """Return the type of one message that a producing function declares.

    `KafkaEvent[M]`, `list[M]`, `M | None`, generators of *M* and combinations of them
    all give *M*; a function without a return annotation gives `Any`.

    Raises:
        ConfigError: The annotation cannot be resolved.
    """
    return _produced(resolve_hints(function, names).get("return", Any))


def resolve_hints(
    function: Callable[..., Any], names: Names | None = None
) -> dict[str, Any]:
    """Return the annotations of a function, strings resolved.

    Args:
        function: Whose.
        names: Local names, for a function that is not at the top of its module.

    Raises:
        ConfigError: A name in an annotation is not defined.
    """
    routine = function
    if not inspect.isroutine(function):
        is_class = isinstance(function, type)
        routine = getattr(
            function if is_class else type(function),
            "__init__" if is_class else "__call__",
        )
    try:
        return typing.get_type_hints(
            routine, localns=dict(names or {}), include_extras=True
        )
    except NameError as error:
        raise ConfigError(
            f"`{function_name(function)}`: an annotation names {error.name!r}, which "
            "is not defined. Define it at the top of the module, before the function, "
            "and not under `if TYPE_CHECKING:`."
        ) from error


def check_task(function: Callable[..., Any]) -> None:
    """Refuse what cannot run in the background.

    Raises:
        ConfigError: The function is not async, or needs arguments.
    """
    name = function_name(function)
    if not is_async(function):
        raise ConfigError(
            f"`{name}` runs in the background, so it must be async. "
            f"Write `async def {name}()`."
        )
    if needs_arguments(function):
        raise ConfigError(
            f"`{name}` runs in the background, where nothing can fill its "
            f"parameters. Write `async def {name}()`."
        )


def needs_arguments(function: Callable[..., Any]) -> bool:
    """Whether the function cannot be called without arguments."""
    return any(
        p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        for p in inspect.signature(function).parameters.values()
    )


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling the function gives a coroutine."""
    call = getattr(function, "__call__", None)  # noqa: B004 - the method itself
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def function_name(function: Callable[..., Any]) -> str:
    """Return the name that messages call a function by."""
    return getattr(function, "__name__", type(function).__name__)


_GENERATORS = ("Generator", "AsyncGenerator", "Iterator", "AsyncIterator", "Iterable")


class _Plan:
    """Reads a signature, parameter by parameter.

    Args:
        function: Whose.
        app_type: Parameters of this type get the app.
        names: See `resolve_hints`.
        expects: For a dependency, the type of the message.
        outer: The dependency itself and those around it; empty for a handler.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        app_type: type,
        names: Names | None,
        *,
        expects: Any = None,
        outer: tuple[Callable[..., Any], ...] = (),
    ) -> None:
        self.message: Any = expects
        self._name = function_name(function)
        self._app_type = app_type
        self._names = names
        self._outer = outer
        self._found: list[tuple[inspect.Parameter, Any, Source, bool]] = []
        self._message_name = ""
        hints = resolve_hints(function, names)
        signature = inspect.signature(function).parameters.values()
        for position, parameter in enumerate(signature):
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            annotation = hints.get(parameter.name, parameter.empty)
            source = self._source(parameter, annotation)
            if source is not None:
                # Where something may keep its default, only names are unambiguous.
                keyword = (
                    parameter.kind is parameter.KEYWORD_ONLY
                    or parameter.default is not parameter.empty
                    or position != len(self._found)
                )
                self._found.append((parameter, annotation, source, keyword))

    def parameters(self, *, batch: bool) -> tuple[Parameter, ...]:
        """Return what fills each parameter, once it is known what the message is."""
        return tuple(self._parameter(*found, batch=batch) for found in self._found)

    def _source(self, parameter: inspect.Parameter, annotation: Any) -> Source | None:
        """Return what fills a parameter; None leaves it to its default.

        Raises:
            ConfigError: Nothing can fill it, and it has no default.
        """
        special = _special(annotation, self._app_type)
        if special is not None:
            return special
        has_default = parameter.default is not parameter.empty
        if self._outer:
            if self.message is not None and annotation == self.message:
                return Source.MESSAGE
        elif self.message is None and annotation is not parameter.empty:
            self.message, self._message_name = annotation, parameter.name
            return Source.MESSAGE
        if has_default:
            return None
        raise ConfigError(self._unfillable(parameter.name, annotation))

    def _parameter(
        self,
        parameter: inspect.Parameter,
        annotation: Any,
        source: Source,
        keyword: bool,
        *,
        batch: bool,
    ) -> Parameter:
        name = parameter.name
        mark = _mark(annotation)
        if source is Source.METADATA:
            self._check_list(name, annotation, "EventMetadata", batch)
        if source is Source.DEPENDENCY:
            assert isinstance(mark, Depends)
            dependency = plan_dependency(
                mark,
                self._app_type,
                self.message,
                batch=batch,
                names=self._names,
                outer=self._outer,
            )
            return Parameter(name, source, keyword, dependency=dependency)
        if not isinstance(mark, Key | Header):
            return Parameter(name, source, keyword)
        wanted = typing.get_args(annotation)[0]
        if batch:
            self._check_list(name, annotation, "Annotated[list[...], ...]", batch)
            wanted = _list_item(wanted)
        header = mark.name if isinstance(mark, Header) else ""
        what = f"header {header!r}" if header else "key"
        try:
            convert = for_text(what, wanted)
        except ConfigError as error:
            raise ConfigError(f"`{self._name}`: {error}") from error
        optional = parameter.default is not parameter.empty
        return Parameter(name, source, keyword, header, wanted, convert, optional)

    def _check_list(
        self, parameter: str, annotation: Any, wanted: str, batch: bool
    ) -> None:
        if (_list_item(_bare(annotation)) is not None) is batch:
            return
        if batch and wanted == "EventMetadata":
            wanted = "list[EventMetadata]"
        kind = "a batch" if batch else "one message"
        raise ConfigError(
            f"`{self._name}`: parameter {parameter!r} must be `{wanted}`, because the "
            f"handler takes {kind}."
        )

    def _unfillable(self, parameter: str, annotation: Any) -> str:
        name = self._name
        if annotation is inspect.Parameter.empty and not (self._outer or self.message):
            return (
                f"`{name}`: its message parameter {parameter!r} has no annotation. "
                f"Write `async def {name}({parameter}: MyModel)`."
            )
        if annotation is inspect.Parameter.empty:
            return (
                f"`{name}`: parameter {parameter!r} has no annotation, so nothing can "
                "fill it. Give it a default, or annotate it with `EventMetadata`."
            )
        taken = (
            "it is neither the handler's message nor anything special"
            if self._outer
            else f"the message is {self._message_name!r} already"
        )
        return (
            f"`{name}`: parameter {parameter!r} has nothing to fill it: {taken}. "
            f"Give it a default, or annotate it with `EventMetadata` or `FastKafka`."
        )


def _special(annotation: Any, app_type: type) -> Source | None:
    """Return what fills a parameter by its annotation; None: it may be the message."""
    mark = _mark(annotation)
    if isinstance(mark, Depends):
        return Source.DEPENDENCY
    if isinstance(mark, Key):
        return Source.KEY
    if isinstance(mark, Header):
        return Source.HEADER
    bare = _bare(annotation)
    if bare is EventMetadata or _list_item(bare) is EventMetadata:
        return Source.METADATA
    if isinstance(bare, type) and issubclass(bare, app_type):
        return Source.APP
    return None


def _mark(annotation: Any) -> Key | Header | Depends | None:
    """Return the mark in an `Annotated`."""
    if typing.get_origin(annotation) is typing.Annotated:
        for mark in annotation.__metadata__:
            if isinstance(mark, Key | Header | Depends):
                return mark
            if isinstance(mark, type) and issubclass(mark, Key):
                return mark()  # `Annotated[str, Key]`, without the parentheses
    return None


def _bare(annotation: Any) -> Any:
    """Strip `Annotated` and `None` from an annotation with a single other member."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _bare(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        others = [a for a in typing.get_args(annotation) if a is not type(None)]
        if len(others) == 1:
            return _bare(others[0])
    return annotation


def _list_item(annotation: Any) -> Any:
    """Return *T* of `list[T]`, None for anything else."""
    if typing.get_origin(annotation) is list:
        return typing.get_args(annotation)[0]
    return None


def _produced(annotation: Any) -> Any:
    if annotation is type(None):
        return Any
    bare = _bare(annotation)
    origin = typing.get_origin(bare)
    several = isinstance(origin, type) and (
        origin is list
        or issubclass(origin, KafkaEvent)
        or (origin.__module__ == "collections.abc" and origin.__name__ in _GENERATORS)
    )
    if several:
        return _produced(typing.get_args(bare)[0])
    if bare is KafkaEvent or isinstance(bare, typing.TypeVar):
        return Any
    return bare
