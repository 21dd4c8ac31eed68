"""Avro schemas to pydantic models. Start with `avsc_to_pydantic`."""

from __future__ import annotations

import keyword
import typing
import warnings
from collections.abc import Callable, Container
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ForwardRef
from uuid import UUID

from pydantic import BaseModel, ConfigDict, create_model
from pydantic import Field as ModelField

from fastkafka.codecs.avro.base import AvroBase
from fastkafka.codecs.avro.containers import (
    MISSING,
    Array,
    Field,
    Map,
    Record,
    Union,
)
from fastkafka.codecs.avro.primitives import (
    NAME,
    AvroType,
    Enumeration,
    Fixed,
    Named,
    Scalar,
    aware_time,
)
from fastkafka.errors import ConfigError, did_you_mean

_INT = Annotated[int, ModelField(ge=-(2**31), le=2**31 - 1)]
_PRIMITIVES: dict[str, tuple[Any, tuple[type, ...]]] = {
    "null": (None, (type(None),)),
    "boolean": (bool, (bool,)),
    "int": (_INT, (int,)),
    "long": (int, (int,)),
    "float": (float, (float, int)),
    "double": (float, (float, int)),
    "bytes": (bytes, (bytes,)),
    "string": (str, (str,)),
}
_LOGICAL: dict[tuple[str, str], type] = {
    ("int", "date"): date,
    ("int", "time-millis"): time,
    ("long", "time-micros"): time,
    ("long", "timestamp-millis"): datetime,
    ("long", "timestamp-micros"): datetime,
    ("long", "local-timestamp-millis"): datetime,
    ("long", "local-timestamp-micros"): datetime,
    ("string", "uuid"): UUID,
}
_COMPLEX = ("record", "error", "enum", "array", "map", "fixed")

Found = tuple[Any, AvroType]
"""The annotation of a type and the type."""


def avsc_to_pydantic(schema: dict[str, Any]) -> type[BaseModel]:
    """Make a pydantic model from an Avro schema.

    Encoded as Avro, it is written as the schema says: a ``float`` has four bytes, a
    union keeps its order. Its subclasses too, whatever they add.

    A name that Python or pydantic keeps for itself, `class` or ``_id``, gets an
    underscore behind it, and the schema's as its alias.

    Args:
        schema: A record, as `json.load` reads it from an ``.avsc`` file.

    Raises:
        ConfigError: It is no record, or not valid.
    """
    if not isinstance(schema, dict):
        raise ConfigError(
            f"An Avro schema is a dictionary, not a `{type(schema).__name__}`. "
            "Read a file with `json.load`."
        )
    if schema.get("type") not in ("record", "error"):
        given = f"type {schema['type']!r}" if "type" in schema else "no `type`"
        raise ConfigError(
            f"The Avro schema has {given}, and a message is a record. "
            'Write `"type": "record"`.'
        )
    reader = _SchemaReader()
    model: type[BaseModel] = reader.read(schema, None, "The Avro schema")[0]
    reader.finish()
    return model


class _FromSchema(AvroBase):
    model_config = ConfigDict(populate_by_name=True, protected_namespaces=())


_FIELDS = {n for n in dir(_FromSchema) if n.startswith(("model_", "avro_schema"))}
"""Pydantic's old methods, `json` or `copy`, may be covered, as in the original."""

_SYMBOLS = {"mro", "name", "value"}


