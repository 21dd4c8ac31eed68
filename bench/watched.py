"""What being watched costs: `python -m bench.watched --apache`.

`fastkafka run` with one worker drains a topic: without `--http`, with it, scraped once
a second, and with a viewer of the page, who watches the topic's records. The worker's
own rate and processor time count; the process that serves HTTP, and the viewer, need a
core of their own, as in production: do nothing else on the machine.

The viewer is the page in chromium if that is installed (`pip install ".[browser]"`),
else the page's stream. A run has to last many seconds to see what happens once a
second, so on the embedded broker, which keeps too little, it only shows that it works.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from http.client import HTTPException
from typing import Any

from bench.child import Job
from bench.cluster import BenchError, Cluster, open_cluster
from bench.measure import ROOT, Session
from fastkafka.errors import FastKafkaError

JOB = "FASTKAFKA_BENCH_JOB"
"""The variable that holds the app's `Job`, as JSON."""

RESULT = "watched "
"""What the line begins with that has its result, as JSON."""

RECORDS = 3_000_000
ROUNDS = 5
RUN_SECONDS = 300.0

LEAST_RATE = 0.95
"""With a viewer, of the rate without."""
MOST_CPU = 1.10
"""Scraped, of the processor time per record without."""

Watcher = Callable[[str, Job], AbstractContextManager[None]]


@contextlib.contextmanager
def nobody(_: str, __: Job) -> Iterator[None]:
    """Look at nothing."""
    yield


@contextlib.contextmanager
def prometheus(url: str, _: Job) -> Iterator[None]:
    """Scrape once a second."""
    ended = threading.Event()

    def scrape() -> None:
        while not ended.wait(1.0):
            with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:
                answer.read()

    thread = threading.Thread(target=scrape, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def viewer(url: str, job: Job) -> Iterator[None]:
    """Look at the topic's screen, in a browser if there is one."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        playwright = importlib.import_module("playwright.sync_api")  # an extra
    except ImportError:
        chromium = None
    if chromium is None:
        stream = f"{url}/api/stream?watch={job.topic}"
        threading.Thread(target=_read_all, args=(stream,), daemon=True).start()
        yield
        return
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.goto(f"{url}/#/topics/{job.topic}")
        yield
        browser.close()


def _read_all(url: str) -> None:
    """Read until the server is gone."""
    with (
        contextlib.suppress(OSError, HTTPException),
        urllib.request.urlopen(url, timeout=30) as answer,
    ):
        while answer.readline():
            pass


CASES: Mapping[str, tuple[Sequence[str], Watcher]] = {
    "without --http": ((), nobody),
    "with --http": (("--http", "127.0.0.1:0"), nobody),
    "scraped": (("--http", "127.0.0.1:0"), prometheus),
    "viewed": (("--http", "127.0.0.1:0"), viewer),
}


def run(
    cluster: Cluster, topic: str, records: int, options: Sequence[str], watch: Watcher
) -> Mapping[str, Any]:
    """Run the app once; return what it measured.

    Raises:
        BenchError: It said nothing in time.
    """
    job = Job("consume", cluster.bootstrap, topic, records, cluster.create_group(), "")
    command = [sys.executable, "-m", "fastkafka", "run", "bench.watched_app:app"]
    command += ["--num-workers", "1", "--kafka-broker", cluster.bootstrap, *options]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, JOB: json.dumps(dataclasses.asdict(job))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    timer = threading.Timer(RUN_SECONDS, process.kill)
    timer.start()
    said: list[str] = []
    try:
        url = ""
        while options and not url:
            url = _found(r"Page, probes and metrics: (\S+)", process, said)
        with watch(url, job):
            return dict(json.loads(_found(re.escape(RESULT) + "(.*)", process, said)))
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()
        timer.cancel()


def _found(pattern: str, process: subprocess.Popen[str], said: list[str]) -> str:
    """Read on to the line that matches; return its group."""
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        match = re.search(pattern, line)
        if match:
            return match[1]
    raise BenchError(f"The run ended before it was done: {''.join(said[-5:])}")


def measure(
    cluster: Cluster, records: int, rounds: int, say: Callable[[str], None]
) -> dict[str, tuple[float, float]]:
    """Run every case in turn; return its records a second, and microseconds of
    processor time a record: the medians.
    """
    session = Session(cluster, records=records, rounds=rounds, said=say)
    topic = session.topic(records)
    found: dict[str, list[Mapping[str, Any]]] = {case: [] for case in CASES}
    for number in range(1, rounds + 1):
        for case, (options, watch) in CASES.items():
            result = run(cluster, topic, records, options, watch)
            found[case].append(result)
            say(
                f"round {number} of {rounds}, {case}: "
                f"{records / result['seconds']:,.0f}/s in {result['seconds']:.1f} s"
            )
    return {
        case: (
            records / statistics.median(result["seconds"] for result in results),
            statistics.median(result["cpu_seconds"] for result in results)
            / records
            * 1e6,
        )
        for case, results in found.items()
    }


def verdicts(found: Mapping[str, tuple[float, float]]) -> list[tuple[bool, str]]:
    """Return for each target whether it is met, and a line that says so."""
    rate, cpu = found["without --http"]
    viewed, scraped = found["viewed"][0] / rate, found["scraped"][1] / cpu
    return [
        (
            viewed >= LEAST_RATE,
            f"viewed: {viewed:.3f} of the rate without, needed {LEAST_RATE:.2f}",
        ),
        (
            scraped <= MOST_CPU,
            f"scraped: {scraped:.3f} of the CPU per record without, at most "
            f"{MOST_CPU:.2f}",
        ),
    ]


def main() -> int:
    """Measure and print; return 1 when a target is missed or nothing is measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.watched")
    parser.add_argument("--apache", action="store_true", help="on Apache Kafka")
    parser.add_argument("--bootstrap", help="on a cluster that runs")
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    try:
        with open_cluster(options.bootstrap, apache=options.apache) as cluster:
            found = measure(cluster, options.records, options.rounds, _say)
    except (BenchError, FastKafkaError) as error:
        _say(str(error))
        return 1
    for case, (rate, cpu) in found.items():
        _say(f"{case:16} {rate:12,.0f}/s {cpu:8.2f} us of CPU per record")
    missed = False
    for met, line in verdicts(found):
        _say(f"{'met' if met else 'MISSED'}: {line}")
        missed |= not met
    return 1 if missed else 0


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
