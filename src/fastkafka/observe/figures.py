"""Which figures there are: names, labels, and where in a snapshot each comes from.

Prometheus and OpenTelemetry read the same table. A function or a group is a label; a
key or an offset never is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fastkafka.observe.merging import merged
from fastkafka.observe.snapshot import (
    Function,
    Member,
    Partition,
    Producing,
    Snapshot,
)

Sample = tuple[tuple[str, ...], float]
"""The labels' values, and the figure."""

Reader = Callable[[Snapshot], Iterator[Sample]]

NO_GROUP = ""
"""The value of the label `consumergroup` for what reads without one."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One of them.

    Attributes:
        name: In Prometheus' manner, without `_total`.
        kind: A counter only grows, and is summed over workers and their predecessors.
        help: What it is, in a sentence.
        labels: Their names. With "worker", each worker has the figure for itself; else
            it is of all of them together.
        read: Takes the samples out of one snapshot.
    """

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    labels: tuple[str, ...]
    read: Reader


def read_all(snapshots: Sequence[Snapshot]) -> Iterator[tuple[Figure, list[Sample]]]:
    """Yield each figure with its samples.

    Args:
        snapshots: As `Source.snapshots` returns them.
    """
    together = [merged(snapshots)]
    workers = [snapshot for snapshot in snapshots if snapshot.worker]
    for figure in FIGURES:
        of = workers if "worker" in figure.labels else together
        yield figure, [sample for snapshot in of for sample in figure.read(snapshot)]


def _by_function(value: Callable[[Function], float]) -> Reader:
    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for f in snapshot.functions:
            yield (f.name, f.group or NO_GROUP), value(f)

    return read


def _by_name(value: Callable[[Function], Mapping[str, float]]) -> Reader:
    """Read what a function counts by an error's or an outcome's name."""

    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for f in snapshot.functions:
            for name, count in value(f).items():
                yield (f.name, f.group or NO_GROUP, name), count

    return read


def _by_partition(value: Callable[[Partition], float | None]) -> Reader:
    """Read what may be unknown."""

    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for p in snapshot.partitions:
            if (figure := value(p)) is not None:
                yield (p.group or NO_GROUP, p.topic, str(p.partition)), figure

    return read


def _by_group(value: Callable[[Member], float]) -> Reader:
    """Sum over the members of one group: functions with other client settings."""

    def read(snapshot: Snapshot) -> Iterator[Sample]:
        sums: dict[str, float] = {}
        for m in snapshot.members:
            group = m.group or NO_GROUP
            sums[group] = sums.get(group, 0) + value(m)
        for group, figure in sums.items():
            yield (group,), figure

    return read


def _by_producer(value: Callable[[Producing], float]) -> Reader:
    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for p in snapshot.producing:
            yield (p.name, p.topic), value(p)

    return read


def _by_worker(read: Reader) -> Reader:
    """Add the worker's number to the labels."""

    def with_worker(snapshot: Snapshot) -> Iterator[Sample]:
        for labels, figure in read(snapshot):
            yield (*labels, str(snapshot.worker)), figure

    return with_worker


def _paused(snapshot: Snapshot) -> Iterator[Sample]:
    groups = {m.group or NO_GROUP: 0 for m in snapshot.members}
    for p in snapshot.partitions:
        group = p.group or NO_GROUP
        groups[group] = groups.get(group, 0) + p.paused
    for group, paused in groups.items():
        yield (group,), paused


def _problems(snapshot: Snapshot) -> Iterator[Sample]:
    for kind, count in Counter(p.kind for p in snapshot.problems).items():
        yield (kind,), count


_FUNCTION = ("function", "consumergroup")
_PARTITION = ("consumergroup", "topic", "partition")
_PRODUCER = ("function", "topic")