class _SchemaReader:
    def __init__(self) -> None:
        self._named: dict[str, Found] = {}
        self._models: list[type[BaseModel]] = []
        self._forward: dict[str, Any] = {}

    def read(self, schema: Any, namespace: str | None, where: str) -> Found:
        """Return the annotation and the type of a schema inside *namespace*."""
        if isinstance(schema, list):
            return self._union(schema, namespace, where)
        if isinstance(schema, str):
            return self._by_name(schema, namespace, where)
        if not isinstance(schema, dict):
            raise ConfigError(f"{where} has {schema!r} where an Avro type belongs.")
        kind = self._required(schema, "type", where)
        if not isinstance(kind, str):
            return self.read(kind, namespace, where)
        if kind in _PRIMITIVES:
            return _scalar(schema, where)
        if kind == "array":
            items = self._required(schema, "items", where)
            item, type_ = self.read(items, namespace, _item(where, "[]"))
            return list[item], Array(type_)  # type: ignore[valid-type]
        if kind == "map":
            values = self._required(schema, "values", where)
            value, type_ = self.read(values, namespace, _item(where, "{}"))
            return dict[str, value], Map(type_, Scalar("string", (str,)))  # type: ignore[valid-type]
        if kind in _COMPLEX:
            return self._define(kind, schema, namespace, where)
        return self._by_name(kind, namespace, where)

    def finish(self) -> None:
        """Resolve what referred to a model before it existed."""
        for model in self._models:
            model.model_rebuild(_types_namespace=self._forward)

    def _by_name(self, name: str, namespace: str | None, where: str) -> Found:
        if name in _PRIMITIVES:
            return _scalar({"type": name}, where)
        full = f"{namespace}.{name}" if namespace and "." not in name else name
        found = self._named.get(full) or self._named.get(name)
        if found is None:
            known = [*_PRIMITIVES, *_COMPLEX, *self._named]
            raise ConfigError(
                f"{where} has the unknown Avro type {name!r}."
                f"{did_you_mean(name, known)} A type is defined before it is named."
            )
        return found

    def _union(self, schemas: list[Any], namespace: str | None, where: str) -> Found:
        found = [self.read(each, namespace, where) for each in schemas]
        if not found:
            raise ConfigError(f"{where} has an empty union. Name its types.")
        kinds = [kind if isinstance(kind, Named) else kind.kind for _, kind in found]
        if "union" in kinds or len(set(kinds)) < len(kinds):
            raise ConfigError(
                f"{where} has the union {schemas!r}. "
                "Avro allows one type of each kind, and no union in a union."
            )
        annotations = tuple(annotation for annotation, _ in found)
        union = Union(type_ for _, type_ in found)
        return typing.Union[annotations], union  # noqa: UP007 - a tuple of types

    def _define(
        self, kind: str, schema: dict[str, Any], within: str | None, where: str
    ) -> Found:
        given = self._required(schema, "name", where)
        namespace, _, name = str(given).rpartition(".")
        _check_name(name, where)
        namespace = namespace or schema.get("namespace", within) or ""
        full = f"{namespace}.{name}" if namespace else name
        if full in self._named:
            raise ConfigError(
                f"{where} defines {full!r} a second time. Name it: {full!r} is enough."
            )
        if kind == "enum":
            self._named[full] = self._enum(schema, name, namespace, where)
        elif kind == "fixed":
            self._named[full] = self._fixed(schema, name, namespace, where)
        else:
            self._record(schema, name, namespace, where, full)
        return self._named[full]

    def _enum(
        self, schema: dict[str, Any], name: str, namespace: str, where: str
    ) -> Found:
        symbols = self._required(schema, "symbols", where, list)
        if len(set(map(str, symbols))) < len(symbols):
            raise ConfigError(f"{where} has a symbol twice: {symbols!r}. Rename it.")
        for symbol in symbols:
            _check_name(symbol, where)
        taken: set[str] = set()
        names = [_python_name(symbol, taken, _SYMBOLS) for symbol in symbols]
        pairs = list(zip(names, symbols, strict=True))
        members: Any = Enum(name, pairs, type=str, module=__name__)  # type: ignore[misc]
        written: dict[Enum, str] = {member: member.value for member in members}
        default, doc = schema.get("default"), schema.get("doc")
        return members, Enumeration(name, namespace, members, written, default, doc)

    def _fixed(
        self, schema: dict[str, Any], name: str, namespace: str, where: str
    ) -> Found:
        size = self._required(schema, "size", where, int)
        doc = schema.get("doc")
        if schema.get("logicalType") == "decimal":
            annotation, properties = _decimal(schema, where)
            return annotation, Fixed(
                name, namespace, size, (Decimal,), "decimal", properties, doc
            )
        annotation = Annotated[bytes, ModelField(min_length=size, max_length=size)]
        return annotation, Fixed(name, namespace, size, doc=doc)

    def _record(
        self, schema: dict[str, Any], name: str, namespace: str, where: str, full: str
    ) -> None:
        fields = self._required(schema, "fields", where, list)
        record = Record(name, namespace, doc=schema.get("doc"), imported=True)
        forward = f"_avro_{len(self._forward)}"
        self._forward[forward] = None
        self._named[full] = ForwardRef(forward), record
        definitions: dict[str, Any] = {}
        taken: set[str] = set()
        for given in fields:
            field, definition = self._field(given, namespace, name, taken)
            if field.alias in {each.alias for each in record.fields}:
                raise ConfigError(
                    f"`{name}.{field.alias}` is there twice. Rename one of them."
                )
            record.fields.append(field)
            definitions[field.name] = definition
        with warnings.catch_warnings():
            # A field may be called `json` or `copy`, as pydantic's old methods are.
            warnings.filterwarnings("ignore", 'Field name ".*" ', UserWarning)
            model = create_model(name, __base__=_FromSchema, **definitions)
        model.__doc__ = record.doc
        model.__avro_record__ = record  # type: ignore[attr-defined]
        record.model = model
        self._models.append(model)
        self._forward[forward] = model
        self._named[full] = model, record

    def _field(
        self, schema: Any, namespace: str, record: str, taken: set[str]
    ) -> tuple[Field, Any]:
        alias = self._required(schema, "name", f"A field of `{record}`")
        where = f"`{record}.{alias}`"
        _check_name(alias, where)
        annotation, kind = self.read(
            self._required(schema, "type", where), namespace, where
        )
        name = _python_name(alias, taken, _FIELDS)
        options: dict[str, Any] = {"description": schema.get("doc")}
        if name != alias:
            options["alias"] = alias
        default = schema.get("default", MISSING)
        if default is not MISSING:
            try:
                options["default"] = kind.from_json(default)
            except (ArithmeticError, TypeError, ValueError) as error:
                raise ConfigError(
                    f"{where} has a default that does not fit: {error}."
                ) from error
        field = Field(name, alias, name, kind, schema.get("doc"), default)
        return field, (Annotated[annotation, kind], ModelField(**options))

    @staticmethod
    def _required(schema: Any, key: str, where: str, kind: type = object) -> Any:
        if not isinstance(schema, dict) or key not in schema:
            raise ConfigError(f'{where} has no `{key}`. Add `"{key}": ...`.')
        value = schema[key]
        if not isinstance(value, kind):
            raise ConfigError(
                f"{where} has the `{key}` {value!r}. Avro wants `{kind.__name__}`."
            )
        return value


