"""What was, in memory that does not grow: a ring of numbers for each series."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from typing import Final

NOTHING: Final = math.nan


class Rings:
    """Some series over the last slots of time, as float32.

    Args:
        width: Seconds of one slot.
        slots: How many are kept.
    """

    def __init__(self, width: int, slots: int) -> None:
        self.width = width
        self.slots = slots
        self._series: dict[str, array[float]] = {}
        self._newest: int | None = None

    def put(self, time: float, values: Mapping[str, float | None]) -> None:
        """Set the slot of *time*; slots that were left out are gaps.

        Args:
            time: Epoch seconds; a time before the newest slot is ignored, as after a
                clock that was set back.
            values: By series; None is a gap.
        """
        slot = int(time // self.width)
        if self._newest is not None and slot < self._newest:
            return
        newest = slot if self._newest is None else self._newest
        gap = range(max(newest + 1, slot - self.slots + 1), slot + 1)
        for ring in self._series.values():
            for skipped in gap:
                ring[skipped % self.slots] = NOTHING
        self._newest = slot
        for name, value in values.items():
            ring = self._series.get(name) or self._new(name)
            ring[slot % self.slots] = NOTHING if value is None else value

    def last(self, seconds: float) -> dict[str, list[float | None]]:
        """Return the last slots, oldest first, from the first that has anything on.

        Args:
            seconds: How far back.

        Returns:
            The column ``t``, epoch seconds, and one for each series; None is a gap.
        """
        if self._newest is None:
            return {"t": []}
        count = max(1, min(self.slots, math.ceil(seconds / self.width)))
        slots = range(self._newest - count + 1, self._newest + 1)
        columns: dict[str, list[float | None]] = {
            name: [_value(ring[slot % self.slots]) for slot in slots]
            for name, ring in self._series.items()
        }
        empty = 0
        while empty < count - 1 and all(c[empty] is None for c in columns.values()):
            empty += 1
        times: list[float | None] = [slot * float(self.width) for slot in slots]
        return {"t": times[empty:], **{n: c[empty:] for n, c in columns.items()}}

    def _new(self, name: str) -> array[float]:
        ring = array("f", [NOTHING]) * self.slots
        self._series[name] = ring
        return ring


def _value(number: float) -> float | None:
    return None if math.isnan(number) else float(f"{number:.4g}")
