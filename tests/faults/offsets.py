"""Scenarios 25, 27, 29 and 30: offsets that are not where they were left."""

from __future__ import annotations

import signal
import time

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from tests import clients
from tests.faults.brokers import RATE
from tests.faults.feed import Feed
from tests.faults.ledger import of_kind
from tests.faults.rules import Disturbance
from tests.faults.scenarios import Lab, scenario
from tests.faults.trial import Outcome, Trial


@scenario(
    25,
    "a",
    title="partitions are added",
    injected="6 partitions become 8 while two workers are at work",
    holds="L P, the new ones are read from their beginning",
)
def more_partitions(lab: Lab) -> Outcome:
    with lab.trial("s25a", settings={"auto_offset_reset": "latest"}) as trial:
        trial.worker("a")
        trial.worker("b", network="right")
        # With "latest" only what comes after the first assignment counts.
        trial.until(lambda: len(trial.processes()) == 2, "two workers are up")
        time.sleep(5)
        trial.feed.start(RATE)
        trial.settle(workers=2)
        with trial.fault("two more partitions", repeats=False):
            admin: AdminClient = lab.cluster.admin
            more = admin.create_partitions([NewPartitions(trial.topic, 8)])
            more[trial.topic].result(30)
            client = trial.feed.client
            trial.until(
                lambda: len(client.list_topics().topics[trial.topic].partitions) == 8,
                "the feed knows of them",
            )
            time.sleep(1)
            for partition in (6, 7):
                trial.feed.send(*[{}] * 50, key="new", partition=partition)
        trial.until(
            lambda: len({e.partition for e in of_kind(trial.entries, "end")}) == 8,
            "records of the new partitions are handled",
        )
        return trial.finish()


def _delete_up_to(trial: Trial, keep: int) -> dict[int, int]:
    """Delete all but the last records of each partition; return the new beginnings."""
    ends: dict[int, int] = {}
    for record in trial.feed.acknowledged:
        _, partition, offset = record.place
        ends[partition] = max(ends.get(partition, 0), offset + 1)
    starts = {partition: end - keep for partition, end in ends.items()}
    admin = trial.cluster.admin
    answers = admin.delete_records(
        [TopicPartition(trial.topic, p, offset) for p, offset in starts.items()]
    )
    for answer in answers.values():
        answer.result(30)
    # What the broker has deleted nobody can handle.
    trial.feed.acknowledged = [
        r
        for r in trial.feed.acknowledged
        if r.place.offset >= starts[r.place.partition]
        or r.place in {e.place for e in of_kind(trial.entries, "end")}
    ]
    return starts


def _behind(trial: Trial) -> None:
    """Let a worker handle some, stop it, and send more."""
    worker = trial.worker("a")
    trial.feed.start(RATE)
    trial.settle()
    trial.feed.stop()
    worker.stop()
    trial.feed.send(*[{}] * 300)
    trial.feed.flush()


@scenario(
    25,
    "b",
    title="the committed offset is not there any more, `on_gap` not said",
    injected="the records behind the committed offsets deleted while nobody reads",
    holds="the worker stops with exit code 1 and says so; once that is settled, L",
)
def gap_stops(lab: Lab) -> Outcome:
    with lab.trial("s25b") as trial:
        _behind(trial)
        with trial.fault("records are deleted before they were read", repeats=False):
            starts = _delete_up_to(trial, keep=10)
        handled = len(of_kind(trial.entries, "end"))
        worker = trial.worker("b")
        code = worker.wait(60)
        trial.expect(code == 1, f"it ends with exit code 1, not {code}")
        trial.expect(
            len(of_kind(trial.entries, "end")) == handled, "it has handled nothing"
        )
        said = [line for line in worker.log.splitlines() if "ERROR" in line]
        trial.expect(said, "it says why")
        trial.note("; ".join(said)[:300])
        trial.commit(starts)
        trial.worker("c")
        return trial.finish()


@scenario(
    25,
    "c",
    title='the committed offset is not there any more, `on_gap="earliest"`',
    injected="the records behind the committed offsets deleted while nobody reads",
    holds="goes on at the beginning and says so, L of what is there",
)
def gap_earliest(lab: Lab) -> Outcome:
    with lab.trial("s25c", on_gap="earliest") as trial:
        _behind(trial)
        with trial.fault("records are deleted before they were read", repeats=False):
            _delete_up_to(trial, keep=10)
        worker = trial.worker("b")
        outcome = trial.finish(catch_up=60)
        said = [line for line in worker.log.splitlines() if "on_gap='earliest'" in line]
        trial.expect(len(said) == 6, f"each gap is logged, but {said}")
        return outcome


