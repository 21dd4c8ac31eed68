"""Random schedules on the real engine: whatever happens, the invariants hold.

A failure prints what is broken, the schedule, made as small as it gets, everything that
happened, and a `@reproduce_failure` that replays it. `scripts/test --long` tries many
more, other ones each time unless `--hypothesis-seed` says which.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from tests.simulation.ledger import Ledger
from tests.simulation.schedules import Action, Input, Schedule, What, schedules
from tests.simulation.world import run

simulation = settings.get_profile("simulation")


def check(schedule: Schedule) -> Ledger:
    """Simulate a schedule; fail with all that happened if an invariant is broken."""
    ledger = run(schedule)
    report = "\n".join(["", *ledger.broken, "", repr(schedule), "", *ledger.trace])
    assert not ledger.broken, report
    return ledger


@simulation
@given(schedules("partition"))
def test_partitions_in_order_survive_every_schedule(schedule: Schedule) -> None:
    check(schedule)


@simulation
@given(schedules("key"))
def test_keys_in_order_survive_every_schedule(schedule: Schedule) -> None:
    check(schedule)


@simulation
@given(schedules("none"))
def test_records_without_order_survive_every_schedule(schedule: Schedule) -> None:
    check(schedule)


@simulation
@given(schedules("partition", batches=True) | schedules("none", batches=True))
def test_batches_survive_every_schedule(schedule: Schedule) -> None:
    check(schedule)


FIXED = Schedule(
    partitions=2,
    workers=2,
    before=3,
    poll_records=2,
    inputs=(
        Input(0, 0, ("output",)),
        Input(0, 1, ("raise", "slow")),
        Input(1, 0, ("two outputs",)),
        Input(0, 0, (), "poison"),
        Input(1, 1, ("slow",)),
    ),
)
STEPS = 130
"""More than it takes until everything in `FIXED` is committed."""


@pytest.mark.parametrize(
    "schedule",
    [FIXED, replace(FIXED, order="key"), replace(FIXED, batch=2)],
    ids=["partition", "key", "batch"],
)
@pytest.mark.parametrize("what", ["rebalance", "stop", "crash", "suspend"])
def test_an_interruption_at_any_await_breaks_nothing(
    schedule: Schedule, what: What, request: pytest.FixtureRequest
) -> None:
    later = Action("produce", 1), Action("start"), Action("resume", seconds=13.0)
    every = 1 if request.config.getoption("--long") else 5
    for step in range(1, STEPS, every):
        check(replace(schedule, actions=(Action(what, steps=step), *later)))


def test_a_schedule_replays_exactly() -> None:
    schedule = replace(
        FIXED,
        workers=3,
        actions=(Action("rebalance", steps=40), Action("crash", seconds=0.3)),
    )

    first, second = check(schedule), check(schedule)

    assert len(first.trace) > 50
    assert first.trace == second.trace
