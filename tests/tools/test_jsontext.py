"""JSON as text: exact, safe to print, masked, never recursed into."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkafka.tools import jsontext

BIG = 9_223_372_036_854_775_807

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-BIG, BIG)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(json_values)
def test_compact_and_indented_text_mean_what_the_text_meant(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=3)):
        assert json.loads(jsontext.compact(text)) == value
        assert json.loads(jsontext.indented(text)) == value
        assert "\n" not in jsontext.compact(text)


def test_numbers_stay_the_digits_that_were_sent() -> None:
    text = '{"id": 9007199254740993, "price": 1.10, "far": 1E400}'

    assert jsontext.compact(text) == text


def test_indented_text_shows_the_structure() -> None:
    assert jsontext.indented('{"a":[1,{}],"b":{"c":[]}}').splitlines() == [
        "{",
        '  "a": [',
        "    1,",
        "    {}",
        "  ],",
        '  "b": {',
        '    "c": []',
        "  }",
        "}",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('"\x9b31m"', '"\\u009b31m"'),
        ('"\u202egnp.exe"', '"\\u202egnp.exe"'),
        ('"\U000e0041"', '"\\udb40\\udc41"'),
        ('"grün 👍"', '"grün 👍"'),
    ],
)
def test_what_a_terminal_would_obey_is_written_as_json_does(
    text: str, shown: str
) -> None:
    assert jsontext.compact(text) == shown
    assert json.loads(jsontext.compact(text)) == json.loads(text)


def test_text_that_is_not_json_is_made_safe_too() -> None:
    assert jsontext.printable("\x1b[2Jhi\n\u202e") == "\\x1b[2Jhi\\n\\u202e"


def test_keys_and_headers_are_text_or_base64() -> None:
    assert jsontext.readable(None) is None
    assert jsontext.readable("Köln".encode()) == "Köln"
    assert jsontext.readable(b"\xff\x00") == "base64:/wA="


def test_secret_fields_are_masked_with_all_that_is_in_them() -> None:
    text = '{"card":{"number":[1,{"a":2}],"id":3},"number":4,"x":[{"card":null}]}'

    assert jsontext.compact(text, {"card.number"}) == (
        '{"card": {"number": "**********", "id": 3}, "number": 4, '
        '"x": [{"card": null}]}'
    )
    assert jsontext.compact(text, {"card", "number"}) == (
        '{"card": "**********", "number": "**********", "x": [{"card": "**********"}]}'
    )


def test_leaves_come_with_the_way_to_them() -> None:
    text = '{"a": {"b": [1, "two", {"c": null}]}, "d": true}'

    assert list(jsontext.leaves(text)) == [
        (("a", "b", "0"), "1"),
        (("a", "b", "1"), "two"),
        (("a", "b", "2", "c"), "null"),
        (("d",), "true"),
    ]


def test_deep_nesting_is_no_json_and_no_crash() -> None:
    deep = "[" * 100_000 + "]" * 100_000

    assert not jsontext.is_json(deep.encode())
    assert jsontext.compact(deep) == deep


@pytest.mark.parametrize("raw", [b"NaN", b"{", b"\xff", b"'a'", b""])
def test_what_is_not_json(raw: bytes) -> None:
    assert not jsontext.is_json(raw)
