"""What was measured, as a table and as JSON."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import confluent_kafka
from rich import box
from rich.console import Console
from rich.table import Table

from bench.measure import CONTENDERS, Row


def ratio(row: Row, rows: Sequence[Row]) -> float | None:
    """Return a row's rate beside the first contender's; None for that one itself."""
    if row.contender is CONTENDERS[0]:
        return None
    (first,) = (
        each
        for each in rows
        if each.work is row.work and each.contender is CONTENDERS[0]
    )
    return row.rate / first.rate


def show(rows: Sequence[Row]) -> None:
    """Print a table: lines and colours in a terminal, plain columns in a pipe."""
    console = Console()
    table = Table(
        box=box.SIMPLE if console.is_terminal else None,
        pad_edge=False,
        caption="CPU: microseconds of the process for each record. Memory: its peak.",
        caption_justify="left",
    )
    for title in ("work", "contender"):
        table.add_column(title, no_wrap=True)
    for title in ("records/s", "CPU us", "MB", "ratio", "target"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("seen", no_wrap=True)
    for row in rows:
        beside = ratio(row, rows)
        met = beside is None or beside >= row.work.target
        table.add_row(
            row.work.name,
            row.contender.name,
            f"{row.rate:,.0f}",
            f"{row.cpu:.2f}",
            f"{row.peak_rss:.0f}",
            "" if beside is None else f"{beside:.2f}",
            "" if beside is None else f">= {row.work.target:.2f}",
            _seen(row),
            style=None if met and not row.lost else "red",
        )
    console.print(table)


def as_json(rows: Sequence[Row], broker: str, partitions: int) -> dict[str, Any]:
    """Return everything: the rows with their runs, and where they were measured."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "versions": {
            "python": platform.python_version(),
            "librdkafka": confluent_kafka.libversion()[0],
            **{
                name: importlib.metadata.version(name)
                for name in ("confluent-kafka", "fastkafka", "pydantic")
            },
        },
        "broker": broker,
        "partitions": partitions,
        "rows": [
            {
                "work": row.work.name,
                "contender": row.contender.name,
                "records": row.records,
                "records_per_second": row.rate,
                "cpu_us_per_record": row.cpu,
                "peak_rss_mb": row.peak_rss,
                "ratio": ratio(row, rows),
                "target": row.work.target,
                "lost": row.lost,
                "duplicates": row.duplicates,
                "runs": [asdict(run) for run in row.runs],
            }
            for row in rows
        ],
    }


def _seen(row: Row) -> str:
    if row.lost:
        return f"{row.lost:,} LOST"
    return f"all, {row.duplicates:,} twice" if row.duplicates else "all"
