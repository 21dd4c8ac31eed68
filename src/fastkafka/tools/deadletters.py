"""Why a record is a dead letter, in whosever headers it is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from fastkafka.messages import Record
from fastkafka.tools import jsontext
from fastkafka.transport.base import Headers


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a record was parked. Its texts are safe to print; unknown ones are None.

    Attributes:
        family: Who wrote the headers: "Spring" (and FastKafka), "Kafka Connect",
            "Kafka Streams", "share group", "Karafka", "SmallRye"; "" if nobody did.
        topic: Where the record was first.
        partition: Its partition there.
        offset: Its offset there.
        timestamp: Its time there, in milliseconds since the epoch.
        group: The group that could not handle it.
        error: The error's qualified name.
        cause: The name of the error that it came from.
        message: What the error says.
        trace: Its stack trace.
        attempts: How often its handler was called.
    """

    family: str = ""
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    timestamp: int | None = None
    group: str | None = None
    error: str | None = None
    cause: str | None = None
    message: str | None = None
    trace: str | None = None
    attempts: int | None = None

    @property
    def kind(self) -> str:
        """The error's name without its module."""
        return re.split(r"[.$]", self.error or "")[-1] or "unknown"

    @property
    def summary(self) -> str:
        """What the error says, in a line, without where the record was.

        FastKafka's message names the function and the error, too: both are known, so
        it is what the trace ends with.
        """
        said = _PLACE.sub("", _first_line(self.message))
        if _OURS.match(said):
            last = (self.trace or "").rstrip().rpartition("\n")[2]
            name, _, text = last.partition(": ")
            if text and name.rpartition(".")[2] == self.kind:
                return text
        return said


class Cause(NamedTuple):
    """What failures have in common that have one cause.

    Attributes:
        error: The error's qualified name.
        message: What it says, numbers, quotes and ids blanked.
        place: The innermost frame of the trace that is not a library's, ``file:line in
            function``; empty if there is none.
    """

    error: str
    message: str
    place: str


@dataclass(slots=True)
class Group:
    """Dead letters of one cause.

    Attributes:
        cause: What they have in common.
        count: How many there are.
        first: The oldest one's time, milliseconds since the epoch.
        last: The newest one's.
        topics: How many came from each topic.
        example: The newest one's failure.
    """

    cause: Cause
    count: int = 0
    first: int = 0
    last: int = 0
    topics: dict[str, int] = field(default_factory=dict)
    example: Failure = field(default_factory=Failure)


def failure_of(record: Record) -> Failure:
    """Read why a record is a dead letter; see interop's names of each family."""
    headers = _last(record.headers() or ())
    for family in _FAMILIES:
        if any(name in headers for name in family.telling):
            return family.read(headers)
    return Failure()


def own_headers(record: Record) -> list[tuple[str, bytes]]:
    """Return the headers that the record had before it failed, bytes unchanged.

    Only headers of the family that parked it are taken away: another tool's may be the
    application's own.
    """
    headers = list(record.headers() or ())
    names = {name for name, _ in headers}
    for family in _FAMILIES:
        if any(name in names for name in family.telling):
            return [(n, v) for n, v in headers if not family.owns(n)]
    return headers


def cause_of(failure: Failure) -> Cause:
    """Return what a failure has in common with others of its cause."""
    return Cause(
        failure.error or "unknown",
        blanked(_first_line(failure.message)),
        place_of(failure.trace),
    )


def grouped(letters: Sequence[tuple[Record, Failure]]) -> list[Group]:
    """Group dead letters by their causes, the most frequent first.

    Args:
        letters: Records and their failures; see `failure_of`.
    """
    groups: dict[Cause, Group] = {}
    for record, failure in letters:
        group = groups.setdefault(cause_of(failure), Group(cause_of(failure)))
        timestamp = record.timestamp()[1]
        group.count += 1
        group.first = min(group.first or timestamp, timestamp)
        if timestamp >= group.last:
            group.last, group.example = timestamp, failure
        topic = failure.topic or ""
        group.topics[topic] = group.topics.get(topic, 0) + 1
    return sorted(groups.values(), key=lambda group: (-group.count, -group.last))


