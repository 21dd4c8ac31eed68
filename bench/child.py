"""The measured process: its job, its clock, its result. Standard library only."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

KEYS = 997
"""How many keys the records have: a record's key is its number modulo this."""


@dataclass(frozen=True)
class Job:
    """What a contender has to do.

    Attributes:
        work: Which of its functions.
        bootstrap: The brokers' addresses.
        topic: Holds the records.
        records: How many; each has a number of its own, from 0.
        group: A group that is new.
        output: Where "consume-produce" writes one record for each.
        variant: How it is configured: contenders know their own names for that.
        consumer: librdkafka's settings that this broker needs for a fair run.
        options: What only this work needs to know.
    """

    work: str
    bootstrap: str
    topic: str
    records: int
    group: str
    output: str
    variant: str = ""
    consumer: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


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
        self.more: dict[str, Any] = {}
        """What else was measured."""
        self._records = records
        self._on_complete = complete
        self._numbers = array("d")
        self._next_look = 1
        self._started = self._ended = (0.0, 0.0)
        self._completed: tuple[float, float] | None = None
        self._threads: dict[str, float] = {}

    def saw(self, number: float) -> None:
        """Note that the record of that number has been handled."""
        self._numbers.append(number)
        if len(self._numbers) == self._next_look:
            self._look()

    def stop(self) -> None:
        """Stop the clock: all that had to be done is done."""
        if not self.stopped:
            self._ended = self._completed or clocks()
            self.stopped = True
            self._threads = {
                name: used - self._threads.get(name, 0.0)
                for name, used in threads().items()
            }

    def result(self) -> dict[str, Any]:
        """Return what is measured; the same number twice is a duplicate."""
        seconds, cpu_seconds = (
            end - start for start, end in zip(self._started, self._ended, strict=True)
        )
        peak = peak_rss()  # before we use more memory ourselves
        distinct = self._distinct()
        return {
            "seconds": seconds,
            "cpu_seconds": cpu_seconds,
            "peak_rss_bytes": peak,
            "seen": distinct,
            "duplicates": len(self._numbers) - distinct,
            "threads": self._threads,
            **self.more,
        }

    def _look(self) -> None:
        if len(self._numbers) == 1:
            self._threads = threads()
            self._started = clocks()
        missing = self._records - len(self._numbers)
        if missing <= 0:  # counting them each time would cost more than they do
            self._completed = clocks()
            missing = self._records - self._distinct()
        if missing:
            self._next_look = len(self._numbers) + missing
        else:
            self.complete = True
            self._on_complete()
        # Who stops the clock only later has had more to do.
        self._completed = None

    def _distinct(self) -> int:
        # A byte for each: a set would be what the process has most of in memory.
        seen = bytearray(int(max(self._numbers, default=-1)) + 1)
        for number in self._numbers:
            seen[int(number)] = 1
        return sum(seen)


class Count:
    """Counts records, and keeps nothing of them: for runs where memory is measured.

    Args:
        records: How many there are.
        complete: Called at the last one.
    """

    def __init__(self, records: int, complete: Callable[[], None]) -> None:
        self._records = records
        self._on_complete = complete
        self._seen = 0
        self._started = self._ended = (0.0, 0.0)

    @property
    def complete(self) -> bool:
        """Whether they have all come."""
        return self._seen >= self._records

    def saw(self, _: float) -> None:
        """Count a record."""
        self._seen += 1
        if self._seen == 1:
            self._started = clocks()
        if self._seen == self._records:
            self._ended = clocks()
            self._on_complete()

    def result(self) -> dict[str, Any]:
        """Return what is measured."""
        return {
            "seconds": self._ended[0] - self._started[0],
            "cpu_seconds": self._ended[1] - self._started[1],
            "peak_rss_bytes": peak_rss(),
            "seen": self._seen,
            "duplicates": 0,
        }


class OrderCheck:
    """Sees that no two handlers of one key overlap, and that a key's numbers ascend.

    Attributes:
        broken: How often it was not so.
    """

    def __init__(self, keys: int) -> None:
        self.broken = 0
        self._keys = keys
        self._last: dict[float, float] = {}
        self._busy: set[float] = set()

    def begin(self, number: float) -> None:
        """A handler begins with the record of that number."""
        key = number % self._keys
        if key in self._busy or number <= self._last.get(key, -1.0):
            self.broken += 1
        self._busy.add(key)
        self._last[key] = number

    def end(self, number: float) -> None:
        """It has ended."""
        self._busy.discard(number % self._keys)


class Delays:
    """Notes how long each record took from `produce()` to here.

    Its producer is another process; both read the machine's one monotonic clock. A
    record with a time of 0 is the sign that the consumer is at work: it is answered
    with a line, and the others follow.

    Args:
        records: How many there are.
        complete: Called when they have all come.
    """

    def __init__(self, records: int, complete: Callable[[], None]) -> None:
        self._records = records
        self._on_complete = complete
        self._seconds = array("d")
        self._ready = False

    def saw(self, produced_at: float) -> None:
        """Note a record whose value says when it was produced."""
        now = time.monotonic()
        if produced_at:
            self._seconds.append(now - produced_at)
            if len(self._seconds) == self._records:
                self._on_complete()
        elif not self._ready:
            self._ready = True
            print("ready", flush=True)

    def result(self) -> dict[str, Any]:
        """Return the percentiles, in milliseconds."""
        ordered = sorted(self._seconds)
        at = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
        return {
            "delays": len(ordered),
            **{
                name: ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e3
                for name, share in at.items()
            },
        }


class Result(Protocol):
    """What a contender returns: a `Tally`, a `Count` or `Delays`."""

    def result(self) -> dict[str, Any]:
        """Return what is measured."""


Contend = Callable[[Job], Result]
"""Does a job and returns what it noted."""


def main(works: Mapping[str, Contend]) -> None:
    """Do the job that the command line holds, and print the result."""
    job = Job(**json.loads(sys.argv[1]))
    found = works[job.work](job)
    print(json.dumps(found.result()), flush=True)


def clocks() -> tuple[float, float]:
    """Return the time, and how much processor time this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), used.ru_utime + used.ru_stime


def threads() -> dict[str, float]:
    """Return the processor time of each of our threads so far, on Linux.

    Each is "NAME ID"; librdkafka names its own "rdk:...".
    """
    ticks = os.sysconf("SC_CLK_TCK")
    found: dict[str, float] = {}
    for task in Path("/proc/self/task").glob("*"):
        try:
            line = (task / "stat").read_text()
        except OSError:  # it has ended
            continue
        name = line[line.index("(") + 1 : line.rindex(")")]
        numbers = line[line.rindex(")") + 2 :].split()
        used = (int(numbers[11]) + int(numbers[12])) / ticks
        found[f"{name} {task.name}"] = used
    return found


def peak_rss() -> int:
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
