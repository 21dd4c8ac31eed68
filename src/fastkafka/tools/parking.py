"""Which dead letters are still parked, and how one is finished.

A dead letter is parked while the group ``<group>-dlt`` has not committed it. That group
has no members: these tools commit for it. Dead letters are finished in any order, so
what is finished above the committed offset is written into the commit's metadata, as
the engine does for its own groups.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from fastkafka.engine.finished import Note, Stretch, read
from fastkafka.errors import ClientError, ConfigError
from fastkafka.messages import Record
from fastkafka.policies import SUFFIX
from fastkafka.tools.deadletters import Failure, failure_of
from fastkafka.tools.topics import AppTopic, Clusters
from fastkafka.transport.librdkafka.inspection import Commit, Range

MOST = 10_000
"""How many dead letters are looked at, if nothing else is said."""

_MOST_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A parked record.

    Attributes:
        record: The dead letter itself.
        failure: Why it is there.
        stretch: The offsets that are finished with it: its own, and those before it at
            which there is nothing.
    """

    record: Record
    failure: Failure
    stretch: Stretch

    @property
    def place(self) -> tuple[int, int]:
        """Its partition and its offset in the dead-letter topic."""
        return self.record.partition(), self.record.offset()


@dataclass(frozen=True, slots=True)
class Letters:
    """Some dead letters of a topic.

    Attributes:
        letters: Oldest first, by their timestamps.
        parked: How many are parked in all.
        reached: By partition, where the reading ended: give it as `after` to go on.
    """

    letters: Sequence[DeadLetter]
    parked: int
    reached: Mapping[int, int]

    @property
    def all(self) -> bool:
        """Whether these are all that are parked."""
        return len(self.letters) >= self.parked


class Parking:
    """The parked records of one dead-letter topic; a context manager.

    Not for several threads at once. Several of these, in several processes, may finish
    records of one topic: what the others finished in the same moment can be lost, and
    is parked again then.

    Args:
        topic: The dead-letter topic, one with a `source`.
        clusters: Where it is.

    Raises:
        ConfigError: It is no dead-letter topic.
        BrokerUnavailableError: No broker answers.
    """

    def __init__(self, topic: AppTopic, clusters: Clusters) -> None:
        if topic.source is None:
            raise ConfigError(
                f"'{topic.name}' is no dead-letter topic of the app. Dead letters are "
                f"in topics whose name ends with {SUFFIX!r}."
            )
        self.topic = topic
        self.source = topic.source
        """The topic whose dead letters these are."""
        self.groups = dead_letter_groups(topic.source)
        """Whose commits say what is still parked; all are kept alike."""
        self._cluster = clusters.of(topic)
        facts = self._cluster.topic(topic.name)
        # Nothing was parked as long as there is no topic.
        self.partitions: Sequence[int] = [] if facts is None else list(facts.partitions)
        """The numbers of its partitions."""
        self._reader = self._cluster.reader()

    def count(self) -> int:
        """Return how many records are parked, without reading them.

        Raises:
            ClientError: No broker says.
        """
        return sum(self.counts().values())

    def counts(self) -> Mapping[int, int]:
        """Return how many records are parked, by partition."""
        open_ = self._open()
        return {p: _length(stretches) for p, stretches in open_.items()}

    def read(
        self,
        most: int = MOST,
        *,
        newest: bool = False,
        after: Mapping[int, int] | None = None,
        until: Mapping[int, int] | None = None,
        only: Collection[tuple[int, int]] | None = None,
    ) -> Letters:
        """Return parked records.

        Args:
            most: How many at most; 64 MB are the limit, too.
            newest: Those that came last, rather than those that have waited longest.
            after: Only from these offsets on, by partition.
            until: Only below these offsets, by partition; see `ends`.
            only: Only these places, partitions and offsets.

        Raises:
            ClientError: The broker refuses.
        """
        open_ = self._open()
        parked = sum(_length(stretches) for stretches in open_.values())
        windows: dict[int, Range] = {}
        for p, stretches in open_.items():
            if not stretches:
                continue
            low, end = stretches[0][0], stretches[-1][1]
            low = max(low, (after or {}).get(p, low))
            end = min(end, (until or {}).get(p, end))
            if newest:
                low = max(low, end - most)
            if only is not None:
                wanted = [offset for number, offset in only if number == p]
                if not wanted:
                    continue
                low, end = max(low, min(wanted)), min(end, max(wanted) + 1)
            if low < end:
                windows[p] = Range(low, end)
        letters, reached = self._letters(windows, open_, None if newest else most)
        if only is not None:
            letters = [letter for letter in letters if letter.place in only]
        letters.sort(key=lambda letter: (letter.record.timestamp()[1], letter.place))
        return Letters(letters[-most:] if newest else letters, parked, reached)

    def walk(self, until: Mapping[int, int]) -> Iterator[DeadLetter]:
        """Yield all parked records, those that have waited longest first.

        Args:
            until: Only below these offsets, by partition, so that what is parked again
                meanwhile is not met again.

        Raises:
            ClientError: The broker refuses.
        """
        after: dict[int, int] = {}
        while (page := self.read(after=after, until=until)).letters:
            yield from page.letters
            after.update(page.reached)

    def ends(self) -> Mapping[int, int]:
        """Return where the partitions end now."""
        ranges = self._cluster.ranges(self.topic.name, self.partitions)
        return {p: held.end for p, held in ranges.items()}

    def finish(self, letters: Iterable[DeadLetter]) -> None:
        """Take records out of the parked ones: they were replayed, or are dismissed.

        Raises:
            ClientError: The broker refuses, the group has members, or the commits have
                no room for all: too many others between them are parked.
        """
        finished: dict[int, list[Stretch]] = {}
        for letter in letters:
            finished.setdefault(letter.record.partition(), []).append(letter.stretch)
        if not finished:
            return
        name = self.topic.name
        ranges = self._cluster.ranges(name, finished)
        for group in self.groups:
            committed = self._cluster.committed(group, name, finished)
            commits, forgotten = {}, 0
            for p, stretches in finished.items():
                base, done = _state(committed.get(p), ranges[p])
                offset, rest = advanced(base, [*done, *stretches])
                commits[p] = Commit(offset, Note(rest).text)
                forgotten += len(rest) - len(read(commits[p].metadata).finished)
            self._cluster.commit(group, name, commits)
            if forgotten:
                raise ClientError(
                    f"Group '{group}' has no room to remember all that is finished of "
                    f"'{name}': {forgotten} stretches still count as parked. Too many "
                    "older ones between them are parked. Replay or dismiss those "
                    "first.",
                    code="OFFSET_METADATA_TOO_LARGE",
                )

    def close(self) -> None:
        """Close the client."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self) -> dict[int, list[Stretch]]:
        """Return the stretches of offsets that are not finished, by partition."""
        name = self.topic.name
        ranges = self._cluster.ranges(name, self.partitions)
        committed = self._cluster.committed(self.groups[0], name, self.partitions)
        open_ = {}
        for p, held in ranges.items():
            base, done = _state(committed.get(p), held)
            open_[p] = unfinished(base, held.end, done)
        return open_

    def _letters(
        self,
        windows: Mapping[int, Range],
        open_: Mapping[int, Sequence[Stretch]],
        most: int | None,
    ) -> tuple[list[DeadLetter], Mapping[int, int]]:
        letters: list[DeadLetter] = []
        reached = {p: low for p, (low, _) in windows.items()}
        size = 0
        last: dict[int, int] = {}
        for record in self._reader.window(self.topic.name, windows):
            p, offset = record.partition(), record.offset()
            start, reached[p] = reached[p], offset + 1
            if not any(s <= offset < e for s, e in open_[p]):
                continue
            last[p] = len(letters)
            stretch = (start, offset + 1)
            letters.append(DeadLetter(record, failure_of(record), stretch))
            size += len(record.value() or b"")
            if size >= _MOST_BYTES or (most is not None and len(letters) >= most):
                return letters, reached
        # Behind a partition's last record there may be only what is never shown.
        for p, index in last.items():
            letter, end = letters[index], windows[p].end
            if letter.stretch[1] == reached[p] and p not in self._reader.unread:
                stretch = (letter.stretch[0], max(end, letter.stretch[1]))
                letters[index] = DeadLetter(letter.record, letter.failure, stretch)
        return letters, {p: max(windows[p].end, at) for p, at in reached.items()}


def parkings(topics: Sequence[AppTopic]) -> list[AppTopic]:
    """Return those of an app's topics that hold dead letters."""
    return [topic for topic in topics if topic.source is not None]


