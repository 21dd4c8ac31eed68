"""What an app looked like at one moment: plain values, to be sent, merged and drawn.

Counts are totals since the worker's start. Whoever wants rates subtracts two snapshots.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import Any

from pydantic import TypeAdapter

BUCKETS = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5),
    *(0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
"""Upper bounds of the histograms, seconds: OpenTelemetry's for messaging. One more
counter, the last, holds what is above all of them."""


@dataclass(frozen=True, slots=True)
class Function:
    """A consuming function, in one group.

    Attributes:
        name: Of the function; with its module, topics or group where the app has others
            of the same name.
        group: Its consumer group; None reads without one.
        topics: What it subscribes to; patterns begin with ``^``.
        order: "partition", "key" or "none".
        concurrency: How much it may handle at once.
        busy: How much it handles at this moment.
        waiting: Records that are read and not yet handled.
        handled: Records that its handler has returned from.
        retries: Calls that were repeats, by which call of the record it was: "2" is
            the first repeat, "10+" the tenth call and all later ones.
        failed: Calls that raised, by the error's qualified name; records that could
            not be decoded, too.
        parked: Records written to the dead-letter topic, by the error's name.
        skipped: Records given up on in another way than by a dead letter.
        seconds: Spent in the handler, together.
        buckets: Records by the handler's seconds; see `BUCKETS`. Of records that were
            handled in one slice each counts with their mean.
        decode_seconds: Spent decoding.
        deliver_seconds: For which records whose handlers had returned waited until what
            they had produced was acknowledged; those of one slice wait together.
        oldest: For how many seconds the call has been running that began first.
        paused: It was paused, everywhere.
        paused_partitions: Where it was paused alone: topics and partitions.
    """

    name: str
    group: str | None
    topics: Sequence[str]
    order: str
    concurrency: int
    busy: int = 0
    waiting: int = 0
    handled: int = 0
    retries: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    parked: Mapping[str, int] = field(default_factory=dict)
    skipped: int = 0
    seconds: float = 0.0
    buckets: Sequence[int] = (0,) * (len(BUCKETS) + 1)
    decode_seconds: float = 0.0
    deliver_seconds: float = 0.0
    oldest: float = 0.0
    paused: bool = False
    paused_partitions: tuple[tuple[str, int], ...] = ()

    @property
    def retried(self) -> int:
        """Calls that were repeats."""
        return sum(self.retries.values())


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition that is assigned to this worker.

    Attributes:
        topic: Its topic.
        partition: Its number.
        group: For which group; None reads without one.
        committed: The offset below which all is done; None until the first record.
        position: The offset after the last record that was read; None until then.
        end: The offset after the last record of the log, as the client last heard.
        lag: Records between `committed` and `end`; None while either is unknown.
        lag_seconds: How long ago the last record that is done was written, while there
            is lag; 0 without.
        in_flight: Records that are read and not done.
        unfinished_seconds: For how long the lowest unfinished record has been in work.
        paused: Its intake is full.
        paused_for: The functions that were paused at it.
    """

    topic: str
    partition: int
    group: str | None
    committed: int | None = None
    position: int | None = None
    end: int | None = None
    lag: int | None = None
    lag_seconds: float = 0.0
    in_flight: int = 0
    unfinished_seconds: float = 0.0
    paused: bool = False
    paused_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """This worker's part in a group.

    Attributes:
        group: Which; None reads without one.
        topics: What it subscribes to.
        connected: A broker answers.
        assigned: How many partitions it has.
        rebalances: How often its assignment changed.
        commits: That succeeded.
        commit_failures: That did not.
        commit_seconds: From sending them to their answers.
        poll_seconds: That the poll thread spent in the client, waiting for records and
            taking them: nearly all of its time while there are none.
    """

    group: str | None
    topics: Sequence[str]
    connected: bool = True
    assigned: int = 0
    rebalances: int = 0
    commits: int = 0
    commit_failures: int = 0
    commit_seconds: float = 0.0
    poll_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Producing:
    """A producing function.

    Attributes:
        name: Of the function, as above.
        topic: Where it writes.
        sent: Records handed to the client.
        failed: Records that were refused.
        queued: Records of its client that are not acknowledged yet.
    """

    name: str
    topic: str
    sent: int = 0
    failed: int = 0
    queued: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it should be, until it is again.

    Attributes:
        kind: "no_broker", "no_assignment", "missing_topic", "stalled_partition",
            "overdue_handler", "blocked_loop", "commits_fail", "dead_letters_fail",
            "poll_thread", "paused" or "starting"; and what others say of a worker that
            cannot speak for itself: "ended", "silent" or "stopping".
        what: Which one: a partition, a function, a topic, a cluster, a worker.
        text: A sentence for people.
        since: Epoch seconds.
        ready: Whether the worker is ready nevertheless.
        live: Whether it can make progress nevertheless; a broker that is away never
            makes this False, because a restart would not bring it back.
    """

    kind: str
    what: str
    text: str
    since: float
    ready: bool = True
    live: bool = True


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a worker says about itself.

    Attributes:
        time: Epoch seconds.
        pid: The worker's process; 0 while it has none.
        worker: Which worker of a run, from 1; 0 stands for those that have ended, whose
            counts are kept.
        functions: What consumes.
        partitions: What is assigned.
        members: The groups it is in.
        producing: What produces.
        edges: Consuming functions and the topics that they have produced to.
        problems: What is wrong now.
        loop_lag: By how many seconds the event loop was late when last looked at.
    """

    time: float
    pid: int
    functions: Sequence[Function] = ()
    partitions: Sequence[Partition] = ()
    members: Sequence[Member] = ()
    producing: Sequence[Producing] = ()
    edges: Sequence[tuple[str, str]] = ()
    problems: Sequence[Problem] = ()
    loop_lag: float = 0.0
    worker: int = 1

    def stopped(self) -> Snapshot:
        """Return the same of an app that does not run: not ready, its counts kept."""
        now = time.time()
        problem = Problem("starting", "app", "The app does not run.", now, ready=False)
        return replace(self, time=now, problems=(problem,))

    @property
    def live(self) -> bool:
        """Whether the worker can make progress."""
        return all(problem.live for problem in self.problems)

    @property
    def ready(self) -> bool:
        """Whether the worker does its work."""
        return all(problem.ready for problem in self.problems)

    def to_dict(self) -> dict[str, Any]:
        """Return it in JSON's types."""
        return asdict(self)

    def to_json(self) -> bytes:
        """Return it as JSON, in one line; quicker than by way of `to_dict`."""
        return _adapter().dump_json(self)

    @classmethod
    def from_json(cls, text: bytes | str) -> Snapshot:
        """Read what `to_json` wrote.

        Raises:
            pydantic.ValidationError: It is no snapshot.
        """
        return _adapter().validate_json(text)


@cache
def _adapter() -> TypeAdapter[Snapshot]:
    return TypeAdapter(Snapshot)
