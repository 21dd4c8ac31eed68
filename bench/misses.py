"""What stands between a target and what was reached, in figures of the same run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from bench.measure import Row
from bench.registry import ASYNCIO, BARE, FASTKAFKA
from bench.results import Results
from bench.works import failures, start


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
        f"that is acknowledged. {most:,.0f} µs would be within the target."
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
        "compares what both take then."
    )


_EXPLANATIONS: dict[str, Callable[[Results], str | None]] = {
    "consume-produce": _produce,
    "slow": _slow,
    "start": _start,
    "failures": _failures,
}


def _both(
    results: Results, work: str, one: str, other: str
) -> tuple[Row | None, Row | None]:
    return results.find(work, one), results.find(work, other)


def _cpu(row: Row) -> float:
    return row.cpu or 0.0
