"""What `find` looks for: words and fields, parsed once and never evaluated."""

from __future__ import annotations

import operator
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from fastkafka.errors import ConfigError
from fastkafka.tools import jsontext
from fastkafka.tools.records import RecordView

_TERM = re.compile(r"(?P<name>[^\s=<>:!]+)(?P<sign>>=|<=|!=|=|>|<|:)(?P<value>.*)")

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


@dataclass(frozen=True, slots=True)
class Find:
    """Whether a record is what somebody looks for: all terms fit it.

    Terms, with quotes where they have spaces: ``word`` is part of the value or the key,
    whatever its case; ``field=x``, ``field!=x``; ``field>5`` and ``<``, ``>=``, ``<=``
    compare numbers exactly, and other things, such as dates, as text; ``a.b=x`` is a
    field of a field; ``key:x`` and ``header.name:x`` is part of the key or a header.

    Attributes:
        text: As it was written.
    """

    text: str
    terms: Sequence[Callable[[RecordView], bool]]

    @classmethod
    def parse(cls, text: str) -> Find:
        """Read what somebody has written.

        Raises:
            ConfigError: A quote is not closed.
        """
        lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
        lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""
        try:
            words = list(lexer)
        except ValueError:
            raise ConfigError(
                f"`find` {text!r} opens a quote that it does not close. "
                "Close it, or put the word into the other kind of quotes."
            ) from None
        return cls(text, tuple(_term(word) for word in words))

    def __call__(self, record: RecordView) -> bool:
        """Whether a record fits."""
        return all(term(record) for term in self.terms)


def _term(word: str) -> Callable[[RecordView], bool]:
    found = _TERM.fullmatch(word)
    if found is None or (found["sign"] == ":" and not _is_place(found["name"])):
        return _contains(word)
    name, sign, value = found.groups()
    if sign == ":":
        return _in_place(name, value)
    path = tuple(name.split("."))
    return lambda record: _field_fits(record, path, sign, value)


def _is_place(name: str) -> bool:
    return name == "key" or name.startswith("header.")


def _contains(word: str) -> Callable[[RecordView], bool]:
    wanted = word.casefold()

    def fits(record: RecordView) -> bool:
        texts = (record.value, record.key)
        return any(text is not None and wanted in text.casefold() for text in texts)

    return fits


def _in_place(name: str, value: str) -> Callable[[RecordView], bool]:
    wanted = value.casefold()
    if name == "key":
        return lambda r: r.key is not None and wanted in r.key.casefold()
    header = name.removeprefix("header.")
    return lambda r: any(
        n == header and v is not None and wanted in v.casefold() for n, v in r.headers
    )


def _field_fits(
    record: RecordView, path: tuple[str, ...], sign: str, value: str
) -> bool:
    if record.value is None or record.format != "json":
        return False
    texts = [
        leaf.text
        for leaf in jsontext.leaves(record.value)
        if _leads_to(leaf.path, path)
    ]
    if sign == "!=":
        return bool(texts) and not any(_equal(text, value) for text in texts)
    if sign == "=":
        return any(_equal(text, value) for text in texts)
    return any(_compares(text, sign, value) for text in texts)


def _leads_to(path: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Whether a path is the wanted one, with or without the indices of lists."""
    if path == wanted:
        return True
    return tuple(p for p in path if not p.isdecimal()) == wanted


def _equal(one: str, other: str) -> bool:
    if one == other:
        return True
    numbers = _number(one), _number(other)
    return None not in numbers and numbers[0] == numbers[1]


def _compares(one: str, sign: str, other: str) -> bool:
    a, b = _number(one), _number(other)
    if a is not None and b is not None:
        return _COMPARISONS[sign](a, b)
    # Dates of ISO 8601 sort as text; a number beside a text is neither.
    return a is None and b is None and _COMPARISONS[sign](one, other)


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