@scenario(
    25,
    "d",
    title="a topic is deleted and made again under a running worker",
    injected="deletion, creation under the same name, more records than there were",
    holds="all of the new topic is handled, or the worker stops and says so and a new "
    "one handles it: never a silent skip",
)
def made_again(lab: Lab) -> Outcome:
    with lab.trial("s25d", partitions=2) as trial:
        worker = trial.worker("a")
        trial.feed.start(RATE)
        trial.settle()
        trial.catch_up()
        with trial.fault("the topic is deleted and made again", repeats=False):
            _make_again(lab, trial)

        def all_handled() -> bool:
            handled = {
                e.place for e in of_kind(trial.entries, "end") if e.time > trial.since
            }
            return len(handled) >= len(trial.feed.acknowledged)

        trial.until(
            lambda: all_handled() or worker.exit_code is not None,
            "all is handled, or the worker has stopped",
            90,
        )
        if worker.exit_code is not None:
            trial.note(f"it stopped with exit code {worker.exit_code}")
            trial.expect(worker.exit_code == 1, f"exit code 1, not {worker.exit_code}")
            trial.expect(_says_made_again(worker.log), "it says why")
            trial.worker("b")
        return trial.finish(catch_up=60)


def _make_again(lab: Lab, trial: Trial) -> None:
    """Delete the topic, make it again with more records than there were."""
    admin = lab.cluster.admin
    admin.delete_topics([trial.topic])[trial.topic].result(30)
    trial.until(lambda: not lab.cluster.partitions(trial.topic), "the topic is gone")
    time.sleep(2)
    lab.cluster.make_topic(trial.topic, 2)
    trial.since = time.monotonic()
    before = len(trial.feed.acknowledged)
    trial.feed = Feed(lab.cluster.servers("feed"), trial.topic)
    trial.feed.send(*[{}] * (2 * before))
    trial.feed.flush()


def _says_made_again(log: str) -> bool:
    return "the topic was deleted and made again" in log


@scenario(
    25,
    "e",
    title="a topic is deleted and made again between two runs",
    injected="deletion and creation while nobody reads, more records than there were",
    holds="all of the new topic is handled",
)
def made_again_meanwhile(lab: Lab) -> Outcome:
    with lab.trial("s25e", partitions=2) as trial:
        worker = trial.worker("a")
        trial.feed.start(RATE)
        trial.settle()
        trial.catch_up()
        trial.feed.stop()
        worker.stop()
        with trial.fault("the topic is deleted and made again", repeats=False):
            _make_again(lab, trial)
        trial.worker("b")
        return trial.finish(catch_up=60)


@scenario(
    25,
    "f",
    title="the group's offsets outlive a topic that is made again",
    injected="as 25e, and the group's old commits put back, as a backup of them does",
    holds="the worker stops with exit code 1 and says so, having handled nothing; one "
    'with `on_gap="earliest"` handles all of the new topic',
)
def offsets_outlive(lab: Lab) -> Outcome:
    with lab.trial("s25f", partitions=2) as trial:
        first = trial.worker("a")
        trial.feed.start(RATE)
        trial.settle()
        trial.catch_up()
        trial.feed.stop()
        first.stop()
        servers = lab.cluster.bootstrap_servers
        old = clients.commits(servers, trial.group, trial.topic)
        with trial.fault("the topic is made again", repeats=False):
            _make_again(lab, trial)
            clients.commit(servers, trial.group, trial.topic, old)
        worker = trial.worker("b")
        code = worker.wait(60)
        trial.expect(code == 1, f"it ends with exit code 1, not {code}")
        trial.expect(_says_made_again(worker.log), "it says why")
        handled = [e for e in of_kind(trial.entries, "begin") if e.time > trial.since]
        trial.expect(not handled, "it has handled nothing")
        before = len(trial.entries)
        trial.worker("c", on_gap="earliest")
        trial.until(
            lambda: bool(of_kind(trial.entries[before:], "begin")), "it reads again"
        )
        trial.commits.samples.clear()  # what was put back was ours
        return trial.finish(catch_up=60)


