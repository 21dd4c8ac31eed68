"""What a consuming function has done, counted for each slice, never for each record."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import Any

from fastkafka.observe.snapshot import BUCKETS

MOST_ATTEMPTS = 10
"""Attempts that are counted apart; a label has few values."""


class FunctionCounters:
    """Totals since the start; the attributes are those of `snapshot.Function`."""

    __slots__ = (
        "buckets",
        "decode_seconds",
        "deliver_seconds",
        "failed",
        "handled",
        "parked",
        "retries",
        "seconds",
        "skipped",
    )

    def __init__(self) -> None:
        self.handled = self.skipped = 0
        self.seconds = self.decode_seconds = self.deliver_seconds = 0.0
        self.retries: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.parked: Counter[str] = Counter()
        self.buckets = [0] * (len(BUCKETS) + 1)

    def took(self, seconds: float, records: int) -> None:
        """A handler was called for some records, one after another."""
        self.seconds += seconds
        if records:
            self.handled += records
            self.buckets[bisect_left(BUCKETS, seconds / records)] += records

    def totals(self) -> dict[str, Any]:
        """Return them as they are now."""
        return {
            "handled": self.handled,
            "retries": dict(self.retries),
            "failed": dict(self.failed),
            "parked": dict(self.parked),
            "skipped": self.skipped,
            "seconds": self.seconds,
            "buckets": tuple(self.buckets),
            "decode_seconds": self.decode_seconds,
            "deliver_seconds": self.deliver_seconds,
        }

    def repeated(self, attempt: int) -> None:
        """A handler was called once more; *attempt* counts from 1."""
        told = str(attempt) if attempt < MOST_ATTEMPTS else f"{MOST_ATTEMPTS}+"
        self.retries[told] += 1


def error_name(error: BaseException) -> str:
    """Return how counters call an error: by its own cause, with the module's name."""
    kind = type(error.__cause__ or error)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"
