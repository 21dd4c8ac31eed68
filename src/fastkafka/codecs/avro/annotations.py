"""An annotation to its Avro type. Start with `avro_type`.

As in the original FastKafka: ``int`` is a long, ``float`` a double, a set or a tuple an
array, ``datetime`` a timestamp in microseconds (one without a zone is local time, as
everywhere in Python; `NaiveDatetime` stays without), what JSON has as text a string. A
`Decimal` has its digits in the schema when `max_digits` and `decimal_places` are given;
else it is text, which loses nothing.

A field with a default that no schema can hold, a factory's for example, may be null on
the wire: not there.
"""

from __future__ import annotations

import re
import types
import typing
from collections import OrderedDict, abc, defaultdict, deque
from collections.abc import Iterable
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from functools import partial
from operator import attrgetter
from typing import Annotated, Any, Literal, get_args, get_origin
from uuid import UUID

from pydantic import (
    AliasChoices,
    BaseModel,
    NaiveDatetime,
    PlainSerializer,
    PydanticUndefinedAnnotation,
    PydanticUserError,
    RootModel,
    TypeAdapter,
    WrapSerializer,
)
from pydantic.fields import FieldInfo

from fastkafka.codecs.avro.containers import (
    MISSING,
    Array,
    Field,
    Map,
    Record,
    Serialized,
    Union,
)
from fastkafka.codecs.avro.primitives import (
    NAME,
    AvroType,
    Enumeration,
    Scalar,
    Scope,
    aware_time,
)
from fastkafka.codecs.json import type_name
from fastkafka.errors import ConfigError

