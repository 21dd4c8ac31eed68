"""Scenarios 1 - 6: brokers and the ways to them."""

from __future__ import annotations

import time

from tests.faults.cluster import OFFSETS
from tests.faults.ledger import of_kind
from tests.faults.scenarios import Lab, scenario
from tests.faults.trial import Outcome, Trial

RATE = 60.0


def two_workers(trial: Trial) -> None:
    """Start a worker in each network, and the feed; return when all goes on."""
    trial.worker("a", network="left")
    trial.worker("b", network="right")
    trial.feed.start(RATE)
    trial.settle(workers=2)


@scenario(
    1,
    title="a leader is killed and comes back",
    injected="SIGKILL of the leader of a partition, restart 8 s later",
    holds="L O P",
)
def leader_killed(lab: Lab) -> Outcome:
    with lab.trial("s01") as trial:
        two_workers(trial)
        leader = lab.cluster.leader(trial.topic)
        with trial.fault(f"kill of broker {leader}, the leader"):
            lab.cluster.kill(leader)
        time.sleep(8)
        trial.go_on()
        with trial.fault("restart"):
            lab.cluster.restart(leader)
            lab.cluster.wait_in_sync(trial.topic)
        trial.go_on()
        return trial.finish()


@scenario(
    2,
    title="the group's coordinator is killed while commits are under way",
    injected="SIGKILL of the coordinator, twice; commits every 50 ms",
    holds="L C P",
)
def coordinator_killed(lab: Lab) -> Outcome:
    with lab.trial("s02", settings={"auto_commit_interval_ms": 50}) as trial:
        two_workers(trial)
        for _ in range(2):
            coordinator = lab.cluster.coordinator(trial.group)
            with trial.fault(f"kill of broker {coordinator}, the coordinator"):
                lab.cluster.kill(coordinator)
            time.sleep(5)
            trial.go_on()
            lab.cluster.restart(coordinator)
            lab.cluster.wait_in_sync(trial.topic)
            lab.cluster.wait_in_sync(OFFSETS)
        trial.go_on()
        return trial.finish()


@scenario(
    3,
    title="all brokers are restarted, one after another",
    injected="SIGTERM and restart of each broker, the next when all is in sync",
    holds="L P, and no error reaches a user",
)
def rolling_restart(lab: Lab) -> Outcome:
    with lab.trial("s03") as trial:
        two_workers(trial)
        for broker in (1, 2, 3):
            with trial.fault(f"restart of broker {broker}"):
                lab.cluster.terminate(broker)
                lab.cluster.restart(broker)
            lab.cluster.wait_in_sync(trial.topic)
            lab.cluster.wait_in_sync(OFFSETS)
        trial.go_on()
        outcome = trial.finish()
        for worker in trial.workers:
            errors = [line for line in worker.log.splitlines() if "[ERROR]" in line]
            trial.expect(not errors, f"no error in the log, but {errors[:2]}")
        trial.expect(not trial.feed.refused, "every send was acknowledged")
        return outcome


@scenario(
    4,
    title="all brokers are away for a minute",
    injected="SIGKILL of all three at once, restart 60 s later",
    holds="alive, not ready but live, L P",
)
def all_away(lab: Lab) -> Outcome:
    with lab.trial("s04") as trial:
        two_workers(trial)
        trial.recovery = 60.0
        with trial.fault("no broker for 60 s"):
            lab.cluster.kill_all()
            time.sleep(60)
            states = [e.text for e in of_kind(trial.entries, "health")]
            alive = [worker.exit_code is None for worker in trial.workers]
            trial.expect(all(alive), "the workers are alive")
            trial.expect(
                any(text.startswith("[true, false") for text in states),
                f"a worker says that it is live and not ready, but {states[-2:]}",
            )
            trial.expect(
                not any(text.startswith("[false") for text in states),
                "no worker says that it is not live",
            )
            lab.cluster.restart_all()
            lab.cluster.wait_in_sync(trial.topic)
            lab.cluster.wait_in_sync(OFFSETS)
        trial.go_on(120)
        outcome = trial.finish()
        trial.expect(not trial.feed.refused, "every send was acknowledged")
        return outcome