@scenario(
    27,
    title="committed offsets jump back",
    injected="offsets of a group set back by 20 records while its member is suspended "
    "for longer than its session",
    holds="noticed and logged; L O",
)
def rewound(lab: Lab) -> Outcome:
    settings = {"session_timeout_ms": 6000}
    with lab.trial("s27", settings=settings) as trial:
        worker = trial.worker("a")
        trial.feed.start(RATE)
        trial.settle()
        trial.catch_up()
        with trial.fault("offsets are set back by 20"):
            worker.signal(signal.SIGSTOP)
            time.sleep(10)
            sample = trial.commits.look()
            assert sample is not None
            back = {p[1]: max(0, o - 20) for p, o in sample.offsets.items()}
            trial.commit(back)
            trial.commits.samples.clear()  # this step backward was ours
            worker.signal(signal.SIGCONT)
        # Whatever had been done may come again, up to 20 of each partition.
        trial.disturbances = [Disturbance("offsets are set back", 0, time.monotonic())]
        trial.feed.start(RATE)
        trial.go_on()
        outcome = trial.finish()
        most = 20 * len(back)
        trial.expect(outcome.repeated <= most, f"at most {most} are repeated")
        said = [line for line in worker.log.splitlines() if "WARNING" in line]
        trial.expect(
            [line for line in said if "back" in line or "rewound" in line],
            f"it is noticed and logged, but the warnings are {said[-2:]}",
        )
        return outcome


@scenario(
    29,
    "a",
    title="transactions: markers between records, aborted records",
    injected="40 transactions of 20 records, every third aborted",
    holds="C P, only what was committed is handled, the last record is committed",
)
def transactions(lab: Lab) -> Outcome:
    with lab.trial("s29a") as trial:
        settings = {"transactional.id": "faults-29"}
        trial.feed = Feed(lab.cluster.servers("feed"), trial.topic, settings)
        client = trial.feed.client
        client.init_transactions(30)
        trial.worker("a")
        aborted: set[int] = set()
        with trial.fault("transactions", repeats=False):
            for turn in range(40):
                before = len(trial.feed.acknowledged)
                client.begin_transaction()
                trial.feed.send(*[{}] * 20)
                trial.feed.flush()
                if turn % 3:
                    client.commit_transaction(30)
                else:
                    client.abort_transaction(30)
                    gone = trial.feed.acknowledged[before:]
                    del trial.feed.acknowledged[before:]
                    aborted |= {record.sequence for record in gone}
        outcome = trial.finish()
        seen = {e.sequence for e in of_kind(trial.entries, "begin")}
        trial.expect(not seen & aborted, "no aborted record is handled")
        trial.note(f"{len(aborted)} records aborted")
        return outcome


@scenario(
    29,
    "b",
    title="a compacted topic: offsets with gaps",
    injected="4,000 records of 40 keys, compacted before they are read",
    holds="L of what is left, C P",
)
def compacted(lab: Lab) -> Outcome:
    config = {
        "cleanup.policy": "compact",
        "segment.ms": "200",
        "min.cleanable.dirty.ratio": "0.001",
    }
    with lab.trial("s29b", partitions=2, config=config) as trial:
        trial.feed.keys = 40
        for _ in range(8):
            trial.feed.send(*[{}] * 500)
            trial.feed.flush()
            time.sleep(0.3)  # the next one is in another segment
        trial.until(
            lambda: len(trial.scan(trial.topic)) < 2000, "the topic is compacted", 90
        )
        with trial.fault("reading what is left", repeats=False):
            trial.worker("a")
            trial.until(
                lambda: len(of_kind(trial.entries, "end")) > 100, "it is being read"
            )
        # What is gone by now need not have been read; what is there must be.
        left = {(m.topic(), m.partition(), m.offset()) for m in trial.scan(trial.topic)}
        trial.feed.acknowledged = [
            record for record in trial.feed.acknowledged if record.place in left
        ]
        trial.note(f"{len(left)} of 4,000 records are left")
        return trial.finish()


@scenario(
    30,
    title="somebody else's metadata beside the committed offsets",
    injected="offsets committed with text, JSON, emptiness and 4 kB of noise",
    holds="it is ignored: reading goes on there, L C, repeats nothing",
)
def foreign_metadata(lab: Lab) -> Outcome:
    metadata = {
        0: "reprocess me",
        1: '{"version": 1, "finished": [[0, 100]]}',
        2: "",
        3: "x" * 4000,
        4: "1:AAAA",
        5: "\u2603 0-50",
    }
    with lab.trial("s30") as trial:
        trial.feed.send(*[{}] * 600)
        trial.feed.flush()
        trial.commit(dict.fromkeys(metadata, 5), metadata)
        # Somebody else has handled what is below.
        trial.feed.acknowledged = [
            record for record in trial.feed.acknowledged if record.place.offset >= 5
        ]
        with trial.fault("a worker reads it", repeats=False):
            trial.worker("a")
        outcome = trial.finish()
        early = [e for e in of_kind(trial.entries, "begin") if e.offset < 5]
        trial.expect(not early, "nothing below the committed offset is read")
        return outcome
