"""How much of a partition the engine takes in before its consumer holds back."""

from __future__ import annotations

POLL_RECORDS = 2000
"""The most records of one poll."""

HIGH_RECORDS, LOW_RECORDS = 10_000, 5_000
HIGH_BYTES, LOW_BYTES = 16 << 20, 8 << 20


class Intake:
    """What a partition has in the engine.

    Two pairs of counters rather than one: one thread may add and another take away
    without a lock.
    """

    __slots__ = ("bytes_in", "bytes_out", "records_in", "records_out")

    def __init__(self) -> None:
        self.records_in = self.records_out = 0
        self.bytes_in = self.bytes_out = 0

    @property
    def full(self) -> bool:
        """Whether it is above its high mark: no more for now."""
        return (
            self.records_in - self.records_out > HIGH_RECORDS
            or self.bytes_in - self.bytes_out > HIGH_BYTES
        )

    @property
    def low(self) -> bool:
        """Whether it is below its low mark: a full one may go on."""
        return (
            self.records_in - self.records_out <= LOW_RECORDS
            and self.bytes_in - self.bytes_out <= LOW_BYTES
        )