_SCALARS: dict[Any, Scalar] = {
    type(None): Scalar("null", (type(None),)),
    bool: Scalar("boolean", (bool,)),
    int: Scalar("long", (int,)),
    float: Scalar("double", (float, int)),
    str: Scalar("string", (str,)),
    bytes: Scalar("bytes", (bytes,)),
    datetime: Scalar("long", (datetime,), "timestamp-micros"),
    NaiveDatetime: Scalar("long", (datetime,), "local-timestamp-micros"),
    date: Scalar("int", (date,), "date"),
    time: Scalar("long", (time,), "time-micros", write=aware_time),
    UUID: Scalar("string", (UUID,), "uuid"),
}
_JSON_TYPES = {"string": str, "integer": int, "number": float, "boolean": bool}
_JSON_FORMATS = {"date-time": datetime, "date": date, "time": time, "binary": bytes}
_ARRAYS = (
    list,
    set,
    frozenset,
    deque,
    abc.Sequence,
    abc.MutableSequence,
    abc.Set,
    abc.MutableSet,
    abc.Collection,
)
_MAPS = (dict, OrderedDict, defaultdict, abc.Mapping, abc.MutableMapping)
_UNFIT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a default raises that does not fit its own annotation."""


def avro_type(message: Any) -> AvroType:
    """Read the Avro type of an annotation, a pydantic model most of the time.

    Raises:
        ConfigError: Avro has no type for it, or for a field.
    """
    return _Reader().read(message, (), type_name(message))


def scope_of(root: AvroType, namespace: str | None = None, **options: Any) -> Scope:
    """Return the scope to write *root*'s schema in.

    A model's namespace is its name, as in the original FastKafka; a model from an
    ``.avsc`` file has that file's.
    """
    if namespace is None and isinstance(root, Record) and not root.imported:
        namespace = root.name
    return Scope(namespace=namespace, **options)


class _Reader:
    """Reads the annotations of one message; a model met twice is one record."""

    def __init__(self) -> None:
        self._records: dict[type, Record] = {}
        self._enums: dict[type, Enumeration] = {}
        self._aliases: set[int] = set()

    def read(
        self, annotation: Any, metadata: Iterable[Any], where: str, inside: bool = False
    ) -> AvroType:
        """Return the type of an annotation.

        Args:
            annotation: What the user wrote.
            metadata: What stands beside it in `Annotated` or in the field.
            where: For errors.
            inside: It is the item of a list or a dictionary.
        """
        metadata = tuple(metadata)
        for extra in metadata:
            if isinstance(extra, AvroType):
                return extra
        if any(isinstance(m, PlainSerializer | WrapSerializer) for m in metadata):
            return self._serialized(annotation, metadata, where, inside)
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            annotation, *extras = arguments
            return self.read(
                annotation, (*_flat(extras), *metadata), where, inside=inside
            )
        if origin in (typing.Union, types.UnionType):
            members = [self.read(a, metadata, where, inside) for a in arguments]
            return self._union(members, annotation, where)
        if origin is Literal:
            kinds = dict.fromkeys(type(value) for value in arguments)
            members = [self.read(kind, (), where) for kind in kinds]
            return self._union(members, annotation, where)
        if hasattr(annotation, "__supertype__"):
            return self.read(annotation.__supertype__, metadata, where, inside)
        if hasattr(annotation, "__value__"):
            return self._alias(annotation, metadata, where, inside)
        if annotation is Any and inside:
            return _SCALARS[str]  # as in the original FastKafka
        return self._class(origin or annotation, annotation, metadata, where)

    def _class(
        self, kind: Any, annotation: Any, metadata: tuple[Any, ...], where: str
    ) -> AvroType:
        arguments = get_args(annotation)
        if kind is tuple:
            return self._tuple(arguments, annotation, where)
        if kind in _ARRAYS:
            item = arguments[0] if arguments else Any
            return Array(self.read(item, (), where, inside=True))
        if kind in _MAPS:
            return self._map(arguments or (str, Any), annotation, where)
        if kind in _SCALARS:
            return _SCALARS[kind]
        if kind is Decimal:
            return _decimal(metadata)
        if isinstance(kind, type) and issubclass(kind, Enum):
            return self._enum(kind)
        if isinstance(kind, type) and issubclass(kind, RootModel):
            root = kind.model_fields["root"]
            inner = self.read(root.annotation, root.metadata, where)
            return Serialized(inner, (kind,), attrgetter("root"))
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return self._record(kind)
        return _leaf(annotation, metadata, where)

    def _serialized(
        self, annotation: Any, metadata: tuple[Any, ...], where: str, inside: bool
    ) -> AvroType:
        others = [
            m for m in metadata if not isinstance(m, PlainSerializer | WrapSerializer)
        ]
        inner = self.read(annotation, others, where, inside)
        adapter: TypeAdapter[Any] = TypeAdapter(_annotated(annotation, metadata))
        if not isinstance(inner, Union):
            return Serialized(inner, inner.python, adapter.dump_python)
        return Union(
            b if b.kind == "null" else Serialized(b, b.python, adapter.dump_python)
            for b in inner.branches
        )

    def _alias(
        self, alias: Any, metadata: tuple[Any, ...], where: str, inside: bool
    ) -> AvroType:
        if id(alias) in self._aliases:
            raise ConfigError(
                f"{where}: {type_name(alias)} contains itself, and only a record can. "
                "Write a model for it."
            )
        self._aliases.add(id(alias))
        found = self.read(alias.__value__, metadata, where, inside)
        self._aliases.remove(id(alias))
        return found

    def _union(self, members: list[AvroType], annotation: Any, where: str) -> AvroType:
        branches: list[AvroType] = []
        for member in _flat_unions(members):
            _add_branch(branches, member, annotation, where)
        if len(branches) == 1:
            return branches[0]
        return _null_first(Union(branches))

    def _tuple(
        self, arguments: tuple[Any, ...], annotation: Any, where: str
    ) -> AvroType:
        kinds = set(arguments) - {Ellipsis} or {Any}
        if len(kinds) > 1:
            raise ConfigError(_no_type(annotation, where))
        return Array(self.read(kinds.pop(), (), where, inside=True))

    def _map(self, arguments: tuple[Any, ...], annotation: Any, where: str) -> AvroType:
        keys = self.read(arguments[0], (), where, inside=True)
        if not isinstance(keys, Scalar | Enumeration):
            raise ConfigError(_no_type(annotation, where))
        return Map(self.read(arguments[1], (), where, inside=True), keys)

    def _enum(self, kind: type[Enum]) -> Enumeration:
        found = self._enums.get(kind)
        if found is None:
            values = [member.value for member in kind]
            named = all(isinstance(v, str) and NAME.fullmatch(v) for v in values)
            symbols = {m: m.value if named else m.name for m in kind}
            found = Enumeration(_avro_name(kind.__name__), None, kind, symbols)
            self._enums[kind] = found
        return found

    def _record(self, model: type[BaseModel]) -> Record:
        imported = model.__dict__.get("__avro_record__")
        if isinstance(imported, Record):
            return imported
        if model in self._records:
            return self._records[model]
        # Depth 0: the names of this file are not for the user's annotations.
        if not model.__pydantic_complete__ and not model.model_rebuild(
            raise_errors=False, _parent_namespace_depth=0
        ):
            raise ConfigError(
                f"`{model.__name__}` is not complete: an annotation names what is not "
                f"defined. Define it and call `{model.__name__}.model_rebuild()`."
            )
        decorators = model.__pydantic_decorators__
        if decorators.model_serializers:
            raise ConfigError(
                f"`{model.__name__}` has a `model_serializer`, but an Avro record is "
                "written field by field. Use `field_serializer`, or your own encoder."
            )
        record = Record(
            _avro_name(model.model_config.get("title") or model.__name__), None, model
        )
        self._records[model] = record
        infos = {n: i for n, i in model.model_fields.items() if not i.exclude}
        serialized = {
            name
            for decorator in decorators.field_serializers.values()
            for name in decorator.info.fields
        }
        if "*" in serialized:
            serialized.update(infos)
        record.serialized = frozenset(serialized.intersection(infos))
        record.fields = [self._field(model, n, i) for n, i in infos.items()]
        return record

    def _field(self, model: type[BaseModel], name: str, info: FieldInfo) -> Field:
        where = f"`{model.__name__}.{name}`"
        kind = self.read(info.annotation, info.metadata, where)
        default, nothing = MISSING, False
        if any(isinstance(m, AvroType) for m in info.metadata):
            if not info.is_required():
                default = _default(kind, info.default)
        elif info.default_factory is not None or info.default is None:
            default, nothing = None, not _takes_null(kind)
            kind = self._union([_SCALARS[type(None)], kind], info.annotation, where)
        elif not info.is_required():
            kind = _starting_with(kind, info.default)
            default = _default(kind, info.default)
        alias = info.serialization_alias or name
        if not NAME.fullmatch(alias):
            alias = name
        if not NAME.fullmatch(alias):
            raise ConfigError(
                f"{where}: {name!r} cannot be an Avro name, which has only the letters "
                "A to Z, digits and `_`. Give the field an alias."
            )
        key = _validation_key(model, name, info)
        return Field(name, alias, key, kind, info.description, default, nothing)


def _flat(extras: Iterable[Any]) -> Iterable[Any]:
    """Yield metadata; what stands in a `Field(...)` beside it too."""
    for extra in extras:
        if isinstance(extra, FieldInfo):
            yield from extra.metadata
        else:
            yield extra


def _annotated(annotation: Any, metadata: tuple[Any, ...]) -> Any:
    return Annotated[(annotation, *metadata)] if metadata else annotation


def _flat_unions(members: Iterable[AvroType]) -> Iterable[AvroType]:
    for member in members:
        if isinstance(member, Union):
            yield from member.branches
        else:
            yield member


def _add_branch(
    branches: list[AvroType], member: AvroType, annotation: Any, where: str
) -> None:
    if member in branches:
        return
    named = member.target.kind in ("record", "enum", "fixed")
    for index, branch in enumerate(branches):
        if branch.kind != member.kind or (named and branch.target != member.target):
            continue
        if isinstance(branch, Scalar) and isinstance(member, Scalar):
            merged = branch.merged(member)
            if merged is not None:
                branches[index] = merged
                return
        raise ConfigError(
            f"{where}: Avro cannot tell the members of {type_name(annotation)} apart: "
            f"two of them are `{member.kind}`. Put one into a model of its own."
        )
    if member.kind == "union":
        raise ConfigError(
            f"{where} has a union inside a union, which Avro has not: "
            f"{type_name(annotation)}. Write the types of the inner one here."
        )
    branches.append(member)


def _null_first(union: Union) -> Union:
    null = next((b for b in union.branches if b.kind == "null"), None)
    return union if null is None else union.starting_with(null)


def _takes_null(kind: AvroType) -> bool:
    branches = kind.branches if isinstance(kind, Union) else [kind]
    return any(branch.kind == "null" for branch in branches)


def _starting_with(kind: AvroType, default: Any) -> AvroType:
    if not isinstance(kind, Union):
        return kind
    try:
        return kind.starting_with(kind.branch(default))
    except ValueError:  # the default is none of its own types; pydantic lets it be
        return kind


def _default(kind: AvroType, default: Any) -> Any:
    """Write a default; one that a schema cannot hold is left out, which it may be."""
    try:
        written = kind.to_json(default)
    except _UNFIT:
        return MISSING
    return written if kind.takes_json(written) else MISSING


def _decimal(metadata: tuple[Any, ...]) -> AvroType:
    """Return Avro's decimal where precision and scale are known, else text."""
    digits = [d for m in metadata if (d := getattr(m, "max_digits", None)) is not None]
    places = [
        p for m in metadata if (p := getattr(m, "decimal_places", None)) is not None
    ]
    if digits and places:
        properties = {"precision": digits[0], "scale": places[0]}
        return Scalar("bytes", (Decimal,), "decimal", properties)
    return Scalar("string", (Decimal,), write=str)


