"""Which charts there are of what was measured; `charts.py` draws them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench import charts
from bench.measure import Row
from bench.registry import BARE, CONTENDERS, FASTKAFKA, named
from bench.results import Results
from bench.works.latency import RATES

_MEGABYTE = 1e6

TITLES = {
    "consume": "Consume and validate",
    "consume-produce": "Consume and produce",
    "slow": "Handlers that wait",
}


def draw(found: Results) -> Iterator[tuple[str, str]]:
    """Return the name and the SVG of each chart for which there are figures."""
    for work, title in TITLES.items():
        made = [
            charts.Bar(row.name, row.rate, f"{row.rate:,.0f}", _style(row))
            for row in found.of(work)
            if row.rate
        ]
        if made:
            made.sort(key=lambda bar: -bar.value)
            note = "records per second, more is better"
            yield work, charts.bars(f"{title}: records per second", note, made)
    yield from _cpu_chart(found)
    yield from _latency_chart(found)
    yield from _scaling_chart(found)
    yield from _memory_chart(found)


def _cpu_chart(found: Results) -> Iterator[tuple[str, str]]:
    made = []
    for contender in CONTENDERS:
        rows = [
            row if row is not None and row.cpu else None
            for row in (
                found.find("consume", contender.key),
                found.find("consume-produce", contender.key),
            )
        ]
        shown = next((row for row in rows if row is not None), None)
        if shown is None:
            continue
        low, high = (None if row is None else row.cpu for row in rows)
        text = " / ".join(f"{cost:.1f} µs" for cost in (low, high) if cost is not None)
        made.append(charts.Range(shown.name, low, high, text, _style(shown)))
    if made:
        made.sort(key=lambda each: each.low or each.high or 0)
        note = "µs, logarithmic, less is better; filled: consume, hollow: and produce"
        yield "cpu", charts.ranges("CPU time for each record", note, made)


def _latency_chart(found: Results) -> Iterator[tuple[str, str]]:
    case = f"{max(RATES):,}/s"
    made = []
    for row in found.of("latency"):
        p50, p99 = row.median("p50"), row.median("p99")
        if row.case == case and p50 and p99:
            text = f"{p50:.2f} / {p99:.2f} ms"
            made.append(charts.Range(row.name, p50, p99, text, _style(row)))
    if made:
        made.sort(key=lambda each: each.low or 0)
        note = "ms, logarithmic, less is better; filled: half of them, hollow: 99 %"
        title = f"From produce() to the handler, at {case}"
        yield "latency", charts.ranges(title, note, made)


def _scaling_chart(found: Results) -> Iterator[tuple[str, str]]:
    panels = []
    for work in ("handlers", "partitions", "workers"):
        lines = []
        cases = list(dict.fromkeys(row.case for row in found.of(work) if row.cpu))
        for key, style in ((BARE, "bare"), (FASTKAFKA, "ours")):
            rows = [r for r in found.of(work) if r.contender == key and r.cpu]
            points = [(float(cases.index(row.case)), row.cpu or 0.0) for row in rows]
            if points:
                lines.append(charts.Curve(named(key).name, points, style))
        if lines:
            title = {"handlers": "functions"}.get(work, work)
            ticks = [(float(at), case) for at, case in enumerate(cases)]
            panels.append(charts.Panel(title, lines, ticks))
    if panels:
        note = "µs, by how many there are; a flat line is the aim"
        yield "scaling", charts.curves("CPU time for each record", note, panels)


def _memory_chart(found: Results) -> Iterator[tuple[str, str]]:
    lines = []
    for work, key, style in (
        ("memory", BARE, "bare"),
        ("memory", FASTKAFKA, "ours"),
        ("blocked", FASTKAFKA, "third"),
    ):
        row = found.find(work, key)
        if row is None or not samples_of(row):
            continue
        end = samples_of(row)[-1][0] or 1
        points = [(at / end * 100, size / _MEGABYTE) for at, size in samples_of(row)]
        what = ", blocked" if work == "blocked" else f", {row.records:,} records"
        lines.append(
            charts.Curve(row.name + what, points[:: len(points) // 150 + 1], style)
        )
    if lines:
        ticks = [(at, f"{at:.0f} %") for at in (0.0, 25.0, 50.0, 75.0, 100.0)]
        note = "MB, sampled ten times a second, by how much of the run is over"
        panel = charts.Panel("", lines, ticks)
        yield "memory", charts.curves("Resident memory", note, [panel])


def samples_of(row: Row) -> Sequence[tuple[float, int]]:
    """Return a row's samples of memory: seconds, and bytes."""
    return row.runs[0].get("samples", ()) if row.runs else ()


def _style(row: Row) -> str:
    first = row.contender.split("-")[0]
    return {BARE: "bare", FASTKAFKA: "ours"}.get(first, "other")
