"""Bytes to text that people can read, and JSON as text, never rounded or rebuilt.

Numbers stay the digits that were sent: what is parsed for people comes out as it went
in. Texts are safe to print: nothing in them moves a terminal's cursor or turns the
direction of a line.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from pydantic_core import from_json

MASKED = '"**********"'
"""What stands in place of a secret, as pydantic writes it."""

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Control characters, and those that turn the direction of text or are not seen."""

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+)')


class Leaf(NamedTuple):
    """A value in a JSON text that is no object and no list.

    Attributes:
        path: The names and list indices that lead to it.
        text: Its text: a string without its quotes, anything else as it stands.
    """

    path: tuple[str, ...]
    text: str


def is_json(value: bytes) -> bool:
    """Whether bytes are JSON, in UTF-8 and without NaN."""
    try:
        from_json(value, allow_inf_nan=False, cache_strings=False)
    except ValueError:
        return False
    return True


def printable(text: str) -> str:
    """Return *text* with what a terminal would obey written as ``\\x1b``."""
    return _UNSAFE.sub(lambda found: _escaped(found[0], "\\x{:02x}"), text)


def readable(raw: bytes | None) -> str | None:
    """Return a key, a header or a value as safe text.

    UTF-8 is text; anything else is ``base64:...``.
    """
    if raw is None:
        return None
    try:
        return printable(raw.decode())
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(raw).decode()


def compact(text: str, secret: Collection[str] = ()) -> str:
    """Return a JSON text in one line, safe to print and equal to what it was.

    Args:
        text: JSON.
        secret: Names of fields whose values are masked, ``card.number`` or ``token``.
    """
    pieces = []
    for token in _masked(text, secret):
        pieces.append(token)
        if token in (",", ":"):
            pieces.append(" ")
    return "".join(pieces)


def indented(text: str, secret: Collection[str] = ()) -> str:
    """Return a JSON text in lines that show its structure; else as `compact`."""
    pieces: list[str] = []
    depth, before = 0, ""
    for token in _masked(text, secret):
        if token in ("}", "]"):
            depth -= 1
            if before not in ("{", "["):
                pieces.append("\n" + "  " * depth)
        elif before in ("{", "[", ","):
            pieces.append("\n" + "  " * depth)
        pieces.append(": " if token == ":" else token)
        if token in ("{", "["):
            depth += 1
        before = token
    return "".join(pieces)


def leaves(text: str) -> Iterator[Leaf]:
    """Yield what a JSON text holds, with the way to it."""
    for path, token in _values(text):
        if token not in ("{", "["):
            yield Leaf(path, _unquoted(token))


def _masked(text: str, secret: Collection[str]) -> Iterator[str]:
    """Yield the tokens, safe to print, without the values of secret fields."""
    if not secret:
        yield from map(_safe, _tokens(text))
        return
    is_secret = _matcher(secret)
    hidden = 0  # how deep we are in a value that is masked
    walk = _Walk()
    for token in _tokens(text):
        starts = walk.take(token)
        if hidden:
            hidden += (token in ("{", "[")) - (token in ("}", "]"))
        elif starts and is_secret(walk.path_of_value):
            yield MASKED
            hidden = int(token in ("{", "["))
        else:
            yield _safe(token)


class _Walk:
    """Follows the tokens of a JSON text and knows where it is; it does not recurse."""

    def __init__(self) -> None:
        self._path: list[str] = []
        self._lists: list[bool] = []
        self._is_name = False
        self.path_of_value: tuple[str, ...] = ()
        """The way to the value that has just started."""

    def take(self, token: str) -> bool:
        """Take note of a token; return whether a value starts with it."""
        if token in ("}", "]"):
            self._path.pop()
            self._lists.pop()
            self._is_name = False
            return False
        if token == ",":
            if self._lists[-1]:
                self._path[-1] = str(int(self._path[-1]) + 1)
            else:
                self._is_name = True
            return False
        if token == ":":
            return False
        if self._is_name:
            self._path[-1] = _unquoted(token)
            self._is_name = False
            return False
        self.path_of_value = tuple(self._path)
        if token in ("{", "["):
            self._lists.append(token == "[")
            self._path.append("0" if token == "[" else "")
            self._is_name = token == "{"
        return True


def _values(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    walk = _Walk()
    for token in _tokens(text):
        if walk.take(token):
            yield walk.path_of_value, token


def _tokens(text: str) -> Iterator[str]:
    return (found[1] for found in _TOKEN.finditer(text))


def _matcher(names: Collection[str]) -> Callable[[tuple[str, ...]], bool]:
    """Return whether a path, list indices left out, ends with one of *names*."""
    wanted = [tuple(name.split(".")) for name in names]

    def matches(path: tuple[str, ...]) -> bool:
        own = tuple(part for part in path if not part.isdecimal())
        return any(own[-len(each) :] == each for each in wanted)

    return matches


def _unquoted(token: str) -> str:
    return str(from_json(token)) if token.startswith('"') else token


def _safe(token: str) -> str:
    """Write unsafe characters of a token as JSON does."""
    return _UNSAFE.sub(lambda found: _escaped(found[0], None), token)


def _escaped(character: str, short: str | None) -> str:
    number = ord(character)
    if short is not None and number < 0x100:
        return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(
            character, short.format(number)
        )
    if number > 0xFFFF:
        units = character.encode("utf-16-be")
        return f"\\u{units[:2].hex()}\\u{units[2:].hex()}"
    return f"\\u{number:04x}"
