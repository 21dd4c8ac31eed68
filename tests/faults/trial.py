"""One scenario while it runs: its topics, its workers, what is done to them, and when.

A scenario uses a `Trial` like this: start workers and a feed, `settle`, break something
in `with trial.fault(...)`, `finish`. `finish` waits until all is handled, stops
everything, reads every topic once more and judges by the rules.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import struct
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Message, TopicPartition

from tests.faults.cluster import Cluster
from tests.faults.feed import Feed
from tests.faults.ledger import Entry, Place, Reader, of_kind
from tests.faults.rules import (
    Disturbance,
    Evidence,
    Findings,
    Sample,
    judge,
    progress,
)
from tests.faults.setup import Setup
from tests.faults.watch import CommitWatch, MemoryWatch
from tests.faults.workers import Worker

PARTITIONS = 6
_PREFIX = "kafka_dlt-original-"


@dataclass
class Outcome:
    """What a scenario came to: a row of the matrix.

    Attributes:
        acknowledged: Records that the producer was told are safe.
        handled: Different records whose handler returned.
        parked: Records in dead-letter topics.
        lost, repeated, disorder: As the rules count them.
        progress: Seconds from the end of a disturbance until every partition went on.
        megabytes: The most memory of one worker.
        seconds: How long it took.
        problems: Sentences; with none it has passed.
        notes: What else was seen.
    """

    acknowledged: int = 0
    handled: int = 0
    parked: int = 0
    lost: int = 0
    repeated: int = 0
    disorder: int = 0
    progress: float | None = None
    megabytes: float = 0.0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Take in another part of the same scenario."""
        for name in (
            *("acknowledged", "handled", "parked", "lost", "repeated", "disorder"),
            "seconds",
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        waits = [w for w in (self.progress, other.progress) if w is not None]
        self.progress = max(waits, default=None)
        self.megabytes = max(self.megabytes, other.megabytes)
        self.problems += other.problems
        self.notes += other.notes


class Trial:
    """See the module.

    Args:
        cluster: Where.
        name: Of topics, group and files.
        partitions: Of the topic.
        config: Of the topic.
        output_config: Of the output topic.
        setup: Of the app; see `Setup`.
    """

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        *,
        partitions: int = PARTITIONS,
        config: Mapping[str, str] | None = None,
        output_config: Mapping[str, str] | None = None,
        **setup: Any,
    ) -> None:
        self.cluster = cluster
        self.folder = Path(tempfile.mkdtemp(prefix=f"fastkafka-{name}-"))
        self.topic, self.output = f"{name}-orders", f"{name}-invoices"
        ledger = self.folder / "ledger"
        ledger.touch()
        self.setup = Setup(
            name=name,
            topic=self.topic,
            output=self.output,
            ledger=str(ledger),
            **setup,
        )
        self.group = name
        self.outcome = Outcome()
        self.complete = True
        self.endless: set[int] = set()
        """Partitions that have more than can be handled."""
        self.since = 0.0
        """What was seen before that moment, monotonic, is another story."""
        self.answered = True
        self.poison: set[str] | None = set()
        """Keys of the records that may be parked; None is all."""
        self.recovery = 15.0
        self.disturbances: list[Disturbance] = []
        self.workers: list[Worker] = []
        self._began = time.monotonic()
        cluster.make_topic(self.topic, partitions, config)
        cluster.make_topic(self.output, partitions, output_config)
        self.feed = Feed(cluster.servers("feed"), self.topic)
        self.commits = CommitWatch(cluster.bootstrap_servers, self.group, self.topic)
        self.memory = MemoryWatch(self._pids)
        self._reader = Reader(ledger)
        self.commits.start()
        self.memory.start()

    # What scenarios do.

    def worker(
        self,
        name: str = "a",
        *,
        network: str = "left",
        supervised: int = 0,
        shutdown_timeout: float = 25.0,
        **changes: Any,
    ) -> Worker:
        """Start a worker in a network; *changes* are to its `Setup`."""
        worker = Worker(
            name,
            replace(self.setup, **changes),
            self.folder / f"{len(self.workers)}-{name}.log",
            servers=self.cluster.servers(network),
            supervised=supervised,
            shutdown_timeout=shutdown_timeout,
        )
        self.workers.append(worker)
        return worker

    @property
    def entries(self) -> Sequence[Entry]:
        """The ledger so far."""
        return self._reader.read()

    def settle(self, workers: int = 1, seconds: float = 60) -> None:
        """Return when *workers* are up, every partition makes progress, and commits.

        While a classic group rebalances nobody commits; what is broken then costs more
        repetitions than the interval.
        """
        self.until(
            lambda: len(of_kind(self.entries, "up")) >= workers,
            f"{workers} workers are up",
            seconds,
        )
        self.go_on(seconds)
        done: dict[tuple[str, int], int] = {}
        for entry in of_kind(self.entries, "end"):
            partition = (entry.topic, entry.partition)
            done[partition] = max(entry.offset, done.get(partition, 0))
        self.until(lambda: self.commits.passed(done), "all that ended is committed")

    def go_on(self, seconds: float = 60) -> None:
        """Return when a record that came after now has ended in every partition."""
        now = time.monotonic()
        everywhere = self.cluster.partitions(self.topic)

        def all_went_on() -> bool:
            ends = of_kind(reversed(self.entries), "end")
            return len({e.partition for e in ends if e.time > now}) >= everywhere

        self.until(all_went_on, "every partition goes on", seconds)

    def until(
        self, condition: Callable[[], bool], what: str, seconds: float = 60
    ) -> bool:
        """Wait for something; not getting there is a problem of the scenario."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                self.outcome.problems.append(f"not within {seconds:g} s: {what}")
                return False
            time.sleep(0.05)
        return True

    def expect(self, holds: object, what: str) -> None:
        """Note a problem unless something holds."""
        if not holds:
            self.outcome.problems.append(f"not so: {what}")

    def note(self, what: str) -> None:
        """Note what was seen."""
        self.outcome.notes.append(what)

    @contextmanager
    def fault(self, what: str, *, repeats: bool = True) -> Iterator[None]:
        """Stand around what is done to the system; the end of it is the mending."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self.disturbances.append(
                Disturbance(what, begin, time.monotonic(), repeats)
            )

    def processes(self) -> list[int]:
        """Return the processes that have begun to work, in their order."""
        return [entry.process for entry in of_kind(self.entries, "up")]

    def owned(self) -> dict[int, set[int]]:
        """Return which partitions each process holds, as the ledger tells."""
        owned: dict[int, set[int]] = {}
        for entry in of_kind(self.entries, "assigned", "revoked", "lost"):
            held = owned.setdefault(entry.process, set())
            if entry.kind == "assigned":
                held.add(entry.partition)
            else:
                held.discard(entry.partition)
        return owned

    # The end.

    def catch_up(self, seconds: float = 120) -> None:
        """Stop the feed and wait until everything is handled and committed."""
        self.feed.stop()

        last: dict[tuple[str, int], int] = {}
        for topic, partition, offset in (r.place for r in self.feed.acknowledged):
            if partition not in self.endless:
                last[topic, partition] = max(offset, last.get((topic, partition), 0))

        def all_committed() -> bool:
            self.commits.look()
            return self.commits.passed(last)

        self.until(all_committed, "everything is handled and committed", seconds)

    def stop_workers(self, exit_codes: Sequence[int] = (0,)) -> None:
        """Stop those that still run; each must end with one of these codes."""
        running = [worker for worker in self.workers if worker.exit_code is None]
        for worker in running:
            code = worker.stop()
            self.expect(
                code in exit_codes,
                f"worker {worker.name} ends with {exit_codes}, not {code}",
            )

    def finish(self, *, catch_up: float = 120) -> Outcome:
        """Let all be handled, stop all, look at everything, and judge.

        Args:
            catch_up: Seconds that there are to handle everything; 0 does not wait.
        """
        if catch_up:
            self.catch_up(catch_up)
        else:
            self.feed.stop()
        self.stop_workers()
        return self.judge()

    def judge(self) -> Outcome:
        """Look at everything and say what was found."""
        seen = self.evidence()
        found: Findings = judge(seen)
        outcome = self.outcome
        outcome.acknowledged = len(seen.acknowledged)
        outcome.handled = len({e.place for e in of_kind(seen.entries, "end")})
        outcome.parked = len(seen.parked)
        outcome.lost = len(found.lost) + len(found.outputs_lost)
        outcome.repeated = found.repeated
        outcome.disorder = len(found.disorder)
        outcome.progress = progress(seen)
        outcome.megabytes = self.memory.most_megabytes
        outcome.seconds = time.monotonic() - self._began
        outcome.problems += found.problems()
        keys = {record.place: record.key for record in seen.acknowledged}
        may = self.poison
        innocent = [
            p for p in seen.parked if may is not None and keys.get(p) not in may
        ]
        if innocent:
            outcome.problems.append(
                f"{len(innocent)} parked without a reason: {innocent[:3]}"
            )
        if self.feed.refused:
            some = "; ".join(self.feed.refused[:3])
            outcome.notes.append(f"{len(self.feed.refused)} sends were refused: {some}")
        return outcome

    def evidence(self) -> Evidence:
        """Read every topic once more, and return all that was seen."""
        self.commits.look(30)
        samples: list[Sample] = [
            s for s in self.commits.samples if s.time >= self.since
        ]
        return Evidence(
            acknowledged=list(self.feed.acknowledged),
            entries=[e for e in self.entries if e.time >= self.since],
            parked=self._parked(),
            outputs=self._outputs(),
            samples=samples,
            disturbances=self.disturbances,
            complete=self.complete,
            recovery=self.recovery,
            answered=self.answered,
            order="none" if self.setup.kind == "batch" else self.setup.order,
        )

    def dead_letters(self) -> list[Message]:
        """Return what was parked."""
        return self.scan(f"{self.topic}-dlt")

    def scan(self, topic: str) -> list[Message]:
        """Read all committed records of a topic; none if it does not exist."""
        client = Consumer(
            {
                "bootstrap.servers": self.cluster.bootstrap_servers,
                "group.id": "faults-scan",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "log_level": 0,
            }
        )
        with contextlib.closing(client):
            count = self.cluster.partitions(topic)
            if not count:
                return []
            client.assign([TopicPartition(topic, p, 0) for p in range(count)])
            records: list[Message] = []
            open_partitions = set(range(count))
            deadline = time.monotonic() + 60
            while open_partitions and time.monotonic() < deadline:
                for message in client.consume(10_000, 0.2):
                    if message.error() is None:
                        records.append(message)
                    elif message.partition() is not None:
                        open_partitions.discard(message.partition() or 0)
            self.expect(not open_partitions, f"{topic} can be read to its end")
            return records

    def commit(
        self, offsets: Mapping[int, int], metadata: Mapping[int, str] | None = None
    ) -> None:
        """Commit as somebody else would, while the group has no members."""
        client = Consumer(
            {
                "bootstrap.servers": self.cluster.bootstrap_servers,
                "group.id": self.group,
                "log_level": 0,
            }
        )
        with contextlib.closing(client):
            client.commit(
                offsets=[
                    TopicPartition(self.topic, p, offset, (metadata or {}).get(p, ""))
                    for p, offset in offsets.items()
                ],
                asynchronous=False,
            )

    def close(self) -> None:
        """Leave nothing behind, however far it came; keep the files of a failure."""
        for worker in self.workers:
            worker.end()
        # A supervised worker notices that its parent is gone; the last word is ours.
        self.feed.stop(seconds=1)
        self.commits.stop()
        self.memory.stop()
        if self.outcome.problems or os.environ.get("FASTKAFKA_FAULTS_KEEP"):
            self.outcome.notes.append(f"files: {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _pids(self) -> list[int]:
        return list(dict.fromkeys(self.processes()))

    def _parked(self) -> dict[Place, float]:
        parked: dict[Place, float] = {}
        for message in self.dead_letters():
            headers = dict(message.headers() or ())
            place = Place(
                headers[f"{_PREFIX}topic"].decode(),  # type: ignore[union-attr]
                struct.unpack(">i", headers[f"{_PREFIX}partition"])[0],  # type: ignore[arg-type]
                struct.unpack(">q", headers[f"{_PREFIX}offset"])[0],  # type: ignore[arg-type]
            )
            parked.setdefault(place, message.timestamp()[1] / 1000)
        return parked

    def _outputs(self) -> Counter[int]:
        return Counter(
            json.loads(message.value() or b"")["sequence"]
            for message in self.scan(self.output)
        )
