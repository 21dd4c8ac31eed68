"""What is written as YAML is read back as it was, by a YAML library."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from fastkafka.asyncapi.yaml import to_yaml

_AWKWARD = st.sampled_from(
    [
        *("on", "No", "null", "~", "<<", "=", "y", "true", "1e3", "0x1f", "1_000"),
        *("12:30", "2024-01-01", "- a", "a: b", "a #b", "#", "a\n b", "a\n\nb", "a\n"),
        *("\n", "a\n\n", " a\nb", "a \nb", "a\nb ", "a\n  \nb", "\ta\nb", "\ufeffa\nb"),
        *("é", "😀", "a\u2028b", "a\x85b\nc", "\x7f", "\ud800", "%a", "@a", "!a", "?"),
    ]
)
_TEXTS = st.text() | _AWKWARD
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXTS
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4)
    ),
    max_leaves=12,
)


@given(_VALUES)
@example([[], {}, [[1], [{"a": [{}]}]]])
@example({"a": {"b": "one\n\n  two\n"}, "$ref": "#/components/schemas/A"})
def test_it_is_read_back_as_it_was(value: Any) -> None:
    assert yaml.safe_load(to_yaml(value)) == value


def test_it_looks_as_if_somebody_wrote_it() -> None:
    value = {
        "asyncapi": "3.0.0",
        "info": {"title": "Order service", "description": "Takes.\n\nSends.\n"},
        "channels": {"orders": {"$ref": "#/x", "examples": [1, {"a": None, "b": []}]}},
    }

    assert to_yaml(value) == (
        'asyncapi: "3.0.0"\n'
        "info:\n"
        "  title: Order service\n"
        "  description: |\n"
        "    Takes.\n"
        "\n"
        "    Sends.\n"
        "channels:\n"
        "  orders:\n"
        '    $ref: "#/x"\n'
        "    examples:\n"
        "      - 1\n"
        "      - a: null\n"
        "        b: []\n"
    )
