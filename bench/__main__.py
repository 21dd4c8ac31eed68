"""`python -m bench`: see the package's docstring."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Collection
from pathlib import Path

from bench import report, results
from bench.cluster import (
    EMBEDDED_MOST,
    FAILURES,
    PARTITIONS,
    BenchError,
    open_cluster,
)
from bench.document import write
from bench.measure import ROOT, Row, Session
from bench.registry import CONTENDERS, FASTKAFKA
from bench.results import Results
from bench.works import WORKS
from fastkafka.errors import FastKafkaError

EMBEDDED_RECORDS = 200_000
RECORDS = 1_000_000
ROUNDS = 5
QUICK_PART = 20

_PROFILE = "profile"
_TOO_SMALL = "the embedded broker keeps too little for it; use `--apache`"


def main() -> int:
    """Measure, print, write; return the exit code: 1 when something was lost."""
    options = _options()
    if options.read is not None:
        found = results.read(options.read)
    else:
        embedded = options.bootstrap is None and not options.apache
        records = options.records or (EMBEDDED_RECORDS if embedded else RECORDS)
        rounds = options.rounds
        if options.quick:
            records, rounds = options.records or records // QUICK_PART, 1
        if embedded and records > EMBEDDED_MOST:
            _say(
                f"--records {records}: the embedded broker keeps {EMBEDDED_MOST:,} "
                "such records. Use fewer, or `--apache`, or `--bootstrap`."
            )
            return 2
        try:
            found = _measure(options, records, rounds)
        except (BenchError, FastKafkaError) as error:
            _say(str(error))
            return 1
    report.show(found)
    if options.report:
        for path in write(found, ROOT / "docs"):
            _say(f"Wrote {path.relative_to(ROOT)}.")
    return 1 if found.failed else 0


def _measure(options: argparse.Namespace, records: int, rounds: int) -> Results:
    """Let every contender do every work; keep what is found after each of them."""
    began = time.monotonic()
    wanted = _wanted(options)
    with open_cluster(options.bootstrap, apache=options.apache) as cluster:
        found = results.begin(cluster.name, rounds, records)

        def say(text: str) -> None:
            _say(f"{time.monotonic() - began:6.0f} s  {text}")

        session = Session(
            cluster,
            records=records,
            rounds=rounds,
            quick=options.quick,
            only=options.only,
            said=say,
        )
        if found.busy:
            say("The machine has something else to do: measure when it has not.")
        say(f"{records:,} records in {PARTITIONS} partitions, {cluster.name}")
        for work in WORKS:
            if work.name not in wanted:
                continue
            if cluster.embedded and not work.embedded:
                found.skipped[work.name] = _TOO_SMALL
                continue
            try:
                found.rows += work.measure(session)
            except FAILURES as error:
                say(f"{work.name}: {error}")
                failure = str(error) or repr(error)
                found.rows.append(
                    Row(work.name, FASTKAFKA, "all of it", failure=failure)
                )
            found.seconds = time.monotonic() - began
            if options.json:
                found.write(options.json)
    return found


def _wanted(options: argparse.Namespace) -> Collection[str]:
    if options.work:
        return frozenset(options.work) | ({_PROFILE} if options.profile else set())
    names = {work.name for work in WORKS}
    return names if options.profile else names - {_PROFILE}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Compare FastKafka with a loop written by hand and with other "
        "frameworks, in one run.",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--bootstrap",
        metavar="HOST:PORT",
        help="a running Kafka; default: an embedded broker, started for the run",
    )
    where.add_argument("--apache", action="store_true", help="start an Apache Kafka")
    parser.add_argument(
        "--records",
        type=_count,
        help=f"default: {EMBEDDED_RECORDS:,} on the embedded broker, else {RECORDS:,}; "
        "slow contenders get a part",
    )
    parser.add_argument(
        "--rounds", type=_count, default=ROUNDS, help="the median counts; default: 5"
    )
    parser.add_argument(
        "--quick", action="store_true", help="one round, a twentieth of the records"
    )
    parser.add_argument(
        "--only",
        type=_names([each.key for each in CONTENDERS]),
        default=(),
        metavar="NAME,...",
        help=f"contenders: {', '.join(each.key for each in CONTENDERS)}",
    )
    parser.add_argument(
        "--work",
        type=_names([each.name for each in WORKS]),
        default=(),
        metavar="NAME,...",
        help=f"works: {', '.join(each.name for each in WORKS)}; default: all but "
        f"{_PROFILE}",
    )
    parser.add_argument(
        "--profile", action="store_true", help="where a record's time goes, too"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument(
        "--report", action="store_true", help="write docs/benchmarks.md and its charts"
    )
    parser.add_argument(
        "--from",
        dest="read",
        type=Path,
        metavar="FILE",
        help="measure nothing: read what `--json` wrote",
    )
    return parser.parse_args()


class _names:
    """A list of known names, apart by commas."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = known

    def __call__(self, text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in self._known:
                raise argparse.ArgumentTypeError(
                    f"'{name}' is none of {', '.join(self._known)}"
                )
        return names


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above zero")
    return number


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
