"""Scenarios 7, 9 - 11, 18 - 20 and 33: workers come, go, hang and die."""

from __future__ import annotations

import signal
import time
from typing import Any

from tests.faults.brokers import RATE, two_workers
from tests.faults.ledger import of_kind
from tests.faults.scenarios import Lab, scenario
from tests.faults.trial import Outcome
from tests.faults.workers import Worker, is_alive, wait_until_gone

_SHORT = {"session_timeout_ms": 6000}
_KIP_848 = {"group_protocol": "consumer"}


def _slow_handler(lab: Lab, name: str, order: dict[str, Any], kind: str) -> Outcome:
    settings = _SHORT | {"max_poll_interval_ms": 6000}
    with lab.trial(name, settings=settings, kind=kind) as trial:
        two_workers(trial)
        with trial.fault("a handler that takes 12 s", repeats=False):
            trial.feed.send(order, key="slow")
            trial.go_on()
            time.sleep(13)
        trial.go_on()
        moved = of_kind(trial.entries, "revoked", "lost")
        before = trial.disturbances[0].begin
        moved = [entry for entry in moved if entry.time > before]
        trial.expect(not moved, f"nobody left the group, but {moved[:2]}")
        return trial.finish()


@scenario(
    7,
    "a",
    title="an async handler slower than `max.poll.interval.ms`",
    injected="a record that takes 12 s, interval and session 6 s",
    holds="stays in the group, C, repeats nothing",
)
def slow_async(lab: Lab) -> Outcome:
    return _slow_handler(lab, "s07a", {"seconds": 12}, "async")


@scenario(
    7,
    "b",
    title="a sync handler slower than `max.poll.interval.ms`",
    injected="a record that takes 12 s, interval and session 6 s",
    holds="stays in the group, C, repeats nothing",
)
def slow_sync(lab: Lab) -> Outcome:
    return _slow_handler(lab, "s07b", {"seconds": 12}, "sync")


@scenario(
    7,
    "c",
    title="a handler that computes for longer than `max.poll.interval.ms`",
    injected="a record that takes 12 s of CPU in a thread, interval and session 6 s",
    holds="stays in the group, C, repeats nothing",
)
def slow_compute(lab: Lab) -> Outcome:
    return _slow_handler(lab, "s07c", {"do": "compute", "seconds": 12}, "sync")


def _storm(lab: Lab, name: str, settings: dict[str, Any]) -> Outcome:
    with lab.trial(name, settings=settings, work=0.005, order="key") as trial:
        two_workers(trial)
        guests: list[Worker] = []
        with trial.fault("a rebalance storm"):
            end = time.monotonic() + 30
            while time.monotonic() < end:
                if len(guests) < 3:
                    network = lab.chance.choice(["left", "right"])
                    guests.append(trial.worker(f"guest-{len(guests)}", network=network))
                else:
                    guest = guests.pop(lab.chance.randrange(3))
                    guest.signal(signal.SIGTERM)  # it takes its time, we go on
                time.sleep(lab.chance.uniform(1, 2))
            for guest in guests:
                guest.signal(signal.SIGTERM)
            for worker in trial.workers[2:]:
                code = worker.wait()
                # Who is told to stop before it could listen ends by the signal.
                fine = code == 0 or (code == -signal.SIGTERM and not worker.has_begun)
                trial.expect(fine, f"{worker.name} ends with 0, not {code}")
        trial.go_on()
        changes = len(of_kind(trial.entries, "assigned"))
        trial.note(f"{len(trial.workers)} workers, {changes} partitions assigned")
        return trial.finish()


@scenario(
    9,
    "a",
    title="a rebalance storm, classic protocol",
    injected="a member joins or leaves every 1 - 2 s for 30 s",
    holds="L O D C P",
)
def storm(lab: Lab) -> Outcome:
    return _storm(lab, "s09a", {})


@scenario(
    9,
    "b",
    title="a rebalance storm, protocol of KIP-848",
    injected="a member joins or leaves every 1 - 2 s for 30 s",
    holds="L O D C P",
)
def storm_848(lab: Lab) -> Outcome:
    return _storm(lab, "s09b", _KIP_848)


