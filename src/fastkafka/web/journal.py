"""What has happened, by two looks at the workers: for the page and the terminal."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fastkafka.observe.merging import merged
from fastkafka.observe.snapshot import Problem, Snapshot

KEPT = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened.

    Attributes:
        number: Counts up.
        time: Epoch seconds.
        kind: "started", "ended", "assigned", "failed", "parked", "skipped", "problem",
            "solved" or "reloaded".
        what: A function, a group, a worker.
        text: A sentence.
    """

    number: int
    time: float
    kind: str
    what: str
    text: str


class Journal:
    """Keeps the last things that happened."""

    def __init__(self) -> None:
        self.count = 0
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._before: Snapshot | None = None
        self._pids: dict[int, int] = {}

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def since(self, count: int) -> Sequence[Entry]:
        """Return the entries after the first *count*."""
        return [entry for entry in self._entries if entry.number >= count]

    def write(self, time: float, kind: str, what: str, text: str) -> None:
        """Note something."""
        self._entries.append(Entry(self.count, time, kind, what, text))
        self.count += 1

    def look(self, snapshots: Sequence[Snapshot], time: float) -> None:
        """Note what is different from the last look."""
        now = merged(snapshots)
        self._workers(snapshots, time)
        if self._before is not None:
            self._functions(now, self._before, time)
            self._members(now, self._before, time)
        self._problems(now, self._before, time)
        self._before = now

    def _workers(self, snapshots: Sequence[Snapshot], time: float) -> None:
        for snapshot in snapshots:
            if snapshot.worker == 0:
                continue
            pid = self._pids.get(snapshot.worker, 0)
            what = f"worker {snapshot.worker}"
            if snapshot.pid and snapshot.pid != pid:
                text = f"Worker {snapshot.worker} runs as process {snapshot.pid}."
                self.write(time, "started", what, text)
            elif pid and not snapshot.pid:
                why = next((p.text for p in snapshot.problems), "It ended.")
                self.write(time, "ended", what, why)
            self._pids[snapshot.worker] = snapshot.pid

    def _functions(self, now: Snapshot, before: Snapshot, time: float) -> None:
        was = {(f.name, f.group): f for f in before.functions}
        for function in now.functions:
            old = was.get((function.name, function.group))
            name = function.name.rpartition(".")[2]
            counted = [
                ("failed", "raised", function.failed, old.failed if old else {}),
                ("parked", "parked", function.parked, old.parked if old else {}),
            ]
            for kind, verb, new, earlier in counted:
                for error, count in _grown(new, earlier).items():
                    short = error.rpartition(".")[2]
                    text = (
                        f"`{name}` raised `{short}`{_times(count)}."
                        if verb == "raised"
                        else f"`{name}` parked {_records(count)}: `{short}`."
                    )
                    self.write(time, kind, name, text)
            if old is not None and function.skipped > old.skipped:
                text = f"`{name}` skipped {_records(function.skipped - old.skipped)}."
                self.write(time, "skipped", name, text)

    def _members(self, now: Snapshot, before: Snapshot, time: float) -> None:
        was = {(m.group, tuple(m.topics)): m for m in before.members}
        for member in now.members:
            old = was.get((member.group, tuple(member.topics)))
            if old is not None and member.rebalances > old.rebalances:
                group = (
                    "No group" if member.group is None else f"Group `{member.group}`"
                )
                text = f"{group} has {member.assigned} partitions here."
                self.write(time, "assigned", member.group or "", text)

    def _problems(self, now: Snapshot, before: Snapshot | None, time: float) -> None:
        def known(snapshot: Snapshot) -> dict[tuple[str, str], Problem]:
            return {
                (problem.kind, problem.what): problem
                for problem in snapshot.problems
                if problem.kind not in ("starting", "ended", "stopping")
            }

        new, old = known(now), {} if before is None else known(before)
        for key in new.keys() - old.keys():
            self.write(time, "problem", new[key].what, new[key].text)
        for key in old.keys() - new.keys():
            self.write(time, "solved", old[key].what, f"No more: {old[key].text}")


def _grown(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    grown = {name: count - before.get(name, 0) for name, count in now.items()}
    return {name: count for name, count in grown.items() if count > 0}


def _times(count: int) -> str:
    return "" if count == 1 else f" {count:,} times"


def _records(count: int) -> str:
    return f"{count:,} record{'' if count == 1 else 's'}"
