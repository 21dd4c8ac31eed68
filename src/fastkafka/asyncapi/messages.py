"""What operations send and receive, to AsyncAPI messages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastkafka.asyncapi.examples import examples_of
from fastkafka.asyncapi.names import legal, unique
from fastkafka.asyncapi.operations import Field, Operation
from fastkafka.asyncapi.schemas import REF, Json, Mode, schemas_of

BINDING_VERSION = "0.5.0"
"""Of the Kafka bindings; https://github.com/asyncapi/bindings/tree/master/kafka."""

_RAW: Json = {"type": "string", "format": "binary"}
_JSON = "application/json"
_AVRO = "avro/binary"
_BYTES = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Messages:
    """The messages of all channels.

    Attributes:
        names: The message of each use, in their order.
        messages: The messages by name; what is the same has one name.
        schemas: The definitions that they refer to.
    """

    names: Sequence[str]
    messages: Json
    schemas: Json


def messages_of(uses: Sequence[tuple[Operation, str]]) -> Messages:
    """Describe what operations send and receive.

    Functions that share a channel and a payload share the message: it has all that any
    of them says of the key and the headers.

    Args:
        uses: Operations, each with the name of a channel.
    """
    made, schemas = schemas_of([one for use, _ in uses for one in _types(use)])
    rest = iter(made)
    drafts: dict[tuple[str, str], Json] = {}
    keys = []
    for operation, channel in uses:
        draft = _message(operation, [next(rest) for _ in _types(operation)], schemas)
        identity = json.dumps([draft["payload"], draft["contentType"]])
        key = (channel, identity)
        drafts[key] = _merged(drafts[key], draft) if key in drafts else draft
        keys.append(key)
    messages: Json = {}
    names = {key: _add(messages, draft, key[0]) for key, draft in drafts.items()}
    return Messages([names[key] for key in keys], messages, schemas)


def _types(operation: Operation) -> list[tuple[Any, Mode]]:
    """Return the types to be described: the payload's, the key's, the headers'."""
    fields = [] if operation.key is None else [operation.key]
    types = [operation.message, *(f.type for f in (*fields, *operation.headers))]
    mode: Mode = "validation" if operation.action == "receive" else "serialization"
    return [(type_, mode) for type_ in types]


def _message(operation: Operation, schemas: list[Json], definitions: Json) -> Json:
    payload, *others = schemas
    message: Json = {
        "contentType": _content_type(operation.codec, payload),
        "payload": payload,
    }
    if operation.key is not None:
        key = others.pop(0)
        message["bindings"] = {"kafka": {"key": key, "bindingVersion": BINDING_VERSION}}
    if operation.headers:
        message["headers"] = _headers(operation.headers, others)
    examples = examples_of(operation.message, payload, definitions)
    if examples:
        message["examples"] = [{"payload": example} for example in examples]
    return message


def _headers(fields: Sequence[Field], schemas: Sequence[Json]) -> Json:
    return {
        "type": "object",
        "properties": {
            field.name: schema for field, schema in zip(fields, schemas, strict=True)
        },
        "required": [field.name for field in fields if field.required],
    }


def _content_type(codec: object, payload: Json) -> str:
    if codec == "json":
        choices = payload.get("anyOf", [payload])
        raw = [choice for choice in choices if choice != {"type": "null"}]
        return _BYTES if raw == [_RAW] else _JSON
    return _AVRO if codec == "avro" else _BYTES


def _merged(one: Json, other: Json) -> Json:
    """Return a message that says what two functions say of the same records."""
    bindings = [m["bindings"] for m in (one, other) if "bindings" in m]
    # One that only passes the key on knows nothing of its type.
    bindings.sort(key=lambda binding: bool(binding["kafka"]["key"] == _RAW))
    headers = [m["headers"] for m in (one, other) if "headers" in m]
    merged = other | one
    if bindings:
        merged["bindings"] = bindings[0]
    if len(headers) > 1:
        first, second = headers
        merged["headers"] = {
            "type": "object",
            "properties": second["properties"] | first["properties"],
            "required": list(dict.fromkeys(first["required"] + second["required"])),
        }
    return merged


def _add(messages: Json, message: Json, channel: str) -> str:
    """Put a message among the others; return the name that it has there."""
    name = _name(message["payload"]) or channel
    message = {"name": name} | message
    for candidate in (name, f"{name}-{channel}"):
        key = legal(candidate, fallback="message")
        if messages.setdefault(key, message) == message:
            return key
    key = unique(legal(name, fallback="message"), messages)
    messages[key] = message
    return key


def _name(payload: Json) -> str:
    """Return what a payload is called by its models; nothing if it has none."""
    if "$ref" in payload:
        return str(payload["$ref"]).removeprefix(REF)
    for keyword in ("allOf", "anyOf", "oneOf"):
        choices = payload.get(keyword, [])
        if any(_name(choice) for choice in choices):
            return "-or-".join(_name(c) or c.get("type", "any") for c in choices)
    return ""
