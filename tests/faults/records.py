"""Scenarios 12 - 14 and 17: records that hurt."""

from __future__ import annotations

import time

from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
)
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

from tests.faults.brokers import two_workers
from tests.faults.cluster import Cluster
from tests.faults.ledger import of_kind
from tests.faults.scenarios import Lab, scenario
from tests.faults.trial import Outcome, Trial

MOST_MEGABYTES = 400


def calls_of(trial: Trial, key: str) -> int:
    """Return how often the handler was called with records of a key."""
    return len([e for e in of_kind(trial.entries, "begin") if e.key == key])


@scenario(
    12,
    "a",
    title="poison among good records",
    injected="records that always raise, cannot be decoded, raise a `BaseException`, "
    "`SystemExit` or `CancelledError`, or never return (time-out 2 s)",
    holds="the others go on; each is parked, after 3 calls if it is an `Exception` and "
    "after 1 otherwise, the undecodable after none",
)
def poison(lab: Lab) -> Outcome:
    with lab.trial("s12a", order="key", timeout=2.0) as trial:
        trial.poison = None  # which ones exactly is looked at below
        two_workers(trial)
        kinds = {"raise": 3, "hang": 3, "strange": 1, "exit": 1, "cancelled": 1}
        with trial.fault("poison", repeats=False):
            for kind in kinds:
                trial.feed.send({"do": kind}, key=kind)
            trial.feed.send_raw(b'{"sequence": "none"', key="undecodable")
            trial.go_on()
        outcome = trial.finish()
        for kind, most in kinds.items():
            calls = calls_of(trial, kind)
            trial.expect(calls == most, f"{kind!r} is called {most} times, not {calls}")
        trial.expect(calls_of(trial, "undecodable") == 0, "undecodable: no call")
        parked = sorted((m.key() or b"").decode() for m in trial.dead_letters())
        wanted = sorted((*kinds, "undecodable"))
        trial.expect(parked == wanted, f"exactly these are parked, not {parked}")
        return outcome


def _crash_loop(lab: Lab, name: str, do: str) -> Outcome:
    with lab.trial(name, order="key", settings={"session_timeout_ms": 6000}) as trial:
        trial.poison = {"deadly"}
        trial.worker("run", supervised=1)
        trial.feed.start(20)
        trial.settle()
        trial.recovery = 60.0
        with trial.fault(f"a record that kills its process by {do}"):
            trial.feed.send({"do": do}, key="deadly")
            end = time.monotonic() + 90
            while time.monotonic() < end and not trial.dead_letters():
                if trial.workers[-1].exit_code is not None:
                    if len(trial.workers) > 5:
                        break
                    # Three early deaths in a row end the run; a service manager
                    # starts it again.
                    trial.worker("again", supervised=1)
                time.sleep(1)
        calls = calls_of(trial, "deadly")
        trial.note(f"called {calls} times, {len(trial.workers)} runs")
        trial.expect(calls <= 4, f"it is called at most 4 times, not {calls}")
        outcome = trial.finish(catch_up=30)
        trial.expect(outcome.parked == 1, "it is parked, and nothing else")
        return outcome


@scenario(
    12,
    "b",
    title="a record that kills its process: segmentation fault",
    injected="a handler that reads address 0, under `fastkafka run`",
    holds="the crash loop is bounded: parked after 4 calls at most, the others go on",
)
def segfault(lab: Lab) -> Outcome:
    return _crash_loop(lab, "s12b", "segfault")


@scenario(
    12,
    "c",
    title="a record that kills its process: `os._exit`",
    injected="a handler that calls `os._exit(7)`, under `fastkafka run`",
    holds="the crash loop is bounded: parked after 4 calls at most, the others go on",
)
def os_exit(lab: Lab) -> Outcome:
    return _crash_loop(lab, "s12c", "os_exit")


