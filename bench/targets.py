"""What FastKafka has to reach, and whether it did: computed from what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.measure import Row
from bench.registry import BARE, FASTKAFKA
from bench.results import Results
from bench.works import failures, start, throughput
from bench.works.latency import RATES

WITHIN = 0.2
"""By how much a record may cost more with many than with few."""

FLAT = 0.05
"""By how much memory may grow from the second quarter of the records to the last."""

_SAMPLES = 60
"""With fewer, six seconds, the start is most of what is seen."""

_MEGABYTE = 1e6


@dataclass(frozen=True)
class Check:
    """One target.

    Attributes:
        work: What is looked at.
        what: What is compared, for people.
        target: What is to be reached.
        reached: What was; both for people.
        met: Whether it is.
    """

    work: str
    what: str
    target: str
    reached: str
    met: bool


def checks(results: Results) -> list[Check]:
    """Return the targets for which there are figures."""
    found: list[Check] = []
    for make in (_rates, _slow, _others, _latency, _start, _memory, _scaling, _fail):
        found += make(results)
    return found


def of_bare(
    results: Results, work: str, contender: str, case: str = ""
) -> float | None:
    """Return a contender's rate as a part of the bare loop's in the same run."""
    ours, bare = results.find(work, contender, case), results.find(work, BARE, case)
    if ours is None or bare is None or not ours.rate or not bare.rate:
        return None
    return ours.rate / bare.rate


def _rates(results: Results) -> Iterator[Check]:
    for work, contender, what, least, most in (
        ("consume", FASTKAFKA, "pydantic, defaults", 0.95, 1.25),
        ("consume", "fastkafka-msgspec", "a `msgspec.Struct`", 1.0, None),
        ("consume", "fastkafka-batch", "a batch handler `list[Iris]`", 1.0, None),
        ("consume-produce", FASTKAFKA, "one output for each record", 0.65, 1.5),
    ):
        rate = of_bare(results, work, contender)
        if rate is None:
            continue
        yield _at_least(work, f"{what}: rate ÷ the bare loop's", rate, least, "x")
        ours, bare = results.find(work, contender), results.find(work, BARE)
        if most and ours and bare and ours.cpu and bare.cpu:
            what = f"{what}: CPU per record ÷ the bare loop's"
            yield _at_most(work, what, ours.cpu / bare.cpu, most, "x")


def _slow(results: Results) -> Iterator[Check]:
    ours = results.find("slow", FASTKAFKA)
    if ours is not None and ours.rate:
        rate, least = ours.rate, 80_000
        broken = max(run["out_of_order"] for run in ours.runs)
        order = f"{broken:,} not in order" if broken else "in order"
        yield Check(
            "slow",
            "5 ms handlers, 997 keys, 512 at once",
            f"≥ {least:,}/s, in order",
            f"{rate:,.0f}/s, {order}",
            rate >= least and not broken,
        )


def _others(results: Results) -> Iterator[Check]:
    for work, keys in (("few-keys", throughput.FEW_KEYS), ("slow-key", 0)):
        before = results.find(work, FASTKAFKA, throughput.WITHOUT)
        after = results.find(work, FASTKAFKA, throughput.WITH)
        if before is None or after is None or not before.rate or not after.rate:
            continue
        # Without the slow key, the others have their part of the rate.
        part = after.records / before.records
        kept = after.rate / (before.rate * part)
        keys_text = f"{keys} keys" if keys else "997 keys"
        what = f"{keys_text}, one of them takes 1 s: the others' rate ÷ theirs without"
        yield _at_least(work, what, kept, 0.95, "x")


def _latency(results: Results) -> Iterator[Check]:
    for rate in RATES:
        case = f"{rate:,}/s"
        ours, bare = (results.find("latency", who, case) for who in (FASTKAFKA, BARE))
        if ours is None or bare is None:
            continue
        p50, p99 = (ours.median(at) or 0.0 for at in ("p50", "p99"))
        bare50, bare99 = (bare.median(at) or 0.0 for at in ("p50", "p99"))
        most = bare50 + 0.15
        yield _at_most(
            "latency", f"{case}: p50 (the bare loop's + 0.15)", p50, most, "ms"
        )
        most = max(2.0, bare99)
        yield _at_most(
            "latency", f"{case}: p99 (2, or the bare loop's)", p99, most, "ms"
        )


def _start(results: Results) -> Iterator[Check]:
    for case, what in (
        (
            start.IMPORT,
            "`from fastkafka import FastKafka` ÷ `import confluent_kafka, pydantic`",
        ),
        (start.WITH_MODEL, "the same, each with a first pydantic model"),
    ):
        ours = results.find("start", FASTKAFKA, case)
        bare = results.find("start", BARE, case)
        if ours and bare:
            ratio = (ours.median("wall") or 0) / (bare.median("wall") or 1)
            yield _at_most("start", what, ratio, 1.5, "x")
    helped = results.find("start", FASTKAFKA, "command")
    if helped:
        milliseconds = (helped.median("wall") or 0) * 1e3
        yield _at_most("start", "`fastkafka --help`", milliseconds, 250, "ms", 0)
    started = results.find("start", FASTKAFKA, "record")
    if started:
        what = "`fastkafka run` to the first record, embedded broker"
        yield _at_most("start", what, started.median("wall") or 0, 0.5, "s")


def _memory(results: Results) -> Iterator[Check]:
    many = results.find("memory", FASTKAFKA)
    if many is not None and (growth := growth_of(many)) is not None:
        what = f"memory over {many.records:,} records: growth in the last half"
        yield _at_most("memory", what, growth * 100, FLAT * 100, "%", 1)
    blocked = results.find("blocked", FASTKAFKA)
    if blocked is not None:
        most = max(size for _, size in blocked.runs[0]["samples"]) / _MEGABYTE
        what = f"memory, one partition blocked with {blocked.records:,} records behind"
        yield _at_most("blocked", what, most, 150, "MB", 0)


def growth_of(row: Row) -> float | None:
    """Return how much memory grew from the second quarter of a run to the last."""
    samples = [size for _, size in row.runs[0].get("samples", ())]
    if len(samples) < _SAMPLES:
        return None
    quarter = len(samples) // 4
    early = sorted(samples[quarter : 2 * quarter])[quarter // 2]
    late = sorted(samples[-quarter:])[quarter // 2]
    return float(late / early - 1)


def _scaling(results: Results) -> Iterator[Check]:
    for work, what in (
        ("handlers", "functions"),
        ("partitions", "partitions"),
        ("workers", "workers"),
    ):
        ours = _costs(results, work, FASTKAFKA)
        if len(ours) < 2:
            continue
        cases = ", ".join(row.case for row in results.of(work) if _is_ours(row))
        what = f"{cases} {what}: CPU per record, dearest ÷ cheapest - 1"
        bare = _costs(results, work, BARE)
        if len(bare) > 1:
            what += f" (the bare loop's: {_apart(bare):.0f} %)"
        yield _at_most(work, what, _apart(ours), WITHIN * 100, "%", 0)


def _costs(results: Results, work: str, contender: str) -> list[float]:
    rows = (row for row in results.of(work) if row.contender == contender)
    return [row.cpu for row in rows if row.cpu]


def _apart(costs: list[float]) -> float:
    """Return how much more the dearest costs than the cheapest, in percent."""
    return (max(costs) / min(costs) - 1) * 100


def _is_ours(row: Row) -> bool:
    return row.contender == FASTKAFKA and row.cpu is not None


def _fail(results: Results) -> Iterator[Check]:
    before = results.find("failures", FASTKAFKA, failures.WITHOUT)
    after = results.find("failures", FASTKAFKA, failures.WITH)
    if before and after and before.rate and after.rate:
        what = "1 % of the records retried twice and parked: rate ÷ without"
        yield _at_least("failures", what, after.rate / before.rate, 0.8, "x")


def _at_least(work: str, what: str, value: float, least: float, unit: str) -> Check:
    return Check(
        work, what, f"≥ {least:.2f} {unit}", f"{value:.2f} {unit}", value >= least
    )


def _at_most(
    work: str, what: str, value: float, most: float, unit: str, digits: int = 2
) -> Check:
    return Check(
        work,
        what,
        f"≤ {most:.{digits}f} {unit}",
        f"{value:.{digits}f} {unit}",
        value <= most,
    )
