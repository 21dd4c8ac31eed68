"""What a schema allows, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from fastkafka.asyncapi.page.elements import Child, code, fragment, link, listed
from fastkafka.asyncapi.schemas import REF, Json

_RANGES = (
    ("minLength", "maxLength", "character", "characters"),
    ("minItems", "maxItems", "item", "items"),
    ("minProperties", "maxProperties", "entry", "entries"),
)


def reference(schema: Json) -> str | None:
    """Return the name of the definition that a schema stands for, if it is one."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(REF)
    only = schema.get("allOf", [])
    return reference(only[0]) if len(only) == 1 else None


def choices(schema: Json) -> list[Json]:
    """Return what a union is a union of, null left out; else nothing."""
    union = schema.get("anyOf") or schema.get("oneOf") or []
    return [choice for choice in union if choice != {"type": "null"}]


def without_null(schema: Json) -> Json:
    """Return a schema with a single choice other than null as that choice."""
    only = choices(schema)
    if len(only) != 1:
        return schema
    outside = {k: v for k, v in schema.items() if k not in ("anyOf", "oneOf")}
    return only[0] | outside


def type_in_words(schema: Any) -> Child:
    """Say which type a schema asks for, definitions as links."""
    if not isinstance(schema, dict) or not schema:
        return "anything" if schema is not False else "nothing"
    name = reference(schema)
    if name is not None:
        return link(name, f"schema-{name}")
    union = schema.get("anyOf") or schema.get("oneOf")
    if union:
        return _either([type_in_words(choice) for choice in union])
    if "const" in schema:
        return fragment("always ", _value(schema["const"]))
    kinds = schema.get("type", "anything")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    return _either([_kind(kind, schema) for kind in kinds])


def limits_in_words(schema: Json) -> Iterator[Child]:
    """Say what else a schema asks for."""
    schema = without_null(schema)
    for least, most, one, many in _RANGES:
        is_tuple = isinstance(schema.get("items"), list)  # which says how many itself
        if (least in schema or most in schema) and not (is_tuple and one == "item"):
            yield _range(schema.get(least), schema.get(most), one, many)
    for keyword, words in (
        ("exclusiveMinimum", "above"),
        ("minimum", "at least"),
        ("exclusiveMaximum", "below"),
        ("maximum", "at most"),
        ("multipleOf", "a multiple of"),
    ):
        if keyword in schema:
            yield f"{words} {json.dumps(schema[keyword])}"
    if "pattern" in schema:
        yield fragment("matches ", code(str(schema["pattern"])))
    if schema.get("uniqueItems"):
        yield "each of them once"
    if "discriminator" in schema:
        yield fragment("told apart by ", code(str(schema["discriminator"])))
    if "default" in schema and "const" not in schema:
        yield fragment("default ", _value(schema["default"]))


def _kind(kind: Any, schema: Json) -> Child:
    if "enum" in schema:
        return fragment(f"{kind}: ", listed(_value(one) for one in schema["enum"]))
    if kind == "array":
        items = schema.get("items")
        if isinstance(items, list):
            inner = listed(type_in_words(item) for item in items)
            return fragment("array of exactly these: ", inner)
        return fragment("array of ", type_in_words(items)) if items else "array"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        values = schema["additionalProperties"]
        return fragment("object, each value ", type_in_words(values))
    if "format" in schema and kind != "null":
        return f"{kind} ({schema['format']})"
    return str(kind)


def _range(least: Any, most: Any, one: str, many: str) -> str:
    if least == most:
        return f"exactly {least} {one if least == 1 else many}"
    if least is None:
        return f"at most {most} {one if most == 1 else many}"
    if most is None:
        return f"at least {least} {one if least == 1 else many}"
    return f"{least} to {most} {many}"


def _either(options: list[Child]) -> Child:
    made: list[Child] = []
    for option in options:
        made += [" or ", option] if made else [option]
    return fragment(*made)


def _value(value: Any) -> Child:
    return code(json.dumps(value, ensure_ascii=False))
