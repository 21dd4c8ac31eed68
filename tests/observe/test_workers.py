"""What the parent of a run knows of its workers, and several workers as one."""

from __future__ import annotations

import os
from dataclasses import replace

from fastkafka.observe.merging import merged
from fastkafka.observe.snapshot import Snapshot
from fastkafka.observe.workers import (
    BLOCKED,
    SILENCE,
    STUCK,
    Workers,
    from_line,
    to_line,
    with_blocked_loop,
)
from tests.snapshots import partition, problem, snapshot


class Clock:
    """Time that tests turn."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def workers(number: int = 2, clock: Clock | None = None) -> Workers:
    clock = clock or Clock()
    return Workers(number, clock, clock)


def handled(snapshots: Workers) -> int:
    """Return the sum that metrics would show."""
    return sum(f.handled for f in merged(snapshots.snapshots()).functions)


# Merging


def test_counts_and_capacities_are_summed() -> None:
    one = merged([snapshot(11), snapshot(12, handled=7)])

    (function,) = one.functions
    assert function.handled == 12
    assert function.concurrency == 8
    assert function.buckets[0] == 12
    assert function.failed == {"ValueError": 6}
    assert one.members[0].commits == 14
    assert one.producing[0].sent == 18
    assert (one.pid, one.worker) == (0, 0)


def test_a_partition_that_changes_hands_is_as_its_new_owner_says() -> None:
    old = snapshot(11, time=1000.0, partitions=[partition(0, lag=10)])
    new = snapshot(12, time=1001.0, partitions=[partition(0, lag=4), partition(1)])

    one = merged([new, old])

    assert [(p.partition, p.lag) for p in one.partitions] == [(0, 4), (1, 10)]


def test_what_two_workers_complain_of_is_said_once() -> None:
    early = problem(ready=True)
    late = replace(problem(), since=950.0)

    one = merged([snapshot(11, problems=[late]), snapshot(12, problems=[early])])

    assert one.problems == [replace(problem(), since=900.0)]


def test_nothing_merged_is_an_empty_snapshot() -> None:
    assert merged([]) == Snapshot(*(0.0, 0, [], [], [], [], []), problems=[], worker=0)


# A run


def test_a_worker_is_not_ready_before_it_has_said_anything() -> None:
    known = workers(1).snapshots()

    assert [(s.worker, s.pid, s.ready, s.live) for s in known] == [(1, 0, False, True)]
    assert known[0].problems[0].text == "Worker 1 is starting."


def test_counters_do_not_fall_when_a_worker_is_killed_and_replaced() -> None:
    run = workers()
    run.heard(1, snapshot(11, handled=5))
    run.heard(2, snapshot(12, handled=7))
    assert handled(run) == 12

    run.ended(2, "Worker 12 was killed by SIGKILL. Another one starts.")
    assert handled(run) == 12

    run.heard(2, snapshot(13, handled=1))
    assert handled(run) == 13

    run.ended(2, "Worker 13 was killed by SIGKILL. Another one starts.")
    run.ended(1, "Worker 11 was killed by SIGKILL. Another one starts.")
    assert handled(run) == 13


def test_what_an_ended_worker_was_doing_is_not_kept() -> None:
    run = workers(1)
    run.heard(1, snapshot())
    run.ended(1, "Worker 11 ended with exit code 3. Another one starts.")

    one = merged(run.snapshots())

    assert one.functions[0].busy == one.functions[0].concurrency == 0
    assert one.partitions == []
    assert one.members[0].assigned == 0
    assert one.loop_lag == 0.0


def test_a_worker_that_ended_says_why_and_is_live() -> None:
    run = workers(1)
    run.heard(1, snapshot())
    run.ended(1, "Worker 11 was killed by SIGKILL. Another one starts.")

    worker, _ = run.snapshots()

    assert (worker.worker, worker.pid) == (1, 0)
    assert worker.problems[0].kind == "ended"
    assert worker.problems[0].text == (
        "Worker 11 was killed by SIGKILL. Another one starts."
    )
    assert not worker.ready
    assert run.live


def test_a_worker_that_says_nothing_is_not_live() -> None:
    clock = Clock()
    run = workers(1, clock)
    run.heard(1, snapshot())

    clock.now += SILENCE - 1
    assert run.live

    clock.now += 3
    (worker,) = run.snapshots()
    assert not run.live
    assert worker.problems[0].text == (
        "Worker 1, process 11, has said nothing for 17 s. "
        "It is suspended, or runs code that lets no thread run."
    )
    assert worker.problems[0].since == clock.now - 17

    run.heard(1, snapshot())
    assert run.live


def test_an_app_that_has_stopped_keeps_what_it_counted() -> None:
    run = workers(1)
    run.heard(1, snapshot(handled=5))

    run.heard(1, Snapshot(1001.0, 11, problems=[problem("starting")]))

    assert handled(run) == 5
    assert run.snapshots()[0].problems[0].kind == "starting"
    run.ended(1, "Worker 11 ended with exit code 0.")
    assert handled(run) == 5


def test_a_run_that_stops_is_not_ready_and_live() -> None:
    run = workers()
    run.heard(1, snapshot(11))
    run.heard(2, snapshot(12))

    run.stopping()

    assert [s.ready for s in run.snapshots()] == [False, False]
    assert run.live


def test_workers_keep_their_numbers() -> None:
    run = workers()
    run.heard(2, snapshot(12))
    run.heard(1, snapshot(11))

    assert [(s.worker, s.pid) for s in run.snapshots()] == [(1, 11), (2, 12)]


def test_a_line_says_all_there_is_to_say() -> None:
    run = workers(1)
    run.heard(1, snapshot(os.getpid(), problems=[problem()]))
    run.ended(1, "Worker 1 ended with exit code 3.\nAnother one starts.")

    line = to_line(run.snapshots())

    assert line.count(b"\n") == 1
    assert merged(from_line(line)) == merged(run.snapshots())


def test_a_snapshot_survives_json() -> None:
    once = Snapshot.from_json(snapshot(problems=[problem()]).to_json())

    assert once.functions == snapshot().functions
    assert once.problems == [problem()]
    assert Snapshot.from_json(once.to_json()) == once


def test_a_loop_that_does_not_turn_is_unready_and_then_not_live() -> None:
    moment = with_blocked_loop(snapshot(), BLOCKED - 1)
    while_ = with_blocked_loop(snapshot(), BLOCKED)
    long = with_blocked_loop(snapshot(), STUCK)

    assert (moment.ready, moment.live, moment.loop_lag) == (True, True, BLOCKED - 1)
    assert (while_.ready, while_.live) == (False, True)
    assert (long.ready, long.live) == (False, False)
    assert while_.problems[0].since == 995.0
    assert while_.problems[0].text == (
        "The event loop has not turned for 5 s: code blocks it, and nothing is "
        "handled. The log has where."
    )
