"""An example of a message, put together from what its fields say of themselves."""

from __future__ import annotations

import json
import sys
from typing import Any

from fastkafka.asyncapi.schemas import REF, Json, adapter_of

_NOTHING = object()


def examples_of(message: Any, schema: Json, definitions: Json) -> list[Any]:
    """Return the examples of a message that it would accept itself.

    They are the model's own, or one that is made of its fields' examples, defaults and
    only possible values. Nothing is invented: a required field that says nothing of
    itself leaves the message without an example.
    """
    target = definitions.get(schema.get("$ref", "").removeprefix(REF), schema)
    candidates = target.get("examples") or [_example(schema, definitions, {})]
    return [
        candidate
        for candidate in candidates
        if candidate not in (None, _NOTHING) and _fits(message, candidate)
    ]


def _example(schema: Any, definitions: Json, made: dict[str, Any]) -> Any:
    """Return an example of a schema, or nothing.

    Args:
        schema: The schema.
        definitions: What it may refer to.
        made: The examples of definitions that are made already.
    """
    if not isinstance(schema, dict):
        return _NOTHING
    if schema.get("examples"):
        return schema["examples"][0]
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    if schema.get("enum"):
        return schema["enum"][0]
    if "$ref" in schema:
        return _defined(schema["$ref"].removeprefix(REF), definitions, made)
    for keyword in ("allOf", "anyOf", "oneOf"):
        for choice in schema.get(keyword, ()):
            value = _example(choice, definitions, made)
            if value is not _NOTHING:
                return value
    return _structure(schema, definitions, made)


def _defined(name: str, definitions: Json, made: dict[str, Any]) -> Any:
    if name not in made:
        made[name] = _NOTHING  # within itself it has none
        made[name] = _example(definitions.get(name), definitions, made)
    return made[name]


def _structure(schema: Json, definitions: Json, made: dict[str, Any]) -> Any:
    kind = schema.get("type")
    if kind == "null":
        return None
    if kind == "array" and isinstance(schema.get("items"), dict):
        item = _example(schema["items"], definitions, made)
        return item if item is _NOTHING else [item]
    if kind == "object" and schema.get("properties"):
        fields = {
            name: value
            for name, field in schema["properties"].items()
            if (value := _example(field, definitions, made)) is not _NOTHING
        }
        if fields and fields.keys() >= set(schema.get("required", ())):
            return fields
    return _NOTHING


def _fits(message: Any, example: Any) -> bool:
    """Whether the message's own rules accept an example."""
    encoded = json.dumps(example)
    try:
        adapter = adapter_of(message)
        if adapter is not None:
            adapter.validate_json(encoded)
        else:
            sys.modules["msgspec"].json.decode(encoded, type=message)
    except Exception:  # noqa: BLE001 - whatever a type's validators raise
        return False
    return True
