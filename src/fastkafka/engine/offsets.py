"""Which offset is safe to commit: pure, one tracker for each assigned partition.

Kafka's committed offset is the next one to read. Everything below it is taken for
done, so it may only move over records that are finished, in one contiguous stretch.
"""

from __future__ import annotations


class OffsetTracker:
    """The contiguous stretch of finished records of one partition.

    Stretches are half-open, `[start, end)`, and adjoin each other even where offsets
    are missing: compaction and transaction markers leave gaps, so a stretch starts
    where the one before it ended. Stretches may finish in any order.

    Args:
        handlers: How many functions read the partition; a record is finished when all
            of them are done with it.
    """

    __slots__ = ("_arrived", "_finished", "_positions", "committable")

    def __init__(self, handlers: int) -> None:
        self.committable: int | None = None
        """The offset that may be committed; None until the first record arrived."""
        self._arrived = -1
        self._positions = [-1] * handlers
        self._finished: list[dict[int, int]] = [{} for _ in range(handlers)]

    def arrive(self, first: int, end: int) -> int:
        """Take note of records `[first, end)`; return where their stretch starts."""
        if self.committable is None:
            self.committable = self._arrived = first
            self._positions = [first] * len(self._positions)
        start = self._arrived
        self._arrived = end
        return start

    def finish(self, handler: int, start: int, end: int) -> bool:
        """Mark a stretch as done by one handler.

        Returns:
            Whether `committable` moved.
        """
        finished = self._finished[handler]
        finished[start] = end
        position = self._positions[handler]
        if start != position:
            return False
        while (following := finished.pop(position, None)) is not None:
            position = following
        self._positions[handler] = position
        lowest = min(self._positions)
        moved = lowest != self.committable
        self.committable = lowest
        return moved

    @property
    def arrived(self) -> int:
        """The offset after the last record that arrived; -1 before the first."""
        return self._arrived

    def finished_above(self) -> list[tuple[int, int]]:
        """Return the stretches above `committable` that every handler is done with."""
        done = _done(self._finished[0], self._positions[0], self.committable)
        for position, finished in zip(
            self._positions[1:], self._finished[1:], strict=True
        ):
            done = _both(done, _done(finished, position, self.committable))
        return done


def _done(
    finished: dict[int, int], position: int, committable: int | None
) -> list[tuple[int, int]]:
    """Return what one handler is done with above an offset, merged, in order."""
    done: list[tuple[int, int]] = []
    if committable is not None and position > committable:
        done.append((committable, position))
    for start in sorted(finished):
        if done and done[-1][1] == start:
            done[-1] = done[-1][0], finished[start]
        else:
            done.append((start, finished[start]))
    return done


def _both(
    some: list[tuple[int, int]], others: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Return where two lists of stretches overlap."""
    both, at, other_at = [], 0, 0
    while at < len(some) and other_at < len(others):
        start = max(some[at][0], others[other_at][0])
        end = min(some[at][1], others[other_at][1])
        if start < end:
            both.append((start, end))
        if some[at][1] < others[other_at][1]:
            at += 1
        else:
            other_at += 1
    return both
