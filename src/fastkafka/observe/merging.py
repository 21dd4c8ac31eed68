"""Several workers as one: their snapshots merged, and what those counted that ended."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import TypeVar

from fastkafka.observe.snapshot import (
    Function,
    Member,
    Partition,
    Problem,
    Producing,
    Snapshot,
)

T = TypeVar("T")


def merged(snapshots: Sequence[Snapshot]) -> Snapshot:
    """Return one snapshot for all: counts and capacities summed, worst cases kept.

    A partition that two workers name, which happens while it changes hands, is as the
    later snapshot has it.

    Args:
        snapshots: As `Source.snapshots` returns them.

    Returns:
        `pid` and `worker` are 0.
    """
    by_age = sorted(snapshots, key=lambda snapshot: snapshot.time)
    partitions = {
        (p.group, p.topic, p.partition): p for s in by_age for p in s.partitions
    }
    return Snapshot(
        time=max((s.time for s in snapshots), default=0.0),
        pid=0,
        worker=0,
        functions=_together(
            (f for s in snapshots for f in s.functions),
            lambda function: (function.name, function.group),
            _functions,
        ),
        partitions=sorted(partitions.values(), key=_place),
        members=_together(
            (m for s in snapshots for m in s.members),
            lambda member: (member.group, tuple(sorted(member.topics))),
            _members,
        ),
        producing=_together(
            (p for s in snapshots for p in s.producing),
            lambda producing: (producing.name, producing.topic),
            _producing,
        ),
        edges=sorted({(a, b) for s in snapshots for a, b in s.edges}),
        problems=_together(
            (p for s in snapshots for p in s.problems),
            lambda problem: (problem.kind, problem.what),
            _problems,
        ),
        loop_lag=max((s.loop_lag for s in snapshots), default=0.0),
    )


def counts(snapshot: Snapshot) -> Snapshot:
    """Return what a worker has counted, without what it was just doing.

    This is what remains of a worker that has ended.
    """
    return replace(
        snapshot,
        pid=0,
        worker=0,
        functions=[
            replace(
                f,
                concurrency=0,
                busy=0,
                waiting=0,
                oldest=0.0,
                paused=False,
                paused_partitions=(),
            )
            for f in snapshot.functions
        ],
        partitions=(),
        members=[replace(m, connected=True, assigned=0) for m in snapshot.members],
        producing=[replace(p, queued=0) for p in snapshot.producing],
        problems=(),
        loop_lag=0.0,
    )


def _together(
    items: Iterable[T], key: Callable[[T], Hashable], two: Callable[[T, T], T]
) -> Sequence[T]:
    """Make one of those items that share a key, in the order of the first ones."""
    groups: dict[Hashable, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return [reduce(two, group) for group in groups.values()]


def _functions(a: Function, b: Function) -> Function:
    return replace(
        a,
        concurrency=a.concurrency + b.concurrency,
        busy=a.busy + b.busy,
        waiting=a.waiting + b.waiting,
        handled=a.handled + b.handled,
        retries=_sum(a.retries, b.retries),
        failed=_sum(a.failed, b.failed),
        parked=_sum(a.parked, b.parked),
        skipped=a.skipped + b.skipped,
        seconds=a.seconds + b.seconds,
        buckets=[x + y for x, y in zip(a.buckets, b.buckets, strict=True)],
        decode_seconds=a.decode_seconds + b.decode_seconds,
        deliver_seconds=a.deliver_seconds + b.deliver_seconds,
        oldest=max(a.oldest, b.oldest),
        paused=a.paused or b.paused,
        paused_partitions=tuple(sorted({*a.paused_partitions, *b.paused_partitions})),
    )


def _members(a: Member, b: Member) -> Member:
    return replace(
        a,
        connected=a.connected and b.connected,
        assigned=a.assigned + b.assigned,
        rebalances=a.rebalances + b.rebalances,
        commits=a.commits + b.commits,
        commit_failures=a.commit_failures + b.commit_failures,
        commit_seconds=a.commit_seconds + b.commit_seconds,
        poll_seconds=a.poll_seconds + b.poll_seconds,
    )


def _producing(a: Producing, b: Producing) -> Producing:
    return replace(
        a,
        sent=a.sent + b.sent,
        failed=a.failed + b.failed,
        queued=a.queued + b.queued,
    )


def _problems(a: Problem, b: Problem) -> Problem:
    return replace(
        a,
        since=min(a.since, b.since),
        ready=a.ready and b.ready,
        live=a.live and b.live,
    )


def _sum(a: Mapping[str, int], b: Mapping[str, int]) -> Mapping[str, int]:
    return {name: a.get(name, 0) + b.get(name, 0) for name in {**a, **b}}


def _place(partition: Partition) -> tuple[str, str, int]:
    return partition.group or "", partition.topic, partition.partition
