"""Messages to Avro's bytes and back, compiled once per declaration."""

from __future__ import annotations

import io
import types
import typing
from collections.abc import Callable
from functools import cache
from typing import Any

from pydantic import BaseModel, TypeAdapter

from fastkafka.codecs.avro.annotations import avro_type, scope_of
from fastkafka.codecs.json import type_name, with_tombstones
from fastkafka.errors import ConfigError, needs_extra

_UNFIT = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What fastavro and the types raise for values and bytes that do not fit."""


class AvroCodec:
    """One message's Avro: its schema, and its bytes.

    Attributes:
        schema: The schema, ready for `json.dumps`.
    """

    def __init__(self, message: Any) -> None:
        """Compile the codec of a declared message.

        Raises:
            ConfigError: fastavro is not installed, or the message has no Avro type.
        """
        fastavro = _fastavro()
        self._name = type_name(message)
        self._type = avro_type(message)
        scope = scope_of(self._type)
        self.schema: Any = self._type.schema(scope, None)
        self._names = scope.names
        try:
            self._parsed = fastavro.parse_schema(self.schema)
        except (
            fastavro.schema.SchemaParseException,
            fastavro.schema.UnknownType,
        ) as error:
            raise ConfigError(
                f"{self._name} has no valid Avro schema: {error}."
            ) from error
        self._write = fastavro.schemaless_writer
        self._read = fastavro.schemaless_reader
        if scope.recursive:
            self._read = _reader_that_minds_its_depth()
        adapter: TypeAdapter[Any] = TypeAdapter(message)
        self._validate = adapter.validator.validate_python

    def encode(self, message: Any) -> bytes:
        """Write a message.

        Raises:
            ValueError: It does not fit the schema.
        """
        stream = io.BytesIO()
        try:
            dumped = self._type.dump(message, self._names)
            self._write(stream, self._parsed, dumped)
        except _UNFIT as error:
            raise ValueError(
                f"{self._name} does not fit its Avro schema: {error}"
            ) from error
        return stream.getvalue()

    def decode(self, raw: bytes) -> Any:
        """Read a message.

        Raises:
            ValueError: The bytes are not Avro of this schema, too few or too many.
            pydantic.ValidationError: They are, but the model does not take the values.
        """
        stream = io.BytesIO(raw)
        try:
            value = self._read(stream, self._parsed, None, return_named_type=True)
        except _UNFIT as error:
            if _ran_out(error):
                raise ValueError(
                    f"the {len(raw)} bytes end before the Avro of {self._name} does. "
                    f"{_suspicion(raw)}"
                ) from None
            raise ValueError(
                f"the bytes are not Avro of {self._name}: {error}. {_suspicion(raw)}"
            ) from error
        left = len(raw) - stream.tell()
        if left:
            raise ValueError(
                f"{left} of {len(raw)} bytes are left over after the Avro of "
                f"{self._name}. {_suspicion(raw)}"
            )
        return self._validate(self._type.load(value, self._names))


def _ran_out(error: Exception) -> bool:
    """Whether fastavro wanted more bytes; within a number it says so in its own way."""
    return isinstance(error, EOFError) or str(error) == "string index out of range"


def decoder(message: Any) -> Callable[[bytes | None], Any]:
    """Compile an Avro decoder for a declared message.

    Raises:
        ConfigError: fastavro is not installed, or the message has no Avro type.
    """
    return with_tombstones(_codec(_without_none(message)).decode, message)


def encoder(message: Any) -> Callable[[Any], bytes | None]:
    """Compile an Avro encoder for what a producer declares to return.

    A value of another type than the declared one is validated, so a dict becomes the
    model it stands for. Where nothing is declared, each model is written as itself.

    Raises:
        ConfigError: fastavro is not installed, or the message has no Avro type.
    """
    if message is Any:
        _fastavro()
        return avro_encoder
    declared = _without_none(message)
    codec = _codec(declared)
    adapter: TypeAdapter[Any] = TypeAdapter(declared)
    validate, encode = adapter.validator.validate_python, codec.encode
    if isinstance(declared, type):
        return lambda value: encode(
            value if isinstance(value, declared) else validate(value)
        )
    return lambda value: encode(validate(value))


def avro_encoder(msg: BaseModel) -> bytes:
    """Encode a model as Avro, by the schema of its own class.

    Raises:
        ConfigError: fastavro is not installed, or the model has no Avro type.
        TypeError: It is no model, so nothing says what its schema is.
        ValueError: A value does not fit the schema.
    """
    if not isinstance(msg, BaseModel):
        raise TypeError(
            f"Avro's schema comes from a pydantic model, and a `{type(msg).__name__}` "
            "is none. Write a model for it."
        )
    return _codec(type(msg)).encode(msg)


def avro_decoder(raw_msg: bytes, cls: Any) -> Any:
    """Decode Avro into *cls*.

    Raises:
        ConfigError: fastavro is not installed, or *cls* has no Avro type.
        ValueError: The bytes are not Avro of the schema of *cls*.
        pydantic.ValidationError: They are, but *cls* does not take the values.
    """
    return _codec(cls).decode(raw_msg)


def _codec(message: Any) -> AvroCodec:
    # Unions are equal whatever their order, and on the wire the order counts.
    if isinstance(message, type) and not typing.get_args(message):
        return _codec_of_class(message)
    return AvroCodec(message)


@cache
def _codec_of_class(message: type) -> AvroCodec:
    return AvroCodec(message)


def _without_none(message: Any) -> Any:
    """Drop None from a message's type: Kafka's tombstone, no Avro null."""
    if typing.get_origin(message) not in (typing.Union, types.UnionType):
        return message
    members = [m for m in typing.get_args(message) if m is not type(None)]
    return typing.Union[tuple(members)]  # noqa: UP007 - the members come as a list


def _suspicion(raw: bytes) -> str:
    """Guess what bytes are that are not Avro of a schema."""
    if raw[:1] in (b"{", b"["):
        return "They look like JSON."
    if raw[:1] == b"\0":
        return (
            "Were they written with another schema? "
            "They may have the header of a schema registry."
        )
    return "Were they written with another schema?"


def _fastavro() -> Any:
    """Import fastavro, which is optional."""
    try:
        import fastavro  # noqa: PLC0415 - optional, and 30 ms for those without Avro
    except ModuleNotFoundError as error:
        raise needs_extra("Avro", "fastavro", "avro") from error
    return fastavro


def _reader_that_minds_its_depth() -> Any:
    """Return fastavro's reader in Python, for types that contain themselves.

    The compiled one does not watch its stack: 20 kB of crafted bytes end the process.
    This one raises `RecursionError`, at about the depth where pydantic would refuse.
    """
    from fastavro._read_py import schemaless_reader  # noqa: PLC0415 - as above

    return schemaless_reader