@scenario(
    13,
    "a",
    title="the dead-letter topic is missing",
    injected="20 records that raise, no dead-letter topic",
    holds="it is made like its source, L",
)
def missing_dead_letters(lab: Lab) -> Outcome:
    with lab.trial("s13a", order="key", delay=0.05) as trial:
        trial.poison = None
        two_workers(trial)
        with trial.fault("20 records that raise", repeats=False):
            trial.feed.send(*[{"do": "raise"}] * 20)
        outcome = trial.finish()
        letters = trial.dead_letters()
        trial.note(f"{len(letters)} dead letters")
        made = lab.cluster.partitions(f"{trial.topic}-dlt")
        trial.expect(made == 6, f"it has 6 partitions like its source, not {made}")
        trial.expect(outcome.parked == 20, f"20 are parked, not {outcome.parked}")
        return outcome


def _waits(trial: Trial, what: str) -> None:
    """Expect that the record on partition 0 is neither committed nor forgotten."""
    time.sleep(8)
    sample = trial.commits.look()
    before = trial.feed.acknowledged[0].place.offset
    committed = sample and sample.offsets.get((trial.topic, 0), 0)
    trial.expect(committed == before, f"{what}: not committed, but {committed}")
    said = [w for w in trial.workers if "cannot be parked" in w.log]
    trial.expect(said, f"{what}: it is said")
    health = [entry.text for entry in of_kind(trial.entries, "health")]
    trial.expect(
        any("dead_letters_fail" in text for text in health[-1:]),
        f"{what}: not ready, because dead letters fail; health {health[-1:]}",
    )


@scenario(
    13,
    "b",
    title="writing to the dead-letter topic is forbidden, then allowed",
    injected="an ACL on one broker that denies it, for 8 s",
    holds="not committed, back-off, not ready; then L",
)
def forbidden_dead_letters(lab: Lab) -> Outcome:
    properties = {
        "authorizer.class.name": (
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
        ),
        "allow.everyone.if.no.acl.found": "true",
    }
    cluster = Cluster(lab.wires, brokers=1, properties=properties)
    with cluster, lab.trial("s13b", cluster=cluster, order="key") as trial:
        trial.poison = None
        letters = f"{trial.topic}-dlt"
        cluster.make_topic(letters, 6)
        allow(cluster.admin, letters, allowed=False)
        trial.feed.send({"do": "raise"}, partition=0)
        trial.feed.flush()
        trial.feed.send(*[{}] * 60)
        with trial.fault("the dead-letter topic is forbidden", repeats=False):
            trial.worker("a")
            trial.until(
                lambda: "cannot be parked" in trial.workers[0].log,
                "it is said that it cannot be parked",
            )
            _waits(trial, "forbidden")
            allow(cluster.admin, letters, allowed=True)
        outcome = trial.finish()
        trial.expect(outcome.parked == 1, f"it is parked, but {outcome.parked} are")
        return outcome


