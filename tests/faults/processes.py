"""Scenarios 8, 26, 31 and 34: what happens inside one process."""

from __future__ import annotations

import time
from itertools import pairwise

from tests.faults.brokers import RATE, two_workers
from tests.faults.ledger import of_kind
from tests.faults.scenarios import Lab, scenario
from tests.faults.trial import Outcome


@scenario(
    8,
    title="user code blocks the event loop",
    injected="a handler that calls `time.sleep(30)`, session 10 s",
    holds="seen and logged with its stack, stays in the group, L C, repeats nothing",
)
def blocked(lab: Lab) -> Outcome:
    with lab.trial("s08", order="key") as trial:
        two_workers(trial)
        with trial.fault("a blocked event loop", repeats=False):
            trial.feed.send({"do": "block", "seconds": 30}, key="slow")
            time.sleep(31)
        trial.go_on()
        began = trial.disturbances[0].begin
        moved = of_kind(trial.entries, "revoked", "lost")
        moved = [entry for entry in moved if entry.time > began]
        trial.expect(not moved, f"nobody left the group, but {moved[:2]}")
        outcome = trial.finish()
        log = "".join(worker.log for worker in trial.workers)
        trial.expect("DEEDS[order.do]" in log, "the log shows the line that blocked")
        return outcome


@scenario(
    26,
    title="the wall clock jumps by an hour",
    injected="`time.time` of the worker's process an hour ahead from its 6th second "
    "on, while records wait for their retry",
    holds="back-off uses a monotonic clock: retries come when they are due; L",
)
def clock(lab: Lab) -> Outcome:
    with lab.trial("s26", order="key", clock_jumps=6.0, delay=3.0, attempts=3) as trial:
        trial.poison = {"failing"}
        trial.worker("a")
        trial.feed.start(RATE)
        trial.settle()
        with trial.fault("an hour ahead", repeats=False):
            trial.feed.send({"do": "raise"}, key="failing")
            trial.until(lambda: len(trial.dead_letters()) == 1, "it is parked", 40)
        outcome = trial.finish()
        calls = [e.time for e in of_kind(trial.entries, "begin") if e.key == "failing"]
        waits = [later - earlier for earlier, later in pairwise(calls)]
        trial.expect(
            len(waits) == 2 and 2.5 < waits[0] < 5 and 5 < waits[1] < 9,
            f"retries wait about 3 and 6 s, not {waits}",
        )
        return outcome


@scenario(
    31,
    "a",
    title="the producer's queue is full",
    injected="outputs cannot be sent for 8 s, a queue of 20 records",
    holds="L, callers wait, nothing is dropped, repeats nothing",
)
def full_queue(lab: Lab) -> Outcome:
    settings = {"librdkafka": {"queue.buffering.max.messages": 20}}
    with lab.trial(
        "s31a",
        output_settings=settings,
        output_servers=lab.cluster.servers("right"),
    ) as trial:
        trial.worker("a")
        trial.feed.start(RATE)
        trial.settle()
        with trial.fault("outputs are cut off", repeats=False):
            lab.cluster.networks["right"].cut()
            time.sleep(8)
            lab.cluster.networks["right"].mend()
        trial.go_on()
        outcome = trial.finish()
        trial.expect("BufferError" not in trial.workers[0].log, "no `BufferError`")
        return outcome


@scenario(
    31,
    "b",
    title="outputs time out",
    injected="outputs cannot be sent for 15 s, `message.timeout.ms` 2,000",
    holds="the handler's failure: retried or parked, L",
)
def delivery_timeout(lab: Lab) -> Outcome:
    settings = {"librdkafka": {"message.timeout.ms": 2000}}
    with lab.trial(
        "s31b",
        order="key",
        output_settings=settings,
        output_servers=lab.cluster.servers("right"),
    ) as trial:
        trial.poison = None  # what could not be sent in its three attempts
        trial.worker("a")
        trial.feed.start(20)
        trial.settle()
        with trial.fault("outputs are cut off"):
            lab.cluster.networks["right"].cut()
            time.sleep(15)
            lab.cluster.networks["right"].mend()
        trial.go_on()
        return trial.finish()


@scenario(
    31,
    "c",
    title="a flush at exit fails",
    injected="outputs of a background task cannot be sent, SIGTERM, deadline 5 s",
    holds="the exit code is not 0, and the log says how many; L of the inputs",
)
def failed_flush(lab: Lab) -> Outcome:
    with lab.trial(
        "s31c", in_background=True, output_servers=lab.cluster.servers("right")
    ) as trial:
        worker = trial.worker("a", shutdown_timeout=5)
        trial.feed.start(RATE)
        trial.settle()
        with trial.fault("outputs are cut off, and the worker is stopped"):
            lab.cluster.networks["right"].cut()
            time.sleep(3)
            code = worker.stop(seconds=15)
            lab.cluster.networks["right"].mend()
        trial.expect(code == 1, f"exit code 1, not {code}")
        trial.expect("were not acknowledged" in worker.log, "the log says how many")
        trial.worker("b")
        trial.go_on()
        return trial.finish()


@scenario(
    34,
    "a",
    title="a handler starts processes with `spawn`",
    injected="a process pool of `multiprocessing`'s spawn context in 3 handlers",
    holds="L, repeats nothing",
)
def spawn(lab: Lab) -> Outcome:
    with lab.trial("s34a", kind="sync", order="key") as trial:
        trial.worker("a")
        trial.feed.start(RATE)
        trial.settle()
        with trial.fault("spawn", repeats=False):
            for number in range(3):
                trial.feed.send({"do": "spawn"}, key=f"spawn-{number}")
            trial.go_on()
        return trial.finish()


@scenario(
    34,
    "b",
    title="a handler forks, and the child produces",
    injected="`os.fork` in a sync handler, a producer called in the child",
    holds="no client is shared across a fork: a clear error in the child; L",
)
def fork(lab: Lab) -> Outcome:
    with lab.trial("s34b", kind="sync", order="key") as trial:
        trial.worker("a")
        trial.feed.start(RATE)
        trial.settle()
        with trial.fault("fork", repeats=False):
            trial.feed.send({"do": "fork", "seconds": 1}, key="fork")
            trial.go_on()
        outcome = trial.finish()
        said = [e.text for e in of_kind(trial.entries, "health") if "forked" in e.text]
        trial.expect(said and "fork" in said[0][8:], f"a clear error, but {said}")
        return outcome


@scenario(
    34,
    "c",
    title="uvloop",
    injected="an event loop of uvloop's, SIGKILL of one of two workers, SIGTERM",
    holds="L D O C P as with asyncio's",
)
def uvloop(lab: Lab) -> Outcome:
    with lab.trial(
        "s34c", loop="uvloop", settings={"session_timeout_ms": 6000}
    ) as trial:
        two_workers(trial)
        with trial.fault("SIGKILL of worker a"):
            trial.workers[0].kill()
        trial.go_on()
        trial.worker("c")
        trial.until(lambda: len(trial.processes()) == 3, "the new worker is up")
        trial.go_on()
        return trial.finish()