def _leaf(annotation: Any, metadata: tuple[Any, ...], where: str) -> AvroType:
    """Ask pydantic what JSON has for a class that is not known here."""
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(_annotated(annotation, metadata))
        schema = adapter.json_schema(mode="serialization")
    except (PydanticUserError, PydanticUndefinedAnnotation):
        raise ConfigError(_no_type(annotation, where)) from None
    known = _JSON_FORMATS.get(schema.get("format", ""))
    if known is not None:
        return _SCALARS[known]
    known = _JSON_TYPES.get(schema.get("type", ""))
    if known is None:
        raise ConfigError(_no_type(annotation, where))
    classes = (annotation, known) if isinstance(annotation, type) else (known,)
    write = partial(adapter.dump_python, mode="json")
    return Scalar(_SCALARS[known].kind, classes, write=write)


def _validation_key(model: type[BaseModel], name: str, info: FieldInfo) -> str:
    config = model.model_config
    if config.get("populate_by_name") or config.get("validate_by_name"):
        return name
    alias = info.validation_alias
    if isinstance(alias, AliasChoices):
        alias = next((c for c in alias.choices if isinstance(c, str)), None)
    if alias is None:
        return name
    if isinstance(alias, str):
        return alias
    raise ConfigError(
        f"`{model.__name__}.{name}` is validated from a path, and Avro's fields have "
        "names. Set `populate_by_name=True` in the model's config."
    )


def _avro_name(name: str) -> str:
    """Make a class's name Avro's: a generic model's has brackets, a title spaces."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return f"_{name}" if name[:1].isdigit() else name


def _no_type(annotation: Any, where: str) -> str:
    return (
        f"{where} has no Avro type: {type_name(annotation)}. "
        "Use a pydantic model, an enum, a list, a dictionary, a scalar "
        "or a union of these."
    )