FIGURES: Sequence[Figure] = (
    # Lag has the names of the exporters whose dashboards people have.
    Figure(
        "kafka_consumergroup_lag",
        "gauge",
        "Records between what is committed and the end of the partition.",
        _PARTITION,
        _by_partition(lambda p: None if p.group is None else p.lag),
    ),
    Figure(
        "kafka_consumergroup_group_lag_seconds",
        "gauge",
        "How long ago the last record that is done was written; 0 without lag.",
        _PARTITION,
        _by_partition(
            lambda p: None if p.group is None or p.lag is None else p.lag_seconds
        ),
    ),
    Figure(
        "fastkafka_records",
        "counter",
        "Records that are done with, by outcome: handled, parked or skipped.",
        (*_FUNCTION, "outcome"),
        _by_name(
            lambda f: {
                "handled": f.handled,
                "parked": sum(f.parked.values()),
                "skipped": f.skipped,
            }
        ),
    ),
    Figure(
        "fastkafka_failures",
        "counter",
        "Calls that raised, and records that could not be decoded, by error.",
        (*_FUNCTION, "error"),
        _by_name(lambda f: f.failed),
    ),
    Figure(
        "fastkafka_retries",
        "counter",
        "Calls of handlers that were repeats, by which call of the record it was.",
        (*_FUNCTION, "attempt"),
        _by_name(lambda f: f.retries),
    ),
    Figure(
        "fastkafka_dead_letters",
        "counter",
        "Records that were written to a dead-letter topic, by error.",
        (*_FUNCTION, "error"),
        _by_name(lambda f: f.parked),
    ),
    Figure(
        "fastkafka_decode_seconds",
        "counter",
        "Seconds spent decoding.",
        _FUNCTION,
        _by_function(lambda f: f.decode_seconds),
    ),
    Figure(
        "fastkafka_deliver_seconds",
        "counter",
        "Seconds that handled records waited until their outputs were acknowledged.",
        _FUNCTION,
        _by_function(lambda f: f.deliver_seconds),
    ),
    Figure(
        "fastkafka_busy",
        "gauge",
        "How much a function handles at this moment.",
        (*_FUNCTION, "worker"),
        _by_worker(_by_function(lambda f: f.busy)),
    ),
    Figure(
        "fastkafka_concurrency",
        "gauge",
        "How much a function may handle at once.",
        (*_FUNCTION, "worker"),
        _by_worker(_by_function(lambda f: f.concurrency)),
    ),
    Figure(
        "fastkafka_waiting_records",
        "gauge",
        "Records that are read and not yet handled.",
        (*_FUNCTION, "worker"),
        _by_worker(_by_function(lambda f: f.waiting)),
    ),
    Figure(
        "fastkafka_oldest_call_seconds",
        "gauge",
        "For how long the call has been running that began first.",
        (*_FUNCTION, "worker"),
        _by_worker(_by_function(lambda f: f.oldest)),
    ),
    Figure(
        "fastkafka_in_flight_records",
        "gauge",
        "Records of a partition that are read and not done.",
        _PARTITION,
        _by_partition(lambda p: p.in_flight),
    ),
    Figure(
        "fastkafka_oldest_unfinished_seconds",
        "gauge",
        "For how long a partition's lowest unfinished record has been in work.",
        _PARTITION,
        _by_partition(lambda p: p.unfinished_seconds),
    ),
    Figure(
        "fastkafka_assigned_partitions",
        "gauge",
        "Partitions that a worker has.",
        ("consumergroup", "worker"),
        _by_worker(_by_group(lambda m: m.assigned)),
    ),
    Figure(
        "fastkafka_paused_partitions",
        "gauge",
        "Partitions of which nothing is fetched, because what came is waiting.",
        ("consumergroup", "worker"),
        _by_worker(_paused),
    ),
    Figure(
        "fastkafka_rebalances",
        "counter",
        "How often an assignment changed.",
        ("consumergroup",),
        _by_group(lambda m: m.rebalances),
    ),
    Figure(
        "fastkafka_commits",
        "counter",
        "Commits that succeeded.",
        ("consumergroup",),
        _by_group(lambda m: m.commits),
    ),
    Figure(
        "fastkafka_commit_failures",
        "counter",
        "Commits that did not succeed.",
        ("consumergroup",),
        _by_group(lambda m: m.commit_failures),
    ),
    Figure(
        "fastkafka_commit_seconds",
        "counter",
        "Seconds from sending a commit to its answer.",
        ("consumergroup",),
        _by_group(lambda m: m.commit_seconds),
    ),
    Figure(
        "fastkafka_poll_seconds",
        "counter",
        "Seconds that poll threads spent in the client, waiting for records mostly.",
        ("consumergroup",),
        _by_group(lambda m: m.poll_seconds),
    ),
    Figure(
        "fastkafka_sent_records",
        "counter",
        "Records that were produced.",
        _PRODUCER,
        _by_producer(lambda p: p.sent),
    ),
    Figure(
        "fastkafka_delivery_failures",
        "counter",
        "Produced records that were refused.",
        _PRODUCER,
        _by_producer(lambda p: p.failed),
    ),
    Figure(
        "fastkafka_producer_queued_records",
        "gauge",
        "Records of the function's client that are not acknowledged yet.",
        (*_PRODUCER, "worker"),
        _by_worker(_by_producer(lambda p: p.queued)),
    ),
    Figure(
        "fastkafka_event_loop_lag_seconds",
        "gauge",
        "By how much the event loop was late when last looked at.",
        ("worker",),
        _by_worker(lambda snapshot: iter([((), snapshot.loop_lag)])),
    ),
    Figure(
        "fastkafka_live",
        "gauge",
        "1 if the worker can make progress.",
        ("worker",),
        _by_worker(lambda snapshot: iter([((), snapshot.live)])),
    ),
    Figure(
        "fastkafka_ready",
        "gauge",
        "1 if the worker does its work.",
        ("worker",),
        _by_worker(lambda snapshot: iter([((), snapshot.ready)])),
    ),
    Figure(
        "fastkafka_problems",
        "gauge",
        "What is not as it should be; /readyz says it in words.",
        ("kind", "worker"),
        _by_worker(_problems),
    ),
)
