"""The ledger of a simulation: what happened, and whether it was allowed to.

Nothing here asks the engine. Calls are noted by the handlers themselves, commits by the
group's coordinator, and outputs and dead letters are read from the broker's logs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fastkafka.engine.care import LEAST_DEATHS
from fastkafka.messages import Record
from fastkafka.observe.events import Event
from fastkafka.routing import Order
from fastkafka.transport.base import TopicPartition
from fastkafka.transport.memory import MemoryBroker
from tests.simulation.loop import SimulatedLoop
from tests.simulation.schedules import Input, Schedule

INPUTS, OUTPUTS, LETTERS = "orders", "outputs", "orders-dlt"

AUDIT_ORDER: Order = "key"

Place = tuple[int, int]
"""Partition and offset of an input."""


@dataclass(eq=False)
class Holding:
    """One partition while one worker has it."""

    worker: str
    partition: int
    committed: int
    stopped: bool = False
    """It is being given up, or the worker stops: no call may begin."""
    in_time: bool = True
    """Nothing was cut off when it was given up."""
    failed: bool = False
    """The app will stop because of it."""
    seeking: bool = False
    """It is on its way to another offset: what comes meanwhile is dropped."""
    came: set[int] = field(default_factory=set)


@dataclass(eq=False)
class Call:
    """One call of a handler with one record.

    Attributes:
        batch: The number of the call; records of a batch share it.
        result: None while it runs, "ok", "failed", "hopeless" (nothing retries it),
            "later", "stops" or "cut" (cancelled).
        outputs: What it produced; records of a batch share that, too, for nobody could
            tell which of them an output is for.
    """

    function: str
    place: Place
    holding: Holding
    batch: int
    outputs: list[str]
    result: str | None = None


class Ledger:
    """See the module.

    Args:
        schedule: What is simulated.
        broker: Whose logs tell what was written.
        loop: For the trace.
    """

    def __init__(
        self, schedule: Schedule, broker: MemoryBroker, loop: SimulatedLoop
    ) -> None:
        self.schedule = schedule
        self.broken: list[str] = []
        """Invariants that did not hold; none, if all is well."""
        self.trace: list[str] = []
        self.inputs: dict[Place, Input] = {}
        self.asked: set[Place] = set()
        self.calls: defaultdict[tuple[str, Place], list[Call]] = defaultdict(list)
        self.committed: dict[int, int] = {}
        self.commits_may_fail = False
        """A fault makes it so; then nothing is owed at a clean end."""
        self.deaths: Counter[int] = Counter()
        """By partition, owners that did not get to say that they end."""
        self.functions = ("main", "audit") if schedule.audited else ("main",)
        self._order = {"main": schedule.order, "audit": AUDIT_ORDER}
        self._broker = broker
        self._loop = loop
        self._holdings: dict[tuple[str, int], Holding] = {}
        self._running: defaultdict[tuple[str, str], set[Call]] = defaultdict(set)
        self._batches = 0
        self._outputs: set[str] = set()
        self._letters: Counter[Place] = Counter()
        self._read: Counter[TopicPartition] = Counter()
        self._lowest: Counter[int] = Counter()
        self._survived: set[Place] = set()
        self._skipped: set[Place] = set()
        """Passed over because somebody wanted it."""
        self._may_go_back: dict[int, int] = {}
        """By partition, where it was sought to and has not been committed since."""
        self._sought: set[int] = set()
        self._paused: set[tuple[str, str, int | None]] = set()
        """Worker, function, and partition or all."""
        self._at_once: dict[str, int] = {}
        """By worker, the most that its main function ever was to handle at once."""

    # What the world tells.

    def note(self, text: str) -> None:
        """Write a line into the trace."""
        self.trace.append(f"{self._loop.steps:5} {self._loop.now:7.2f}s {text}")

    def check(self, holds: bool, otherwise: str) -> None:
        """Note that an invariant is broken."""
        if not holds:
            self.note(f"BROKEN {otherwise}")
            self.broken.append(otherwise)

    def written(self, record: Record, wanted: Input) -> None:
        """An input is in its topic."""
        self.inputs[record.partition(), record.offset()] = wanted

    def assigned(self, worker: str, partitions: Sequence[int]) -> None:
        """A worker got partitions."""
        self.note(f"{worker} got {partitions}")
        for partition in partitions:
            self._may_go_back.pop(partition, None)
            self._holdings[worker, partition] = Holding(
                worker, partition, self.committed.get(partition, 0)
            )

    def came(self, worker: str, partition: int, offsets: Sequence[int]) -> None:
        """A worker's engine was given records: is that still bounded?"""
        holding = self._holdings[worker, partition]
        holding.came.update(offsets)
        if holding.stopped or holding.failed or holding.seeking:
            return  # they are dropped
        self._read_on()
        most = self.schedule.high + self.schedule.poll_records
        for function in self.functions:
            waiting = sum(
                1 for o in holding.came if not self._left(function, holding, o)
            )
            self.check(
                waiting <= most, f"I5: {waiting} of {partition} wait, not {most}"
            )

    def _left(self, function: str, holding: Holding, offset: int) -> bool:
        """Whether a record is no longer waiting in the engine."""
        place = (holding.partition, offset)
        passed = self._is_done(function, place) or self._passed_over(place)
        return passed or any(
            call.holding is holding and call.result is not None
            for call in self.calls[function, place]
        )

    def stops(self, worker: str, partitions: Iterable[int] | None = None) -> None:
        """A worker must begin nothing more of partitions; None is all it has."""
        if partitions is None:
            partitions = self._of(worker)
        self.note(f"{worker} gives up {list(partitions)}")
        for partition in partitions:
            if (worker, partition) in self._holdings:
                self._holdings[worker, partition].stopped = True

    def _of(self, worker: str) -> list[int]:
        return [p for name, p in self._holdings if name == worker]

    def waited(self, worker: str, partitions: Iterable[int], *, in_time: bool) -> None:
        """Whether what a worker had in flight when it gave up has ended by now."""
        for partition in partitions:
            if (worker, partition) in self._holdings:
                self._holdings[worker, partition].in_time = in_time

    def gone(self, worker: str, partitions: Sequence[int] | None = None) -> None:
        """A worker has partitions no more; None is all."""
        partitions = self._of(worker) if partitions is None else partitions
        self.note(f"{worker} lost {partitions}")
        for partition in partitions:
            if (holding := self._holdings.pop((worker, partition), None)) is not None:
                holding.stopped = True
                self.deaths[partition] += 1

    def died(self, worker: str) -> None:
        """A worker is gone with all that it was doing."""
        self.note(f"{worker} died")
        self.gone(worker)
        for function in self.functions:
            self._running.pop((worker, function), None)

    def released(self, worker: str, partitions: Iterable[int] | None = None) -> None:
        """A worker has given up partitions, None is all; what finished is committed."""
        self._read_on()
        for partition in self._of(worker) if partitions is None else partitions:
            holding = self._holdings.pop((worker, partition), None)
            if holding is None:
                continue
            holding.stopped = True
            if self.commits_may_fail or not holding.in_time:
                self.deaths[partition] += 1
                continue
            lowest = self.committed.get(partition, 0)
            self._survived.update(
                place
                for place in self.inputs
                if place[0] == partition
                and all(self._done_by(f, place, holding) for f in self.functions)
            )
            self.check(
                not all(
                    self._done_by(f, (partition, lowest), holding)
                    for f in self.functions
                ),
                f"I3: {worker} gave {partition} up and did not commit {lowest}",
            )

    def seeking(self, worker: str, partition: int, *, now: bool) -> None:
        """A worker begins to seek a partition, or has given that up."""
        if (holding := self._holdings.get((worker, partition))) is not None:
            holding.seeking = now

    def sought(self, worker: str, partition: int, offset: int) -> None:
        """A worker reads a partition from another offset on; it begins anew."""
        self.note(f"{worker} seeks {partition} to {offset}")
        self._holdings[worker, partition].stopped = True
        anew = Holding(worker, partition, offset, stopped=True)
        self._holdings[worker, partition] = anew
        self._may_go_back[partition] = offset
        self._sought.add(partition)
        places = [place for place in self.inputs if place[0] == partition]
        self._skipped.update(place for place in places if place[1] < offset)
        self._survived.difference_update(p for p in places if p[1] >= offset)

    def begins_anew(self, worker: str, partition: int) -> None:
        """A worker's engine has forgotten what it had of a partition."""
        holding = self._holdings.get((worker, partition))
        if holding is not None:
            holding.stopped = False
            holding.came.clear()

    def hears(self, worker: str, event: Event) -> None:
        """A worker hears of something that only a seek may have caused."""
        sought = event.kind == "rewound" and event.partition in self._sought
        self.check(sought, f"{worker} hears of a {event.kind}")

    def owned(self, worker: str) -> list[int]:
        """Return what a worker has and does not give up."""
        holdings = self._holdings.items()
        return sorted(p for (w, p), h in holdings if w == worker and not h.stopped)

    def paused(self, worker: str, function: str, partition: int | None) -> None:
        """A worker's function must begin nothing, of one partition or of all."""
        self._paused.add((worker, function, partition))

    def resumed(self, worker: str, function: str) -> None:
        """It may again."""
        kept = {one for one in self._paused if one[:2] != (worker, function)}
        self._paused = kept

    def concurrency(self, worker: str, most: int) -> None:
        """A worker's main function may handle so much at once from now on."""
        self._at_once[worker] = max(most, self._at_once.get(worker, 0))

    def commit(
        self, worker: str, owned: Collection[TopicPartition], offsets: Mapping[int, int]
    ) -> None:
        """The coordinator has accepted a commit."""
        self.note(f"{worker} commits {dict(offsets)}")
        self._read_on()
        for partition, offset in offsets.items():
            before = self.committed.get(partition, 0)
            lowest = self.lowest_unfinished(partition)
            what = f"the commit of {partition} at {offset}"
            least = min(before, self._may_go_back.pop(partition, before))
            self.check(offset >= least, f"I1: {what} goes back from {before}")
            self.check(offset <= lowest, f"I1: {what} passes {lowest}, not finished")
            mine = TopicPartition(INPUTS, partition) in owned
            self.check(mine, f"I3: {what} is by {worker}, who does not have it")
            self.committed[partition] = offset

    # What handlers tell.

    def begin(
        self, worker: str, function: str, places: Sequence[Place]
    ) -> Sequence[Call]:
        """A call begins: is it allowed to?"""
        self._batches += 1
        self._read_on()
        self.note(f"{worker} {function} begins {list(places)}")
        calls: list[Call] = []
        outputs: list[str] = []
        running = self._running[worker, function]
        for place in places:
            holding = self._holdings.get((worker, place[0]))
            self.check(
                holding is not None and not holding.stopped,
                f"I3: {worker} begins {place}, which is not its own any more",
            )
            if holding is None:
                holding = Holding(worker, place[0], 0)
            for where in (None, place[0]):
                paused = (worker, function, where) in self._paused
                self.check(not paused, f"{place} is begun while {function} is paused")
            self._check_repeat(function, place, holding)
            self._check_order(function, place, places)
            for other in running:
                overlaps = self._shares_key(function, other.place, place)
                self.check(not overlaps, f"I2: {other.place} and {place} overlap")
            call = Call(function, place, holding, self._batches, outputs)
            self.calls[function, place].append(call)
            calls.append(call)
        running.update(calls)
        at_once = len({call.batch for call in running})
        self.check(
            self._order[function] == "partition"
            or at_once <= max(self.schedule.concurrency, self._at_once.get(worker, 0)),
            f"I2: {at_once} calls at once",
        )
        return calls

    def _check_repeat(self, function: str, place: Place, holding: Holding) -> None:
        committed = holding.committed
        self.check(place[1] >= committed, f"D: {place} is below its start {committed}")
        again = self._done_by(function, place, holding)
        self.check(not again, f"D: {place} is handled twice in one assignment")
        known = place in self._survived
        self.check(not known, f"D: {place} is handled again after a clean end")

    def _check_order(
        self, function: str, place: Place, together: Sequence[Place]
    ) -> None:
        partition, offset = place
        for before in range(self.committed.get(partition, 0), offset):
            earlier = (partition, before)
            if earlier not in together and self._shares_key(function, earlier, place):
                passed = self._returned(function, earlier) or self._passed_over(earlier)
                self.check(passed, f"O: {place} is begun before {earlier} is done")

    def _shares_key(self, function: str, one: Place, other: Place) -> bool:
        order = self._order[function]
        if order == "none" or one[0] != other[0]:
            return False
        key = self.inputs[one].key
        return order == "partition" or (
            key is not None and key == self.inputs[other].key
        )

    def end(self, call: Call, result: str) -> None:
        """A call has ended."""
        call.result = result
        strict = self.schedule.on_failure == "stop" and result != "ok"
        call.holding.failed |= strict or result == "stops"
        self.note(f"{call.holding.worker} {call.function} {call.place}: {result}")
        self._running[call.holding.worker, call.function].discard(call)

    @property
    def hanging(self) -> bool:
        """Whether a call is running."""
        return any(self._running.values())

    # What is done.

    def lowest_unfinished(self, partition: int) -> int:
        """Return the first offset that some function is not done with."""
        self._read_on()
        while (place := (partition, self._lowest[partition])) in self.inputs and all(
            self._is_done(function, place) for function in self.functions
        ):
            self._lowest[partition] += 1
        return self._lowest[partition]

    def _is_done(self, function: str, place: Place) -> bool:
        handled = any(self._complete(c) for c in self.calls[function, place])
        return handled or self._given_up(place) or place in self._skipped

    def _done_by(self, function: str, place: Place, holding: Holding) -> bool:
        return any(
            call.holding is holding and self._complete(call)
            for call in self.calls[function, place]
        )

    def _complete(self, call: Call) -> bool:
        """Handled, and all that it produced is in its topic."""
        return call.result == "ok" and self._outputs.issuperset(call.outputs)

    def _returned(self, function: str, place: Place) -> bool:
        """Handled, although an output may be refused later."""
        results = [call.result for call in self.calls[function, place]]
        one_by_one = self.schedule.batch_failure == "results" and self.schedule.batch
        return "ok" in results or (bool(one_by_one) and "failed" in results)

    def _given_up(self, place: Place) -> bool:
        if self.schedule.on_failure == "dead_letter":
            return self._letters[place] > 0
        if self.schedule.on_failure == "ask":
            return place in self.asked
        return self.schedule.on_failure == "skip" and self.may_give_up(place)

    def _passed_over(self, place: Place) -> bool:
        """Given up on, although its dead letter may still be on its way."""
        parked = self.schedule.on_failure == "dead_letter" and self.may_give_up(place)
        return parked or self._given_up(place) or place in self._skipped

    def may_give_up(self, place: Place) -> bool:
        """Whether a record has failed as often as it must."""
        if self.inputs[place].ends == "undecodable":
            return True
        if self.deaths[place[0]] >= LEAST_DEATHS:
            return True
        failures: Counter[Holding] = Counter()
        for call in self.calls["main", place]:
            if call.result == "hopeless":
                return True
            failures[call.holding] += self._failed(call)
        enough = 1 if self.schedule.batch else self.schedule.attempts
        return max(failures.values(), default=0) >= enough

    def _failed(self, call: Call) -> bool:
        refused = call.result == "ok" and not self._complete(call)
        return call.result in ("failed", "cut") or refused

    def _read_on(self) -> None:
        """Read what was written to the outputs and the dead letters meanwhile."""
        self._new(OUTPUTS, lambda r: self._outputs.add((r.value() or b"").decode()))
        self._new(LETTERS, self._note_letter)

    def _note_letter(self, record: Record) -> None:
        headers = dict(record.headers() or ())
        partition = int.from_bytes(headers["kafka_dlt-original-partition"])
        place = (partition, int.from_bytes(headers["kafka_dlt-original-offset"]))
        self._letters[place] += 1
        self.note(f"{place} is parked")
        self.check(self.may_give_up(place), f"L: {place} was parked too early")

    def _new(self, topic: str, take: Callable[[Record], object]) -> None:
        if topic not in self._broker.topics:
            return
        cluster = self._broker._cluster
        for log in cluster.topic(topic).partitions:
            if self._read[log.where] < log.end:
                found, self._read[log.where] = log.read(
                    self._read[log.where], log.end, committed=True
                )
                for record in found:
                    take(record)

    # The end.

    def settled(self) -> bool:
        """Whether every input is committed."""
        ends = Counter(partition for partition, _ in self.inputs)
        return all(self.committed.get(p, 0) == end for p, end in ends.items())

    def close(self) -> None:
        """Check what must hold in the end."""
        self._read_on()
        for place in self.inputs:
            for function in self.functions:
                done = self._is_done(function, place)
                self.check(done, f"L: {place} is lost by {function}")
            if not self.schedule.batch:
                self._check_attempts(place)
        self.check(not self.hanging, "I7: a handler runs after the stop")

    def _check_attempts(self, place: Place) -> None:
        failures: Counter[Holding] = Counter()
        for call in self.calls["main", place]:
            failures[call.holding] += self._failed(call)
        most = max(failures.values(), default=0)
        self.check(most <= self.schedule.attempts, f"{place} was tried {most} times")
