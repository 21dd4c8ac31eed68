"""JSON, by pydantic or msgspec: whichever the declared message belongs to.

What is compiled here runs once per record, so it is the library's own compiled
function and nothing around it.
"""

from __future__ import annotations

import dataclasses
import json as _json
import sys
import types
import typing
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from fastkafka.errors import ConfigError

TOMBSTONE = (
    "expected a message, got null (a tombstone). "
    "Declare the message as `Model | None` to receive tombstones"
)

_MOST_ERRORS = 5


def decoder(message: Any) -> Callable[[bytes | None], Any]:
    """Compile a JSON decoder for a declared message.

    `bytes` are passed on untouched. None, a tombstone, reaches only a handler whose
    message may be None.

    Raises:
        ConfigError: Neither pydantic nor msgspec can decode this type.
    """
    if message is bytes or _members(message) == {bytes, type(None)}:
        return with_tombstones(_untouched, message)
    msgspec = _msgspec_for(message)
    if msgspec is not None:
        decode = msgspec.json.Decoder(message).decode
    else:
        decode = _adapter(message).validator.validate_json
    return with_tombstones(decode, message)


def encoder(message: Any) -> Callable[[Any], bytes | None]:
    """Compile a JSON encoder for what a producer declares to return.

    A value of another type than the declared one is validated as pydantic would, so a
    dict becomes the model it stands for, and a wrong one raises.

    Raises:
        ConfigError: Neither pydantic nor msgspec can encode this type.
    """
    if message is Any:
        return _encode_any
    if message is bytes:
        return _untouched_bytes
    msgspec = _msgspec_for(message)
    if msgspec is not None:
        return _msgspec_encoder(msgspec, message)
    adapter = _adapter(message)
    if isinstance(message, type) and issubclass(message, BaseModel):
        return _model_encoder(message, adapter)
    validate = adapter.validator.validate_python
    serialize = adapter.serializer.to_json
    return lambda value: serialize(validate(value))


def describe(error: Exception) -> str | None:
    """Say where and why a message does not fit; None for an error of others.

    The sentence holds no value of the message: it may be secret.
    """
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_context=False)
        sentences = []
        for item in found[:_MOST_ERRORS]:
            if item["type"] == "json_type":
                return TOMBSTONE
            sentences.append(f"{_lowered(item['msg'])}{_where(item['loc'])}")
        if len(found) > _MOST_ERRORS:
            sentences.append(f"and {len(found) - _MOST_ERRORS} more")
        return "; ".join(sentences)
    if isinstance(error, PydanticSerializationError):
        return str(error)
    msgspec = sys.modules.get("msgspec")
    if msgspec is not None and isinstance(error, msgspec.MsgspecError):
        return _lowered(str(error))
    said = str(error)
    if said == TOMBSTONE or "a bytes-like object is required, not 'NoneType'" in said:
        return TOMBSTONE
    return None


def text_decoder(wanted: Any) -> Callable[[bytes | None], Any]:
    """Compile the conversion of a key or a header.

    `bytes` and `str` are taken as they are; numbers, UUIDs and dates are read from
    text, everything else from JSON.

    Raises:
        ConfigError: pydantic cannot read this type.
    """
    members = _members(wanted) - {type(None)}
    if members == {bytes}:
        return with_tombstones(_untouched, wanted)
    if members == {str}:
        return with_tombstones(lambda raw: str(raw, "utf-8"), wanted)
    adapter = _adapter(wanted)
    if _is_scalar(adapter):
        validate: Any = adapter.validator.validate_strings
        return with_tombstones(lambda raw: validate(str(raw, "utf-8")), wanted)
    return with_tombstones(adapter.validator.validate_json, wanted)


def with_tombstones(
    decode: Callable[[Any], Any], message: Any
) -> Callable[[bytes | None], Any]:
    """Pass None through to a handler whose message may be None, and to no other."""
    if message is not Any and type(None) not in _members(message):
        return decode
    return lambda value: None if value is None else decode(value)


