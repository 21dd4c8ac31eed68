"""What must hold, whatever was broken: pure checks of what was seen.

Lost, silently skipped, repeated without a reason, out of order, committed too early:
each is a sentence that names the record.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from tests.faults.ledger import Entry, Place, of_kind

COMMIT_SECONDS = 3.0
"""What was done so long before a crash was committed; the interval is one second."""

_MOST_SENTENCES = 5


class Acknowledged(NamedTuple):
    """A record that the producer was told is safe."""

    place: Place
    key: str
    sequence: int


class Sample(NamedTuple):
    """Committed offsets of the group, as they were before `time`."""

    time: float
    wall: float
    offsets: Mapping[tuple[str, int], int]


@dataclass(frozen=True)
class Disturbance:
    """Something that was done to the system.

    Attributes:
        what: In words.
        begin, end: Seconds, monotonic.
        repeats: It may make records come twice; a clean stop may not.
    """

    what: str
    begin: float
    end: float
    repeats: bool = True


@dataclass
class Evidence:
    """All that was seen of a scenario.

    Attributes:
        acknowledged: What the producer was told is safe.
        entries: The ledger.
        parked: Where dead letters came from, and the epoch seconds of each.
        outputs: How often each sequence number was answered.
        samples: Committed offsets, in time's order, the last one after the end.
        disturbances: In time's order.
        complete: Everything had time to be handled; otherwise only what is below the
            committed offset is missing.
        recovery: Seconds after the end of a disturbance in which the group may still
            settle, so that records come twice.
        answered: Every handled record has an output.
        order: What the handler promises; "none" in batches.
    """

    acknowledged: Sequence[Acknowledged] = ()
    entries: Sequence[Entry] = ()
    parked: Mapping[Place, float] = field(default_factory=dict)
    outputs: Mapping[int, int] = field(default_factory=dict)
    samples: Sequence[Sample] = ()
    disturbances: Sequence[Disturbance] = ()
    complete: bool = True
    recovery: float = 15.0
    answered: bool = True
    order: str = "partition"


@dataclass(frozen=True)
class Findings:
    """What the rules say, as sentences; none is good.

    Attributes:
        lost: L, records.
        outputs_lost: L, of what handlers have sent.
        repeated: D, how many calls were repetitions of one that had ended well.
        unexplained: D, those that nothing explains.
        disorder: O.
        commits: C.
    """

    lost: Sequence[str]
    outputs_lost: Sequence[str]
    repeated: int
    unexplained: Sequence[str]
    disorder: Sequence[str]
    commits: Sequence[str]

    def problems(self) -> Iterator[str]:
        """Yield a sentence for each rule that was broken, with some examples."""
        for rule, found in (
            ("lost", self.lost),
            ("outputs lost", self.outputs_lost),
            ("repeated without a reason", self.unexplained),
            ("out of order", self.disorder),
            ("committed wrongly", self.commits),
        ):
            if found:
                some = "; ".join(found[:_MOST_SENTENCES])
                yield f"{len(found)} {rule}: {some}"


def judge(seen: Evidence) -> Findings:
    """Check every rule."""
    done = first_ends(seen.entries)
    return Findings(
        lost=list(lost(seen, done)),
        outputs_lost=list(outputs_lost(seen)) if seen.answered else [],
        repeated=sum(1 for _ in repetitions(seen.entries)),
        unexplained=list(unexplained(seen)),
        disorder=list(disorder(seen, done)) if seen.order != "none" else [],
        commits=list(wrong_commits(seen, done)),
    )


def first_ends(entries: Iterable[Entry]) -> dict[Place, float]:
    """Return when each record was handled for the first time."""
    ends: dict[Place, float] = {}
    for entry in of_kind(entries, "end"):
        ends.setdefault(entry.place, entry.time)
    return ends


def lost(seen: Evidence, done: Collection[Place]) -> Iterator[str]:
    """L: what was acknowledged is handled or parked."""
    committed = seen.samples[-1].offsets if seen.samples else {}
    for record in seen.acknowledged:
        if record.place in done or record.place in seen.parked:
            continue
        topic, partition, offset = record.place
        below = offset < committed.get((topic, partition), 0)
        if seen.complete or below:
            yield f"{_name(record.place)} {'skipped' if below else 'not handled'}"


def outputs_lost(seen: Evidence) -> Iterator[str]:
    """L: what a handler sent before it returned is there."""
    for entry in of_kind(seen.entries, "end"):
        if not seen.outputs.get(entry.sequence) and entry.place not in seen.parked:
            yield f"the output of {_name(entry.place)}"


def repetitions(entries: Iterable[Entry]) -> Iterator[tuple[Entry, Entry]]:
    """Yield each call that ended well for a record that had been handled before."""
    before: dict[Place, Entry] = {}
    for entry in of_kind(entries, "end"):
        if entry.place in before:
            yield before[entry.place], entry
        before[entry.place] = entry


def unexplained(seen: Evidence) -> Iterator[str]:
    """D: what came twice was uncommitted when something was broken."""
    for earlier, later in repetitions(seen.entries):
        if not any(
            d.repeats
            and d.begin - COMMIT_SECONDS <= earlier.time <= d.end + seen.recovery
            and later.time >= d.begin
            for d in seen.disturbances
        ):
            yield (
                f"{_name(later.place)} by {earlier.process} (epoch {earlier.epoch}) "
                f"and {later.time - earlier.time:.1f} s later by {later.process} "
                f"(epoch {later.epoch})"
            )


def disorder(seen: Evidence, done: Mapping[Place, float]) -> Iterator[str]:
    """O: first ends of a key are in its order, and its calls do not overlap.

    With order "partition", a partition is one key.
    """
    by_key = seen.order == "key"
    keys: dict[tuple[str, int, str], set[int]] = defaultdict(set)
    for entry in of_kind(seen.entries, "end"):
        key = entry.key if by_key else ""
        keys[entry.topic, entry.partition, key].add(entry.offset)
    for (topic, partition, _), offsets in keys.items():
        places = [Place(topic, partition, offset) for offset in sorted(offsets)]
        for one, next_one in pairwise(places):
            if done[next_one] < done[one]:
                yield f"{_name(next_one)} before {_name(one)}"
    yield from overlaps(seen.entries, by_key=by_key)


def overlaps(entries: Iterable[Entry], *, by_key: bool) -> Iterator[str]:
    """Yield calls of one key, or of one partition, that one process ran at once."""
    running: dict[tuple[int, str, int, str], Entry] = {}
    for entry in of_kind(entries, "begin", "end", "fail"):
        own = entry.key if by_key else ""
        key = (entry.process, entry.topic, entry.partition, own)
        if entry.kind != "begin":
            running.pop(key, None)
        elif key in running:
            yield f"{_name(entry.place)} during {_name(running[key].place)}"
        else:
            running[key] = entry


def wrong_commits(seen: Evidence, done: Mapping[Place, float]) -> Iterator[str]:
    """C: no commit passes what is unfinished, and none moves backward."""
    by_partition: dict[tuple[str, int], list[int]] = defaultdict(list)
    for record in seen.acknowledged:
        topic, partition, offset = record.place
        by_partition[topic, partition].append(offset)
    for offsets in by_partition.values():
        offsets.sort()
    checked = dict.fromkeys(by_partition, 0)
    highest: dict[tuple[str, int], int] = {}
    for sample in seen.samples:
        for where, committed in sample.offsets.items():
            if committed < highest.get(where, -1):
                yield f"{where[0]}[{where[1]}] from {highest[where]} to {committed}"
            highest[where] = max(committed, highest.get(where, -1))
            offsets = by_partition.get(where, [])
            index = checked.get(where, 0)
            while index < len(offsets) and offsets[index] < committed:
                place = Place(*where, offsets[index])
                index += 1
                ended = done.get(place)
                parked = seen.parked.get(place)
                if not (
                    (ended is not None and ended <= sample.time)
                    or (parked is not None and parked <= sample.wall)
                ):
                    yield f"{committed} passes {_name(place)}, which was not finished"
            checked[where] = index


def progress(seen: Evidence) -> float | None:
    """P: the longest time from a disturbance's end to the next end in a partition.

    Only of partitions that had records to come; None without a disturbance.
    """
    ends: dict[tuple[str, int], list[float]] = defaultdict(list)
    for entry in of_kind(seen.entries, "end"):
        ends[entry.topic, entry.partition].append(entry.time)
    waits = [
        min(later) - disturbance.end
        for disturbance in seen.disturbances
        for times in ends.values()
        if (later := [time for time in times if time >= disturbance.end])
    ]
    return max(waits, default=None)


def _name(place: Place) -> str:
    return f"{place.topic}[{place.partition}]@{place.offset}"
