"""The parked records, grouped by what made them fail."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastkafka.tools import jsontext
from fastkafka.tools.deadletters import Cause, cause_of
from fastkafka.tools.models import secrets_of
from fastkafka.tools.parking import MOST, DeadLetter, Parking, parkings
from fastkafka.tools.records import RecordViews
from fastkafka.tools.topics import AppTopic, Clusters
from fastkafka.web.desk import Desk
from fastkafka.web.reader import LONGEST_VALUE, shown
from fastkafka.web.redaction import Redaction

FRESH_SECONDS = 3.0
KEPT_SECONDS = 60.0
MOST_SHOWN = 50
SPARKS = 24
"""Into how many pieces the time from the first to the last failure is cut."""

_ENGINE = f"{os.sep}fastkafka{os.sep}engine{os.sep}"

Topics = Callable[[], Awaitable[Sequence[AppTopic]]]


@dataclass(slots=True)
class Group:
    """Parked records of one cause.

    Attributes:
        id: Stays the same as long as the cause does.
        topic: The dead-letter topic.
        function: Who could not handle them.
        cause: What they have in common.
        letters: Oldest first.
    """

    id: str
    topic: AppTopic
    function: str
    cause: Cause
    letters: list[DeadLetter] = field(default_factory=list)

    @property
    def newest(self) -> DeadLetter:
        """The last one that was parked."""
        return self.letters[-1]


@dataclass(frozen=True, slots=True)
class _Read:
    at: float
    groups: Mapping[str, Group]
    read: int
    parked: int
    topics: int


class Failures:
    """What is parked; read when somebody asks, and remembered for a moment.

    Args:
        desk: Takes questions.
        topics: The app's.
        redact: Fields that are masked.
    """

    def __init__(self, desk: Desk, topics: Topics, redact: Sequence[str]) -> None:
        self._desk = desk
        self._topics = topics
        self._redact = redact
        self._last: _Read | None = None
        self._reading = asyncio.Lock()

    async def parked(self) -> dict[str, int]:
        """Return how many records are parked, by dead-letter topic that exists.

        Raises:
            FastKafkaError: No broker says.
        """
        topics = parkings(await self._topics())

        def count(clusters: Clusters) -> dict[str, int]:
            found = {}
            for topic in topics:
                with Parking(topic, clusters) as parking:
                    if parking.partitions:
                        found[topic.name] = parking.count()
            return found

        return await self._desk.ask(count)

    async def all(self, *, fresh: bool = False) -> Mapping[str, Group]:
        """Return the groups by their ids, the most frequent first.

        Args:
            fresh: Read again, even if that was just done.

        Raises:
            FastKafkaError: No broker says.
        """
        return (await self._now(fresh)).groups

    async def groups(self) -> dict[str, Any]:
        """Return the groups as the page lists them, and how many records were read."""
        now = await self._now()
        return {
            "groups": [self._summary(group) for group in now.groups.values()],
            "read": now.read,
            "parked": now.parked,
            "topics": now.topics,
            "window": MOST,
        }

    async def group(self, id: str) -> dict[str, Any] | None:
        """Return a group with its newest records; None if there is none (any more)."""
        found = (await self._now()).groups.get(id)
        if found is None:
            return None
        views = RecordViews(found.topic, redact=self._redact, longest=LONGEST_VALUE)
        secrets = secrets_of(found.topic, self._redact)
        newest = found.newest
        mask = Redaction(newest.record, secrets)
        return self._summary(found) | {
            "trace": mask.text(readable_trace(newest.failure.trace)),
            "cause": newest.failure.cause,
            "records": [
                _letter(letter, views, secrets)
                for letter in reversed(found.letters[-MOST_SHOWN:])
            ],
        }

    def is_parked(self, topic: str, partition: int, offset: int) -> bool:
        """Whether a record is known to be parked, as of the last reading."""
        if self._last is None:
            return False
        return any(
            (f.topic, f.partition, f.offset) == (topic, partition, offset)
            for group in self._last.groups.values()
            for letter in group.letters
            for f in (letter.failure,)
        )

    def forget(self) -> None:
        """Read again when somebody asks."""
        self._last = None

    def tidy(self) -> None:
        """Let go of records that nobody has asked for lately."""
        if self._last is not None and time.monotonic() - self._last.at > KEPT_SECONDS:
            self._last = None

    async def _now(self, fresh: bool = False) -> _Read:
        async with self._reading:
            last = self._last
            if fresh or last is None or time.monotonic() - last.at > FRESH_SECONDS:
                topics = parkings(await self._topics())
                self._last = last = await self._desk.ask(lambda c: _read(topics, c))
            return last

    def _summary(self, group: Group) -> dict[str, Any]:
        failure = group.newest.failure
        secrets = secrets_of(group.topic, self._redact)
        mask = Redaction(group.newest.record, secrets)
        times = [letter.record.timestamp()[1] / 1000 for letter in group.letters]
        return {
            "id": group.id,
            "error": group.cause.error,
            "kind": failure.kind,
            "message": mask.text(failure.summary or None),
            "at": group.cause.place.partition(" in ")[0],
            "function": group.function,
            "topic": group.topic.name,
            "source": group.topic.source.name if group.topic.source else None,
            "count": len(group.letters),
            "first": min(times),
            "last": max(times),
            "spark": _spark(times),
        }


def _read(topics: Sequence[AppTopic], clusters: Clusters) -> _Read:
    groups: dict[str, Group] = {}
    read = parked = existing = 0
    for topic in topics:
        with Parking(topic, clusters) as parking:
            if not parking.partitions:
                continue
            existing += 1
            found = parking.read(newest=True)
        read += len(found.letters)
        parked += found.parked
        source = topic.source
        for letter in found.letters:
            function = ""
            if source is not None:
                of = letter.failure.group
                readers = [r for r in source.readers if of in (r.group, None, "")]
                function = ", ".join(r.name for r in readers or source.readers)
            cause = cause_of(letter.failure)
            key = repr((topic.servers, topic.name, function, cause))
            id = hashlib.sha256(key.encode()).hexdigest()[:16]
            group = groups.setdefault(id, Group(id, topic, function, cause))
            group.letters.append(letter)
    order = sorted(groups.values(), key=lambda group: -len(group.letters))
    by_id = {group.id: group for group in order}
    return _Read(time.monotonic(), by_id, read, parked, existing)


def _letter(
    letter: DeadLetter,
    views: RecordViews,
    secrets: Sequence[str] | frozenset[str] | Any,
) -> dict[str, Any]:
    view = views.view(letter.record)
    failure = letter.failure
    value = view.value
    if view.format == "json" and value is not None and not view.truncated:
        value = jsontext.indented(value)
    raw = letter.record.value()
    return shown(view, secrets) | {
        "value": value,
        "topic": view.topic,
        "original": {
            "topic": failure.topic,
            "partition": failure.partition,
            "offset": failure.offset,
        },
        "attempts": failure.attempts,
        "family": failure.family,
        "raw": None
        if secrets or raw is None
        else base64.b64encode(raw[:LONGEST_VALUE]).decode(),
        "withheld": bool(secrets),
    }


def readable_trace(trace: str | None) -> str | None:
    """Return a stack trace without the engine's frames, and with short paths."""
    if trace is None:
        return None
    kept: list[str] = []
    skips = False
    for line in trace.split("\n"):
        if line.startswith('  File "'):
            skips = _ENGINE in line
        elif not line.startswith("    "):
            skips = False
        if not skips:
            kept.append(line)
    return "\n".join(kept).replace(f'File "{Path.cwd()}{os.sep}', 'File "')


def _spark(times: Sequence[float]) -> list[int]:
    """Return how many records failed in each piece of the time until now."""
    start, end = min(times), max(max(times), time.time())
    width = max((end - start) / SPARKS, 1.0)
    counts = [0] * SPARKS
    for one in times:
        counts[min(SPARKS - 1, int((one - start) / width))] += 1
    return counts