def json_encoder(msg: Any) -> bytes:
    """Encode a message: a model by its own rules, anything else by `json.dumps`."""
    if isinstance(msg, BaseModel):
        return msg.model_dump_json().encode("utf-8")
    return _json.dumps(msg).encode("utf-8")


def json_decoder(raw_msg: bytes, cls: Any) -> Any:
    """Decode JSON into *cls*.

    Raises:
        pydantic.ValidationError: It is not JSON, or does not fit.
    """
    return decoder(cls)(raw_msg)


def _untouched(value: bytes | None) -> bytes:
    if value is None:
        raise ValueError(TOMBSTONE)
    return value


def _untouched_bytes(value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"expected `bytes`, got `{type(value).__name__}`")
    return bytes(value)


def _encode_any(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, BaseModel):
        return value.__pydantic_serializer__.to_json(value)
    msgspec = _msgspec_for(type(value))
    if msgspec is not None:
        return typing.cast(bytes, msgspec.json.encode(value))
    return to_json(value)


def _model_encoder(
    model: type[BaseModel], adapter: TypeAdapter[Any]
) -> Callable[[Any], bytes]:
    validate = adapter.validator.validate_python
    to_json = adapter.serializer.to_json

    def encode(value: Any) -> bytes:
        if value.__class__ is model:
            return to_json(value)
        if not isinstance(value, model):
            value = validate(value)
        # A subclass has more fields; its own serializer knows them.
        return typing.cast(bytes, value.__pydantic_serializer__.to_json(value))

    return encode


def _msgspec_encoder(msgspec: Any, message: Any) -> Callable[[Any], bytes]:
    encode_json = msgspec.json.Encoder().encode
    convert = msgspec.convert

    def encode(value: Any) -> bytes:
        if type(value) is not message:
            value = convert(value, message)
        return typing.cast(bytes, encode_json(value))

    return encode


def _adapter(message: Any) -> TypeAdapter[Any]:
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(message)
    except PydanticUserError as error:
        raise ConfigError(
            f"{type_name(message)} cannot be a message: "
            f"{str(error).splitlines()[0]} "
            "Use a pydantic model, a dataclass, a TypedDict or a JSON type, "
            "or pass your own codec."
        ) from error
    return adapter


def _is_scalar(adapter: TypeAdapter[Any]) -> bool:
    schema = adapter.json_schema()
    kinds = {s.get("type") for s in schema.get("anyOf", [schema])} - {"null"}
    return kinds <= {"string", "integer", "number", "boolean"} and bool(kinds)


def type_name(annotation: Any) -> str:
    """Write a type as a user would."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return f"`{annotation.__name__}`"
    return f"`{annotation}`".replace("typing.", "")


def _msgspec_for(message: Any) -> Any:
    """Return the msgspec module when *message* is one of its structs, else None.

    Only a program that has imported msgspec can have declared one.
    """
    msgspec = sys.modules.get("msgspec")
    if msgspec is None:
        return None
    members = _members(message) - {type(None)}
    structs = [m for m in members if isinstance(m, type)]
    if structs and all(
        issubclass(m, msgspec.Struct) and not dataclasses.is_dataclass(m)
        for m in structs
    ):
        return msgspec
    return None


def _members(message: Any) -> set[Any]:
    """Return the members of a union, or the type itself."""
    origin = typing.get_origin(message)
    if origin is typing.Annotated:
        return _members(typing.get_args(message)[0])
    if origin in (typing.Union, types.UnionType):
        return {m for arg in typing.get_args(message) for m in _members(arg)}
    try:
        return {type(None) if message is None else message}
    except TypeError:  # an unhashable annotation is nobody's union
        return set()


def _lowered(sentence: str) -> str:
    """Begin a sentence small, unless it begins with an acronym."""
    if sentence[1:2].isupper():
        return sentence
    return sentence[:1].lower() + sentence[1:]


def _where(location: tuple[int | str, ...]) -> str:
    if not location:
        return ""
    path = "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in location
    )
    return f" - at `${path}`"