def _check_name(name: Any, where: str) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ConfigError(
            f"{where}: {name!r} is no Avro name. "
            "Use the letters A to Z, digits and `_`, and no digit first."
        )


def _scalar(schema: dict[str, Any], where: str) -> Found:
    kind, logical = schema["type"], schema.get("logicalType", "")
    if (kind, logical) == ("bytes", "decimal"):
        annotation, properties = _decimal(schema, where)
        return annotation, Scalar(kind, (Decimal,), logical, properties)
    python = _LOGICAL.get((kind, logical))
    if python is None:  # Avro's rule: an unknown logical type is not there
        annotation, classes = _PRIMITIVES[kind]
        return annotation, Scalar(kind, classes)
    write: Callable[[Any], Any] | None = aware_time if python is time else None
    return python, Scalar(kind, (python,), logical, write=write)


def _decimal(schema: dict[str, Any], where: str) -> tuple[Any, dict[str, int]]:
    precision, scale = schema.get("precision"), schema.get("scale", 0)
    if not isinstance(precision, int) or not 0 <= scale <= precision:
        raise ConfigError(
            f"{where} is a decimal of precision {precision!r} and scale {scale!r}. "
            "Avro needs a precision, and a scale that is not greater."
        )
    limits = ModelField(max_digits=precision, decimal_places=scale)
    return Annotated[Decimal, limits], {"precision": precision, "scale": scale}


def _python_name(name: str, taken: set[str], reserved: Container[str]) -> str:
    """Return a name that neither Python nor the class keeps for itself."""
    safe = name.lstrip("_") or "nameless"
    if safe != name or safe in reserved or keyword.iskeyword(safe):
        safe += "_"
    while safe in taken:
        safe += "_"
    taken.add(safe)
    return safe


def _item(where: str, brackets: str) -> str:
    return f"{where.rstrip('`')}{brackets}`"
