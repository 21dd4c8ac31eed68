"""The matrix in docs/reliability.md: what was broken, and what held."""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import confluent_kafka

import fastkafka
from fastkafka.testing.installation import KAFKA_VERSION
from tests.faults.scenarios import Scenario
from tests.faults.trial import Outcome

FILE = "docs/reliability.md"
BEGIN = "<!-- faults: begin (written by scripts/faults --write) -->"
END = "<!-- faults: end -->"


_COLUMNS = (
    *("#", "fault", "injected", "must hold", "acknowledged", "handled", "parked"),
    *("lost", "repeated", "order broken", "progress after", "memory", "run", "result"),
)
_PATH = Path(__file__).parents[2] / FILE
_ROW = re.compile(r"\| (\d+)([a-z]?) \|")


@dataclass(frozen=True)
class Row:
    """One scenario and what it came to."""

    scenario: Scenario
    outcome: Outcome

    @property
    def cells(self) -> list[str]:
        """What the table says."""
        scenario, outcome = self.scenario, self.outcome
        progress = "-" if outcome.progress is None else f"{outcome.progress:.1f} s"
        return [
            *(scenario.name, scenario.title, scenario.injected, scenario.holds),
            *(f"{outcome.acknowledged:,}", f"{outcome.handled:,}"),
            *(f"{outcome.parked:,}", f"{outcome.lost:,}", f"{outcome.repeated:,}"),
            *(f"{outcome.disorder:,}", progress, f"{outcome.megabytes:.0f} MB"),
            *(datetime.datetime.now(datetime.UTC).date().isoformat(), self._result()),
        ]

    def _result(self) -> str:
        if not self.outcome.problems:
            return "pass"
        seen = "; ".join(p for p in self.outcome.problems).replace("\n", " ")
        cause = f" Cause: {self.scenario.cause}" if self.scenario.cause else ""
        return f"**fail**: {seen[:600]}.{cause}".replace("|", "/")


def line(row: Row) -> str:
    """Return what people see while it runs."""
    outcome = row.outcome
    progress = "-" if outcome.progress is None else f"{outcome.progress:.1f} s"
    said = [
        f"  acknowledged {outcome.acknowledged}, handled {outcome.handled}, "
        f"parked {outcome.parked}, lost {outcome.lost}, repeated {outcome.repeated}, "
        f"order broken {outcome.disorder}, progress after {progress}, "
        f"{outcome.megabytes:.0f} MB, {outcome.seconds:.0f} s: "
        f"{'FAIL' if outcome.problems else 'pass'}",
        *(f"  ! {problem}" for problem in outcome.problems),
        *(f"  . {note}" for note in outcome.notes),
    ]
    return "\n".join(said)


def write(rows: Sequence[Row]) -> None:
    """Put rows into the document; those of scenarios that did not run stay."""
    text = _PATH.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    old, _, after = rest.partition(END)
    lines = {
        match.groups(): line
        for line in old.splitlines()
        if (match := _ROW.match(line)) is not None
    }
    for row in rows:
        key = (str(row.scenario.number), row.scenario.part)
        lines[key] = f"| {' | '.join(row.cells)} |"
    table = [
        f"| {' | '.join(_COLUMNS)} |",
        f"|{'--|' * len(_COLUMNS)}",
        *(lines[key] for key in sorted(lines, key=lambda key: (int(key[0]), key[1]))),
    ]
    body = "\n".join([BEGIN, "", _versions(), "", *table, "", END])
    _PATH.write_text(f"{before}{body}{after}", encoding="utf-8")


def _versions() -> str:
    return (
        f"Last run on {datetime.datetime.now(datetime.UTC).date().isoformat()} with "
        f"FastKafka {fastkafka.__version__}, confluent-kafka "
        f"{confluent_kafka.__version__}\n(librdkafka "
        f"{confluent_kafka.libversion()[0]}), Apache Kafka {KAFKA_VERSION}, Python "
        f"{platform.python_version()} on {platform.system()}, {os.cpu_count()} CPUs."
    )
