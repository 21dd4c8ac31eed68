"""How a partition is taken up after a process has died over it: pure.

Nothing but the last commit is left of a process that died, and the record that killed
it may be any of those that were in flight. So its successors go in steps and commit,
before each step, what they are about to try. When the second one dies, the step is
known, and the third one goes through it record by record, one at a time of all the
partitions that it has. A record that was tried alone when two of them died is what
killed them: if it has been there as often as `Retry.attempts` allows, it is given up on
as any other that failed for good.

The cost without a crash is one commit for each assigned partition. After one it is a
commit for each `STEP` records, until `CAREFUL_RECORDS` have passed; after two, two
commits for each record of a step.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastkafka.engine.finished import Note, Stretch

STEP = 128
"""Records of a step, while nothing is known about which one it was."""

CAREFUL_RECORDS = 20_000
"""After so many offsets it was not one of those that were in flight: the intake of a
partition is half of that."""

LEAST_DEATHS = 3
"""So many it takes to find a record."""

LEAST_ALONE = 2
"""One process may die for any reason while it tries a record."""


class Care:
    """What is known about processes that died over one partition.

    Args:
        before: The note of the last commit.
        offset: Its offset; None when nothing is committed.
        attempts: How often a record may be tried.
    """

    def __init__(self, before: Note, offset: int | None, attempts: int) -> None:
        offset = offset or 0
        self.deaths = before.deaths + before.open
        self.trying: Stretch | None = None
        """What is about to be handled."""
        start, end = before.trying or (0, 0)
        # A note may be older than its offset, which is then behind what was tried.
        known = self.deaths > 0 and start <= offset < end
        self._suspects = end if known else offset
        """Below it, every record is tried alone."""
        self._end = end if known else offset + CAREFUL_RECORDS
        alone = known and (start, end) == (offset, offset + 1)
        self._alone_at = offset if alone else None
        """The record that was tried alone, and was there when the process died."""
        self._alone = before.alone + before.open if alone else 0
        self._most = max(attempts, LEAST_DEATHS)

    @property
    def needed(self) -> bool:
        """Whether records are to be let in by `step`."""
        return self.deaths > 0

    def step(self, offset: int) -> int:
        """Return how many records may be let in from *offset* on."""
        return 1 if offset < self._suspects else STEP

    def is_deadly(self, offset: int) -> bool:
        """Whether the record at *offset* has killed too many processes."""
        return (
            offset == self._alone_at
            and self._alone >= LEAST_ALONE
            and self.deaths >= self._most
        )

    def passed(self, offset: int) -> None:
        """All below *offset* is done."""
        if offset >= self._end:
            self.deaths, self.trying = 0, None

    def note(self, finished: Sequence[Stretch], *, opened: bool) -> Note:
        """Return what commits have to say from now on."""
        again = self.trying is not None and self.trying[0] == self._alone_at
        alone = self._alone if again else 0
        return Note(finished, opened, self.deaths, self.trying, alone)
