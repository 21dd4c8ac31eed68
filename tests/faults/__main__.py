"""`python -m tests.faults`: break a cluster in every way, and say what held.

python -m tests.faults [--only 1,2,5a] [--seconds N] [--seed N] [--write]
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.faults import matrix
from tests.faults.all import SCENARIOS
from tests.faults.cluster import Cluster
from tests.faults.proxy import wires
from tests.faults.scenarios import Lab, Scenario
from tests.faults.trial import Outcome


@contextmanager
def lab(seconds: float, seed: int) -> Iterator[Lab]:
    """Yield a cluster of three, and stop it."""
    with wires() as made:
        cluster = Cluster(made)
        with cluster:
            yield Lab(cluster, made, seconds, random.Random(seed))


def attempt(place: Lab, scenario: Scenario) -> Outcome:
    """Run one; what breaks in it is its problem, and the next one follows."""
    began = time.monotonic()
    try:
        return scenario.run(place)
    except Exception as error:  # noqa: BLE001 - a row of the matrix says so
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "/faults/" in frame.filename]
        where = " < ".join(f"{f.name}:{f.lineno}" for f in reversed(ours))
        return Outcome(
            seconds=time.monotonic() - began, problems=[f"{error!r} in {where}"]
        )


def chosen(names: str | None) -> list[Scenario]:
    """Return the scenarios of these names; a number alone is all its parts.

    Raises:
        SystemExit: There is none of that name.
    """
    if names is None:
        return list(SCENARIOS.values())
    wanted = []
    for name in names.split(","):
        found = [s for s in SCENARIOS.values() if name in (s.name, str(s.number))]
        if not found:
            known = ", ".join(SCENARIOS)
            raise SystemExit(f"There is no scenario {name!r}. There are {known}.")
        wanted += found
    return list(dict.fromkeys(wanted))


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for; return 0 if all of it passed."""
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("--only", metavar="1,2,5a", help="these; otherwise all")
    parser.add_argument(
        "--seconds", type=float, default=600, help="how long the mix goes on"
    )
    parser.add_argument("--seed", type=int, help="of the random moments")
    parser.add_argument(
        "--write", action="store_true", help=f"put the matrix into {matrix.FILE}"
    )
    parser.add_argument("--list", action="store_true", help="list them, and end")
    options = parser.parse_args(arguments)
    scenarios = chosen(options.only)
    if options.list:
        for scenario in scenarios:
            say(f"{scenario.name:>4}  {scenario.title}: {scenario.injected}")
        return 0
    seed = options.seed or random.SystemRandom().randrange(1_000_000)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    say(f"seed {seed}; three brokers start ...")
    rows: list[matrix.Row] = []
    with lab(options.seconds, seed) as place:
        for scenario in scenarios:
            say(f"{scenario.name}: {scenario.title} ...")
            outcome = attempt(place, scenario)
            rows.append(matrix.Row(scenario, outcome))
            say(matrix.line(rows[-1]))
            if options.write:  # at once: a run that is stopped has not been in vain
                matrix.write(rows)
    failed = [row.scenario.name for row in rows if row.outcome.problems]
    say(f"{len(rows) - len(failed)} of {len(rows)} passed.")
    if failed:
        say(f"Failed: {', '.join(failed)}.")
    return int(bool(failed))


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
