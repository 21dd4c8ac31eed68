"""Avro's types that hold others: arrays, maps, unions and records."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from fastkafka.codecs.avro.primitives import (
    AvroType,
    Enumeration,
    Named,
    Names,
    Scope,
)

MISSING: Any = object()
"""No default; None is one."""


@dataclass(eq=False)
class Array(AvroType):
    """Any Python sequence or set of one type."""

    items: AvroType
    kind = "array"
    python = (list, tuple, set, frozenset, deque)

    def schema(self, scope: Scope, within: str | None) -> Any:
        return {"type": "array", "items": self.items.schema(scope, within)}

    def dump(self, value: Any, names: Names) -> Any:
        if self.items.plain:
            return list(value)
        return [self.items.dump(item, names) for item in value]

    def load(self, value: Any, names: Names) -> Any:
        if self.items.plain:
            return value
        return [self.items.load(item, names) for item in value]

    def to_json(self, value: Any) -> Any:
        return [self.items.to_json(item) for item in value]

    def from_json(self, value: Any) -> Any:
        return [self.items.from_json(item) for item in super().from_json(value)]


@dataclass(eq=False)
class Map(AvroType):
    """A mapping; Avro's keys are text."""

    values: AvroType
    keys: AvroType
    kind = "map"
    python = (dict, Mapping)

    def schema(self, scope: Scope, within: str | None) -> Any:
        return {"type": "map", "values": self.values.schema(scope, within)}

    def dump(self, value: Any, names: Names) -> Any:
        return {
            self._key(key): self.values.dump(item, names) for key, item in value.items()
        }

    def load(self, value: Any, names: Names) -> Any:
        keys, values = self.keys, self.values
        return {keys.load(k, names): values.load(v, names) for k, v in value.items()}

    def to_json(self, value: Any) -> Any:
        return {self._key(k): self.values.to_json(v) for k, v in value.items()}

    def from_json(self, value: Any) -> Any:
        items = super().from_json(value).items()
        return {key: self.values.from_json(item) for key, item in items}

    def _key(self, key: Any) -> str:
        if isinstance(self.keys, Enumeration):
            return str(self.keys.dump(key, {}))
        return key if type(key) is str else str(to_jsonable_python(key))


class Union(AvroType):
    """One of several types, at most one of each unnamed kind."""

    kind = "union"

    def __init__(self, branches: Iterable[AvroType]) -> None:
        self.branches = list(branches)
        self._arrays = self._only("array")
        self._maps = self._only("map")
        records = [b for b in self.branches if b.kind == "record"]
        # One record among other types is told apart by being a dict.
        self._build = len(records) > 1 or self._maps is not None

    @property
    def python(self) -> tuple[type, ...]:  # type: ignore[override]
        return tuple(kind for branch in self.branches for kind in branch.python)

    @cached_property
    def _by_class(self) -> dict[type, AvroType]:
        found: dict[type, AvroType] = {}
        for branch in self.branches:
            for kind in branch.python:
                if kind is not int or branch.kind not in ("float", "double"):
                    found.setdefault(kind, branch)
        return found

    def schema(self, scope: Scope, within: str | None) -> Any:
        return [branch.schema(scope, within) for branch in self.branches]

    def branch(self, value: Any) -> AvroType:
        """Return the branch of *value*.

        Raises:
            ValueError: There is none.
        """
        found = self._by_class.get(type(value))
        if found is not None:
            return found
        for branch in self.branches:
            if isinstance(value, branch.python):
                return branch
        raise ValueError(f"a `{type(value).__name__}` is none of its union's types")

    def starting_with(self, first: AvroType) -> Union:
        """Return the same union, *first* first: where Avro wants a default's type."""
        return Union([first, *(b for b in self.branches if b is not first)])

    def dump(self, value: Any, names: Names) -> Any:
        branch = self.branch(value)
        if value is None:
            return None
        # Told the branch's name, fastavro neither guesses nor validates.
        return (names.get(branch.target, branch.kind), branch.dump(value, names))

    def load(self, value: Any, names: Names) -> Any:
        if isinstance(value, tuple):
            name, value = value
            for branch in self.branches:
                if names.get(branch.target) == name:
                    break
            value = branch.load(value, names)
            record = branch.target
            if self._build and isinstance(record, Record):
                return record.build(value)
            return value
        if isinstance(value, list) and self._arrays is not None:
            return self._arrays.load(value, names)
        if isinstance(value, dict) and self._maps is not None:
            return self._maps.load(value, names)
        return value

    def to_json(self, value: Any) -> Any:
        branch = self.branch(value)
        if branch is not self.branches[0]:
            raise ValueError("a default has its union's first type")
        return branch.to_json(value)

    def from_json(self, value: Any) -> Any:
        for branch in self.branches:
            if branch.takes_json(value):
                return branch.from_json(value)
        raise ValueError(f"{value!r} is none of its union's types")

    def takes_json(self, value: Any) -> bool:
        return any(branch.takes_json(value) for branch in self.branches)

    def _only(self, kind: str) -> AvroType | None:
        return next((b for b in self.branches if b.kind == kind), None)


