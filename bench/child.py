"""The measured process: its job, its clock, its result. Standard library only."""

from __future__ import annotations

import json
import resource
import sys
import time
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Job:
    """What a contender has to do.

    Attributes:
        work: "consume" or "consume-produce".
        bootstrap: The brokers' addresses.
        topic: Holds the records.
        records: How many; each has a number of its own, from 0.
        group: A group that is new.
        output: Where "consume-produce" writes one record for each.
        consumer: librdkafka's settings that this broker needs for a fair run.
    """

    work: str
    bootstrap: str
    topic: str
    records: int
    group: str
    output: str
    consumer: Mapping[str, Any] = field(default_factory=dict)


class Tally:
    """Notes every record that is handled, and times from the first to the last.

    What it costs, about 0.1 us for each record, is the same for every contender.

    Args:
        records: How many there are.
        complete: Called when each of them has been seen.
    """

    def __init__(self, records: int, complete: Callable[[], None]) -> None:
        self.stopped = False
        self.complete = False
        self._records = records
        self._on_complete = complete
        self._numbers = array("d")
        self._next_look = 1
        self._started = self._ended = (0.0, 0.0)

    def saw(self, number: float) -> None:
        """Note that the record of that number has been handled."""
        self._numbers.append(number)
        if len(self._numbers) == self._next_look:
            self._look()

    def stop(self) -> None:
        """Stop the clock: all that had to be done is done."""
        if not self.stopped:
            self._ended = _clocks()
            self.stopped = True

    def result(self) -> dict[str, Any]:
        """Return what is measured; the same number twice is a duplicate."""
        seconds, cpu_seconds = (
            end - start for start, end in zip(self._started, self._ended, strict=True)
        )
        distinct = len(set(self._numbers))
        return {
            "seconds": seconds,
            "cpu_seconds": cpu_seconds,
            "peak_rss_bytes": _peak_rss(),
            "seen": distinct,
            "duplicates": len(self._numbers) - distinct,
        }

    def _look(self) -> None:
        if len(self._numbers) == 1:
            self._started = _clocks()
        missing = self._records - len(self._numbers)
        if missing <= 0:  # counting them each time would cost more than they do
            missing = self._records - len(set(self._numbers))
        if missing:
            self._next_look = len(self._numbers) + missing
        else:
            self.complete = True
            self._on_complete()


Contend = Callable[[Job], Tally]
"""Does a job and returns what it noted."""


def main(works: Mapping[str, Contend]) -> None:
    """Do the job that the command line holds, and print the result."""
    job = Job(**json.loads(sys.argv[1]))
    tally = works[job.work](job)
    print(json.dumps(tally.result()), flush=True)


def _clocks() -> tuple[float, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), used.ru_utime + used.ru_stime


def _peak_rss() -> int:
    """Return the most memory this process had at once, in bytes."""
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    # On Linux this one remembers the process that started us: a last resort there.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
