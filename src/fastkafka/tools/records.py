"""Records as people read them: decoded by the app's models, or the reason why not."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from fastkafka import codecs
from fastkafka.errors import ConfigError
from fastkafka.messages import Record
from fastkafka.tools import jsontext
from fastkafka.tools.models import Model, as_json, models_of, secrets_of
from fastkafka.tools.topics import AppTopic, Clusters
from fastkafka.transport.base import Headers
from fastkafka.transport.librdkafka.inspection import Range

Format = Literal["json", "text", "bytes", "none"]


@dataclass(frozen=True, slots=True)
class RecordView:
    """A record as it is shown. Its texts are safe to print.

    Attributes:
        topic: Its topic.
        partition: Its partition.
        offset: Its offset.
        timestamp: Milliseconds since the epoch.
        key: As text; ``base64:...`` where it is none.
        headers: Names and values, as the key.
        size: Bytes of the value.
        value: JSON in one line (see `jsontext.indented` for several), text, or base64;
            None for a tombstone. Numbers are the digits that were sent.
        format: What *value* is; "none" is a tombstone.
        error: Why it does not fit the model of a function that reads it, or None.
        truncated: *value* is only its beginning, and then no longer JSON.
        record: The record itself.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: str | None
    headers: Sequence[tuple[str, str | None]]
    size: int
    value: str | None
    format: Format
    error: str | None
    truncated: bool
    record: Record

    @property
    def position(self) -> str:
        """``orders[2]@48120398``."""
        return f"{self.topic}[{self.partition}]@{self.offset}"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one step of reading may take.

    Attributes:
        records: How many are looked at.
        size: Bytes of their values together.
        seconds: How long it may take; what was found until then is returned.
    """

    records: int = 100_000
    size: int = 64_000_000
    seconds: float = 3.0


@dataclass(frozen=True, slots=True)
class Page:
    """Some records of a topic.

    Attributes:
        records: Oldest first, by their timestamps.
        searched: How many records were looked at.
        back_to: By partition: everything from this offset on was looked at. Give it as
            `before` to look further back.
        ends: By partition: where the topic ended. Give it as `after` to see only what
            has come since.
        more: There is more before *back_to*.
    """

    records: Sequence[RecordView]
    searched: int
    back_to: Mapping[int, int]
    ends: Mapping[int, int]
    more: bool


Wanted = Callable[[RecordView], bool]
"""Whether a record is looked for; a `Find` is one."""


class RecordViews:
    """Makes views of one topic's records.

    Args:
        topic: Whose functions' models decode them.
        redact: Fields that are masked beside the models' own secrets.
        longest: How many characters of a value are kept; None is all.
    """

    def __init__(
        self,
        topic: AppTopic,
        *,
        redact: Collection[str] = (),
        longest: int | None = None,
    ) -> None:
        self._models = models_of(topic)
        self._reading = len((topic.source or topic).readers)
        self._secrets = secrets_of(topic, redact)
        self._longest = longest

    def view(self, record: Record, headers: Headers | None = None) -> RecordView:
        """Return a record as it is shown.

        Args:
            record: The record.
            headers: Those that are shown; None is all that it has.
        """
        value, format, error = self._value(record.value())
        truncated = False
        if value is not None and self._longest is not None:
            truncated = len(value) > self._longest
            value = value[: self._longest]
        return RecordView(
            topic=record.topic(),
            partition=record.partition(),
            offset=record.offset(),
            timestamp=record.timestamp()[1],
            key=jsontext.readable(record.key()),
            headers=[
                (jsontext.printable(name), jsontext.readable(raw))
                for name, raw in (record.headers() if headers is None else headers)
                or ()
            ],
            size=len(record.value() or b""),
            value=value,
            format=format,
            error=error,
            truncated=truncated,
            record=record,
        )

    def _value(self, raw: bytes | None) -> tuple[str | None, Format, str | None]:
        message, error, by = self._decoded(raw)
        if raw is None:
            return None, "none", error
        if by is not None and not by.is_json and not isinstance(message, bytes):
            made = as_json(message)
            if made is not None:
                return jsontext.compact(made, self._secrets), "json", error
        if jsontext.is_json(raw):
            return jsontext.compact(raw.decode(), self._secrets), "json", error
        if self._secrets:  # nobody knows where in these bytes they are
            return WITHHELD, "text", error
        try:
            return jsontext.printable(raw.decode()), "text", error
        except UnicodeDecodeError:
            return base64.b64encode(raw).decode(), "bytes", error

    def _decoded(self, raw: bytes | None) -> tuple[object, str | None, Model | None]:
        """Return the message of the first function that can read it, and who cannot."""
        message: object = None
        by: Model | None = None
        errors = []
        for number, model in enumerate(self._models):
            if model.decode is None:
                continue
            try:
                decoded = model.decode(raw)
            except Exception as error:  # noqa: BLE001 - whatever a model's code raises
                if number < self._reading or not self._reading:
                    errors.append((model.function, codecs.describe(error)))
            else:
                if by is None:
                    message, by = decoded, model
        if not errors:
            return message, None, by
        # One that only some of several functions cannot read says which ones.
        alone = self._reading < 2 or len({why for _, why in errors}) == 1
        texts = [why if alone else f"`{who}`: {why}" for who, why in errors]
        said = "; ".join(dict.fromkeys(texts))
        return message, jsontext.printable(said), by


WITHHELD = "(not JSON; withheld, because the model has secret fields)"


class RecordReader:
    """Reads one topic, without a group; a context manager.

    Not for several threads at once.

    Args:
        topic: What to read.
        clusters: Where it is.
        redact: Fields that are masked beside the models' own secrets.
        longest: How many characters of a value are kept; None is all.

    Raises:
        ConfigError: The topic does not exist.
        BrokerUnavailableError: No broker answers.
    """

    def __init__(
        self,
        topic: AppTopic,
        clusters: Clusters,
        *,
        redact: Collection[str] = (),
        longest: int | None = None,
    ) -> None:
        self._name = topic.name
        self._views = RecordViews(topic, redact=redact, longest=longest)
        self._cluster = clusters.of(topic)
        self.partitions: Sequence[int] = partitions_of(topic, clusters)
        """Their numbers."""
        self._reader = self._cluster.reader()

    def choose(self, partitions: Collection[int]) -> None:
        """Read only some partitions from now on; none is all.

        Raises:
            ConfigError: There is no such partition.
        """
        strange = sorted(set(partitions) - set(self.partitions))
        if strange:
            raise ConfigError(
                f"Topic '{self._name}' has no partition {strange[0]}. Its partitions "
                f"are 0 to {max(self.partitions)}."
            )
        if partitions:
            self.partitions = sorted(set(partitions))

    def newest(
        self,
        n: int,
        *,
        partitions: Collection[int] | None = None,
        before: Mapping[int, int] | None = None,
        after: Mapping[int, int] | None = None,
        wanted: Wanted | None = None,
        limits: Limits = Limits(),
    ) -> Page:
        """Return the newest *n* records that are wanted, looking backwards.

        Args:
            n: How many at most.
            partitions: Only of these.
            before: Only below these offsets, by partition: a page's `back_to`.
            after: Only from these offsets on, by partition: a page's `ends`.
            wanted: Which; None is all.
            limits: When to stop looking.

        Raises:
            ClientError: The broker refuses.
        """
        deadline = time.monotonic() + limits.seconds
        ranges = self._cluster.ranges(self._name, partitions or self.partitions)
        ends = {p: each.end for p, each in ranges.items()}
        floors = {
            p: max(each.low, (after or {}).get(p, 0)) for p, each in ranges.items()
        }
        tops = {
            p: max(floors[p], min(end, (before or {}).get(p, end)))
            for p, end in ends.items()
        }
        found: list[RecordView] = []
        searched = size = 0
        step = n if wanted is None else max(n, _FIRST_STEP)
        while windows := {
            p: Range(max(floors[p], top - step), top)
            for p, top in tops.items()
            if top > floors[p]
        }:
            matching: dict[int, list[RecordView]] = {p: [] for p in windows}
            # A window that is begun is read to its end, or it would never be passed.
            patience = max(deadline, time.monotonic() + _PATIENCE)
            for record in self._reader.window(self._name, windows, patience):
                searched += 1
                size += len(record.value() or b"")
                view = self._views.view(record)
                if wanted is None or wanted(view):
                    matching[view.partition].append(view)
            for p in windows.keys() - self._reader.unread:
                tops[p] = windows[p].low
                found += matching[p]
            room = _room(limits, searched, size, len(windows))
            if len(found) >= n or self._reader.unread or room < 1:
                break
            if time.monotonic() >= deadline:
                break
            step = min(step * 2, room)
        return _page(found, n, searched, tops, floors, ends)

    def forward(
        self,
        start: Mapping[int, int],
        n: int | None,
        *,
        until: Mapping[int, int] | None = None,
        since: int = 0,
        wanted: Wanted | None = None,
    ) -> Iterator[RecordView]:
        """Yield records in the order in which they come, up to what the topic holds.

        Args:
            start: Where to begin, by partition; see `begins` and `at_time`.
            n: How many at most; None is all.
            until: Not further than these offsets; default: the ends of now.
            since: Only of this time or later, in milliseconds since the epoch.
            wanted: Which; None is all.

        Raises:
            ClientError: The broker refuses.
        """
        ends = until or self.ends(start)
        windows = {p: Range(at, ends[p]) for p, at in start.items() if at < ends[p]}
        left = n
        for record in self._reader.window(self._name, windows):
            if left == 0:
                return
            view = self._views.view(record)
            if view.timestamp >= since and (wanted is None or wanted(view)):
                yield view
                left = None if left is None else left - 1

    def follow(
        self, start: Mapping[int, int], *, wanted: Wanted | None = None
    ) -> Iterator[RecordView | None]:
        """Yield records as they come, without end; None when there was none a while.

        Args:
            start: Where to begin, by partition.
            wanted: Which; None is all.

        Raises:
            ClientError: The broker refuses.
        """
        self._reader.start(self._name, start)
        while True:
            records = self._reader.read(_CHUNK)
            for record in records:
                view = self._views.view(record)
                if wanted is None or wanted(view):
                    yield view
            if not records:
                yield None

    def one(self, partition: int, offset: int) -> RecordView | None:
        """Return one record; None if it is not there (any more).

        Raises:
            ClientError: The broker refuses.
        """
        if partition not in self.partitions:
            return None
        held = self._cluster.ranges(self._name, [partition])[partition]
        if not held.low <= offset < held.end:
            return None
        windows = {partition: Range(offset, offset + 1)}
        deadline = time.monotonic() + Limits().seconds
        records = self._reader.window(self._name, windows, deadline)
        views = map(self._views.view, records)
        return next(views, None)

    def begins(self, partitions: Collection[int] | None = None) -> Mapping[int, int]:
        """Return where partitions begin."""
        ranges = self._cluster.ranges(self._name, partitions or self.partitions)
        return {p: each.low for p, each in ranges.items()}

    def ends(self, partitions: Collection[int] | None = None) -> Mapping[int, int]:
        """Return where partitions end now."""
        ranges = self._cluster.ranges(self._name, partitions or self.partitions)
        return {p: each.end for p, each in ranges.items()}

    def at_time(
        self, timestamp: int, partitions: Collection[int] | None = None
    ) -> Mapping[int, int]:
        """Return where to begin for what is not older than a time.

        Args:
            timestamp: Milliseconds since the epoch; give it as `since`, too.
            partitions: Only of these.
        """
        chosen = partitions or self.partitions
        return self._cluster.offsets_at(self._name, chosen, timestamp)

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


def partitions_of(topic: AppTopic, clusters: Clusters) -> Sequence[int]:
    """Return the numbers of a topic's partitions.

    Raises:
        ConfigError: It does not exist.
        BrokerUnavailableError: No broker answers.
    """
    facts = clusters.of(topic).topic(topic.name)
    if facts is None:
        raise ConfigError(
            f"Topic '{topic.name}' does not exist at {topic.servers}. "
            "Create it: `fastkafka topics MODULE:APP --create`."
        )
    return list(facts.partitions)


_CHUNK = 500
_FIRST_STEP = 100
_PATIENCE = 10.0


def _room(limits: Limits, searched: int, size: int, partitions: int) -> int:
    """Return how many records of each partition may be looked at in the next step."""
    mean = size / searched + 1 if searched else 1
    left = min(limits.records - searched, (limits.size - size) / mean)
    return int(left / partitions)


def _page(
    found: list[RecordView],
    n: int,
    searched: int,
    tops: Mapping[int, int],
    floors: Mapping[int, int],
    ends: Mapping[int, int],
) -> Page:
    found.sort(key=lambda view: (view.timestamp, view.partition, view.offset))
    dropped, kept = found[: max(len(found) - n, 0)], found[max(len(found) - n, 0) :]
    back_to = dict(tops)
    for view in dropped:  # they are to be found again further back
        back_to[view.partition] = max(back_to[view.partition], view.offset + 1)
    more = any(back_to[p] > floors[p] for p in back_to)
    return Page(kept, searched, back_to, ends, more)
