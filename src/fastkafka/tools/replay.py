"""Dead letters go back to where they came from."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from fastkafka.errors import ProduceError
from fastkafka.tools.deadletters import failure_of, own_headers
from fastkafka.tools.parking import DeadLetter, Parking, is_finished
from fastkafka.tools.topics import AppTopic, Clusters
from fastkafka.transport.librdkafka.inspection import (
    Acknowledged,
    Outgoing,
    Position,
    Sending,
)

DEFAULT_RATE = 100.0
"""Records per second."""

_FINISH_SECONDS = 1.0
"""How often what is acknowledged is committed."""

_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Replayed:
    """A dead letter that is back.

    Attributes:
        letter: Which.
        topic: Where it went.
        position: Where it is there.
    """

    letter: DeadLetter
    topic: str
    position: Position


@dataclass(slots=True)
class Progress:
    """How far a replay is; read it from any thread.

    Attributes:
        total: How many records are to go back.
        sent: How many are acknowledged.
        refused: Those that the broker refused, and why; they stay parked.
        replayed: Those that are back.
        running: It has not ended.
    """

    total: int
    sent: int = 0
    refused: list[tuple[DeadLetter, ProduceError]] = field(default_factory=list)
    replayed: list[Replayed] = field(default_factory=list)
    running: bool = True


@dataclass(frozen=True, slots=True)
class Fates:
    """What became of replayed records.

    Attributes:
        handled: Committed by the group that reads the topic.
        parked: Dead letters again.
        waiting: Neither.
    """

    handled: int
    parked: int
    waiting: int


class Replay:
    """Sends dead letters back and finishes each when it is acknowledged.

    Key and value are the original bytes, headers those that the record had before it
    failed. It goes to its original topic, if the app reads that, and to the original
    partition, if there is one. Its timestamp is new. What is acknowledged and not yet
    committed when the process dies is replayed again by the next replay.

    Args:
        parking: Where they are parked.
        topics: The app's; nothing is sent to others.
        clusters: Where they are.
        rate: Records per second; None is as fast as it goes.
    """

    def __init__(
        self,
        parking: Parking,
        topics: Collection[AppTopic],
        clusters: Clusters,
        *,
        rate: float | None = DEFAULT_RATE,
    ) -> None:
        self._parking = parking
        self._rate = rate
        here = parking.topic.servers
        self._read = {t.name for t in topics if t.servers == here and t.readers}
        self._cluster = clusters.of(parking.topic)
        self._counts = {n: len(f.partitions) for n, f in self._cluster.topics().items()}

    def target(self, letter: DeadLetter) -> tuple[str, int | None]:
        """Return the topic and the partition that a record would go to.

        Returns:
            None as the partition lets the key decide.
        """
        failure = letter.failure
        if failure.topic is None or failure.topic not in self._read:
            return self._parking.source.name, None
        partition = failure.partition
        if partition is None or not 0 <= partition < self._counts.get(failure.topic, 0):
            partition = None
        return failure.topic, partition

    def outgoing(self, letter: DeadLetter) -> Outgoing:
        """Return what would be sent."""
        record = letter.record
        topic, partition = self.target(letter)
        return Outgoing(
            topic, record.value(), record.key(), own_headers(record), partition
        )

    def run(
        self,
        letters: Iterable[DeadLetter],
        progress: Progress,
        *,
        stop: threading.Event | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Progress:
        """Send records back, and return when all are acknowledged or it was stopped.

        Args:
            letters: Which, in this order.
            progress: Kept up to date.
            stop: Set it, from any thread, to send no more.
            on_progress: Called after each record and each acknowledgement.

        Raises:
            ClientError: What is acknowledged could not be committed.
        """
        stop = stop or threading.Event()
        books = _Books(self._parking, progress, on_progress)
        pace = _Pace(self._rate, stop)
        try:
            with self._cluster.sender(self._parking.topic.producer) as sending:
                try:
                    for letter in letters:
                        if not pace.wait(sending):
                            break
                        sending.send(self.outgoing(letter), books.outcome_of(letter))
                        books.finish_now_and_then()
                    while sending.flush(_FINISH_SECONDS):
                        books.finish()
                finally:
                    sending.flush(0)
                    books.finish()
        finally:
            progress.running = False
            on_progress(progress)
        return progress

    def fates(self, replayed: Sequence[Replayed]) -> Fates:
        """Return what has become of replayed records until now.

        Raises:
            ClientError: No broker says.
        """
        wanted = {(r.topic, *r.position) for r in replayed}
        done = self._committed(replayed)
        parked = {
            (f.topic, f.partition, f.offset)
            for letter in self._parking.read(newest=True).letters
            if (f := failure_of(letter.record)).topic is not None
        }
        again = len(wanted & parked)
        handled = len((wanted & done) - parked)
        return Fates(handled, again, len(wanted) - handled - again)

    def _committed(self, replayed: Sequence[Replayed]) -> set[tuple[str, int, int]]:
        """Return those that the first group of their topic has finished."""
        group = next(iter(self._parking.source.groups), None)
        if group is None:
            return set()
        found: set[tuple[str, int, int]] = set()
        for topic in {r.topic for r in replayed}:
            places = [r.position for r in replayed if r.topic == topic]
            commits = self._cluster.committed(group, topic, {p for p, _ in places})
            found |= {
                (topic, p, offset)
                for p, offset in places
                if p in commits and is_finished(offset, commits[p])
            }
        return found


class _Pace:
    """Lets a record go as often as the rate says."""

    def __init__(self, rate: float | None, stop: threading.Event) -> None:
        self._pause = 0.0 if rate is None else 1 / rate
        self._stop = stop
        self._due = time.monotonic()

    def wait(self, sending: Sending) -> bool:
        """Return when the next record may go; False if none may go any more."""
        while (left := self._due - time.monotonic()) > 0:
            if self._stop.wait(min(left, _LOOK_SECONDS)):
                return False
            sending.poll(0)
        self._due = max(self._due, time.monotonic() - _LOOK_SECONDS) + self._pause
        return not self._stop.is_set()


class _Books:
    """Notes what becomes of each record, and commits what is acknowledged."""

    def __init__(
        self,
        parking: Parking,
        progress: Progress,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._parking = parking
        self._progress = progress
        self._on_progress = on_progress
        self._acknowledged: list[DeadLetter] = []
        self._next = time.monotonic() + _FINISH_SECONDS

    def outcome_of(self, letter: DeadLetter) -> Acknowledged:
        """Return what is called with the outcome of one record."""

        def outcome(record: Outgoing, result: Position | ProduceError) -> None:
            progress = self._progress
            if isinstance(result, ProduceError):
                progress.refused.append((letter, result))
            else:
                progress.sent += 1
                progress.replayed.append(Replayed(letter, record.topic, result))
                self._acknowledged.append(letter)
            self._on_progress(progress)

        return outcome

    def finish_now_and_then(self) -> None:
        """Commit what is acknowledged, once a second."""
        if time.monotonic() >= self._next:
            self.finish()

    def finish(self) -> None:
        """Commit what is acknowledged."""
        done, self._acknowledged = self._acknowledged, []
        self._parking.finish(done)
        self._next = time.monotonic() + _FINISH_SECONDS
