"""What a consuming function has done, counted for each slice, never for each record."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

from fastkafka.observe.snapshot import BUCKETS


class FunctionCounters:
    """Totals since the start; the attributes are those of `snapshot.Function`."""

    __slots__ = (
        "buckets",
        "decode_seconds",
        "failed",
        "handled",
        "parked",
        "retried",
        "seconds",
        "skipped",
    )

    def __init__(self) -> None:
        self.handled = self.retried = self.skipped = 0
        self.seconds = self.decode_seconds = 0.0
        self.failed: Counter[str] = Counter()
        self.parked: Counter[str] = Counter()
        self.buckets = [0] * (len(BUCKETS) + 1)

    def took(self, seconds: float, records: int) -> None:
        """A handler was called for some records, one after another."""
        self.seconds += seconds
        if records:
            self.handled += records
            self.buckets[bisect_left(BUCKETS, seconds / records)] += records


def error_name(error: BaseException) -> str:
    """Return how counters call an error: by its own cause, with the module's name."""
    kind = type(error.__cause__ or error)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"
