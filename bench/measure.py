"""Runs each contender in a process of its own, in alternation."""

from __future__ import annotations

import dataclasses
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.child import Job
from bench.cluster import BenchError, Cluster

_ROOT = Path(__file__).parents[1]
_RUN_SECONDS = 300.0


@dataclass(frozen=True)
class Work:
    """Something to be done with every record.

    Attributes:
        name: What contenders know it by.
        target: The least part of the first contender's rate that is good enough.
        produces: It writes one record for each.
    """

    name: str
    target: float
    produces: bool


@dataclass(frozen=True)
class Contender:
    """Who does it.

    Attributes:
        name: For the report.
        module: What is run.
        python: The interpreter of its environment.
    """

    name: str
    module: str
    python: str = sys.executable


WORKS = (
    Work("consume", target=0.8, produces=False),
    Work("consume-produce", target=0.5, produces=True),
)

CONTENDERS = (
    Contender("bare loop", "bench.contenders.bare"),
    Contender("FastKafka", "bench.contenders.with_fastkafka"),
)
"""The first one is what the others are compared with."""


@dataclass(frozen=True)
class Run:
    """What one process measured, and what the broker says about it.

    Attributes:
        seconds: From the first record to the last that was handled, or acknowledged.
        cpu_seconds: User and system time that the process used meanwhile.
        peak_rss_bytes: The most memory that it had at once.
        seen: Different records that it handled.
        duplicates: Records that it handled again.
        written: Records in its output topic; None where it writes none.
        committed: Records that its group has committed at its end.
    """

    seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    seen: int
    duplicates: int
    written: int | None
    committed: int

    @property
    def handled(self) -> int:
        """Records that were handled and, where there should be one, have an output."""
        return self.seen if self.written is None else min(self.seen, self.written)


@dataclass(frozen=True)
class Row:
    """All runs of one contender at one work."""

    work: Work
    contender: Contender
    records: int
    runs: Sequence[Run]

    @property
    def rate(self) -> float:
        """Records per second: the median run's."""
        return self.records / statistics.median(run.seconds for run in self.runs)

    @property
    def cpu(self) -> float:
        """Microseconds of processor time per record: the median run's."""
        seconds = statistics.median(run.cpu_seconds for run in self.runs)
        return seconds / self.records * 1e6

    @property
    def peak_rss(self) -> float:
        """Megabytes: the median run's peak."""
        return statistics.median(run.peak_rss_bytes for run in self.runs) / 1e6

    @property
    def lost(self) -> int:
        """Records that were not handled, or have no output: those of the worst run."""
        return max(max(0, self.records - run.handled) for run in self.runs)

    @property
    def duplicates(self) -> int:
        """Records that were handled, or answered, again: those of the worst run."""
        return max(
            max(run.duplicates, (run.written or 0) - self.records) for run in self.runs
        )


def measure(
    cluster: Cluster, topic: str, records: int, rounds: int, said: Callable[[str], None]
) -> list[Row]:
    """Let every contender do every work, *rounds* times, in turn.

    Args:
        cluster: Where *topic* is, full.
        topic: What they consume.
        records: How many it holds.
        rounds: How often.
        said: Hears of each run when it has ended.

    Raises:
        BenchError: A contender failed.
    """
    rows = []
    for work in WORKS:
        runs: dict[Contender, list[Run]] = {each: [] for each in CONTENDERS}
        for number in range(1, rounds + 1):
            for contender in CONTENDERS:
                run = _run(contender, work, cluster, topic, records)
                runs[contender].append(run)
                said(
                    f"{work.name}, round {number} of {rounds}, {contender.name}: "
                    f"{records / run.seconds:,.0f} records/s"
                )
        rows += [Row(work, each, records, runs[each]) for each in CONTENDERS]
    return rows


def _run(
    contender: Contender, work: Work, cluster: Cluster, topic: str, records: int
) -> Run:
    job = Job(
        work=work.name,
        bootstrap=cluster.bootstrap,
        topic=topic,
        records=records,
        group=cluster.create_group(),
        output=cluster.create_topic("output") if work.produces else "",
        consumer=cluster.consumer_settings,
    )
    command = [contender.python, "-m", contender.module]
    try:
        process = subprocess.run(
            [*command, json.dumps(dataclasses.asdict(job))],
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=_RUN_SECONDS,
            text=True,
            check=True,
        )
    except subprocess.TimeoutExpired as late:
        raise BenchError(
            f"{contender.name} did not {work.name} {records:,} records in "
            f"{_RUN_SECONDS:.0f} s: it lost some, or it is very slow."
        ) from late
    except subprocess.CalledProcessError as failed:
        raise BenchError(
            f"{contender.name} failed at {work.name}, exit code {failed.returncode}. "
            "What it said is above."
        ) from failed
    result = json.loads(process.stdout.splitlines()[-1])
    return Run(
        **result,
        written=cluster.written(job.output) if work.produces else None,
        committed=cluster.committed(topic, job.group),
    )
