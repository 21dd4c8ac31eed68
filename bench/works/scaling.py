"""What a record costs with more functions, more partitions and more workers."""

from __future__ import annotations

import json
import select
import subprocess
import time
from contextlib import ExitStack
from functools import partial
from typing import TypeVar

from bench.child import Job
from bench.cluster import BenchError, Cluster, open_cluster
from bench.measure import Row, Run, Session, result_in, row
from bench.registry import BARE, FASTKAFKA, named

HANDLERS = {1: 50, 10: 5, 50: 1}
"""How many functions, each with a topic of its own, and partitions of each topic: in
all it is the same number of partitions."""

PARTITIONS = (1, 8, 64, 200)
WORKERS = (1, 2, 4)

_T = TypeVar("_T")

_JOIN_SECONDS = 1.0
"""How long a new group waits for its members, so that all are there at the start."""


def handlers(session: Session) -> list[Row]:
    """1, 10 and 50 functions; beside them a bare loop over as many topics."""
    records = session.records // 2
    rows = []
    for count, partitions in _cases(session, list(HANDLERS.items())):
        topics = [
            session.cluster.create_topic("handlers", partitions) for _ in range(count)
        ]
        session.cluster.fill(topics, records)
        for contender in (named(BARE), named(FASTKAFKA)):
            if session.has(contender.key):
                options = {"topics": topics}
                run = partial(
                    session.run,
                    contender,
                    "consume",
                    topics[0],
                    records,
                    options=options,
                )
                rows.append((row("handlers", contender, str(count), records), run))
    return session.alternate(rows, most=3)


def partitions(session: Session) -> list[Row]:
    """1, 8, 64 and 200 partitions; beside it the bare loop."""
    records = session.records // 2
    rows = []
    for count in _cases(session, list(PARTITIONS)):
        topic = session.cluster.create_topic("partitions", count)
        session.cluster.fill(topic, records)
        for contender in (named(BARE), named(FASTKAFKA)):
            if session.has(contender.key):
                run = partial(session.run, contender, "consume", topic, records)
                rows.append((row("partitions", contender, str(count), records), run))
    return session.alternate(rows, most=3)


def workers(session: Session) -> list[Row]:
    """1, 2 and 4 processes in one group, on a broker that lets them join together."""
    if not session.has(FASTKAFKA):
        return []
    records = session.records // 2
    ours = named(FASTKAFKA)
    with open_cluster(None, apache=True, rebalance_delay=_JOIN_SECONDS) as cluster:
        topic = cluster.create_topic("workers")
        cluster.fill(topic, records)
        return session.alternate(
            [
                (
                    row("workers", ours, str(count), records),
                    partial(_run_workers, session, cluster, topic, records, count),
                )
                for count in _cases(session, list(WORKERS))
            ],
            most=3,
        )


def _run_workers(
    session: Session, cluster: Cluster, topic: str, records: int, count: int
) -> Run:
    ours = named(FASTKAFKA)
    job = Job("worker", cluster.bootstrap, topic, records, cluster.create_group(), "")
    deadline = time.monotonic() + session.run_seconds
    with ExitStack() as stack:
        running = [
            stack.enter_context(session.process(ours, job)) for _ in range(count)
        ]
        said = {pipe: "{}" for process in running if (pipe := process.stdout)}
        while sum(json.loads(line).get("seen", 0) for line in said.values()) < records:
            for pipe in select.select(list(said), [], [], 1.0)[0]:
                said[pipe] = pipe.readline()
                if not said[pipe]:
                    raise ValueError("A worker ended before it was told to.")
            if time.monotonic() > deadline:
                raise BenchError(f"{count} workers did not end in time.")
        found = [_stop(process) for process in running]
    seen = sum(each["seen"] for each in found)
    return {
        "seconds": max(each["last"] for each in found)
        - min(each["first"] for each in found if each["seen"]),
        "cpu_seconds": sum(each["cpu_seconds"] for each in found),
        "seen": min(seen, records),
        "duplicates": max(0, seen - records),
        "busy": sum(1 for each in found if each["seen"]),
        "committed": cluster.committed(topic, job.group),
    }


def _stop(process: subprocess.Popen[str]) -> Run:
    """Tell a worker to stop; return its last word."""
    line = result_in(process.communicate()[0])
    found: Run = json.loads(line)
    return found


def _cases(session: Session, cases: list[_T]) -> list[_T]:
    """Return the cases; when it is to be quick, the first and the last."""
    return [cases[0], cases[-1]] if session.quick else cases
