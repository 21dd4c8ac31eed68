"""How far each group's partitions are behind, and when they will have caught up."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from fastkafka.observe.snapshot import Partition
from fastkafka.tools.lag import Lag, lags
from fastkafka.web.board import Place
from fastkafka.web.console import Console

STEADY = 0.5
"""Records a second; a lag that changes by less neither grows nor shrinks."""


async def lag_rows(console: Console) -> dict[str, Any]:
    """Return every partition of every group of the app, the worst first.

    The cluster says what is committed and where partitions end, whoever reads them; the
    workers say who has them and how fast they go.

    Raises:
        FastKafkaError: No broker says.
    """
    topics = await console.topics()
    found = await console.desk.ask(lambda clusters: lags(topics, clusters))
    owned: dict[Place, tuple[int, Partition]] = {
        (p.group, p.topic, p.partition): (snapshot.worker, p)
        for snapshot in console.snapshots
        for p in snapshot.partitions
    }
    paused = {
        function.name
        for snapshot in console.snapshots
        for function in snapshot.functions
        if function.paused
    }
    rows = [_row(console, lag, owned, paused) for lag in found]
    rows.sort(key=lambda row: (-row["lag"], row["topic"], row["partition"]))
    return {
        "groups": sorted({row["group"] for row in rows}),
        "owned": sum(row["worker"] is not None for row in rows),
        "rows": rows,
    }


def _row(
    console: Console,
    lag: Lag,
    owned: Mapping[Place, tuple[int, Partition]],
    paused: Collection[str],
) -> dict[str, Any]:
    place = (lag.group, lag.topic, lag.partition)
    worker, partition = owned.get(place, (None, None))
    growth = console.board.growth(place)
    drains = None
    rate = console.board.rate(place)
    if lag.records and growth is not None:
        if growth < -STEADY:
            drains = round(lag.records / -growth, 1)
        elif growth <= STEADY and rate and lag.records <= rate:
            drains = round(lag.records / rate, 1)  # what waits is what is on its way
    return {
        "topic": lag.topic,
        "group": lag.group,
        "partition": lag.partition,
        "lag": lag.records,
        "age": None if lag.seconds is None else round(lag.seconds, 1),
        "rate": rate,
        "growth": None if growth is None else round(growth, 1),
        "drains": drains,
        "grows": growth is not None and growth > STEADY and lag.records > 0,
        "committed": lag.committed,
        "end": lag.end,
        "worker": worker,
        "state": "elsewhere"
        if partition is None
        else ("paused" if partition.paused else "running"),
        "in_flight": 0 if partition is None else partition.in_flight,
        "paused_for": [] if partition is None else list(partition.paused_for),
        "functions": [
            {"name": name, "paused": name in paused} for name in lag.functions
        ],
    }