def _cut_off(lab: Lab, name: str, *ways: str) -> Outcome:
    """Cut the left network for longer than a session; the right one goes on."""
    with lab.trial(name, settings={"session_timeout_ms": 6000}) as trial:
        two_workers(trial)
        network = lab.cluster.networks["left"]
        with trial.fault(f"worker a cut off {ways or 'both ways'}"):
            network.cut(*ways)  # type: ignore[arg-type]
            time.sleep(15)
            # The other worker has everything by now.
            trial.go_on()
            network.mend()
        trial.go_on()
        time.sleep(10)  # what the one that was cut off still has to commit
        return trial.finish()


@scenario(
    5,
    "a",
    title="a worker is cut off, and the other takes over",
    injected="no packet between one worker and all brokers for 15 s, session 6 s",
    holds="L C P, and the cut-off one never overwrites the new owner's offsets",
)
def cut_off(lab: Lab) -> Outcome:
    return _cut_off(lab, "s05a")


@scenario(
    5,
    "b",
    title="a worker's requests arrive, the answers do not",
    injected="no packet from the brokers to one worker for 15 s, session 6 s",
    holds="L C P, and the cut-off one never overwrites the new owner's offsets",
)
def answers_cut_off(lab: Lab) -> Outcome:
    return _cut_off(lab, "s05b", "to_client")


@scenario(
    5,
    "c",
    title="a worker hears the brokers, and they do not hear it",
    injected="no packet from one worker to the brokers for 15 s, session 6 s",
    holds="L C P, and the cut-off one never overwrites the new owner's offsets",
)
def requests_cut_off(lab: Lab) -> Outcome:
    return _cut_off(lab, "s05c", "to_broker")


@scenario(
    5,
    "d",
    title="one broker is cut off from everybody",
    injected="no packet between any client and one broker for 15 s",
    holds="L C P",
)
def one_broker_cut_off(lab: Lab) -> Outcome:
    with lab.trial("s05d") as trial:
        two_workers(trial)
        broker = {lab.cluster.coordinator(trial.group)}
        with trial.fault(f"broker {broker} cut off from all clients"):
            for network in lab.cluster.networks.values():
                network.cut(brokers=broker)
            time.sleep(15)
            for network in lab.cluster.networks.values():
                network.mend()
        trial.recovery = 60.0
        trial.go_on(120)
        return trial.finish()


@scenario(
    6,
    "a",
    title="a slow network",
    injected="every piece 250 ms late in both directions for 20 s",
    holds="L P",
)
def slow_network(lab: Lab) -> Outcome:
    with lab.trial("s06a") as trial:
        two_workers(trial)
        with trial.fault("slow links"):
            for network in lab.cluster.networks.values():
                network.slow(0.25)
            time.sleep(20)
            for network in lab.cluster.networks.values():
                network.mend()
        trial.go_on()
        return trial.finish()


@scenario(
    6,
    "b",
    title="connections are half-open",
    injected="every connection parted from its broker while clients believe in it, "
    "three times",
    holds="L P",
)
def half_open(lab: Lab) -> Outcome:
    # A request waits for its time-out before anybody knows.
    with lab.trial("s06b", settings={"request_timeout_ms": 5000}) as trial:
        two_workers(trial)
        trial.recovery = 30.0
        for _ in range(3):
            with trial.fault("half-open connections"):
                count = sum(n.half_open() for n in lab.cluster.networks.values())
            trial.note(f"{count} half-open")
            trial.go_on(120)
        return trial.finish()


@scenario(
    6,
    "c",
    title="connections are reset, also in the middle of a response",
    injected="TCP reset of all connections every second, and after 50 bytes of the "
    "next response, for 20 s",
    holds="L P",
)
def resets(lab: Lab) -> Outcome:
    with lab.trial("s06c") as trial:
        two_workers(trial)
        with trial.fault("resets"):
            for turn in range(10):
                for network in lab.cluster.networks.values():
                    network.reset_in_response(after=50 + 37 * turn)
                time.sleep(1)
                for network in lab.cluster.networks.values():
                    network.mend()
                    network.reset()
                time.sleep(1)
        trial.go_on()
        return trial.finish()
