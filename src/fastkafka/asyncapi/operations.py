"""What is documented of one function, read from its route."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from fastkafka import settings
from fastkafka.brokers import KafkaBroker
from fastkafka.messages import KafkaEvent
from fastkafka.params import Parameter, Source
from fastkafka.routing import ConsumerRoute, ProducerRoute

Brokers = Mapping[str, Sequence[KafkaBroker]]


class Service(Protocol):
    """What is documented: an app is one."""

    @property
    def title(self) -> str:
        """Its name; may be empty, like the other texts."""

    @property
    def version(self) -> str:
        """Its version."""

    @property
    def description(self) -> str:
        """What it is for, in Markdown."""

    @property
    def contact(self) -> Mapping[str, str] | None:
        """Whom to ask: `name`, `url`, `email`."""

    @property
    def brokers(self) -> Brokers:
        """The clusters by name."""

    @property
    def group_id(self) -> str | None:
        """The group of every consumer that names no other."""

    @property
    def consumers(self) -> Sequence[ConsumerRoute]:
        """The functions that consume."""

    @property
    def producers(self) -> Sequence[ProducerRoute]:
        """The functions that produce."""


@dataclass(frozen=True, slots=True)
class Field:
    """A key or a header.

    Attributes:
        type: Its declared type.
        required: Every record has it.
        name: The header's name.
    """

    type: Any
    required: bool
    name: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """What one function does with its topics.

    Attributes:
        name: The function's name.
        action: From the point of view of the app.
        topics: Names; one that begins with ``^`` is a pattern.
        message: The declared type of one message, `Any` if there is none.
        codec: What the decorator was given as encoder or decoder.
        key: The record's key, if the function says something about it.
        headers: The record's headers that the function reads.
        brokers: The clusters, when they are not those of the app.
        group: The group that reads.
        description: In Markdown; may be empty.
    """

    name: str
    action: Literal["send", "receive"]
    topics: tuple[str, ...]
    message: Any
    codec: object
    key: Field | None = None
    headers: tuple[Field, ...] = ()
    brokers: Brokers | None = None
    group: str | None = None
    description: str = ""


def operations_of(service: Service) -> list[Operation]:
    """Read every function of a service, consumers first, as declared."""
    return [
        *(_receives(route, service.group_id) for route in service.consumers),
        *(_sends(route) for route in service.producers),
    ]


def may_be_none(annotation: Any) -> bool:
    """Whether None is among what a type allows."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return may_be_none(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return any(may_be_none(member) for member in typing.get_args(annotation))
    return annotation in (None, type(None))


def _receives(route: ConsumerRoute, app_group: str | None) -> Operation:
    plan = route.plan
    fields = list(_fields(plan.parameters))
    keys = [field for field in fields if not field.name]
    headers = {field.name: field for field in fields if field.name}
    return Operation(
        name=route.name,
        action="receive",
        topics=route.topics,
        message=plan.message,
        codec=route.decoder,
        key=keys[0] if keys else None,
        headers=tuple(headers.values()),
        brokers=route.brokers,
        group=settings.group_id(route.settings, default=app_group),
        description=inspect.cleandoc(route.description or ""),
    )


def _sends(route: ProducerRoute) -> Operation:
    return Operation(
        name=route.name,
        action="send",
        topics=(route.topic,),
        message=route.message,
        codec=route.encoder,
        key=Field(bytes, required=False) if _has_event(route.returns) else None,
        brokers=route.brokers,
        description=inspect.cleandoc(route.description or ""),
    )


def _fields(parameters: Sequence[Parameter]) -> Iterator[Field]:
    """Yield the keys and headers that a function and its dependencies ask for."""
    for parameter in parameters:
        if parameter.dependency is not None:
            yield from _fields(parameter.dependency.parameters)
        elif parameter.source in (Source.KEY, Source.HEADER):
            wanted = parameter.wanted
            required = not (parameter.optional or may_be_none(wanted))
            yield Field(wanted, required, parameter.header)


def _has_event(annotation: Any) -> bool:
    if annotation is KafkaEvent or typing.get_origin(annotation) is KafkaEvent:
        return True
    return any(_has_event(inner) for inner in typing.get_args(annotation))
