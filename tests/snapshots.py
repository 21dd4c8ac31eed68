"""Snapshots made up for tests."""

from __future__ import annotations

from typing import Any

from fastkafka.observe.snapshot import (
    BUCKETS,
    Function,
    Member,
    Partition,
    Problem,
    Producing,
    Snapshot,
)


def buckets(*counts: int) -> list[int]:
    """Return a histogram of which only the first counts are not 0."""
    return [*counts, *[0] * (len(BUCKETS) + 1 - len(counts))]


def snapshot(pid: int = 11, *, handled: int = 5, **fields: Any) -> Snapshot:
    """Return what a worker says that reads orders and writes invoices."""
    made: dict[str, Any] = {
        "time": 1000.0,
        "functions": [
            Function(
                "shop.on_orders",
                "shop",
                ["orders"],
                "key",
                concurrency=4,
                busy=2,
                waiting=3,
                handled=handled,
                retries={"2": 2},
                failed={"ValueError": 3},
                parked={"ValueError": 1},
                seconds=0.25,
                buckets=buckets(handled),
                decode_seconds=0.125,
                oldest=1.5,
            )
        ],
        "partitions": [partition(0)],
        "members": [Member("shop", ["orders"], assigned=1, rebalances=1, commits=7)],
        "producing": [Producing("shop.to_invoices", "invoices", sent=9, queued=1)],
        "edges": [("shop.on_orders", "invoices")],
        "loop_lag": 0.5,
    }
    return Snapshot(pid=pid, **{**made, **fields})


def partition(number: int, **fields: Any) -> Partition:
    """Return a partition of orders with some lag."""
    made = {"committed": 10, "position": 14, "end": 20, "lag": 10, "lag_seconds": 2.5}
    return Partition("orders", number, "shop", **{**made, **fields})


def problem(kind: str = "no_broker", **fields: Any) -> Problem:
    """Return a problem that makes a worker unready."""
    made = {"what": "kafka:9092", "text": "No broker answers.", "ready": False}
    return Problem(kind, since=900.0, **{**made, **fields})
