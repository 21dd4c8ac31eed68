"""`python -m bench`: see the package's docstring."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bench import report
from bench.cluster import EMBEDDED_MOST, PARTITIONS, BenchError, open_cluster
from bench.measure import measure
from fastkafka.errors import FastKafkaError

EMBEDDED_RECORDS = 200_000
RECORDS = 1_000_000


def main() -> int:
    """Measure, print, and return the exit code: 1 when something was lost."""
    options = _options()
    embedded = options.bootstrap is None and not options.apache
    records = options.records or (EMBEDDED_RECORDS if embedded else RECORDS)
    rounds = options.rounds
    if options.quick:
        records, rounds = options.records or records // 4, 1
    if embedded and records > EMBEDDED_MOST:
        print(
            f"--records {records}: the embedded broker keeps {EMBEDDED_MOST:,} such "
            "records. Use fewer, or `--apache`, or `--bootstrap`.",
            file=sys.stderr,
        )
        return 2
    try:
        with open_cluster(options.bootstrap, apache=options.apache) as cluster:
            topic = cluster.create_topic("input")
            cluster.fill(topic, records)
            _say(f"{records:,} records in {PARTITIONS} partitions, {cluster.name}")
            rows = measure(cluster, topic, records, rounds, _say)
    except (BenchError, FastKafkaError) as error:
        _say(str(error))
        return 1
    report.show(rows)
    if options.json:
        found = report.as_json(rows, cluster.name, PARTITIONS)
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 1 if any(row.lost for row in rows) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Compare FastKafka with a loop written by hand, in one run.",
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
        help=f"default: {EMBEDDED_RECORDS:,} on the embedded broker, else {RECORDS:,}",
    )
    parser.add_argument(
        "--rounds", type=_count, default=3, help="the median counts; default: 3"
    )
    parser.add_argument(
        "--quick", action="store_true", help="one round, a quarter of the records"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    return parser.parse_args()


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above zero")
    return number


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