def dead_letter_groups(source: AppTopic) -> Sequence[str]:
    """Return the groups whose commits say what of a topic is still parked.

    One for each group that reads it; a topic that is read without a group gives its own
    name to it.
    """
    return [group + SUFFIX for group in source.groups or [source.name]]


def advanced(base: int, stretches: Iterable[Stretch]) -> tuple[int, list[Stretch]]:
    """Return how far all is finished, and the stretches above that, joined."""
    rest: list[Stretch] = []
    for start, end in sorted(stretches):
        if start <= base:
            base = max(base, end)
        elif rest and start <= rest[-1][1]:
            rest[-1] = (rest[-1][0], max(end, rest[-1][1]))
        else:
            rest.append((start, end))
    return base, rest


def unfinished(base: int, end: int, done: Iterable[Stretch]) -> list[Stretch]:
    """Return the stretches of `[base, end)` that are not among *done*."""
    left = []
    base, done = advanced(base, done)
    for start, stop in done:
        if start >= end:
            break
        left.append((base, start))
        base = stop
    if base < end:
        left.append((base, end))
    return left


def is_finished(offset: int, commit: Commit) -> bool:
    """Whether a commit says that an offset is finished."""
    return offset < commit.offset or any(
        start <= offset < end for start, end in read(commit.metadata).finished
    )


def _state(commit: Commit | None, held: Range) -> tuple[int, list[Stretch]]:
    """Return how far a group is with a partition, and what it finished above that."""
    if commit is None or commit.offset > held.end:  # the topic is a new one
        return held.low, []
    return max(commit.offset, held.low), list(read(commit.metadata).finished)


def _length(stretches: Iterable[Stretch]) -> int:
    return sum(end - start for start, end in stretches)
