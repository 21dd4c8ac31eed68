"""Avro's types: each writes its schema and knows which Python values stand for it.

fastavro turns values into bytes and back. What it cannot know is here and in
`containers`: which symbol an enum's member is, which branch of a union a model, how a
default looks in a schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any
from uuid import UUID

from pydantic_core import to_jsonable_python

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What Avro allows as a name and as a symbol."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"millis": timedelta(milliseconds=1), "micros": timedelta(microseconds=1)}
_JSON: dict[str, tuple[type, ...]] = {
    "null": (NoneType,),
    "boolean": (bool,),
    "int": (int,),
    "long": (int,),
    "float": (float, int),
    "double": (float, int),
    "array": (list,),
    "map": (dict,),
    "record": (dict,),
}


class Scope:
    """The names that one schema has given so far.

    A named type is written out where it is met first and called by its name after
    that; two types of one name get different ones.

    Attributes:
        by_alias: Fields are named by their aliases.
        namespace: Of the first type; None leaves it its own.
        recursive: A type was met inside itself.
    """

    def __init__(self, *, by_alias: bool = True, namespace: str | None = None) -> None:
        self.by_alias = by_alias
        self.namespace = namespace
        self.recursive = False
        self.names: dict[AvroType, str] = {}
        self.open: set[AvroType] = set()

    def define(self, kind: AvroType, name: str, namespace: str | None) -> str:
        """Give *kind* a name of its own in *namespace*; return it without that."""
        prefix = f"{namespace}." if namespace else ""
        taken = set(self.names.values())
        unique, count = name, 1
        while prefix + unique in taken:
            count += 1
            unique = f"{name}_{count}"
        self.names[kind] = prefix + unique
        return unique


Names = Mapping["AvroType", str]
"""The full names in one schema: a union is written with the name of its branch."""


class AvroType:
    """One Avro type; the values of most are the same for Python and for fastavro.

    Attributes:
        kind: Avro's word for it: ``long``, ``array``, ``record``.
        python: The classes of its values, to find it in a union.
    """

    kind: str
    python: tuple[type, ...]

    @property
    def plain(self) -> bool:
        """Whether values need neither `dump` nor `load`."""
        return False

    @property
    def target(self) -> AvroType:
        """The type that the schema shows."""
        return self

    def schema(self, scope: Scope, within: str | None) -> Any:
        """Write the schema, inside the namespace *within*."""
        raise NotImplementedError

    def dump(self, value: Any, names: Names) -> Any:
        """Turn a value of a message into what fastavro writes."""
        return value

    def load(self, value: Any, names: Names) -> Any:
        """Turn what fastavro read into what pydantic validates."""
        return value

    def to_json(self, value: Any) -> Any:
        """Write a default as a schema does.

        Raises:
            ValueError: A schema cannot hold it.
        """
        return value

    def from_json(self, value: Any) -> Any:
        """Read a schema's default.

        Raises:
            ValueError: It does not fit.
        """
        if not self.takes_json(value):
            raise ValueError(f"{value!r} is no `{self.kind}`")
        return value

    def takes_json(self, value: Any) -> bool:
        """Whether *value* can be a default of this type."""
        if isinstance(value, bool):
            return self.kind == "boolean"
        return isinstance(value, _JSON.get(self.kind, (str,)))


@dataclass(eq=False)
class Scalar(AvroType):
    """A primitive type, plain or with a logical type.

    Attributes:
        write: Makes what is written of a value; None writes it as it is.
    """

    kind: str
    python: tuple[type, ...]
    logical: str = ""
    properties: Mapping[str, int] = field(default_factory=dict)
    write: Callable[[Any], Any] | None = None

    @property
    def plain(self) -> bool:
        return self.write is None

    def schema(self, scope: Scope, within: str | None) -> Any:
        if not self.logical:
            return self.kind
        return {"type": self.kind, "logicalType": self.logical, **self.properties}

    def dump(self, value: Any, names: Names) -> Any:
        return value if self.write is None else self.write(value)

    def to_json(self, value: Any) -> Any:
        if self.write is not None:
            value = self.write(value)
        return _logical_to_json(self.logical, self.properties, value)

    def from_json(self, value: Any) -> Any:
        value = super().from_json(value)
        return _logical_from_json(self.kind, self.logical, self.properties, value)

    def merged(self, other: Scalar) -> Scalar | None:
        """Return one type for the values of both, None if Avro has none.

        A union holds one type of each kind, so only texts can be thrown together.
        """
        same = (self.logical, self.properties) == (other.logical, other.properties)
        if not same and self.kind != "string":
            return None
        return Scalar(
            self.kind,
            self.python + other.python,
            self.logical if same else "",
            self.properties if same else {},
            None if same and self.plain and other.plain else to_jsonable_python,
        )


class Named(AvroType):
    """A type with a name: a record, an enum, a fixed."""

    name: str
    namespace: str | None
    doc: str | None

    def schema(self, scope: Scope, within: str | None) -> Any:
        if self in scope.names:
            scope.recursive |= self in scope.open
            return scope.names[self]
        namespace = within if self.namespace is None else self.namespace
        if scope.namespace is not None and not scope.names:
            namespace = scope.namespace
        written: dict[str, Any] = {"type": self.kind}
        if namespace != within:
            written["namespace"] = namespace
        written["name"] = scope.define(self, self.name, namespace)
        if self.doc:
            written["doc"] = self.doc
        scope.open.add(self)
        written |= self.body(scope, namespace)
        scope.open.remove(self)
        return written

    def body(self, scope: Scope, within: str | None) -> dict[str, Any]:
        """Write what comes after the name."""
        raise NotImplementedError


@dataclass(eq=False)
class Fixed(Named):
    """A number of bytes that never varies, perhaps holding a decimal."""

    name: str
    namespace: str | None
    size: int
    python: tuple[type, ...] = (bytes,)
    logical: str = ""
    properties: Mapping[str, int] = field(default_factory=dict)
    doc: str | None = None
    kind = "fixed"

    @property
    def plain(self) -> bool:
        return True

    def body(self, scope: Scope, within: str | None) -> dict[str, Any]:
        logical = {"logicalType": self.logical} if self.logical else {}
        return {"size": self.size, **logical, **self.properties}

    def to_json(self, value: Any) -> Any:
        properties = {**self.properties, "size": self.size}
        return _logical_to_json(self.logical, properties, value)

    def from_json(self, value: Any) -> Any:
        value = super().from_json(value)
        return _logical_from_json(self.kind, self.logical, self.properties, value)


@dataclass(eq=False)
class Enumeration(Named):
    """A Python enum; its symbols are the values where Avro allows them."""

    name: str
    namespace: str | None
    members: type[Enum]
    symbols: Mapping[Enum, str]
    default: str | None = None
    doc: str | None = None
    kind = "enum"

    def __post_init__(self) -> None:
        self.python: tuple[type, ...] = (self.members,)
        self._written: dict[Any, str] = dict(self.symbols)
        for member, symbol in self.symbols.items():
            if isinstance(member.value, str | int):  # a model may keep the value
                self._written.setdefault(member.value, symbol)
        self._read = {symbol: member for member, symbol in self.symbols.items()}

    def body(self, scope: Scope, within: str | None) -> dict[str, Any]:
        default = {} if self.default is None else {"default": self.default}
        return {"symbols": list(self.symbols.values()), **default}

    def dump(self, value: Any, names: Names) -> Any:
        try:
            return self._written[value]
        except KeyError:
            raise ValueError(f"{value!r} is no symbol of `{self.name}`") from None

    def load(self, value: Any, names: Names) -> Any:
        return self._read[value]

    def to_json(self, value: Any) -> Any:
        return self.dump(value, {})

    def from_json(self, value: Any) -> Any:
        if value not in self._read:
            raise ValueError(f"{value!r} is no symbol of `{self.name}`")
        return self._read[value]


def _logical_to_json(logical: str, properties: Mapping[str, int], value: Any) -> Any:
    if logical == "decimal":
        sign, digits, exponent = value.as_tuple()
        exponent += properties.get("scale", 0)
        if exponent < 0:
            raise ValueError(f"{value} has more decimal places than its Avro type")
        unscaled = int(Decimal((sign, digits, 0))) * 10**exponent
        size = properties.get("size", (unscaled.bit_length() + 8) // 8)
        value = unscaled.to_bytes(size, "big", signed=True)
    elif logical == "date":
        value = (value - _EPOCH.date()).days
    elif logical == "uuid":
        value = str(value)
    elif logical:
        base, _, unit = logical.rpartition("-")
        if base == "time":
            value = datetime.combine(_EPOCH, value, UTC)
        elif base == "local-timestamp":
            value = value.replace(tzinfo=UTC)
        elif value.tzinfo is None:
            raise ValueError("a time without a zone means another moment elsewhere")
        value = (value - _EPOCH) // _UNITS[unit]
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _logical_from_json(
    kind: str, logical: str, properties: Mapping[str, int], value: Any
) -> Any:
    if kind in ("bytes", "fixed"):
        value = value.encode("latin-1")
    if logical == "decimal":
        sign, digits, _ = Decimal(int.from_bytes(value, "big", signed=True)).as_tuple()
        return Decimal((sign, digits, -properties.get("scale", 0)))
    if logical == "date":
        return date(1970, 1, 1) + timedelta(days=value)
    if logical == "uuid":
        return UUID(value)
    if logical:
        base, _, unit = logical.rpartition("-")
        moment = _EPOCH + value * _UNITS[unit]
        if base == "time":
            return moment.time()
        return moment.replace(tzinfo=None) if base == "local-timestamp" else moment
    return value


def aware_time(value: time) -> time:
    """Refuse a time of day with a zone, which Avro would drop without a word."""
    if value.tzinfo is not None:
        raise ValueError(f"Avro's time of day has no zone, and {value} has one")
    return value
