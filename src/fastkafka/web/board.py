"""What the page shows of the counters: rates, percentiles, and what they were.

The workers' snapshots hold totals since a start. Once a second `Board.tick` subtracts
what they were; nothing here happens for each record.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from fastkafka.observe.merging import merged
from fastkafka.observe.snapshot import BUCKETS, Function, Snapshot
from fastkafka.policies import SUFFIX
from fastkafka.web.describe import DEAD_LETTERS, Shape
from fastkafka.web.rings import Rings

RATE_SECONDS = 2.5
"""Rates are over that long, which hides that workers report at their own times."""

PERCENTILE_SECONDS = 60.0
FAILURE_SECONDS = 900.0

_NONE = Function("", None, (), "", 0)

Place = tuple[str | None, str, int]
"""A group's partition: group, topic, number."""


@dataclass(slots=True)
class Counts:
    """The sums over all workers at one moment.

    Attributes:
        time: The mean of when the snapshots were made.
        functions: By name.
        sent: By producing function's name.
        written: The end of each topic's log, as far as it is assigned to somebody.
        done: What each group's partition has committed.
        lag: Of each group's partition that has any known.
    """

    time: float
    functions: dict[str, Function] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    written: dict[str, dict[int, int]] = field(default_factory=dict)
    done: dict[Place, int] = field(default_factory=dict)
    lag: dict[Place, int] = field(default_factory=dict)


