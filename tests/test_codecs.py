"""Decoders and encoders: the message and nothing but the message."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

from fastkafka import ConfigError, codecs


class Line(BaseModel):
    product: str
    count: int


class Order(BaseModel):
    id: int
    lines: list[Line] = []


class BigOrder(Order):
    discount: float = 0.1


class Struct(msgspec.Struct):
    id: int


@dataclass
class Invoice:
    id: int


class Parcel(TypedDict):
    id: int


@pytest.mark.parametrize(
    ("message", "raw", "value"),
    [
        (Order, b'{"id": 1}', Order(id=1)),
        (Struct, b'{"id": 1}', Struct(1)),
        (Struct | None, b'{"id": 1}', Struct(1)),
        (Invoice, b'{"id": 1}', Invoice(1)),
        (Parcel, b'{"id": 1}', {"id": 1}),
        (dict[str, int], b'{"id": 1}', {"id": 1}),
        (list[int], b"[1, 2]", [1, 2]),
        (int | str, b'"x"', "x"),
        (float, b"1.5", 1.5),
        (bool, b"true", True),
        (bytes, b"\x00raw", b"\x00raw"),
        (bytes | None, None, None),
        (Order | None, None, None),
        (Order | None, b"null", None),
        (Any, b'{"id": 1}', {"id": 1}),
    ],
)
def test_a_value_becomes_its_message(
    message: Any, raw: bytes | None, value: object
) -> None:
    assert codecs.for_decoding("json", message)(raw) == value


@pytest.mark.parametrize(
    ("message", "raw", "sentence"),
    [
        (
            Order,
            b"not json",
            "invalid JSON: expected ident at line 1 column 2",
        ),
        (
            Order,
            b'{"id": "x"}',
            "input should be a valid integer, unable to parse string as an integer "
            "- at `$.id`",
        ),
        (
            Order,
            b'{"id": 1, "lines": [{"product": "nut"}]}',
            "field required - at `$.lines[0].count`",
        ),
        (Order, b"[1]", "input should be an object"),
        (Struct, b'{"id": "x"}', "expected `int`, got `str` - at `$.id`"),
        (Struct, b"not json", "JSON is malformed: invalid character (byte 4)"),
        (Order, None, codecs.json.TOMBSTONE),
        (Struct, None, codecs.json.TOMBSTONE),
        (bytes, None, codecs.json.TOMBSTONE),
    ],
)
def test_a_value_that_does_not_fit_says_where_and_why(
    message: Any, raw: bytes | None, sentence: str
) -> None:
    decode = codecs.for_decoding("json", message)

    with pytest.raises(Exception) as error:  # noqa: PT011 - the library's own
        decode(raw)

    assert codecs.describe(error.value) == sentence


def test_the_sentence_holds_no_value_of_the_message() -> None:
    decode = codecs.for_decoding("json", Order)

    with pytest.raises(ValueError) as error:  # noqa: PT011
        decode(b'{"id": "4111-1111-1111-1111"}')

    assert "4111" not in codecs.describe(error.value)


@pytest.mark.parametrize(
    ("message", "value", "raw"),
    [
        (Order, Order(id=1), b'{"id":1,"lines":[]}'),
        (Order, BigOrder(id=1), b'{"id":1,"lines":[],"discount":0.1}'),
        (Order, {"id": 1}, b'{"id":1,"lines":[]}'),
        (Struct, Struct(1), b'{"id":1}'),
        (Invoice, Invoice(1), b'{"id":1}'),
        (Parcel, {"id": 1}, b'{"id":1}'),
        (int, 3, b"3"),
        (str, "x", b'"x"'),
        (bytes, b"\x00raw", b"\x00raw"),
        (Any, Order(id=1), b'{"id":1,"lines":[]}'),
        (Any, Struct(1), b'{"id":1}'),
        (Any, {"a": [1]}, b'{"a":[1]}'),
        (Any, b"\x00raw", b"\x00raw"),
    ],
)
def test_a_message_becomes_its_value(message: Any, value: object, raw: bytes) -> None:
    assert codecs.for_encoding("json", message)(value) == raw


@pytest.mark.parametrize(
    ("message", "value", "sentence"),
    [
        (Order, {"id": "x"}, "input should be a valid integer"),
        (Order, Line(product="a", count=1), "input should be a valid dictionary"),
        (int, "x", "input should be a valid integer"),
        (Struct, {"id": "x"}, "expected `int`, got `str`"),
        (bytes, "text", "TypeError: expected `bytes`, got `str`"),
    ],
)
def test_a_message_of_another_type_is_refused(
    message: Any, value: object, sentence: str
) -> None:
    encode = codecs.for_encoding("json", message)

    with pytest.raises(Exception) as error:  # noqa: PT011 - the library's own
        encode(value)

    assert codecs.describe(error.value).startswith(sentence)


def test_custom_codecs_get_the_bytes_and_the_type() -> None:
    calls: list[object] = []

    def decode(raw: bytes, message: Any) -> Order:
        calls.append((raw, message))
        return Order(id=len(raw))

    assert codecs.for_decoding(decode, Order)(b"abc") == Order(id=3)
    assert calls == [(b"abc", Order)]
    assert codecs.for_decoding(decode, Order | None)(None) is None
    assert codecs.for_encoding(lambda message: b"x", Order)(Order(id=1)) == b"x"


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            "jsn",
            "Unknown decoder - jsn. Did you mean 'json'? "
            'Pass "json", "avro" or a function; see the documentation of `decoder=`.',
        ),
        (
            3,
            "Unknown decoder - 3. "
            'Pass "json", "avro" or a function; see the documentation of `decoder=`.',
        ),
    ],
)
def test_an_unknown_decoder_is_refused(spec: Any, sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"):
        codecs.for_decoding(spec, Order)


def test_a_type_that_is_no_message_is_refused() -> None:
    class Opaque: ...

    with pytest.raises(ConfigError, match=r"^`Opaque` cannot be a message: "):
        codecs.for_decoding("json", Opaque)
