"""`python -m bench`: losses are noticed, and what it says is what it measured."""

from __future__ import annotations

import json
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench import (
    charts,
    child,
    cluster,
    document,
    environments,
    misses,
    results,
    targets,
    watched,
)
from bench.__main__ import main
from bench.cluster import open_cluster
from bench.guard import guard
from bench.measure import Row
from bench.registry import CONSTRAINTS, CONTENDERS, OURS
from bench.results import Results
from bench.works.profile import stages

ROOT = Path(__file__).parents[1]

Bench = Callable[..., int]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Runs the command with its arguments."""

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["bench", *arguments])
        return main()

    return run


def measured(work: str, contender: str, case: str = "", **run: Any) -> Row:
    """Return a row with one run of 1,000 records."""
    found = {
        "seconds": 1.0,
        "cpu_seconds": 1.0,
        "peak_rss_bytes": 50e6,
        "seen": 1000,
        "duplicates": 0,
        **run,
    }
    name = next((each.name for each in CONTENDERS if each.key == contender), contender)
    return Row(work, contender, name, case, 1000, [found])


def found_of(*rows: Row) -> Results:
    """Return results with these rows."""
    return Results(
        date="2026-01-02T03:04+00:00",
        command="python -m bench",
        machine={"processor": "a processor", "cores": "2"},
        versions={"FastKafka": "1.0"},
        broker="a broker",
        rounds=1,
        records=1000,
        seconds=60,
        rows=list(rows),
    )


# A run.


def test_each_contender_handles_every_record_once(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "found.json"

    code = bench(
        *("--records", "400", "--rounds", "1", "--json", str(kept)),
        *("--only", "bare,fastkafka", "--work", "consume-produce,failures"),
    )

    assert code == 0, capsys.readouterr()
    rows = json.loads(kept.read_text())["rows"]
    assert [(row["work"], row["case"], row["name"]) for row in rows] == [
        ("consume-produce", "", "bare loop"),
        ("consume-produce", "", "FastKafka"),
        ("failures", "none fails", "FastKafka"),
        ("failures", "1 % fails", "FastKafka"),
    ]
    for row in rows:
        assert row["failure"] is None
        (run,) = row["runs"]
        assert run["seen"] == run["committed"] == row["records"]
        assert run["seconds"] > 0
        assert run["cpu_seconds"] > 0
    assert [row["runs"][0]["written"] for row in rows[:2]] == [400, 400]
    assert rows[3]["runs"][0]["parked"] == 1
    shown = capsys.readouterr().out
    assert len(re.findall(r"^consume-produce .* all *$", shown, re.M)) == 2

    assert bench("--from", str(kept)) == 0
    assert capsys.readouterr().out == shown


def test_more_records_than_the_embedded_broker_keeps_are_refused(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("--records", "1000000") == 2
    assert capsys.readouterr().err == (
        "--records 1000000: the embedded broker keeps 300,000 such records. "
        "Use fewer, or `--apache`, or `--bootstrap`.\n"
    )


def test_a_broker_that_is_not_there_is_one_line(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "ANSWER_SECONDS", 0.1)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        code = bench("--bootstrap", address)

    assert code == 1
    assert capsys.readouterr().err == (
        f"No broker answers at {address}. Without `--bootstrap` one is started.\n"
    )


def test_a_contender_that_is_unknown_is_refused(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        bench("--only", "bare,nobody")
    assert "argument --only: 'nobody' is none of bare, " in capsys.readouterr().err


# What the measured process does.


def test_the_clock_goes_on_until_every_record_was_seen() -> None:
    complete: list[bool] = []
    tally = child.Tally(3, lambda: complete.append(True))

    for number in (0.0, 1.0, 1.0):
        tally.saw(number)
    assert not tally.complete

    tally.saw(0.0)
    tally.saw(2.0)
    assert complete == [True]
    assert tally.complete


def test_what_is_seen_again_counts_as_a_duplicate() -> None:
    tally = child.Tally(2, lambda: None)

    for number in (0.0, 1.0, 0.0):
        tally.saw(number)
    tally.stop()

    result = tally.result()
    assert (result["seen"], result["duplicates"]) == (2, 1)
    assert result["seconds"] > 0


def test_handlers_that_overlap_or_go_back_are_noticed() -> None:
    order = child.OrderCheck(keys=10)
    for number in (3.0, 13.0):
        order.begin(number)
        order.end(number)
    order.begin(4.0)
    assert order.broken == 0

    order.begin(14.0)  # while 4 is being handled
    order.begin(3.0)  # after 13
    assert order.broken == 2


def test_delays_are_counted_once_the_producer_was_answered(
    capsys: pytest.CaptureFixture[str],
) -> None:
    complete: list[bool] = []
    delays = child.Delays(2, lambda: complete.append(True))

    for produced_at in (0.0, 0.0, 1.0, 2.0):
        delays.saw(produced_at)

    assert capsys.readouterr().out == "ready\n"
    assert complete == [True]
    result = delays.result()
    assert result["delays"] == 2
    assert result["p50"] >= 0


# What is made of it.


def test_a_target_is_met_or_not_by_what_was_measured() -> None:
    found = found_of(
        measured("consume", "bare"),
        measured("consume", "fastkafka", seconds=1.1, cpu_seconds=1.2),
        measured("consume-produce", "bare"),
        measured("consume-produce", "fastkafka", seconds=1.5, cpu_seconds=1.6),
        measured("slow", "fastkafka", seconds=0.01, out_of_order=1),
    )

    made = [(check.target, check.reached, check.met) for check in targets.checks(found)]

    assert made == [
        ("≥ 0.95 x", "0.91 x", False),
        ("≤ 1.25 x", "1.20 x", True),
        ("≥ 0.65 x", "0.67 x", True),
        ("≤ 1.50 x", "1.60 x", False),
        ("≥ 80,000/s, in order", "100,000/s, 1 not in order", False),
    ]


def test_the_others_rate_is_compared_with_their_part_of_it() -> None:
    before = measured("few-keys", "fastkafka", "no slow key", seconds=1.0)
    after = measured("few-keys", "fastkafka", "key 0 takes 1 s", seconds=1.0)
    after.records = 750

    (check,) = targets.checks(found_of(before, after))

    assert (check.reached, check.met) == ("1.00 x", True)


def test_memory_is_flat_when_its_last_quarter_is_like_its_second() -> None:
    rising = [(at / 10, 100 + at) for at in range(100)]
    flat = [(at / 10, min(100 + at, 110)) for at in range(100)]

    growth = [
        targets.growth_of(measured("memory", "fastkafka", samples=samples))
        for samples in (rising, flat, flat[:8])
    ]

    assert growth == [pytest.approx(187 / 137 - 1), 0.0, None]


def test_what_was_lost_and_what_failed_fails_the_run() -> None:
    lost = measured("consume", "fastkafka", seen=999)
    unwritten = measured("consume-produce", "fastkafka", written=998)
    broken = Row("consume", "fastkafka", "FastKafka", failure="It broke.")
    other = Row("consume", "faust", "Faust", failure="not installed: no word")

    assert (lost.lost, unwritten.lost) == (1, 2)
    assert [found_of(row).failed for row in (lost, unwritten, broken, other)] == [
        *(True, True, True),
        False,
    ]


def test_the_document_says_what_was_measured_and_what_was_not(tmp_path: Path) -> None:
    found = found_of(
        measured("consume", "bare", seconds=0.5),
        measured("consume", "fastkafka", seconds=0.4),
        Row("consume", "faust", "Faust", records=50, failure="not installed: no word"),
        measured("latency", "fastkafka", "1,000/s", p50=0.5, p90=0.6, p99=2, p999=3),
        measured("workers", "fastkafka", "1"),
        measured("memory", "fastkafka", samples=[(0, 50_000_000), (1, 60_000_000)]),
    )
    found.skipped["blocked"] = "it is not to be had"

    written = document.write(found, tmp_path)

    text = (tmp_path / "benchmarks.md").read_text()
    assert "| FastKafka | 1,000 | 2,500 |  | 1.25 x | 1000.0 | 50 | all |\n" in text
    assert "rate ÷ the bare loop's | ≥ 0.95 x | 1.25 x | met |\n" in text
    assert "| Faust | 50 |  |  |  |  |  | not installed: no word |\n" in text
    assert "| 1,000/s | FastKafka | 0.50 | 0.60 | 2.00 | 3.00 |  |\n" in text
    assert "- **Not measured**: blocked, it is not to be had\n" in text
    images = re.findall(r"\((images/bench-.+?\.svg)\)", text)
    assert sorted(tmp_path / image for image in images) == sorted(written[1:])
    for path in written[1:]:
        ElementTree.parse(path)

    again = {path: path.read_text() for path in written}
    document.write(found, tmp_path)
    assert again == {path: path.read_text() for path in written}


def test_what_stands_between_a_miss_and_its_target_is_in_figures_of_the_run(
    tmp_path: Path,
) -> None:
    found = found_of(
        measured("slow", "fastkafka", seconds=0.02, out_of_order=0),
        measured("slow", "asyncio", seconds=0.01, cpu_seconds=0.5),
        measured("failures", "fastkafka", "none fails", seconds=1.0),
        measured("failures", "fastkafka", "1 % fails", seconds=2.0),
        measured("consume-produce", "bare"),
        measured("consume-produce", "fastkafka"),
    )

    slow, failing = misses.misses(found, {"slow", "failures"})
    document.write(found, tmp_path)

    assert "lets 100,000 of them wait" in slow
    assert "FastKafka reaches 50% of that" in slow
    assert "it takes 500.0 µs more" in slow
    assert "each takes 100,000 µs" in failing
    text = (tmp_path / "benchmarks.md").read_text()
    assert slow in text
    assert failing in text
    assert "One output for each record**" not in text, "that target is met"


def test_what_consuming_costs_is_told_by_threads_and_stages() -> None:
    of_ours = {"python 1": 0.003, "python 2": 0.001, "rdk:main 3": 5.0}
    stages = {"dispatch, slices, offsets": 0.25, "call the handler": 0.25}
    logs = {"log records, with their tracebacks": 0.5, "dead letters": 0.25}
    workers = measured("workers", "fastkafka", "2")
    found = found_of(
        measured("consume", "fastkafka", threads=of_ours),
        measured("consume", "bare", threads={"python 1": 0.002}),
        measured("profile", "fastkafka", "consume", threads=of_ours, stages=stages),
        measured("failures", "fastkafka", "none fails", seconds=1.0),
        measured("failures", "fastkafka", "1 % fails", seconds=1.002),
        measured("profile", "fastkafka", "failures", threads=of_ours, stages=logs),
        *(
            measured("latency", who, case, p50=p50)
            for case in ("100/s", "1,000/s")
            for who, p50 in (("bare", 1.0), ("fastkafka", 1.25))
        ),
        *(
            measured("partitions", who, case, cpu_seconds=cpu)
            for who, costs in (("bare", (2.0, 3.0)), ("fastkafka", (2.0, 2.5)))
            for case, cpu in zip(("1", "200"), costs, strict=True)
        ),
        replace(workers, runs=[*workers.runs, {**workers.runs[0], "cpu_seconds": 1.5}]),
        measured("start", "bare", "import", wall=0.1),
        measured("start", "bare", "import, and a first model", wall=0.175),
    )

    works = ("consume", "latency", "start", "failures", "partitions", "workers")
    consuming, latency, start, failing, partitions, more_workers = misses.misses(
        found, works
    )

    assert "polls, 4.00 µs for each record, in the bare loop its only one, 2.00" in (
        consuming
    )
    assert "is 2.00 µs of it" in consuming
    assert "the median is 0.25 ms at 100/s and 0.25 ms at 1,000/s above" in latency
    assert "the log records take 200 µs" in failing
    assert "about retries 0, dead letters 100;" in failing
    assert "takes +500.00 µs of CPU in FastKafka and +1000.00 µs in" in partitions
    assert "first model, 75 ms here" in start
    assert "nothing of FastKafka, takes 175." in start
    assert "workers are up to 50% apart" in more_workers


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    found = found_of(measured("consume", "bare"))
    found.write(tmp_path / "found.json")

    assert results.read(tmp_path / "found.json") == found


def test_names_are_escaped_in_charts() -> None:
    svg = charts.bars("<a> & b", "", [charts.Bar("list[<Iris>]", 1.0, "1")])

    texts = [each.text for each in ElementTree.fromstring(svg).iter() if each.text]
    assert "list[<Iris>]" in texts
    assert "<a> & b" in texts


def test_a_stack_belongs_to_the_innermost_stage() -> None:
    root = "thread (1);_run_once (asyncio/base_events.py:1)"
    found = stages(
        f"{root};_work (src/fastkafka/engine/lanes.py:1);h (x/bench/child.py:1) 3\n"
        f"{root};_work (src/fastkafka/engine/lanes.py:1) 1\n"
        f"{root};_log (x/engine/recovery.py:1);emit (py/logging/x.py:1) 4\n"
        "<module> (app.py:1);consume (x/bench/child.py:1) 96\n"
    )

    assert found == {
        "log records, with their tracebacks": 0.5,
        "the handler itself, which is the bench's": 0.375,
        "dispatch, slices, offsets": 0.125,
    }


@pytest.mark.parametrize(
    ("ratios", "good", "tries"),
    [([0.9, 0.6], True, 2), ([0.5, 0.84, 0.86, 0.6], True, 4), ([0.84] * 6, False, 6)],
)
def test_the_best_of_five_tries_counts(
    ratios: list[float], good: bool, tries: int
) -> None:
    waiting: Iterator[float] = iter(ratios)
    said: list[str] = []

    assert guard(lambda _: next(waiting), said.append) is good
    tried = [line for line in said if "try" in line]
    assert len(tried) == tries
    if not good:
        assert said[5] == "consume: 0.84 times the bare loop's rate is too slow."


# Environments.


def test_constraints_are_names_and_versions() -> None:
    wanted = {each.environment for each in CONTENDERS} - {OURS}
    assert {path.stem for path in CONSTRAINTS.glob("*.txt")} == wanted
    for contender in CONTENDERS:
        if contender.environment != OURS:
            pins = environments.constraints(contender.environment)
            assert contender.package in pins
            assert all(re.fullmatch(r"[0-9][\w.]*", pin) for pin in pins.values())


def test_an_environment_that_cannot_be_made_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("FASTKAFKA_CACHE", str(file))

    with pytest.raises(environments.NotInstalledError, match="Not a directory"):
        environments.python_of("aiokafka")


# Being watched.


def test_each_way_of_being_watched_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)  # no browser
    said: list[str] = []
    with open_cluster(None, apache=False) as cluster:
        found = watched.measure(cluster, 2000, 1, said.append)

    assert list(found) == ["without --http", "with --http", "scraped", "viewed"]
    assert all(rate > 0 and cpu > 0 for rate, cpu in found.values())
    assert len(said) == 4


@pytest.mark.parametrize(
    ("viewed", "scraped", "met"),
    [
        (96.0, 1.1, [True, True]),
        (94.0, 1.0, [False, True]),
        (100.0, 1.2, [True, False]),
    ],
)
def test_what_being_watched_may_cost(
    viewed: float, scraped: float, met: list[bool]
) -> None:
    found = {
        "without --http": (100.0, 1.0),
        "viewed": (viewed, 1.0),
        "scraped": (100.0, scraped),
    }
    assert [verdict for verdict, _ in watched.verdicts(found)] == met