class Board:
    """Turns snapshots into what is shown now, and keeps what was.

    Attributes:
        parked: How many dead letters are parked in each topic, as somebody who has
            asked the cluster last said.
        now: The last tick.
    """

    def __init__(self) -> None:
        self.parked: dict[str, int] = {}
        self.now: dict[str, Any] = {}
        self._past: deque[Counts] = deque(maxlen=int(FAILURE_SECONDS) + 2)
        self._seconds = Rings(1, 900)
        self._minutes = Rings(60, 1440)
        self._minute: dict[str, list[float]] = {}
        self._minute_slot = 0

    def tick(
        self, shape: Shape, snapshots: Sequence[Snapshot], time: float
    ) -> dict[str, Any]:
        """Take in what the workers say now.

        Args:
            shape: Whose order the lists have.
            snapshots: One for each worker, and one for those that have ended.
            time: Epoch seconds.

        Returns:
            `rev`, `t`, `totals`, and `topics`, `functions`, `producers`, `edges`: a
            list of numbers, or a number, for each of the shape's.
        """
        counts = _count(snapshots, time)
        if not self._past or counts.time > self._past[-1].time:
            self._past.append(counts)
        now = self._past[-1]
        rates = _Rates(now, self._before(now.time - RATE_SECONDS))
        spread = _Rates(now, self._before(now.time - PERCENTILE_SECONDS))
        recent = _Rates(now, self._before(now.time - FAILURE_SECONDS))
        functions = [
            _function_numbers(f.name, f.concurrency, now, rates, spread, recent)
            for f in shape.functions
        ]
        ages: dict[str, float] = {}
        for snapshot in snapshots:
            for one in snapshot.partitions:
                ages[one.topic] = max(ages.get(one.topic, 0.0), one.lag_seconds)
        topics = [
            self._topic_numbers(shape, topic.name, now, rates, ages)
            for topic in shape.topics
        ]
        self.now = {
            "rev": shape.rev,
            "t": time,
            "totals": self._totals(snapshots, now, rates, recent, functions, ages),
            "topics": topics,
            "functions": functions,
            "producers": [rates.sent(p.name) for p in shape.producers],
            "edges": _edge_rates(shape, now, rates),
        }
        self._remember(shape, time)
        return self.now

    def history(self, seconds: float) -> dict[str, list[float | None]]:
        """Return what was: by the second up to 15 minutes back, else by the minute."""
        fine = seconds <= self._seconds.slots
        return (self._seconds if fine else self._minutes).last(seconds)

    def failures(self, name: str) -> dict[str, int]:
        """Return how many records a function has parked in 15 minutes, by error."""
        if not self._past:
            return {}
        now = self._past[-1]
        return _Rates(now, self._before(now.time - FAILURE_SECONDS)).parked(name)

    def growth(self, place: Place) -> float | None:
        """Return by how many records a second a partition's lag grows, over 30 s.

        Returns:
            None while it is not known; below 0 it shrinks.
        """
        if not self._past or place not in self._past[-1].lag:
            return None
        now = self._past[-1]
        before = self._before(now.time - 30.0)
        if place not in before.lag or now.time - before.time < 5:
            return None
        return (now.lag[place] - before.lag[place]) / (now.time - before.time)

    def rate(self, place: Place) -> float | None:
        """Return how many records of a partition a second are done."""
        if not self._past or place not in self._past[-1].done:
            return None
        now = self._past[-1]
        before = self._before(now.time - RATE_SECONDS)
        if place not in before.done or now.time <= before.time:
            return None
        return max(0, now.done[place] - before.done[place]) / (now.time - before.time)

    def _before(self, time: float) -> Counts:
        """Return the oldest counts that are not older than *time*."""
        for counts in (
            self._past if time - self._past[0].time < 2 else self._newer(time)
        ):
            if counts.time >= time:
                return counts
        return self._past[-1]

    def _newer(self, time: float) -> Iterable[Counts]:
        """Return the last counts, in order, with one that is older than *time*."""
        found: list[Counts] = []
        for counts in reversed(self._past):
            found.append(counts)
            if counts.time < time:
                break
        return reversed(found)

    def _topic_numbers(
        self,
        shape: Shape,
        name: str,
        now: Counts,
        rates: _Rates,
        ages: Mapping[str, float],
    ) -> list[float | None]:
        """Return rate, lag, age, parked."""
        lags = [lag for (_, topic, _), lag in now.lag.items() if topic == name]
        rate = rates.written(name)
        if rate is None:
            rate = _total(
                rates.sent(p.name) for p in shape.producers if p.topic == name
            )
        return [
            rate,
            sum(lags) if lags else None,
            round(ages.get(name, 0.0), 1),
            self.parked.get(name) if name.endswith(SUFFIX) else None,
        ]

    def _totals(
        self,
        snapshots: Sequence[Snapshot],
        now: Counts,
        rates: _Rates,
        recent: _Rates,
        functions: Sequence[Sequence[float | None]],
        ages: Mapping[str, float],
    ) -> dict[str, Any]:
        working = [s for s in snapshots if s.pid]
        return {
            "handled": _total(rates.handled(name) for name in now.functions),
            "produced": _total(rates.sent(name) for name in now.sent),
            "lag": sum(now.lag.values()) if now.lag else None,
            "lag_age": round(max(ages.values(), default=0.0), 1),
            "busy": sum(f.busy for f in now.functions.values()),
            "capacity": sum(f.concurrency for f in now.functions.values()),
            "failed_15m": sum(recent.failed(name) for name in now.functions),
            "parked_15m": sum(
                sum(recent.parked(name).values()) for name in now.functions
            ),
            "parked": sum(self.parked.values()),
            "workers": len(working),
            "ready": bool(working) and all(s.ready for s in snapshots),
            "live": all(s.live for s in snapshots),
            "loop_lag": max((s.loop_lag for s in working), default=0.0),
        }

    def _remember(self, shape: Shape, time: float) -> None:
        totals = self.now["totals"]
        values: dict[str, float | None] = {
            "handled": totals["handled"],
            "produced": totals["produced"],
            "lag": totals["lag"],
            "failed": totals["failed_15m"],
        }
        for function, numbers in zip(
            shape.functions, self.now["functions"], strict=True
        ):
            for name, number in zip(
                ("rate", "p50", "p95", "p99"), numbers, strict=False
            ):
                values[f"f:{function.name}:{name}"] = number
        for topic, numbers in zip(shape.topics, self.now["topics"], strict=True):
            values[f"t:{topic.name}:rate"] = numbers[0]
            values[f"t:{topic.name}:lag"] = numbers[1]
        self._seconds.put(time, values)
        slot = int(time // 60)
        if slot != self._minute_slot:
            self._minute_slot, self._minute = slot, {}
        for name, value in values.items():
            if value is not None:
                self._minute.setdefault(name, []).append(value)
        self._minutes.put(time, {n: fmean(v) for n, v in self._minute.items()})


class _Rates:
    """What has been counted between two moments."""

    def __init__(self, now: Counts, before: Counts) -> None:
        self._now = now
        self._before = before
        self._seconds = now.time - before.time

    def handled(self, name: str) -> float | None:
        return self._rate(
            self._now.functions[name].handled, self._of(self._before, name).handled
        )

    def sent(self, name: str) -> float | None:
        return self._rate(self._now.sent.get(name, 0), self._before.sent.get(name, 0))

    def written(self, topic: str) -> float | None:
        """How many records a second are written to a topic."""
        ends = self._now.written.get(topic, {})
        were = self._before.written.get(topic, {})
        both = ends.keys() & were.keys()
        if not both:
            return None
        return self._rate(sum(ends[p] for p in both), sum(were[p] for p in both))

    def failed(self, name: str) -> int:
        return _grown(
            self._now.functions[name].failed, self._of(self._before, name).failed
        )

    def parked(self, name: str) -> dict[str, int]:
        were = self._of(self._before, name).parked
        grown = {
            error: count - were.get(error, 0)
            for error, count in self._of(self._now, name).parked.items()
        }
        return {error: count for error, count in grown.items() if count > 0}

    def buckets(self, name: str) -> list[int]:
        now = self._now.functions[name].buckets
        were = self._of(self._before, name).buckets
        return [max(0, a - b) for a, b in zip(now, were, strict=True)]

    def mean(self, name: str) -> float | None:
        """How many seconds one record has taken."""
        now, was = self._now.functions[name], self._of(self._before, name)
        records = now.handled - was.handled
        return (
            round(max(0.0, now.seconds - was.seconds) / records, 6)
            if records > 0
            else None
        )

    def _of(self, counts: Counts, name: str) -> Function:
        return counts.functions.get(name) or _NONE

    def _rate(self, now: int, was: int) -> float | None:
        if self._seconds <= 0:
            return None
        return round(max(0, now - was) / self._seconds, 2)


def percentile(buckets: Sequence[int], share: float) -> float | None:
    """Estimate a percentile from a histogram.

    Args:
        buckets: Counts, as `BUCKETS` bounds them.
        share: 0.95 for p95.

    Returns:
        Seconds, interpolated within the bucket; the first bucket's bound for anything
        in it, and the last bound for what is above all; None without counts.
    """
    wanted = sum(buckets) * share
    if wanted == 0:
        return None
    below = 0
    for index, count in enumerate(buckets):
        if below + count >= wanted:
            if index == 0:
                return BUCKETS[0]
            if index == len(BUCKETS):
                return BUCKETS[-1]
            low, high = BUCKETS[index - 1], BUCKETS[index]
            return round(low + (high - low) * (wanted - below) / count, 4)
        below += count
    return BUCKETS[-1]


def _count(snapshots: Sequence[Snapshot], time: float) -> Counts:
    working = [snapshot.time for snapshot in snapshots if snapshot.pid]
    counts = Counts(fmean(working) if working else time)
    everything = merged(snapshots)
    for function in everything.functions:
        counts.functions[function.name] = function
    for producing in everything.producing:
        counts.sent[producing.name] = producing.sent
    for one in everything.partitions:
        place = (one.group, one.topic, one.partition)
        if one.end is not None:
            ends = counts.written.setdefault(one.topic, {})
            ends[one.partition] = max(ends.get(one.partition, 0), one.end)
        if one.committed is not None:
            counts.done[place] = one.committed
        if one.lag is not None:
            counts.lag[place] = one.lag
    return counts


def _function_numbers(
    name: str,
    concurrency: int,
    now: Counts,
    rates: _Rates,
    spread: _Rates,
    recent: _Rates,
) -> list[float | None]:
    """Return rate, p50, p95, p99, busy, retried, failed, mean, capacity, waiting."""
    total = now.functions.get(name)
    if total is None:
        return [None, None, None, None, 0, 0, 0, None, concurrency, 0]
    buckets = spread.buckets(name)
    return [
        rates.handled(name),
        percentile(buckets, 0.5),
        percentile(buckets, 0.95),
        percentile(buckets, 0.99),
        total.busy,
        total.retried,
        recent.failed(name),
        spread.mean(name),
        total.concurrency or concurrency,
        total.waiting,
    ]


def _edge_rates(shape: Shape, now: Counts, rates: _Rates) -> list[float | None]:
    """Return how many records a second go along each edge.

    What is sent to a topic is counted by producing function, not by who called it:
    where several functions write to one topic, each gets its share of the handled.
    """
    handled = {
        f"f:{f.name}": (rates.handled(f.name) or 0.0)
        if f.name in now.functions
        else 0.0
        for f in shape.functions
    }
    sent: dict[str, float] = {}
    for producer in shape.producers:
        key = f"t:{producer.topic}"
        sent[key] = sent.get(key, 0.0) + (rates.sent(producer.name) or 0.0)
    writers: dict[str, list[str]] = {}
    for edge in shape.edges:
        if edge.start.startswith("f:") and edge.via != DEAD_LETTERS:
            writers.setdefault(edge.end, []).append(edge.start)
    reads = {f"f:{f.name}": len(f.topics) for f in shape.functions}

    def rate(start: str, end: str, via: str) -> float:
        if start.startswith("t:"):
            return handled[end] / max(1, reads[end])
        if via == DEAD_LETTERS:
            return sum(rates.parked(start.removeprefix("f:")).values()) / RATE_SECONDS
        all_of = sum(handled[writer] for writer in writers.get(end, ()))
        if start.startswith("p:") or not all_of:
            return sent.get(end, 0.0)
        return sent.get(end, 0.0) * handled[start] / all_of

    return [round(rate(e.start, e.end, e.via), 2) for e in shape.edges]


def _grown(now: Mapping[str, int], before: Mapping[str, int]) -> int:
    return sum(max(0, count - before.get(name, 0)) for name, count in now.items())


def _total(rates: Iterable[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return round(sum(known), 2) if known else None