def allow(admin: AdminClient, topic: str, *, allowed: bool) -> None:
    """Deny everybody to write to a topic, or allow it again."""
    rule = (
        *(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:ANONYMOUS"),
        *("*", AclOperation.WRITE, AclPermissionType.DENY),
    )
    if allowed:
        for future in admin.delete_acls([AclBindingFilter(*rule)]).values():
            future.result(30)
    else:
        for future in admin.create_acls([AclBinding(*rule)]).values():
            future.result(30)


@scenario(
    13,
    "c",
    title="dead letters are too large with their headers, or altogether",
    injected="a dead-letter topic that takes 2,000 bytes; records of 1,000 and of "
    "5,000; after 8 s it takes more",
    holds="the stack trace is cut to fit; what cannot fit waits, not committed; then L",
)
def large_dead_letters(lab: Lab) -> Outcome:
    with lab.trial("s13c", order="key", delay=0.05) as trial:
        trial.poison = None
        letters = f"{trial.topic}-dlt"
        lab.cluster.make_topic(letters, 6, {"max.message.bytes": "2000"})
        trial.feed.send({"do": "raise", "padding": "x" * 5000}, partition=0)
        trial.feed.flush()
        trial.feed.send({"do": "raise", "padding": "x" * 1000}, partition=1)
        with trial.fault("a record that does not fit", repeats=False):
            trial.worker("a")
            trial.until(
                lambda: len(trial.dead_letters()) == 1, "the trace is cut to fit"
            )
            _waits(trial, "too large")
            admin = lab.cluster.admin
            change = ConfigEntry(
                "max.message.bytes",
                "1000000",
                incremental_operation=AlterConfigOpType.SET,
            )
            resource = ConfigResource(
                ConfigResource.Type.TOPIC, letters, incremental_configs=[change]
            )
            admin.incremental_alter_configs([resource])[resource].result(30)
        outcome = trial.finish()
        trial.expect(outcome.parked == 2, f"2 are parked, not {outcome.parked}")
        return outcome


@scenario(
    14,
    title="outputs above the topic's limit, inputs above the fetch size",
    injected="20 outputs of 50 kB among others, limit 20 kB; inputs of 100 kB, "
    "`max_partition_fetch_bytes` 1,000",
    holds="exactly those are parked, none of their batch-mates; the consumer goes on",
)
def too_large(lab: Lab) -> Outcome:
    with lab.trial(
        "s14",
        order="key",
        attempts=2,
        delay=0.05,
        output_config={"max.message.bytes": "20000"},
        settings={"max_partition_fetch_bytes": 1000},
    ) as trial:
        trial.poison = None
        two_workers(trial)
        with trial.fault("20 outputs that are too large"):
            for number in range(20):
                trial.feed.send({"answer": 50_000}, key=f"large-{number}")
                trial.feed.send(*[{}] * 50)
                trial.feed.send({"padding": "x" * 100_000})
            trial.go_on()
        outcome = trial.finish()
        parked = {(m.key() or b"").decode() for m in trial.dead_letters()}
        wanted = {f"large-{number}" for number in range(20)}
        trial.expect(parked == wanted, f"exactly those are parked, not {parked}")
        return outcome


@scenario(
    17,
    "a",
    title="one slow partition with a million records behind it",
    injected="a partition whose records take 0.5 s, a million more of them",
    holds=f"M (below {MOST_MEGABYTES} MB), the other partitions go on",
)
def slow_partition(lab: Lab) -> Outcome:
    with lab.trial("s17a", by_partition={0: 0.5}) as trial:
        trial.complete = False
        trial.endless = {0}
        two_workers(trial)
        with trial.fault("a million records for partition 0", repeats=False):
            for _ in range(1_000_000):
                trial.feed.send_raw(b'{"sequence":-1}', key="bulk", partition=0)
            trial.feed.flush()
        time.sleep(15)
        trial.go_on()
        outcome = trial.finish(catch_up=60)
        handled = {e.place for e in of_kind(trial.entries, "end")}
        others = [r for r in trial.feed.acknowledged if r.place.partition]
        missing = [r for r in others if r.place not in handled]
        trial.expect(not missing, f"other partitions miss nothing, but {missing[:3]}")
        _bounded(trial, outcome)
        return outcome


@scenario(
    17,
    "b",
    title="large records and a handler that is slower than they come",
    injected="600 records of 900 kB, 30 ms each",
    holds=f"L, M (below {MOST_MEGABYTES} MB)",
)
def large_records(lab: Lab) -> Outcome:
    with lab.trial("s17b", work=0.03) as trial:
        two_workers(trial)
        with trial.fault("600 records of 900 kB", repeats=False):
            for _ in range(600):
                trial.feed.send({"padding": "x" * 900_000})
            trial.feed.flush()
        outcome = trial.finish()
        _bounded(trial, outcome)
        return outcome


@scenario(
    17,
    "c",
    title="hundreds of partitions",
    injected="200 partitions, a worker joins, one leaves",
    holds="L O C P, repeats nothing",
)
def many_partitions(lab: Lab) -> Outcome:
    with lab.trial("s17c", partitions=200) as trial:
        trial.feed.keys = 4000
        trial.worker("a")
        trial.feed.start(400)
        trial.settle()
        with trial.fault("a worker joins", repeats=False):
            trial.worker("b", network="right")
            trial.until(lambda: len(trial.processes()) >= 2, "it is up")
        trial.go_on()
        with trial.fault("a worker leaves", repeats=False):
            trial.workers[0].stop()
        trial.go_on()
        return trial.finish()


def _bounded(trial: Trial, outcome: Outcome) -> None:
    trial.expect(
        outcome.megabytes < MOST_MEGABYTES,
        f"memory stays below {MOST_MEGABYTES} MB, not {outcome.megabytes:.0f}",
    )
