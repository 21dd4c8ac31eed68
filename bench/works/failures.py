"""What retries and dead letters cost the records that do not fail."""

from __future__ import annotations

from functools import partial

from bench.cluster import BenchError
from bench.measure import Row, Run, Session, row
from bench.registry import FASTKAFKA, named

EVERY = 100
WITHOUT, WITH = "none fails", "1 % fails"


def failures(session: Session) -> list[Row]:
    """Let no record fail; then each hundredth, three times, and park it."""
    if not session.has(FASTKAFKA):
        return []
    ours = named(FASTKAFKA)
    records = session.records // 4
    return session.alternate(
        [
            (
                row("failures", ours, case, records),
                partial(_run, session, records, every),
            )
            for case, every in ((WITHOUT, 0), (WITH, EVERY))
        ]
    )


def _run(session: Session, records: int, every: int) -> Run:
    topic = session.cluster.create_topic("failing")
    session.cluster.fill(topic, records)
    parked = session.cluster.create(f"{topic}-dlt", 1)
    run = session.run(
        *(named(FASTKAFKA), "failures", topic, records), options={"every": every}
    )
    expected = len(range(0, records, every)) if every else 0
    found = session.cluster.written(parked)
    if found != expected:
        raise BenchError(f"{found:,} records were parked, not {expected:,}.")
    return {**run, "parked": found}
