"""`docs/benchmarks.md` and its charts: made of what was measured, and nothing else."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bench.figures import TITLES, draw, samples_of
from bench.measure import Row, python_seconds
from bench.misses import misses
from bench.registry import CONTENDERS
from bench.report import seen
from bench.results import Results
from bench.targets import checks, of_bare
from bench.works.profile import NEEDED, NOT_OURS

_MEGABYTE = 1e6


def write(found: Results, folder: Path) -> list[Path]:
    """Write the document and its charts; return what was written."""
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    written = []
    drawn = dict(draw(found))
    for name, svg in drawn.items():
        path = images / f"bench-{name}.svg"
        path.write_text(svg)
        written.append(path)
    document = folder / "benchmarks.md"
    document.write_text("\n".join(_document(found, drawn)).rstrip() + "\n")
    return [document, *written]


def _document(found: Results, drawn: dict[str, str]) -> Iterator[str]:
    yield "# Benchmarks"
    yield ""
    yield (
        "How fast FastKafka is, beside a loop written by hand with confluent-kafka and "
        "pydantic, and beside other Python libraries for Kafka; all measured in one "
        "run, in turn, on one machine. Figures of different machines, or of different "
        "runs, cannot be compared. This page and its charts are written by the "
        "command below."
    )
    yield ""
    yield from _where(found)
    yield from _targets(found)
    for work in ("consume", "consume-produce", "slow"):
        yield from _work(found, work, drawn)
    yield from _latency(found, drawn)
    yield from _start(found)
    yield from _scaling(found, drawn)
    yield from _memory(found, drawn)
    yield from _failures(found)
    yield from _profile(found)
    yield from _caveats(found)


def _where(found: Results) -> Iterator[str]:
    minutes = found.seconds / 60
    if found.busy:
        yield (
            "**The machine had something else to do**: take these figures as an "
            "example of what the command shows, and no more."
        )
        yield ""
    yield f"- **Date**: {found.date}"
    yield f"- **Command**: `{found.command}`; it took {minutes:.0f} minutes"
    names = {"cores": "{} cores", "memory": "{} of memory", "Python": "Python {}"}
    names["load before"] = "a load of {} before the run"
    yield "- **Machine**: " + ", ".join(
        names.get(name, "{}").format(value) for name, value in found.machine.items()
    )
    yield f"- **Broker**: {found.broker}, one, on the same machine and its cores"
    yield "- **Versions**: " + ", ".join(
        f"{name} {version}" for name, version in found.versions.items()
    )
    yield (
        f"- **Records**: {found.records:,} of about 82 bytes, JSON of four numbers, "
        "keyed `i % 997`, in 8 partitions; slow contenders get fewer, as their rows "
        "say: a rate needs seconds, not a million records"
    )
    yield (
        "- **Measured**: from the first record that is handled to the last, in a "
        f"process of its own; the median of {found.rounds} runs (of up to 3 for other "
        "libraries), and how far the fastest and the slowest are apart (spread). CPU "
        "is user and system time of that process, all its threads, "
        "for each record"
    )
    for work, why in found.skipped.items():
        yield f"- **Not measured**: {work}, {why}"
    yield ""


def _targets(found: Results) -> Iterator[str]:
    yield "## What was to be reached"
    yield ""
    made = checks(found)
    if not made:
        yield "Nothing that has a target was measured."
        yield ""
        return
    rows = [
        (check.what, check.target, check.reached, "met" if check.met else "**not met**")
        for check in made
    ]
    yield from _table(("work", "target", "reached", ""), rows, right=(1, 2))
    for text in misses(found, {check.work for check in made if not check.met}):
        yield text
        yield ""


def _work(found: Results, work: str, drawn: dict[str, str]) -> Iterator[str]:
    rows = found.of(work)
    if not rows:
        return
    yield f"## {TITLES[work]}"
    yield ""
    if work == "slow":
        yield (
            "Each handler sleeps 5 ms; 512 at once, 997 keys. The order of each key is "
            "checked while it runs."
        )
    elif work == "consume":
        yield "Every record is decoded and validated; the handler does nothing."
    else:
        yield (
            "Every record is answered with one. The time ends when the last output is "
            "acknowledged."
        )
    yield ""
    yield from _image(work, TITLES[work], drawn)
    if work == "consume":
        yield from _image("cpu", "CPU for each record", drawn)
    table = []
    for row in rows:
        beside = of_bare(found, work, row.contender)
        order = row.median("out_of_order")
        table.append(
            (
                row.name,
                f"{row.records:,}",
                "" if row.rate is None else f"{row.rate:,.0f}",
                "" if row.spread is None else f"{row.spread:.0%}",
                "" if beside is None else f"{beside:.3g} x",
                "" if row.cpu is None else f"{row.cpu:.1f}",
                _megabytes(row),
                seen(row) if not order else f"{seen(row)}; {order:,.0f} out of order",
            )
        )
    heads = (
        *("", "records", "records/s", "spread", "of bare", "CPU µs", "peak MB"),
        "records seen",
    )
    yield from _table(heads, table, right=(1, 2, 3, 4, 5, 6))


def _latency(found: Results, drawn: dict[str, str]) -> Iterator[str]:
    rows = found.of("latency")
    if not rows:
        return
    yield "## From `produce()` to the handler"
    yield ""
    yield (
        "Another process produces at a steady rate, without batching (`linger.ms=0`); "
        "both read the machine's one clock. Milliseconds. The bare loop polls one "
        "record at a time."
    )
    yield ""
    yield from _image("latency", "Latency", drawn)
    table = [
        (
            row.case,
            row.name,
            *(
                "" if (value := row.median(name)) is None else f"{value:.2f}"
                for name in ("p50", "p90", "p99", "p999")
            ),
            row.failure or "",
        )
        for row in rows
    ]
    heads = ("rate", "", "p50", "p90", "p99", "p99.9", "")
    yield from _table(heads, table, right=(2, 3, 4, 5))


def _start(found: Results) -> Iterator[str]:
    rows = found.of("start")
    if not rows:
        return
    yield "## Start"
    yield ""
    what = {"record": "to the first record"}
    table = [
        (
            row.name,
            what.get(row.case, row.case),
            "" if (wall := row.median("wall")) is None else f"{wall * 1e3:.0f}",
            row.failure or "",
        )
        for row in rows
    ]
    yield from _table(("", "", "ms", ""), table, right=(2,))
    yield (
        "Whole processes, with Python's own start. `fastkafka run` is the parent and "
        "its worker, up to the first record handled, on an embedded broker that runs "
        "already; the iris app without its model."
    )
    yield ""


def _scaling(found: Results, drawn: dict[str, str]) -> Iterator[str]:
    works = ("handlers", "partitions", "workers")
    rows = [row for work in works for row in found.of(work)]
    if not rows:
        return
    yield "## More functions, partitions, workers"
    yield ""
    yield (
        "Functions each have a topic of their own, and together always 50 partitions. "
        "Workers are processes in one group; their CPU is added up, and they share the "
        "cores with the broker."
    )
    yield ""
    yield from _image("scaling", "Scaling", drawn)
    table = [
        (
            f"{row.case} {row.work if row.case != '1' else row.work[:-1]}",
            row.name,
            "" if row.rate is None else f"{row.rate:,.0f}",
            "" if row.cpu is None else f"{row.cpu:.2f}",
            seen(row),
        )
        for row in rows
    ]
    heads = ("", "", "records/s", "CPU µs", "records seen")
    yield from _table(heads, table, right=(2, 3))


def _memory(found: Results, drawn: dict[str, str]) -> Iterator[str]:
    rows = [*found.of("memory"), *found.of("blocked")]
    if not rows:
        return
    yield "## Memory"
    yield ""
    yield (
        "Resident memory of the process, sampled ten times a second. *Blocked*: one of "
        "two partitions is blocked by its first record, with all its records behind "
        "it, while the other is consumed."
    )
    yield ""
    yield from _image("memory", "Memory", drawn)
    table = []
    for row in rows:
        samples = [size / _MEGABYTE for _, size in samples_of(row)]
        table.append(
            (
                f"{row.name}{', blocked' if row.work == 'blocked' else ''}",
                f"{row.records:,}",
                f"{max(samples):.0f}" if samples else "",
                f"{_last(samples):.0f}" if samples else "",
                row.failure or "",
            )
        )
    heads = ("", "records", "peak MB", "last quarter MB", "")
    yield from _table(heads, table, right=(1, 2, 3))


def _failures(found: Results) -> Iterator[str]:
    rows = [*found.of("failures"), *found.of("few-keys"), *found.of("slow-key")]
    if not rows:
        return
    yield "## Failures, and slow keys"
    yield ""
    yield (
        "*Fails*: the handler raises three times (`Retry(attempts=3, delay=0)`), each "
        "with a log record, and the record is parked. *Slow*: 5 ms handlers with 4 "
        "and with 997 keys; then one of the keys takes 1 s for each record, and only "
        "the records of the others count."
    )
    yield ""
    titles = {"failures": "", "few-keys": "4 keys, ", "slow-key": "997 keys, "}
    table = [
        (
            titles[row.work] + row.case,
            f"{row.records:,}",
            "" if row.rate is None else f"{row.rate:,.0f}",
            "" if row.cpu is None else f"{row.cpu:.1f}",
            row.failure or "",
        )
        for row in rows
    ]
    heads = ("", "records", "records/s", "CPU µs", "")
    yield from _table(heads, table, right=(1, 2, 3))


def _profile(found: Results) -> Iterator[str]:
    rows = [row for row in found.of("profile") if row.runs]
    if not rows:
        return
    yield "## Where a record's time goes"
    yield ""
    yield (
        "From counters of each thread (what librdkafka needs to fetch and send is the "
        "physical limit: no Python client has less), and from py-spy, which samples "
        "what holds Python's lock."
    )
    yield ""
    for row in rows:
        run = row.runs[0]
        each = 1e6 / row.records
        native = sum(t for name, t in run["threads"].items() if name.startswith("rdk:"))
        python = python_seconds(run)
        costs = {name: part * python * each for name, part in run["stages"].items()}
        needed = sum(cost for name, cost in costs.items() if name in NEEDED)
        ours = sum(cost for name, cost in costs.items() if name not in NOT_OURS)
        yield (
            f"**{row.case}**: of {(native + python) * each:.2f} µs for each record, "
            f"librdkafka's own threads take {native * each:.2f}, taking records from "
            f"it and decoding them {needed:.2f} (a loop by hand does that too), the "
            f"event loop and FastKafka {ours:.2f}."
        )
        yield ""
        table = [("librdkafka's own threads", "", f"{native * each:.2f}")]
        table += [
            (name, f"{run['stages'][name]:.0%}", f"{cost:.2f}")
            for name, cost in costs.items()
        ]
        if run.get("gc_runs"):
            text = f"in these: the garbage collector, {run['gc_runs']:,} times"
            table.append((text, "", f"{run['gc_seconds'] * each:.2f}"))
        heads = (row.case, "of Python's time", "µs for each record")
        yield from _table(heads, table, right=(1, 2))


def _caveats(found: Results) -> Iterator[str]:
    yield "## What each of them does, and does not"
    yield ""
    yield (
        "The same work is not the same promise. Each contender has the code that its "
        "documentation recommends, in [bench/contenders](../bench/contenders), with "
        "the versions of the constraints file beside it."
    )
    yield ""
    measured = {row.contender for row in found.rows}
    for contender in CONTENDERS:
        if contender.key in measured:
            yield f"- **{contender.name}**: {contender.caveat}"
    yield ""
    failed = [row for row in found.rows if row.failure]
    for row in failed:
        yield f"- Not measured: {row.work} {row.case} {row.name}. {row.failure}"
    if failed:
        yield ""


def _table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()
) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    lines = ("--:" if at in right else "---" for at in range(len(heads)))
    yield f"|{'|'.join(lines)}|"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"
    yield ""


def _image(name: str, alt: str, drawn: dict[str, str]) -> Iterator[str]:
    if name in drawn:
        yield f"![{alt}](images/bench-{name}.svg)"
        yield ""


def _last(samples: Sequence[float]) -> float:
    """Return what is usual in the last quarter: at the very end it stops."""
    return statistics.median(samples[-max(1, len(samples) // 4) :])


def _megabytes(row: Row) -> str:
    peak = row.median("peak_rss_bytes")
    return "" if peak is None else f"{peak / _MEGABYTE:.0f}"