@dataclass(eq=False)
class Serialized(AvroType):
    """A type whose values go through something of the user's before they are written.

    A custom serializer, or the model around a root: the schema shows what is inside.
    """

    inner: AvroType
    python: tuple[type, ...]
    serialize: Callable[[Any], Any]

    def __post_init__(self) -> None:
        self.kind = self.inner.kind

    @property
    def target(self) -> AvroType:
        return self.inner.target

    def schema(self, scope: Scope, within: str | None) -> Any:
        return self.inner.schema(scope, within)

    def dump(self, value: Any, names: Names) -> Any:
        return self.inner.dump(self.serialize(value), names)

    def load(self, value: Any, names: Names) -> Any:
        return self.inner.load(value, names)

    def to_json(self, value: Any) -> Any:
        return self.inner.to_json(self.serialize(value))


@dataclass(frozen=True, slots=True)
class Field:
    """A record's field.

    Attributes:
        name: The model's attribute.
        alias: Its name in the schema.
        key: What the model's validation calls it.
        default: As a schema writes it; `MISSING` without one.
        nothing: Null on the wire means that the field is not there: the model has a
            default that no schema can hold.
    """

    name: str
    alias: str
    key: str
    type: AvroType
    doc: str | None = None
    default: Any = MISSING
    nothing: bool = False


@dataclass(eq=False)
class Record(Named):
    """A pydantic model.

    Its fields are filled in after it is made, for it may be among them.

    Attributes:
        serialized: The fields with a serializer of the user's, which is obeyed.
        imported: It comes from an ``.avsc`` file, whose names it keeps.
    """

    name: str
    namespace: str | None
    model: type[BaseModel] = BaseModel
    doc: str | None = None
    fields: list[Field] = field(default_factory=list)
    serialized: frozenset[str] = frozenset()
    imported: bool = False
    kind = "record"

    @property
    def python(self) -> tuple[type, ...]:  # type: ignore[override]
        return (self.model,)

    def body(self, scope: Scope, within: str | None) -> dict[str, Any]:
        fields = []
        for each in self.fields:
            written: dict[str, Any] = {
                "name": each.alias if scope.by_alias else each.name,
                "type": each.type.schema(scope, within),
            }
            if each.doc:
                written["doc"] = each.doc
            if each.default is not MISSING:
                written["default"] = each.default
            fields.append(written)
        return {"fields": fields}

    def dump(self, value: Any, names: Names) -> Any:
        dumped = {
            each.alias: (
                getattr(value, each.name)
                if each.type.plain
                else each.type.dump(getattr(value, each.name), names)
            )
            for each in self.fields
            if each.name not in self.serialized
        }
        if self.serialized:
            own = value.model_dump(include=self.serialized)
            for each in self.fields:
                if each.name in own:
                    dumped[each.alias] = each.type.dump(own[each.name], names)
        return dumped

    @cached_property
    def _as_read(self) -> bool:
        return all(f.type.plain and f.key == f.alias for f in self.fields)

    def load(self, value: Any, names: Names) -> Any:
        if self._as_read:
            return value
        return {
            each.key: (
                value[each.alias]
                if each.type.plain
                else each.type.load(value[each.alias], names)
            )
            for each in self.fields
            if not (each.nothing and value[each.alias] is None)
        }

    def build(self, loaded: Any) -> BaseModel:
        """Make the model, so that no other model of a union can take its place."""
        return self.model.model_validate(loaded)

    def to_json(self, value: Any) -> Any:
        return {f.alias: f.type.to_json(getattr(value, f.name)) for f in self.fields}

    def from_json(self, value: Any) -> Any:
        given = super().from_json(value)
        return self.build(
            {
                each.key: each.type.from_json(given[each.alias])
                for each in self.fields
                if each.alias in given
            }
        )
