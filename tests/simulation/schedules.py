"""What a simulation is made of: plain values that Hypothesis draws and prints."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from hypothesis import strategies as st

from fastkafka.routing import Order

Does = Literal[
    "ok",
    "slow",
    "output",
    "two outputs",
    "raise",
    "raise after output",
    "reject",
    "later",
    "exit",
    "cancelled",
    "stop the app",
    "hang",
    "stubborn",
    "large",
    "refused",
]
"""What a call of a handler does with a record."""

ENDS_WELL: tuple[Does, ...] = ("ok", "slow", "output", "two outputs")
FAILS: tuple[Does, ...] = ("raise", "raise after output", "large", "refused")
FAILS_FOR_GOOD: tuple[Does, ...] = ("reject", "exit", "cancelled")
HANGS: tuple[Does, ...] = ("hang", "stubborn")
OTHERS: tuple[Does, ...] = ("later", "stop the app")
DOES: tuple[Does, ...] = (*ENDS_WELL, *FAILS, *FAILS_FOR_GOOD, *HANGS, *OTHERS)

What = Literal[
    "produce",
    "start",
    "stop",
    "crash",
    "rebalance",
    "suspend",
    "resume",
    "commit",
    "refuse commits",
    "refuse outputs",
    "refuse dead letters",
    "refuse fetches",
    "slow acknowledgements",
    "down",
    "up",
    "heal",
    "add a partition",
    "pause",
    "unpause",
    "seek",
    "concurrency",
]
"""What happens to the group and to the broker."""


@dataclass(frozen=True)
class Input:
    """One record.

    Attributes:
        partition: Where it goes, modulo the number of partitions.
        key: None is no key.
        does: What its first calls do.
        ends: What every later call does; "undecodable" is never called.
    """

    partition: int
    key: int | None
    does: tuple[Does, ...] = ()
    ends: Literal["ok", "output", "poison", "undecodable"] = "ok"


@dataclass(frozen=True)
class Action:
    """Something that happens: so many steps and seconds after what came before."""

    what: What
    number: int = 0
    steps: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Schedule:
    """Everything about one simulation.

    Attributes:
        order, concurrency, attempts, delay, on_failure, handler_timeout: The app's.
        batch: The most records of a batch; 0 is a handler of single records.
        batch_timeout: How long a batch waits to be filled.
        batch_failure: How a batch says that a record failed.
        audited: A second function reads the topic, too.
        workers: Members of the group at the start.
        poll_records: The most records of one poll.
        high: Records that a partition may have in the engine.
        queue: Records that a producer may have unacknowledged.
        before: How many of the inputs are there before the first worker.
        faults: What is wrong from the beginning.
    """

    order: Order = "partition"
    concurrency: int = 2
    attempts: int = 2
    delay: float = 0.2
    on_failure: Literal["dead_letter", "skip", "stop", "ask"] = "dead_letter"
    handler_timeout: float | None = None
    batch: int = 0
    batch_timeout: float = 0.0
    batch_failure: Literal["raise", "index", "results"] = "raise"
    audited: bool = False
    partitions: int = 1
    workers: int = 1
    poll_records: int = 5
    high: int = 4
    queue: int = 100
    revoke_timeout: float = 5.0
    shutdown_timeout: float = 10.0
    before: int = 5
    seed: int = 0
    faults: tuple[Action, ...] = ()
    inputs: tuple[Input, ...] = ()
    actions: tuple[Action, ...] = ()


_WELL = st.sampled_from((*ENDS_WELL, "slow"))
_ANY = st.sampled_from(DOES)
_DOES = st.lists(_WELL | _WELL | _ANY, max_size=3).map(tuple)

_INPUTS = st.builds(
    Input,
    partition=st.sampled_from((0, 0, 0, 1, 2)),
    key=st.sampled_from((0, 0, 0, 1, 2, None)),
    does=_DOES,
    ends=st.sampled_from(("ok", "ok", "output", "output", "poison", "undecodable")),
)

_FAULTS = st.builds(
    Action,
    what=st.sampled_from(
        (
            *("refuse commits", "refuse outputs", "refuse dead letters"),
            *("refuse dead letters", "refuse fetches", "slow acknowledgements"),
        )
    ),
    number=st.integers(0, 3),
)

_ACTIONS = st.builds(
    Action,
    what=st.sampled_from(
        (
            *("produce", "start", "stop", "crash", "rebalance", "rebalance"),
            *("suspend", "resume", "commit", "refuse commits", "refuse outputs"),
            *("refuse dead letters", "refuse fetches", "slow acknowledgements"),
            *("down", "up", "heal", "add a partition"),
            *("pause", "unpause", "seek", "seek", "concurrency"),
        )
    ),
    number=st.integers(0, 3),
    steps=st.integers(0, 40),
    seconds=st.sampled_from((0.0, 0.0, 0.0, 0.2, 0.5, 1.1, 7.0, 13.0)),
)


def schedules(order: Order, *, batches: bool = False) -> st.SearchStrategy[Schedule]:
    """Return schedules of one kind of handler."""
    drawn = st.builds(
        Schedule,
        order=st.just(order),
        batch=st.integers(1, 4) if batches else st.just(0),
        concurrency=st.integers(1, 3),
        attempts=st.integers(1, 3),
        delay=st.sampled_from((0.0, 0.2, 3.0)),
        on_failure=st.sampled_from(
            ("dead_letter", "dead_letter", "skip", "stop", "ask")
        ),
        handler_timeout=st.sampled_from((None, 2.0)),
        batch_timeout=st.sampled_from((0.0, 0.0, 0.3, 4.0)),
        batch_failure=st.sampled_from(("raise", "index", "results")),
        audited=st.booleans(),
        partitions=st.integers(1, 3),
        workers=st.integers(1, 3),
        poll_records=st.integers(1, 6),
        high=st.integers(2, 6),
        queue=st.sampled_from((1, 2, 100)),
        revoke_timeout=st.sampled_from((1.0, 5.0)),
        shutdown_timeout=st.sampled_from((4.0, 10.0)),
        before=st.integers(0, 10),
        seed=st.integers(0, 100),
        faults=st.lists(_FAULTS, max_size=2).map(tuple),
        inputs=st.lists(_INPUTS, min_size=1, max_size=14).map(tuple),
        actions=st.lists(_ACTIONS, max_size=7).map(tuple),
    )
    return drawn.map(_possible)


def _possible(schedule: Schedule) -> Schedule:
    """With `on_failure="stop"` what always fails would stop every app for ever."""
    if schedule.on_failure != "stop":
        return schedule
    inputs = [
        replace(one, ends="ok") if one.ends in ("poison", "undecodable") else one
        for one in schedule.inputs
    ]
    # So would a record that seems to have killed its workers.
    actions, left = [], 2
    for action in schedule.actions:
        if action.what in ("crash", "suspend", "refuse commits", "down"):
            left -= 1 + action.number * (action.what == "refuse commits")
            if left < 0:
                continue
        actions.append(action)
    faults = [fault for fault in schedule.faults if fault.what != "refuse commits"]
    return replace(
        schedule,
        inputs=tuple(inputs),
        actions=tuple(actions),
        faults=tuple(faults),
    )


def _known_to_work(
    schedule: Schedule, actions: tuple[Action, ...]
) -> tuple[Action, ...]:
    return tuple(
        action
        for action in actions
        if not (schedule.batch and action.what == "refuse outputs")
    )
