"""JSON-like data to YAML, as one would write it by hand.

YAML is a superset of JSON: whatever could be misread is written as JSON, which leaves
so few rules that a YAML library would be more to install than to save. The tests read
it back with one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_$][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
"""Words that need no quotes, unless they are among `_WORDS`."""

_WORDS = frozenset(("false", "n", "no", "null", "off", "on", "true", "y", "yes"))
"""What YAML 1.1 or 1.2 takes for something else than text."""

_UNPRINTABLE = re.compile(
    r"[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd"
    r"\U00010000-\U0010ffff]"
)
"""What YAML takes only escaped, or would take for the end of a line."""


def to_yaml(value: Any) -> str:
    """Write dictionaries, lists, texts, numbers, booleans and None."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _entry(f"{_scalar(str(key))}:", inner)
    elif isinstance(value, list) and value:
        for inner in value:
            first, *rest = _lines(inner)
            yield f"- {first}"
            yield from _indented(rest)
    else:
        yield _scalar(value)


def _entry(key: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict | list) and value:
        yield key
        yield from _indented(_lines(value))
    elif isinstance(value, str) and _is_block(value):
        yield f"{key} {'|' if value.endswith(chr(10)) else '|-'}"
        yield from _indented(value.removesuffix("\n").split("\n"))
    else:
        yield f"{key} {_scalar(value)}"


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" if line else "" for line in lines)


def _is_block(text: str) -> bool:
    """Whether a text has lines that can stand as they are."""
    inner = text.removesuffix("\n")
    bare = inner.strip(" \n") == inner and "\n" in inner
    return bare and _UNPRINTABLE.search(inner) is None


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
            return value
        quoted = json.dumps(value, ensure_ascii=False)
        return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
    written = json.dumps(value)
    # YAML 1.1 takes a number for a float only if it has a point.
    return re.sub(r"^(-?\d+)e", r"\1.0e", written)
