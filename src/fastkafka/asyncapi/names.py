"""Names for the parts of a document: legal, and each for one thing only."""

from __future__ import annotations

import re
from collections.abc import Container


def legal(text: str, *, fallback: str) -> str:
    """Return a name that AsyncAPI takes, as near to *text* as it goes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or fallback


def unique(name: str, taken: Container[str]) -> str:
    """Return the name, with a number behind it if it is taken."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free
