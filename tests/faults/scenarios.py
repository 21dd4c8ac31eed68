"""What a scenario is, and the list of all of them."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.faults.cluster import Cluster
from tests.faults.proxy import Wires
from tests.faults.trial import Outcome, Trial


@dataclass
class Lab:
    """Where scenarios run.

    Attributes:
        cluster: Three brokers, which are whole when a scenario begins.
        wires: For clusters of a scenario's own.
        seconds: How long the mix goes on.
        chance: What random moments come from; its seed is in the notes.
    """

    cluster: Cluster
    wires: Wires
    seconds: float = 600.0
    chance: random.Random = field(default_factory=random.Random)

    @contextmanager
    def trial(
        self, name: str, *, cluster: Cluster | None = None, **options: Any
    ) -> Iterator[Trial]:
        """Yield a trial, and leave nothing of it behind but its outcome."""
        cluster = cluster or self.cluster
        trial = Trial(cluster, name, **options)
        try:
            yield trial
        except BaseException:
            trial.outcome.problems.append("it broke off")  # so that its files are kept
            raise
        finally:
            trial.close()
            cluster.mend()

    def kill(self, pid: int) -> None:
        """Kill a worker whose parent we are not."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


Run = Callable[[Lab], Outcome]


@dataclass(frozen=True)
class Scenario:
    """Something that happens to people who run Kafka.

    Attributes:
        number: In the list of faults.
        part: A letter, where a number has several.
        title: What happens.
        injected: What is done, exactly.
        holds: Which rules it is about.
        cause: Why it fails, if that is known; the matrix says it beside a failure.
        run: Does it.
    """

    number: int
    part: str
    title: str
    injected: str
    holds: str
    cause: str
    run: Run

    @property
    def name(self) -> str:
        """Number and part."""
        return f"{self.number}{self.part}"


SCENARIOS: dict[str, Scenario] = {}
"""All of them, by name; the modules of this folder fill it when they are imported."""


def scenario(
    number: int,
    part: str = "",
    *,
    title: str,
    injected: str,
    holds: str,
    cause: str = "",
) -> Callable[[Run], Run]:
    """Register the decorated function."""

    def register(run: Run) -> Run:
        made = Scenario(number, part, title, injected, holds, cause, run)
        assert made.name not in SCENARIOS
        SCENARIOS[made.name] = made
        return run

    return register