@scenario(
    10,
    title="partitions are revoked while work is in flight that ends late",
    injected="records that take 10 s in every partition, revoke waits 3 s, "
    "a member joins",
    holds="L O C, a bounded wait, the late end is ignored",
)
def late_work(lab: Lab) -> Outcome:
    with lab.trial("s10", revoke_timeout=3.0, partitions=4) as trial:
        first = trial.worker("a")
        trial.feed.start(RATE)
        trial.settle()
        for partition in range(4):
            trial.feed.send({"seconds": 10}, key="slow", partition=partition)
        time.sleep(1.0)
        with trial.fault("a member joins while everything is busy"):
            trial.worker("b", network="right")
            trial.until(
                lambda: any(trial.owned().get(pid) for pid in trial.processes()[1:]),
                "the new member gets partitions while the old one is busy",
                20,
            )
            trial.go_on()
        trial.expect(
            "Handlers did not end within 3 s of a revoke" in first.log,
            "the wait for handlers was bounded, and that is said",
        )
        return trial.finish()


@scenario(
    11,
    title="a partition is revoked and comes back to the same member",
    injected="another member joins and leaves, four times, handlers take 0.3 s",
    holds="L O D C, nothing is dropped, nothing runs twice at once",
)
def comes_back(lab: Lab) -> Outcome:
    with lab.trial("s11", work=0.3, order="key", settings=_KIP_848) as trial:
        trial.worker("a")
        trial.feed.start(30)
        trial.settle()
        first = trial.processes()[0]
        for turn in range(4):
            with trial.fault("a member joins and leaves", repeats=False):
                guest = trial.worker(f"guest-{turn}", network="right")
                trial.until(
                    lambda turn=turn: len(trial.processes()) >= turn + 2,  # type: ignore[misc]
                    "the guest is up",
                )
                guest.stop()
            trial.go_on()
        epochs = [e.epoch for e in of_kind(trial.entries, "end") if e.process == first]
        trial.expect(max(epochs) >= 2, "a partition came back to the same member")
        trial.note(f"epoch {max(epochs)} of a partition")
        return trial.finish()


@scenario(
    18,
    "a",
    title="SIGTERM while working",
    injected="SIGTERM to `fastkafka run` with two workers, three times",
    holds="drained and committed, exit code 0, repeats nothing",
)
def terminated(lab: Lab) -> Outcome:
    with lab.trial("s18a", work=0.02, order="key") as trial:
        trial.feed.start(RATE)
        for turn in range(3):
            run = trial.worker(f"run-{turn}", supervised=2)
            trial.settle(workers=2 * turn + 2)
            with trial.fault("SIGTERM", repeats=False):
                code = run.stop()
            trial.expect(code == 0, f"exit code 0, not {code}")
        trial.worker("last", supervised=2)
        return trial.finish()


@scenario(
    18,
    "b",
    title="SIGTERM while a handler goes on beyond the deadline",
    injected="a record that takes 25 s, `--shutdown-timeout 4`; then a second SIGTERM",
    holds="cut at the deadline, its record is not committed; a second one is fast",
)
def deadline(lab: Lab) -> Outcome:
    with lab.trial("s18b", order="key") as trial:
        trial.feed.start(RATE)
        run = trial.worker("run", supervised=1, shutdown_timeout=4)
        trial.settle()
        trial.feed.send({"seconds": 25}, key="slow")
        time.sleep(1)
        with trial.fault("SIGTERM, deadline 4 s", repeats=False):
            code = run.stop(seconds=10)
        trial.expect(code == 0, f"exit code 0 within 10 s, not {code}")
        run = trial.worker("run", supervised=1)
        trial.settle(workers=2)
        with trial.fault("two SIGTERM"):
            run.signal(signal.SIGTERM)
            time.sleep(1)
            run.signal(signal.SIGTERM)
            code = run.wait(3)
        trial.expect(code is not None, "the second SIGTERM ends it within 3 s")
        alive = [pid for pid in trial.processes() if is_alive(pid)]
        trial.expect(not alive, "no worker is left behind")
        trial.worker("last", supervised=1)
        return trial.finish()


