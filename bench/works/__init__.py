"""What is measured: functions of a session that return rows, a module for each kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.measure import Row, Session
from bench.works import failures, latency, memory, profile, scaling, start, throughput


@dataclass(frozen=True)
class Work:
    """Something to measure.

    Attributes:
        name: For the command line.
        measure: Does it.
        embedded: It can be done on the embedded broker, which keeps little.
    """

    name: str
    measure: Callable[[Session], list[Row]]
    embedded: bool = True


WORKS = (
    Work("consume", throughput.consume),
    Work("consume-produce", throughput.consume_and_produce),
    Work("slow", throughput.slow),
    Work("few-keys", throughput.few_keys),
    Work("slow-key", throughput.slow_key),
    Work("latency", latency.latency),
    Work("start", start.start),
    Work("failures", failures.failures),
    Work("handlers", scaling.handlers, embedded=False),
    Work("partitions", scaling.partitions, embedded=False),
    Work("workers", scaling.workers, embedded=False),
    Work("memory", memory.memory, embedded=False),
    Work("blocked", memory.blocked, embedded=False),
    Work("profile", profile.profile),
)
