"""Runs contenders in processes of their own, and keeps what they measured."""

from __future__ import annotations

import dataclasses
import json
import statistics
import subprocess
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import environments
from bench.child import Job
from bench.cluster import FAILURES, BenchError, Cluster
from bench.registry import BARE, CONTENDERS, FASTKAFKA, Contender

ROOT = Path(__file__).parents[1]
RUN_SECONDS, QUICK_RUN_SECONDS = 240.0, 60.0
"""What one run of one contender may take."""

LEAST_RECORDS = 200

Run = dict[str, Any]
"""What one process measured, and what the broker says about it, by name.

Names that all runs of records have: ``seconds`` from the first record to the last that
was handled (or acknowledged), ``cpu_seconds`` that the process used meanwhile,
``peak_rss_bytes``, ``seen`` different records, ``duplicates``, ``written`` to the
output topic and ``committed`` by the group at its end.
"""


@dataclass
class Row:
    """All runs of one contender at one work.

    Attributes:
        work: Which work.
        contender: Who: a contender's key.
        name: Who, for people.
        case: Which case of the work, where it has several.
        records: How many there were.
        runs: What each run measured.
        failure: Why there is nothing, or not all.
    """

    work: str
    contender: str
    name: str
    case: str = ""
    records: int = 0
    runs: list[Run] = field(default_factory=list)
    failure: str | None = None

    def median(self, name: str) -> float | None:
        """Return the median of what the runs measured under a name, or None."""
        found = [run[name] for run in self.runs if run.get(name) is not None]
        return statistics.median(found) if found else None

    @property
    def rate(self) -> float | None:
        """Records per second: the median run's."""
        seconds = self.median("seconds")
        return self.records / seconds if seconds else None

    @property
    def cpu(self) -> float | None:
        """Microseconds of processor time per record: the median run's."""
        seconds = self.median("cpu_seconds")
        return None if seconds is None else seconds / self.records * 1e6

    @property
    def spread(self) -> float | None:
        """How far the fastest and slowest run are apart, as a part of the median."""
        seconds = self.median("seconds")
        if not seconds or len(self.runs) < 2:
            return None
        found = [run["seconds"] for run in self.runs]
        return float((max(found) - min(found)) / seconds)

    @property
    def lost(self) -> int:
        """Records that were not handled, or have no output: those of the worst run."""
        return max(
            (max(0, self.records - _handled(run)) for run in self.runs), default=0
        )

    @property
    def duplicates(self) -> int:
        """Records that were handled, or answered, again: those of the worst run."""
        return max(
            (
                max(run.get("duplicates", 0), (run.get("written") or 0) - self.records)
                for run in self.runs
            ),
            default=0,
        )


def _handled(run: Run) -> int:
    written = run.get("written")
    seen = int(run["seen"])
    return seen if written is None else min(seen, int(written))


def python_seconds(run: Run) -> float:
    """Return the CPU time of all threads that are not librdkafka's own."""
    threads: dict[str, float] = run["threads"]
    return sum(threads[name] for name in threads if not name.startswith("rdk:"))