def blanked(message: str) -> str:
    """Return a message without what differs from record to record."""
    for pattern, blank in _BLANKS:
        message = pattern.sub(blank, message)
    return message


def place_of(trace: str | None) -> str:
    """Return the innermost frame of a Python or Java trace that is not a library's."""
    if not trace:
        return ""
    frames = [
        f"{_short(found['file'])}:{found['line']} in {found['function']}"
        for found in _FRAME.finditer(trace)
        if not _LIBRARY.search(found["file"])
    ]
    if frames:
        return frames[-1]
    java = _JAVA_FRAME.search(trace)
    return f"{java['file']}:{java['line']} in {java['function']}" if java else ""


_FRAME = re.compile(
    r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>[\w<>.]+)'
)
_JAVA_FRAME = re.compile(
    r"at (?!java\.|jdk\.|org\.(?:springframework|apache)\.)"
    r"(?P<function>[\w.$<>]+)\((?P<file>[\w.]+):(?P<line>\d+)\)"
)
_LIBRARY = re.compile(r"site-packages|dist-packages|/fastkafka/|/lib/python|<frozen")
_PLACE = re.compile(r"^[\w.-]+\[\d+\]@\d+: ")
"""What a message begins with that says where the record was."""

_OURS = re.compile(r"`[^`]+` failed: ")