@scenario(
    19,
    title="SIGKILL at random moments, restarted by the supervisor",
    injected="SIGKILL of one of two workers of `fastkafka run`, four times",
    holds="L D C",
)
def killed(lab: Lab) -> Outcome:
    with lab.trial("s19", work=0.01, order="key", settings=_SHORT) as trial:
        trial.worker("run", supervised=2)
        trial.feed.start(RATE)
        trial.settle(workers=2)
        for turn in range(4):
            time.sleep(lab.chance.uniform(0.2, 3))
            # In turns: who dies young three times in a row is not replaced.
            alive = [pid for pid in trial.processes() if is_alive(pid)]
            victim = alive[0]
            with trial.fault(f"SIGKILL of worker {victim}"):
                lab.kill(victim)
                wait_until_gone(victim, 10)
            trial.until(
                lambda turn=turn: len(trial.processes()) >= 3 + turn,  # type: ignore[misc]
                "another worker is up",
            )
            trial.go_on()
        return trial.finish()


@scenario(
    20,
    title="a worker is suspended for longer than its session, and goes on",
    injected="SIGSTOP for 15 s, session 6 s, SIGCONT",
    holds="C, no commit of the zombie is accepted, O for the new owner, L",
)
def suspended(lab: Lab) -> Outcome:
    with lab.trial("s20", work=0.01, order="key", settings=_SHORT) as trial:
        two_workers(trial)
        with trial.fault("SIGSTOP of worker a for 15 s"):
            trial.workers[0].signal(signal.SIGSTOP)
            time.sleep(10)
            trial.go_on()  # the other one has all partitions
            trial.workers[0].signal(signal.SIGCONT)
        trial.go_on()
        time.sleep(3)
        return trial.finish()


@scenario(
    33,
    "a",
    title="a rolling upgrade from the classic to the consumer protocol",
    injected="two classic members (`range`) replaced by members of KIP-848, one by one",
    holds="L P, repeats nothing",
)
def upgrade(lab: Lab) -> Outcome:
    settings = {"partition_assignment_strategy": "range"}
    with lab.trial("s33a", settings=settings) as trial:
        two_workers(trial)
        for turn, network in enumerate(("left", "right")):
            with trial.fault("a member is replaced", repeats=False):
                code = trial.workers[turn].stop()
                trial.expect(code == 0, f"exit code 0, not {code}")
                trial.worker(f"new-{turn}", network=network, settings=_KIP_848)
                trial.until(
                    lambda turn=turn: len(trial.processes()) >= 3 + turn,  # type: ignore[misc]
                    "the new member is up",
                )
            trial.go_on()
        new = [pid for pid in trial.processes() if is_alive(pid)]
        trial.until(
            lambda: len(new) == 2 and all(trial.owned().get(pid) for pid in new),
            "both new members have partitions",
        )
        trial.go_on()
        return trial.finish()


@scenario(
    33,
    "b",
    title="a rolling upgrade that the brokers refuse",
    injected="one of two classic members (`cooperative-sticky`) replaced by one of "
    "KIP-848",
    holds="the other goes on; the new one works or ends with exit code 1 and says why",
)
def refused_upgrade(lab: Lab) -> Outcome:
    with lab.trial("s33b") as trial:
        two_workers(trial)
        with trial.fault("a member is replaced", repeats=False):
            trial.workers[0].stop()
            worker = trial.worker("new", settings=_KIP_848)
            trial.until(
                lambda: (
                    worker.exit_code is not None
                    or any(trial.owned().get(pid) for pid in trial.processes()[2:])
                ),
                "the new member has partitions, or has ended",
            )
        if worker.exit_code is not None:
            trial.expect(worker.exit_code == 1, f"exit code 1, not {worker.exit_code}")
            trial.expect("group id does not exist" in worker.log, "it says why")
            trial.note("the brokers refuse it, and it says so")
        trial.go_on()
        return trial.finish()