class Session:
    """One run of the bench: its broker, its options, its records.

    Args:
        cluster: Where.
        records: How many the fastest get.
        rounds: How often each of the two that are compared runs; others, up to 3 times.
        quick: As little of everything as shows that it works.
        only: Keys of the contenders that take part; empty is all.
        said: Hears of each run when it has ended.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        records: int,
        rounds: int,
        quick: bool = False,
        only: Collection[str] = (),
        said: Callable[[str], None],
    ) -> None:
        self.cluster = cluster
        self.records = records
        self.rounds = rounds
        self.quick = quick
        self.said = said
        self.run_seconds = QUICK_RUN_SECONDS if quick else RUN_SECONDS
        self._only = frozenset(only)
        self._filled: dict[tuple[int, int], str] = {}
        self._not_installed: dict[str, str] = {}

    def contenders(self, work: str) -> list[Contender]:
        """Return who takes part in a work."""
        return [
            each
            for each in CONTENDERS
            if work in each.shares and (not self._only or each.key in self._only)
        ]

    def has(self, key: str) -> bool:
        """Whether a contender takes part, or a variant of it."""
        return not self._only or any(
            only == key or only.startswith(f"{key}-") for only in self._only
        )

    def share(self, contender: Contender, work: str, part: float = 1.0) -> int:
        """Return how many records a contender gets at a work."""
        wanted = self.records * contender.shares.get(work, 1) * part
        return max(min(LEAST_RECORDS, self.records), int(wanted))

    def topic(self, records: int, keys: int = 0) -> str:
        """Return a topic with so many records; it is filled when it is first needed."""
        found = self._filled.get((records, keys))
        if found is None:
            found = self.cluster.create_topic("input")
            if keys:
                self.cluster.fill(found, records, keys=keys)
            else:
                self.cluster.fill(found, records)
            self._filled[records, keys] = found
        return found

    def alternate(
        self,
        rows: Sequence[tuple[Row, Callable[[], Run]]],
        *,
        most: int | None = None,
        others: int = 3,
    ) -> list[Row]:
        """Run each, in turn, as often as there are rounds; return the rows.

        One that fails, or is not installed, is out, and its row says why.

        Args:
            rows: What is measured, and what measures it once.
            most: The most rounds, where each takes long.
            others: The most rounds of those that no target is about.
        """
        rounds = min(self.rounds, most or self.rounds)
        for number in range(1, rounds + 1):
            for row, run in rows:
                compared = row.contender.split("-")[0] in (BARE, FASTKAFKA)
                if row.failure or (number > others and not compared):
                    continue
                try:
                    row.runs.append(run())
                except FAILURES as failed:
                    row.failure = str(failed) or repr(failed)
                what = f"{row.work} {row.case}".strip()
                self.said(
                    f"{what}, round {number} of {rounds}, {row.name}: "
                    f"{row.failure or brief(row)}"
                )
        return [row for row, _ in rows]

    def run(
        self,
        contender: Contender,
        work: str,
        topic: str,
        records: int,
        *,
        produces: bool = False,
        options: Mapping[str, Any] | None = None,
        talk: Callable[[subprocess.Popen[str], Job], str] | None = None,
        before: Sequence[str] = (),
    ) -> Run:
        """Let a contender do a work once.

        Args:
            contender: Who.
            work: What.
            topic: What it consumes.
            records: How many that holds.
            produces: It writes one record for each.
            options: For the contender.
            talk: Given the process while it runs; returns the line with its result.
            before: A command that runs the contender's.

        Raises:
            BenchError: It failed, took too long, or is not installed.
        """
        if self.cluster.embedded and not contender.embedded:
            raise BenchError("it does not run on the embedded broker")
        job = Job(
            work=work,
            bootstrap=self.cluster.bootstrap,
            topic=topic,
            records=records,
            group=self.cluster.create_group(),
            output=self.cluster.create_topic("output") if produces else "",
            variant=contender.variant,
            consumer=self.cluster.consumer_settings,
            options=dict(options or {}),
        )
        with self.process(contender, job, before) as process:
            result = json.loads((talk or _wait)(process, job))
        return {
            **result,
            "written": self.cluster.written(job.output) if produces else None,
            "committed": self.cluster.committed(topic, job.group),
        }

    @contextmanager
    def process(
        self, contender: Contender, job: Job, before: Sequence[str] = ()
    ) -> Iterator[subprocess.Popen[str]]:
        """Start a contender; see that it ends, in time and well.

        Raises:
            BenchError: It did not.
        """
        python = self._python(contender)
        command = [python, "-m", contender.module]
        job_text = json.dumps(dataclasses.asdict(job))
        with tempfile.TemporaryFile("w+") as log:
            process = subprocess.Popen(
                [*before, *command, job_text],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
            late = threading.Event()

            def kill() -> None:
                late.set()
                process.kill()

            timer = threading.Timer(self.run_seconds, kill)
            timer.start()
            try:
                yield process
                code = process.wait()
            except (ValueError, IndexError, OSError) as nothing:
                process.kill()
                code = process.wait() or 1
                raise BenchError(
                    self._why(contender, job, code, late, log)
                ) from nothing
            finally:
                timer.cancel()
                process.kill()
                process.wait()
                for pipe in (process.stdin, process.stdout):
                    if pipe is not None:
                        pipe.close()
            if code:
                raise BenchError(self._why(contender, job, code, late, log))

    def _python(self, contender: Contender) -> str:
        name = contender.environment
        if name not in self._not_installed:
            try:
                return environments.python_of(name)
            except environments.NotInstalledError as failed:
                self._not_installed[name] = str(failed)
        raise BenchError(f"not installed: {self._not_installed[name]}")

    def _why(
        self, contender: Contender, job: Job, code: int, late: threading.Event, log: Any
    ) -> str:
        if late.is_set():
            return (
                f"{contender.name} did not {job.work} {job.records:,} records in "
                f"{self.run_seconds:.0f} s: it lost some, or it is very slow."
            )
        log.seek(0)
        said = [line.strip() for line in log.read().splitlines() if line.strip()]
        last = said[-1] if said else "It said nothing."
        return f"{contender.name} failed at {job.work}, exit code {code}. {last}"


def row(work: str, contender: Contender, case: str = "", records: int = 0) -> Row:
    """Return an empty row."""
    return Row(work, contender.key, contender.name, case, records)


def brief(row: Row) -> str:
    """Return what a run measured, in a few words."""
    run = row.runs[-1]
    if "seconds" in run:
        return f"{row.records / run['seconds']:,.0f} records/s"
    if "p50" in run:
        return f"p50 {run['p50']:.2f} ms, p99 {run['p99']:.2f} ms"
    if "wall" in run:
        return f"{run['wall'] * 1e3:.0f} ms"
    return "done"


def result_in(said: str) -> str:
    """Return the line with the result; a profiler may have said more after it."""
    return [line for line in said.splitlines() if line.startswith("{")][-1]


def _wait(process: subprocess.Popen[str], _: Job) -> str:
    return result_in(process.communicate()[0])
