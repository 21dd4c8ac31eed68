"""A function's signature to a plan of how to call it, made once in the decorator."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from fastkafka.errors import ConfigError
from fastkafka.messages import EventMetadata, KafkaEvent


class Source(Enum):
    """What fills a parameter."""

    MESSAGE = "message"
    METADATA = "metadata"
    APP = "app"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a handler and what fills it.

    Attributes:
        name: As the handler calls it.
        source: What fills it.
        keyword: It can only be passed by name.
    """

    name: str
    source: Source
    keyword: bool


@dataclass(frozen=True, slots=True)
class CallPlan:
    """How to call a handler.

    Attributes:
        message: The type of one message: of an element for a batch handler.
        batch: The handler takes a list of messages.
        is_async: The handler is a coroutine function.
        parameters: Those that are filled, in the handler's order.
        message_only: The message is all it takes: it is called with nothing else.
    """

    message: Any
    batch: bool
    is_async: bool
    parameters: tuple[Parameter, ...]

    @property
    def message_only(self) -> bool:
        """Whether the message is the only parameter, and may be passed by position."""
        return len(self.parameters) == 1 and not self.parameters[0].keyword


def plan_handler(function: Callable[..., Any], app_type: type) -> CallPlan:
    """Work out how to call a consuming function.

    Args:
        function: Sync or async; its annotations may be strings.
        app_type: Parameters of this type get the app.

    Raises:
        ConfigError: A parameter that nobody can fill, no message or more than one, an
            annotation that is missing or cannot be resolved.
    """
    name = function_name(function)
    hints = resolve_hints(function)
    filled: list[Parameter] = []
    metadata: dict[str, Any] = {}
    message: Any = None
    signature = inspect.signature(function).parameters.values()
    for position, parameter in enumerate(signature):
        annotation = hints.get(parameter.name, parameter.empty)
        source = _source(annotation, app_type)
        if source is None:
            if not _must_be_filled(parameter, has_message=message is not None):
                continue
            _check_fillable(name, parameter, annotation, filled, app_type)
            source, message = Source.MESSAGE, annotation
        elif source is Source.METADATA:
            metadata[parameter.name] = annotation
        # After a parameter that is left to its default, only names are unambiguous.
        by_name = parameter.kind is parameter.KEYWORD_ONLY or position != len(filled)
        filled.append(Parameter(parameter.name, source, keyword=by_name))
    if message is None:
        raise ConfigError(
            f"`{name}` takes no message. Write `async def {name}(message: MyModel)`."
        )
    item = _list_item(message)
    _check_metadata(name, metadata, batch=item is not None)
    return CallPlan(
        message=message if item is None else item,
        batch=item is not None,
        is_async=is_async(function),
        parameters=tuple(filled),
    )


def plan_producer(function: Callable[..., Any]) -> Any:
    """Return the type of one message that a producing function declares.

    `KafkaEvent[M]`, `list[M]`, `M | None` and combinations of them all give *M*; a
    function without a return annotation gives `Any`.

    Raises:
        ConfigError: The annotation cannot be resolved.
    """
    annotation = resolve_hints(function).get("return", Any)
    return _produced(annotation)


def resolve_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of a function, strings resolved.

    Raises:
        ConfigError: A name in an annotation is not defined.
    """
    try:
        return typing.get_type_hints(_innermost(function), include_extras=True)
    except NameError as error:
        raise ConfigError(
            f"`{function_name(function)}`: an annotation names {error.name!r}, which "
            "is not defined. Define it at the top of the module, before the function, "
            "and not under `if TYPE_CHECKING:`."
        ) from error


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


def _innermost(function: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.isroutine(function):
        return function
    return typing.cast(Callable[..., Any], type(function).__call__)


def _source(annotation: Any, app_type: type) -> Source | None:
    """Return what fills a parameter by its annotation; None: it may be the message."""
    bare = _without_none(annotation)
    if bare is EventMetadata or _list_item(bare) is EventMetadata:
        return Source.METADATA
    if isinstance(bare, type) and issubclass(bare, app_type):
        return Source.APP
    return None


def _without_none(annotation: Any) -> Any:
    """Strip `Annotated` and `None` from an annotation with a single other member."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _without_none(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        others = [a for a in typing.get_args(annotation) if a is not type(None)]
        if len(others) == 1:
            return _without_none(others[0])
    return annotation


def _list_item(annotation: Any) -> Any:
    """Return *T* of `list[T]`, None for anything else."""
    if typing.get_origin(annotation) is list:
        return typing.get_args(annotation)[0]
    return None


def _produced(annotation: Any) -> Any:
    if annotation is type(None):
        return Any
    bare = _without_none(annotation)
    origin = typing.get_origin(bare)
    if bare is KafkaEvent:
        return Any
    if isinstance(origin, type) and issubclass(origin, KafkaEvent):
        return _produced(typing.get_args(bare)[0])
    if origin is list:
        return _produced(typing.get_args(bare)[0])
    if isinstance(bare, typing.TypeVar):
        return Any
    return bare


def _must_be_filled(parameter: inspect.Parameter, *, has_message: bool) -> bool:
    """Whether a parameter that is nothing special is the message, or an error."""
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        return False
    has_default = parameter.default is not parameter.empty
    if has_default and parameter.annotation is parameter.empty:
        return False
    return not (has_message and has_default)


def _check_fillable(
    name: str,
    parameter: inspect.Parameter,
    annotation: Any,
    filled: list[Parameter],
    app_type: type,
) -> None:
    """Refuse a parameter that cannot be the message."""
    messages = [p.name for p in filled if p.source is Source.MESSAGE]
    if annotation is parameter.empty:
        raise ConfigError(_unannotated(name, parameter.name, not messages))
    if messages:
        raise ConfigError(
            f"`{name}`: parameter {parameter.name!r} has nothing to fill it: the "
            f"message is {messages[0]!r} already. Give it a default, or annotate it "
            f"with `EventMetadata` or `{app_type.__name__}`."
        )


def _check_metadata(name: str, metadata: dict[str, Any], *, batch: bool) -> None:
    for parameter, annotation in metadata.items():
        is_list = _list_item(_without_none(annotation)) is not None
        if is_list is not batch:
            wanted = "list[EventMetadata]" if batch else "EventMetadata"
            kind = "a batch" if batch else "one message"
            raise ConfigError(
                f"`{name}`: parameter {parameter!r} must be `{wanted}`, because the "
                f"handler takes {kind}."
            )


def _unannotated(name: str, parameter: str, is_first: bool) -> str:
    if is_first:
        return (
            f"`{name}`: its message parameter {parameter!r} has no annotation. "
            f"Write `async def {name}({parameter}: MyModel)`."
        )
    return (
        f"`{name}`: parameter {parameter!r} has no annotation, so nothing can fill it. "
        "Give it a default, or annotate it with `EventMetadata`."
    )