_BLANKS = (
    (_PLACE, ""),
    (re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"), "*"),
    (re.compile(r"'[^']*'|\"[^\"]*\""), "'*'"),
    (re.compile(r"\b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{8,}\b"), "*"),
    (re.compile(r"-?\d+(?:\.\d+)?"), "*"),
)


def _first_line(text: str | None) -> str:
    return re.split(r"\\n|\n", text or "", maxsplit=1)[0]


def _short(file: str) -> str:
    return "/".join(file.split("/")[-2:])


Raw = Mapping[str, bytes | None]


class _Family(NamedTuple):
    """Whose headers, by which they are known, which are theirs, how to read them."""

    name: str
    telling: Sequence[str]
    prefixes: tuple[str, ...]
    read: Callable[[Raw], Failure]

    def owns(self, header: str) -> bool:
        return header in _ALSO.get(self.name, ()) or header.startswith(self.prefixes)


def _spring(h: Raw) -> Failure:
    p = "kafka_dlt-"
    message = _text(h, f"{p}exception-message") or _text(h, f"{p}key-exception-message")
    return Failure(
        family="Spring",
        topic=_text(h, f"{p}original-topic"),
        partition=_integer(h, f"{p}original-partition"),
        offset=_integer(h, f"{p}original-offset"),
        timestamp=_integer(h, f"{p}original-timestamp"),
        group=_text(h, f"{p}original-consumer-group"),
        error=_text(h, f"{p}exception-fqcn") or _text(h, f"{p}key-exception-fqcn"),
        cause=_text(h, f"{p}exception-cause-fqcn"),
        message=message,
        trace=_trace(h, f"{p}exception-stacktrace")
        or _trace(h, f"{p}key-exception-stacktrace"),
        attempts=_integer(h, "kafka_deliveryAttempt")
        or _integer(h, "retry_topic-attempts"),
    )


def _connect(h: Raw) -> Failure:
    p = "__connect.errors."
    return Failure(
        family="Kafka Connect",
        topic=_text(h, f"{p}topic"),
        partition=_number(h, f"{p}partition"),
        offset=_number(h, f"{p}offset"),
        group=_text(h, f"{p}connector.name"),
        error=_text(h, f"{p}exception.class.name"),
        cause=_text(h, f"{p}stage"),
        message=_text(h, f"{p}exception.message"),
        trace=_trace(h, f"{p}exception.stacktrace"),
    )


def _streams(h: Raw) -> Failure:
    p = "__streams.errors."
    return Failure(
        family="Kafka Streams",
        topic=_text(h, f"{p}topic"),
        partition=_number(h, f"{p}partition"),
        offset=_number(h, f"{p}offset"),
        error=_text(h, f"{p}exception"),
        message=_text(h, f"{p}message"),
        trace=_trace(h, f"{p}stacktrace"),
    )


def _share_group(h: Raw) -> Failure:
    p = "__dlq.errors."
    return Failure(
        family="share group",
        topic=_text(h, f"{p}topic"),
        partition=_number(h, f"{p}partition"),
        offset=_number(h, f"{p}offset"),
        group=_text(h, f"{p}group") or _text(h, f"{p}group.id"),
        error=_text(h, f"{p}exception.class.name") or _text(h, f"{p}exception"),
        message=_text(h, f"{p}message") or _text(h, f"{p}exception.message"),
        trace=_trace(h, f"{p}stacktrace"),
        attempts=_number(h, f"{p}delivery.count"),
    )


def _small_rye(h: Raw) -> Failure:
    p = "dead-letter-"
    return Failure(
        family="SmallRye",
        topic=_text(h, f"{p}topic"),
        partition=_number(h, f"{p}partition"),
        offset=_number(h, f"{p}offset"),
        error=_text(h, f"{p}exception-class-name"),
        cause=_text(h, f"{p}cause-class-name"),
        message=_text(h, f"{p}reason") or _text(h, f"{p}cause"),
    )


def _karafka(h: Raw) -> Failure:
    return Failure(
        family="Karafka",
        topic=_text(h, "source_topic") or _text(h, "original_topic"),
        partition=_number(h, "source_partition", "original_partition"),
        offset=_number(h, "source_offset", "original_offset"),
        group=_text(h, "source_consumer_group") or _text(h, "original_consumer_group"),
        attempts=_number(h, "source_attempts", "original_attempts"),
    )


_FAMILIES = (
    _Family(
        "Spring",
        ("kafka_dlt-original-topic", "kafka_dlt-exception-fqcn"),
        ("kafka_dlt-", "retry_topic-"),
        _spring,
    ),
    _Family(
        "Kafka Connect",
        ("__connect.errors.topic", "__connect.errors.exception.class.name"),
        ("__connect.errors.",),
        _connect,
    ),
    _Family(
        "Kafka Streams",
        ("__streams.errors.topic", "__streams.errors.exception"),
        ("__streams.errors.",),
        _streams,
    ),
    _Family("share group", ("__dlq.errors.topic",), ("__dlq.errors.",), _share_group),
    _Family(
        "SmallRye",
        ("dead-letter-topic", "dead-letter-reason"),
        ("dead-letter-",),
        _small_rye,
    ),
    _Family("Karafka", ("source_topic", "source_offset"), (), _karafka),
)

_ALSO = {
    "Spring": ("kafka_deliveryAttempt",),
    "Karafka": (
        *("source_topic", "source_partition", "source_offset", "source_key"),
        *("source_consumer_group", "source_attempts", "source_trace_id"),
    ),
}
"""Headers of a family that have no prefix of their own."""


def _last(headers: Headers) -> Raw:
    """Return the last value of each header, which is the one that counts."""
    return dict(headers)


def _text(headers: Raw, name: str) -> str | None:
    raw = headers.get(name)
    return None if raw is None else jsontext.printable(raw.decode(errors="replace"))


def _trace(headers: Raw, name: str) -> str | None:
    """Return a text of several lines, safe to print."""
    raw = headers.get(name)
    if raw is None:
        return None
    lines = raw.decode(errors="replace").replace("\t", "    ").splitlines()
    return "\n".join(jsontext.printable(line) for line in lines)


def _integer(headers: Raw, name: str) -> int | None:
    """Read a big-endian integer of any length."""
    raw = headers.get(name)
    return int.from_bytes(raw, "big", signed=True) if raw else None


def _number(headers: Raw, *names: str) -> int | None:
    """Read a number that is written as text."""
    for name in names:
        raw = headers.get(name)
        if raw is not None and re.fullmatch(rb"-?\d{1,19}", raw):
            return int(raw)
    return None
