"""What the simulation has found, made small: each schedule here broke something."""

from __future__ import annotations

import pytest

from tests.simulation.schedules import Action, Input, Schedule
from tests.simulation.test_schedules import check


def test_a_refused_output_of_a_batch_loses_none_of_its_records() -> None:
    refused = Input(0, None, ("refused",), "output")
    check(Schedule(batch=2, inputs=(refused, refused)))


@pytest.mark.parametrize(
    ("record", "attempts"),
    [
        (Input(0, None, ("later", "later", "later")), 3),
        (Input(0, None, ("stop the app", "stop the app")), 2),
    ],
    ids=["RetryLater", "StopConsuming"],
)
def test_a_batch_error_is_decided_by_its_cause(record: Input, attempts: int) -> None:
    check(
        Schedule(
            batch=2,
            batch_failure="index",
            attempts=attempts,
            delay=0.0,
            inputs=(record,),
        )
    )


def test_a_retry_that_is_due_when_its_partition_is_revoked_is_left() -> None:
    inputs = (Input(0, None, ("raise", "slow")),)
    for steps in range(1, 40):
        check(
            Schedule(
                delay=0.0, inputs=inputs, actions=(Action("rebalance", steps=steps),)
            )
        )


def test_a_seek_while_another_partition_goes_away_stalls_nothing() -> None:
    for steps in range(20, 50):
        check(
            Schedule(
                *("key", 1, 1, 0.0),
                partitions=2,
                workers=2,
                before=0,
                inputs=(Input(0, 0),),
                actions=(Action("seek", steps=steps),),
            )
        )


def test_a_seek_is_not_for_the_assignment_that_follows_a_revoke() -> None:
    for steps in range(10, 40):
        check(
            Schedule(
                *("none", 1, 1, 0.0),
                poll_records=1,
                before=1,
                inputs=(Input(0, 0), Input(0, 0)),
                actions=(Action("seek", steps=steps), Action("rebalance")),
            )
        )


def test_what_is_done_is_remembered_by_an_owner_that_did_not_get_to_it() -> None:
    inputs = Input(0, None, ("hang",)), Input(0, None), Input(0, None)
    for steps in range(30):
        ledger = check(
            Schedule(
                order="none",
                poll_records=1,
                shutdown_timeout=4.0,
                inputs=inputs,
                actions=(
                    Action("stop", seconds=1.1),
                    Action("start", seconds=7.0),
                    Action("rebalance", steps=steps),
                ),
            )
        )
        calls = [len(ledger.calls["main", (0, offset)]) for offset in (0, 1, 2)]
        assert calls == [2, 1, 1]


def test_a_worker_that_died_is_not_told_to_resume() -> None:
    """A command made a lane for it, after all that it had was cancelled."""
    for steps in range(15, 30):
        crash = Action("crash", steps=steps)
        check(Schedule(before=1, inputs=(Input(0, 0),), actions=(crash,)))
