"""An example of a message, put together from what its fields say of themselves."""

from __future__ import annotations

import json
import sys
from typing import Any

from fastkafka.asyncapi.schemas import REF, Json, adapter_of

_NOTHING = object()
_DEEPEST = 16


def examples_of(message: Any, schema: Json, definitions: Json) -> list[Any]:
    """Return the examples of a message that it would accept itself.

    They are the model's own, or one that is made of its fields' examples, defaults and
    only possible values. Nothing is invented: a required field that says nothing of
    itself leaves the message without an example.
    """
    target = definitions.get(schema.get("$ref", "").removeprefix(REF), schema)
    candidates = target.get("examples") or [_example(schema, definitions, 0)]
    return [
        candidate
        for candidate in candidates
        if candidate not in (None, _NOTHING) and _fits(message, candidate)
    ]


def _example(schema: Any, definitions: Json, depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return _NOTHING
    if schema.get("examples"):
        return schema["examples"][0]
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    if schema.get("enum"):
        return schema["enum"][0]
    if "$ref" in schema:
        target = definitions.get(schema["$ref"].removeprefix(REF))
        return _example(target, definitions, depth + 1)
    for keyword in ("allOf", "anyOf", "oneOf"):
        for choice in schema.get(keyword, ()):
            value = _example(choice, definitions, depth + 1)
            if value is not _NOTHING:
                return value
    return _structure(schema, definitions, depth)


def _structure(schema: Json, definitions: Json, depth: int) -> Any:
    kind = schema.get("type")
    if kind == "null":
        return None
    if kind == "array" and isinstance(schema.get("items"), dict):
        item = _example(schema["items"], definitions, depth + 1)
        return item if item is _NOTHING else [item]
    if kind == "object" and schema.get("properties"):
        made = {
            name: value
            for name, field in schema["properties"].items()
            if (value := _example(field, definitions, depth + 1)) is not _NOTHING
        }
        if made and made.keys() >= set(schema.get("required", ())):
            return made
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
