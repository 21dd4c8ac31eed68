"""Scenario 35: everything together, at random moments, for as long as you like."""

from __future__ import annotations

import signal
import time
from collections import defaultdict
from collections.abc import Callable

from tests.faults.brokers import RATE
from tests.faults.cluster import OFFSETS
from tests.faults.scenarios import Lab, scenario
from tests.faults.trial import Outcome, Trial
from tests.faults.workers import Worker, is_alive

_WORKERS = 3
_OLD_SAMPLES = 120
"""One a second: of a process that is younger it cannot be told whether it grows."""

_FLAT = 1.5
"""How much more memory, or files, than before a process may have at its end."""


class Mix:
    """Breaks one thing after another, and mends it."""

    def __init__(self, lab: Lab, trial: Trial) -> None:
        self.lab = lab
        self.trial = trial
        self.done: dict[str, int] = defaultdict(int)
        self._number = 0
        self.faults: list[Callable[[], None]] = [
            self.broker_killed,
            self.broker_suspended,
            self.broker_restarted,
            self.network_cut,
            self.network_slow,
            self.connections_reset,
            self.worker_killed,
            self.worker_suspended,
            self.worker_stopped,
            self.worker_joins,
            self.poison,
        ]

    def add_worker(self) -> None:
        """Start a worker in one of the networks."""
        network = self.lab.chance.choice(["left", "right"])
        self._number += 1
        self.trial.worker(f"w{self._number}", network=network)

    @property
    def workers(self) -> list[Worker]:
        """Those that run."""
        return [w for w in self.trial.workers if w.exit_code is None]

    @property
    def victims(self) -> list[Worker]:
        """Those that may be ended: the oldest tells whether memory stays flat."""
        return self.workers[1:]

    def turn(self) -> None:
        """Break something, mend it, and see that everything goes on."""
        fault = self.lab.chance.choice(self.faults)
        name = fault.__name__
        self.done[name] += 1
        with self.trial.fault(name.replace("_", " ")):
            fault()
        while len(self.workers) < _WORKERS:
            self.add_worker()
        self.trial.go_on(120)
        self.lab.cluster.wait_in_sync(self.trial.topic)
        self.lab.cluster.wait_in_sync(OFFSETS)

    def broker_killed(self) -> None:
        broker = self.lab.chance.choice(self.lab.cluster.brokers)
        self.lab.cluster.kill(broker)
        self.pause(2, 8)
        self.lab.cluster.restart(broker)

    def broker_suspended(self) -> None:
        broker = self.lab.chance.choice(self.lab.cluster.brokers)
        self.lab.cluster.suspend(broker)
        self.pause(2, 12)
        self.lab.cluster.resume(broker)

    def broker_restarted(self) -> None:
        broker = self.lab.chance.choice(self.lab.cluster.brokers)
        self.lab.cluster.terminate(broker)
        self.lab.cluster.restart(broker)

    def network_cut(self) -> None:
        network = self.lab.cluster.networks[self.lab.chance.choice(["left", "right"])]
        ways = self.lab.chance.choice([(), ("to_broker",), ("to_client",)])
        network.cut(*ways)  # type: ignore[arg-type]
        self.pause(2, 12)
        network.mend()

    def network_slow(self) -> None:
        for network in self.lab.cluster.networks.values():
            network.slow(0.2)
        self.pause(2, 8)
        for network in self.lab.cluster.networks.values():
            network.mend()

    def connections_reset(self) -> None:
        for network in self.lab.cluster.networks.values():
            network.reset_in_response(self.lab.chance.randrange(1000))
        self.pause(1, 3)
        for network in self.lab.cluster.networks.values():
            network.mend()
            network.reset()

    def worker_killed(self) -> None:
        self.lab.chance.choice(self.victims).kill()

    def worker_suspended(self) -> None:
        worker = self.lab.chance.choice(self.workers)
        worker.signal(signal.SIGSTOP)
        self.pause(2, 12)
        worker.signal(signal.SIGCONT)

    def worker_stopped(self) -> None:
        worker = self.lab.chance.choice(self.victims)
        code = worker.stop()
        self.trial.expect(code == 0, f"{worker.name} ends with 0, not {code}")

    def worker_joins(self) -> None:
        if len(self.workers) < 2 * _WORKERS:
            self.add_worker()
            self.pause(1, 3)

    def poison(self) -> None:
        self.trial.feed.send({"do": "raise"}, key="poison")

    def pause(self, least: float, most: float) -> None:
        """Let some time go by."""
        time.sleep(self.lab.chance.uniform(least, most))


@scenario(
    35,
    title="all of it, at random",
    injected="one fault after another: brokers killed, suspended, restarted; networks "
    "cut, slow, reset; workers killed, suspended, stopped, joining; poison",
    holds="L O D C P, flat memory and files",
)
def mix(lab: Lab) -> Outcome:
    settings = {"session_timeout_ms": 6000}
    with lab.trial("s35", order="key", settings=settings, delay=0.05) as trial:
        trial.recovery = 60.0
        trial.poison = {"poison"}
        faults = Mix(lab, trial)
        for _ in range(_WORKERS):
            faults.add_worker()
        trial.feed.start(RATE)
        trial.settle(workers=_WORKERS)
        end = time.monotonic() + lab.seconds
        while time.monotonic() < end:
            faults.turn()
        trial.note(", ".join(f"{name} {n}" for name, n in faults.done.items()))
        _flat(trial, [p for p in trial.processes() if is_alive(p)])
        return trial.finish(catch_up=180)


def _flat(trial: Trial, pids: list[int]) -> None:
    """Expect that no process grows: its last samples beside its first ones.

    The first quarter is not looked at: caches fill. A leak is seen when it is half of
    what the process has, so a long run sees a smaller one.
    """
    ages = []
    for pid in pids:
        samples = [s for s in trial.memory.samples if s[1] == pid]
        if len(samples) < _OLD_SAMPLES:
            continue
        ages.append(len(samples))
        quarter = len(samples) // 4
        for what, column in (("MB", 2), ("files", 3)):
            early = max(float(s[column]) for s in samples[quarter : 2 * quarter])
            late = max(float(s[column]) for s in samples[-quarter:])
            trial.expect(
                late < early * _FLAT + 5,
                f"process {pid} stays at {early:.0f} {what}, not {late:.0f}",
            )
    oldest = max(ages, default=0)
    trial.note(f"{len(ages)} processes old enough to see growth, the oldest {oldest} s")
