"""Bytes to objects and back, compiled once for each declaration."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from fastkafka.codecs import json
from fastkafka.errors import ConfigError, did_you_mean

Decoder = Callable[[bytes | None], Any]
"""A record's raw value to the message; raises whatever says why it does not fit."""

Encoder = Callable[[Any], bytes | None]
"""A message to the record's raw value."""

DecoderSpec = Literal["json", "avro"] | Callable[[bytes, Any], Any]
EncoderSpec = Literal["json", "avro"] | Callable[[Any], bytes]

_NAMES = ("json", "avro")


class Unfit(ValueError):
    """A record's key or header does not fit the parameter that asks for it."""


def for_decoding(spec: DecoderSpec, message: Any) -> Decoder:
    """Compile the decoder of a handler.

    Args:
        spec: ``"json"``, ``"avro"`` (schemaless, the extra `avro`), or a function
            `(bytes, message type) -> message`, which is not called for a tombstone when
            the message may be None.
        message: The declared type of the message.

    Raises:
        ConfigError: There is no such decoder.
    """
    if spec == "json":
        return json.decoder(message)
    if spec == "avro":
        avro_decoder: Decoder = _avro().decoder(message)
        return avro_decoder
    if callable(spec):
        custom = partial(_call_custom, spec, message)
        return json.with_tombstones(custom, message)
    raise ConfigError(_unknown("decoder", spec))


def for_encoding(spec: EncoderSpec, message: Any) -> Encoder:
    """Compile the encoder of a producer.

    Args:
        spec: ``"json"``, ``"avro"`` or a function `(message) -> bytes`.
        message: The declared type of the message; `Any` when nothing was declared.

    Raises:
        ConfigError: There is no such encoder.
    """
    if spec == "json":
        return json.encoder(message)
    if spec == "avro":
        avro_encoder: Encoder = _avro().encoder(message)
        return avro_encoder
    if callable(spec):
        return spec
    raise ConfigError(_unknown("encoder", spec))


def describe(error: Exception) -> str:
    """Say why a message does not fit, without the values that were in it."""
    if type(error) in (ValueError, Unfit):
        return str(error)
    return json.describe(error) or f"{type(error).__name__}: {error}"


def is_mistake(error: Exception) -> bool:
    """Whether a decoder broke, rather than said that a message does not fit.

    Then it matters where, which `describe` does not say.
    """
    return type(error) not in (ValueError, Unfit) and not json.describe(error)


def for_text(what: str, wanted: Any) -> Callable[[bytes | None], Any]:
    """Compile the conversion of a key or a header.

    Args:
        what: ``"key"`` or ``"header 'x'"``, for errors.
        wanted: The declared type; see `messages.Key`.

    Returns:
        A function that raises `Unfit` when the bytes do not fit.

    Raises:
        ConfigError: Nothing can convert to this type.
    """
    convert = json.text_decoder(wanted)

    def read(raw: bytes | None) -> Any:
        try:
            return convert(raw)
        except Exception as error:  # noqa: BLE001 - whatever a type's validators raise
            why = f"there is no {what}" if raw is None else f"{what}: {describe(error)}"
            raise Unfit(why) from None

    return read


def _avro() -> Any:
    """Return the Avro codec, which takes as long to import as all the rest."""
    return importlib.import_module("fastkafka.codecs.avro")


def _call_custom(
    function: Callable[[bytes, Any], Any], message: Any, value: bytes | None
) -> Any:
    if value is None:
        raise ValueError(json.TOMBSTONE)
    return function(value, message)


def _unknown(kind: str, spec: object) -> str:
    hint = did_you_mean(spec, _NAMES) if isinstance(spec, str) else ""
    return (
        f"Unknown {kind} - {spec}.{hint} "
        f'Pass "json", "avro" or a function; see the documentation of `{kind}=`.'
    )


__all__ = [
    "Decoder",
    "DecoderSpec",
    "Encoder",
    "EncoderSpec",
    "Unfit",
    "describe",
    "for_decoding",
    "for_encoding",
    "for_text",
]
