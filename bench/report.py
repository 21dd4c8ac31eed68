"""What was measured, as tables in the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from bench.measure import Row
from bench.registry import BARE
from bench.results import Results
from bench.targets import checks


def show(results: Results) -> None:
    """Print them: lines and colours in a terminal, plain columns in a pipe."""
    console = Console()
    style = box.SIMPLE if console.is_terminal else None
    if not console.is_terminal:
        console.width = 160
    console.print(_rows(results, style))
    found = checks(results)
    if found:
        table = Table(box=style, pad_edge=False, title_justify="left")
        for title in ("target", "", "reached", ""):
            table.add_column(title)
        for check in found:
            table.add_row(
                check.what,
                check.target,
                check.reached,
                "met" if check.met else "NOT MET",
                style=None if check.met else "red",
            )
        console.print(table)
    for work, why in results.skipped.items():
        console.print(f"Not measured: {work}, {why}.")


def _rows(results: Results, style: box.Box | None) -> Table:
    table = Table(
        box=style,
        pad_edge=False,
        caption="CPU: microseconds of the process for each record. Memory: its peak.",
        caption_justify="left",
    )
    for title in ("work", "contender"):
        table.add_column(title, no_wrap=True)
    for title in ("records", "records/s", "CPU us", "MB", "ratio"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("seen")
    for row in results.rows:
        bare = results.find(row.work, BARE, row.case)
        beside = None if bare is None or bare is row else _ratio(row, bare)
        table.add_row(
            f"{row.work} {row.case}".strip(),
            row.name,
            f"{row.records:,}",
            "" if row.rate is None else f"{row.rate:,.0f}",
            "" if row.cpu is None else f"{row.cpu:.2f}",
            _megabytes(row),
            "" if beside is None else f"{beside:.2f}",
            seen(row),
            style="red" if row.failure or _has_lost(row) else None,
        )
    return table


def seen(row: Row) -> str:
    """Return what became of the records, in a few words."""
    if row.failure:
        return row.failure
    if (p50 := row.median("p50")) is not None:
        return f"p50 {p50:.2f} ms, p99 {row.median('p99') or 0:.2f} ms"
    if (wall := row.median("wall")) is not None:
        return f"{wall * 1e3:.0f} ms"
    if row.lost:
        return f"{row.lost:,} LOST"
    return f"all, {row.duplicates:,} twice" if row.duplicates else "all"


def _ratio(row: Row, bare: Row) -> float | None:
    return row.rate / bare.rate if row.rate and bare.rate else None


def _megabytes(row: Row) -> str:
    peak = row.median("peak_rss_bytes")
    return "" if peak is None else f"{peak / 1e6:.0f}"


def _has_lost(row: Row) -> bool:
    return bool(row.runs and "seen" in row.runs[0] and row.lost)
