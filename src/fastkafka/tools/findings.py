"""What `check` finds: how bad it is, what it is, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
"""An error loses, refuses or stops something; a warning will when something else goes
wrong; a note is good to know."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that will not work, or not as one may think.

    Attributes:
        severity: How bad it is.
        subject: What it is about: a topic, a group, a function, the app.
        text: What is wrong, and why.
        advice: What to do.
    """

    severity: Severity
    subject: str
    text: str
    advice: str


def spoken(seconds: float) -> str:
    """Return a duration as people say it: ``6.5 s``, ``2 min 53 s``, ``7 days``."""
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    left = round(seconds)
    said: list[str] = []
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count or said:
            said.append(f"{count} {'day' if unit == 'days' and count == 1 else unit}")
    return " ".join(part for part in said[:2] if not part.startswith("0 "))
