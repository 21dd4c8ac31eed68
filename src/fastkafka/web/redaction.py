"""Secrets that others have copied: into an error's text, a stack trace, a header.

Values are masked where they are read (`tools.jsontext`). What a handler raises may
repeat them, so where a record's secrets are known, they are masked in the rest of it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fastkafka.messages import Record
from fastkafka.tools import jsontext

MASK = "**********"
WITHHELD = "(withheld, because the model has secret fields)"

_SHORTEST = 4
"""Characters; shorter texts are everywhere by chance."""

_TELLING = ("exception-message", "exception-stacktrace", "errors.exception")


class Redaction:
    """Masks one record's secrets in what is said about it.

    Args:
        record: Whose.
        secrets: Names of fields, ``card.number`` or ``token``.
    """

    def __init__(self, record: Record, secrets: Collection[str]) -> None:
        self._secrets = bool(secrets)
        self._texts: Sequence[str] | None = ()
        if secrets:
            self._texts = _secret_texts(record.value(), secrets)

    def text(self, text: str | None) -> str | None:
        """Return *text* without the secrets; all of it is withheld when they are not
        known, because the value is no JSON.
        """
        if text is None or not self._secrets:
            return text
        if self._texts is None:
            return WITHHELD
        for secret in self._texts:
            text = text.replace(secret, MASK)
        return text

    def header(self, name: str, text: str | None) -> str | None:
        """Return a header's value without the secrets."""
        if self._texts is None and not any(part in name for part in _TELLING):
            return text
        return self.text(text)


def _secret_texts(raw: bytes | None, secrets: Collection[str]) -> Sequence[str] | None:
    """Return the values of secret fields, longest first; None if nobody knows them."""
    if raw is None:
        return ()
    if not jsontext.is_json(raw):
        return None
    wanted = [tuple(name.split(".")) for name in secrets]
    found = set()
    for path, text in jsontext.leaves(raw.decode()):
        own = tuple(part for part in path if not part.isdecimal())
        # A secret may be an object: then everything in it is one.
        if any(_holds(own, each) for each in wanted) and len(text) >= _SHORTEST:
            found |= {text, jsontext.printable(text)}
    return sorted(found, key=len, reverse=True)


def _holds(path: tuple[str, ...], name: tuple[str, ...]) -> bool:
    size = len(name)
    return any(path[i : i + size] == name for i in range(len(path) - size + 1))
