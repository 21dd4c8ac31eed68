"""What a run of the bench found: kept as JSON, read again by the reports."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import confluent_kafka

from bench import environments
from bench.measure import Row
from bench.registry import CONTENDERS, OURS


@dataclass
class Results:
    """All of it.

    Attributes:
        date: When, in ISO form.
        command: How it was started.
        machine: On what, by name of the fact.
        versions: Of what, by name.
        broker: Which.
        rounds: How often each of those that are compared ran.
        records: How many the fastest got.
        seconds: How long all of it took.
        rows: What was measured.
        skipped: Works that were not done, and why.
    """

    date: str
    command: str
    machine: dict[str, str]
    versions: dict[str, str]
    broker: str
    rounds: int
    records: int
    seconds: float = 0.0
    rows: list[Row] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def of(self, work: str) -> list[Row]:
        """Return the rows of a work."""
        return [row for row in self.rows if row.work == work]

    def find(
        self, work: str, contender: str, case: str = "", name: str | None = None
    ) -> Row | None:
        """Return one row, if it was measured."""
        for row in self.of(work):
            named = name is None or row.name == name
            if row.contender == contender and row.case == case and named and row.runs:
                return row
        return None

    @property
    def busy(self) -> bool:
        """Whether the machine had something else to do."""
        return float(self.machine.get("load before") or 0) > BUSY

    @property
    def failed(self) -> bool:
        """Whether something was lost, or one of our own rows failed."""
        ours = [r for r in self.rows if r.contender.split("-")[0] in _OURS]
        return any(r.failure for r in ours) or any(
            r.lost for r in ours if r.runs and "seen" in r.runs[0]
        )

    def write(self, path: Path) -> None:
        """Write it to a file."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


_OURS = ("bare", "fastkafka")


def read(path: Path) -> Results:
    """Read what `Results.write` wrote."""
    found: dict[str, Any] = json.loads(path.read_text())
    rows = [Row(**row) for row in found.pop("rows")]
    return Results(**found, rows=rows)


def begin(broker: str, rounds: int, records: int) -> Results:
    """Return results without rows: where and with what they are measured."""
    return Results(
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        command="python -m bench " + " ".join(_arguments(sys.argv[1:])),
        machine={
            "processor": _processor(),
            "cores": str(os.cpu_count()),
            "memory": _memory(),
            "system": f"{platform.system()} {platform.release()}",
            "Python": platform.python_version(),
            "load before": load(),
        },
        versions=_versions(),
        broker=broker,
        rounds=rounds,
        records=records,
    )


def _arguments(arguments: Sequence[str]) -> list[str]:
    """Return the command's arguments, without the folders of this machine."""
    return [Path(each).name if "/" in each else each for each in arguments]


def _versions() -> dict[str, str]:
    found = {
        "FastKafka": importlib.metadata.version("fastkafka"),
        "librdkafka": confluent_kafka.libversion()[0],
    }
    for name in ("confluent-kafka", "pydantic", "msgspec"):
        found[name] = importlib.metadata.version(name)
    for contender in CONTENDERS:
        if contender.environment == OURS:
            continue
        pins = environments.constraints(contender.environment)
        of = contender.environment
        label = "the original FastKafka" if of == "original" else contender.package
        also = [
            f"{name} {pins[name]}"
            for name in ("aiokafka", "confluent-kafka", "pydantic", "anyio")
            if name in pins and name != contender.package
        ]
        found[label] = f"{pins[contender.package]} (with {', '.join(also)})"
    return found


BUSY = 0.5
"""Processes that want a core before we begin; above it the figures are worth little."""


def load() -> str:
    """Return how many processes wanted a core in the last minute; "" if unknown."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return "unknown"
    return f"{size / 2**30:.0f} GiB"
