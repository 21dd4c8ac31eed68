"""What stands between a target and what was reached, in figures of the same run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from statistics import median

from bench.measure import Row, python_seconds
from bench.registry import ASYNCIO, BARE, FASTKAFKA
from bench.results import Results
from bench.works import failures, latency, profile, start


def misses(results: Results, works: Collection[str]) -> Iterator[str]:
    """Return a paragraph for each work whose targets are not met.

    Args:
        results: What was measured.
        works: Those works.
    """
    for work, explain in _EXPLANATIONS.items():
        text = explain(results) if work in works else None
        if text:
            yield text


def _consume(results: Results) -> str | None:
    ours, bare = _both(results, "consume", FASTKAFKA, BARE)
    if ours is None or bare is None:
        return None
    text = (
        "**Consuming**: Python's lock lets one thread compute at a time, so the rate "
        "is what Python's threads take together: in FastKafka the event loop and the "
        f"thread that polls, {_of_python(ours):.2f} µs for each record, in the bare "
        f"loop its only one, {_of_python(bare):.2f} µs (medians)."
    )
    profiled = results.find("profile", FASTKAFKA, "consume")
    if profiled is not None:
        most = _stage(profiled, profile.DISPATCH, profile.CALL)
        text += (
            f" What the bare loop has not, order, offsets, slices and the call of the "
            f"handler, is {most:.2f} µs of it in the profile below. The spread shows "
            "how much of the rest is the machine's: threads of the broker, of "
            "librdkafka and of Python share its cores."
        )
    return text


def _produce(results: Results) -> str | None:
    ours, bare = _both(results, "consume-produce", FASTKAFKA, BARE)
    if ours is None or bare is None or not ours.cpu or not bare.cpu:
        return None
    return (
        f"**One output for each record** costs {ours.cpu - bare.cpu:.1f} µs more than "
        "in the bare loop. Most of it is a call of Python for each acknowledgement, "
        "with a message object that the client makes for it, and the producing "
        "function's own call; the bare loop asks for no acknowledgements and flushes. "
        "FastKafka takes each one because a refused output is the failure of the "
        "record that it was produced for, and because the client calls some records "
        "delivered that have got no offset. One call for a batch of them, as in "
        "librdkafka's C interface, would save most of it; confluent-kafka has none."
    )


def _slow(results: Results) -> str | None:
    ours, alone = _both(results, "slow", FASTKAFKA, ASYNCIO)
    if ours is None or alone is None or not ours.rate or not alone.rate:
        return None
    return (
        f"**Handlers that wait**: asyncio alone, with 512 tasks, the same handler and "
        f"no Kafka, lets {alone.rate:,.0f} of them wait in a second on this machine; "
        f"FastKafka reaches {ours.rate / alone.rate:.0%} of that. For each record it "
        f"takes {_cpu(ours) - _cpu(alone):.1f} µs more than asyncio alone: to read it, "
        "to find its key's lane, and to finish it by itself. The event loop is at its "
        "end then; more takes more workers."
    )


def _failures(results: Results) -> str | None:
    before = results.find("failures", FASTKAFKA, failures.WITHOUT)
    after = results.find("failures", FASTKAFKA, failures.WITH)
    if before is None or after is None or not before.rate or not after.rate:
        return None
    each = (1 / after.rate - 1 / before.rate) * failures.EVERY * 1e6
    most = (1 / (0.8 * before.rate) - 1 / before.rate) * failures.EVERY * 1e6
    return (
        f"**Failing records**: each takes {each:,.0f} µs: three calls that raise, "
        "three log records with their tracebacks, and a dead letter with its headers "
        f"that is acknowledged. {most:,.0f} µs would be within the target"
        + _where_failing_goes(results)
    )


def _where_failing_goes(results: Results) -> str:
    profiled = results.find("profile", FASTKAFKA, "failures")
    if profiled is None:
        return "."
    logs, retries, letters = (
        _stage(profiled, stage) * failures.EVERY
        for stage in (profile.LOG, profile.RETRIES, profile.DEAD_LETTERS)
    )
    return (
        f". In the profile below the log records take {logs:,.0f} µs, what decides "
        f"about retries {retries:,.0f}, dead letters {letters:,.0f}; the rest is the "
        "calls, and the slices and the turns of the event loop that are theirs. Who "
        "fails that often and does not want to read why sets the level of "
        "`fastkafka.engine.recovery`."
    )


def _latency(results: Results) -> str | None:
    each = []
    for rate in latency.RATES:
        case = f"{rate:,}/s"
        ours, bare = (results.find("latency", who, case) for who in (FASTKAFKA, BARE))
        if ours is None or bare is None:
            return None
        more = (ours.median("p50") or 0) - (bare.median("p50") or 0)
        each.append(f"{more:.2f} ms at {case}")
    return (
        f"**From `produce()` to the handler**: the median is {' and '.join(each)} "
        "above the bare loop's. The record goes from the thread that polls to the "
        "event loop, which has to wake up for it; the bare loop has one thread."
    )


def _start(results: Results) -> str | None:
    bare = results.find("start", BARE, start.IMPORT)
    model = results.find("start", BARE, start.WITH_MODEL)
    if bare is None or model is None:
        return None
    first = ((model.median("wall") or 0) - (bare.median("wall") or 0)) * 1e3
    return (
        f"**Imports**: pydantic loads most of itself with the first model, {first:.0f} "
        "ms here. Every app with a model pays that; the line with a first model "
        "compares what both take then. The limits in milliseconds are for a machine "
        "of any speed: on this one the import of the client and pydantic with a first "
        f"model, nothing of FastKafka, takes {(model.median('wall') or 0) * 1e3:.0f}."
    )


def _scaling(work: str, what: str, results: Results) -> str | None:
    ours, bare = (
        [row.cpu for row in results.of(work) if row.contender == who and row.cpu]
        for who in (FASTKAFKA, BARE)
    )
    if not ours or not bare:
        return None
    return (
        f"**More {what}**: from the fewest to the most of them, a record takes "
        f"{ours[-1] - ours[0]:+.2f} µs of CPU in FastKafka and "
        f"{bare[-1] - bare[0]:+.2f} µs in the bare loop: records come in more and "
        "smaller pieces. What the bare loop pays too is the client's, and the "
        "machine's, whose noise is in both."
    )


def _workers(results: Results) -> str | None:
    ours = results.of("workers")
    apart = max((_cpu_spread(row) for row in ours), default=0.0)
    if not apart:
        return None
    return (
        "**More workers**: they share the cores with the broker and with each other. "
        f"Runs of the same number of workers are up to {apart:.0%} apart in their "
        "CPU here; a difference between the numbers that is no larger says little."
    )


_EXPLANATIONS: dict[str, Callable[[Results], str | None]] = {
    "consume": _consume,
    "consume-produce": _produce,
    "slow": _slow,
    "latency": _latency,
    "start": _start,
    "failures": _failures,
    "handlers": partial(_scaling, "handlers", "functions"),
    "partitions": partial(_scaling, "partitions", "partitions"),
    "workers": _workers,
}


def _both(
    results: Results, work: str, one: str, other: str
) -> tuple[Row | None, Row | None]:
    return results.find(work, one), results.find(work, other)


def _cpu(row: Row) -> float:
    return row.cpu or 0.0


def _cpu_spread(row: Row) -> float:
    """Return how far the runs of a row are apart, as a part of the cheapest."""
    found = [run["cpu_seconds"] for run in row.runs]
    return max(found) / min(found) - 1 if found else 0.0


def _of_python(row: Row) -> float:
    """Return what Python's threads take of the CPU for a record, in µs."""
    return median(python_seconds(run) for run in row.runs) / row.records * 1e6


def _stage(row: Row, *names: str) -> float:
    """Return what stages of a profile take for a record, in µs."""
    run = row.runs[0]
    part = sum(run["stages"].get(name, 0.0) for name in names)
    return float(part * python_seconds(run) / row.records * 1e6)
