"""Where reading begins, as people write it: newest, oldest, an offset, a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from fastkafka.errors import ConfigError
from fastkafka.tools.records import Limits, RecordReader, RecordView, Wanted

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

_FAR = Limits(records=1_000_000, size=1_000_000_000, seconds=60.0)
"""How far back a search goes whose end is not asked for again."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where reading begins.

    Attributes:
        kind: What *value* is.
        value: An offset, or milliseconds since the epoch.
    """

    kind: Literal["newest", "oldest", "offset", "time"]
    value: int = 0

    @classmethod
    def parse(cls, text: str, now: datetime | None = None) -> Start:
        """Read "newest", "oldest", an offset, or a time.

        A time is one of ISO 8601 (of this machine's zone, if it names none), a time of
        today, or how long ago: ``15m``, ``2h``, ``3d``.

        Args:
            text: As it was written.
            now: For tests.

        Raises:
            ConfigError: It is none of these.
        """
        if text in ("newest", "oldest"):
            return cls("newest" if text == "newest" else "oldest")
        if text.isdecimal():
            return cls("offset", int(text))
        now = now or datetime.now().astimezone()
        ago = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])(?: ago)?", text)
        if ago:
            when = now - timedelta(seconds=float(ago[1]) * _UNITS[ago[2]])
        else:
            when = _moment(text, now)
        return cls("time", round(when.timestamp() * 1000))


def tailed(
    reader: RecordReader,
    start: Start,
    number: int | None,
    *,
    follow: bool,
    wanted: Wanted | None = None,
) -> Iterator[RecordView]:
    """Yield records of a topic, and go on with those that come if *follow* says so.

    Args:
        reader: Reads the topic.
        start: Where to begin.
        number: How many at most; None is 10, or all when following from another place
            than the newest.
        follow: Go on, without end.
        wanted: Which; None is all.
    """
    if start.kind == "newest":
        page = reader.newest(
            10 if number is None else number, wanted=wanted, limits=_FAR
        )
        yield from page.records
        ends = page.ends
    else:
        begins = reader.begins()
        if start.kind == "offset":
            ends = reader.ends()
            begins = {p: min(max(start.value, at), ends[p]) for p, at in begins.items()}
        elif start.kind == "time":
            begins = reader.at_time(start.value)
        most = 10 if number is None and not follow else number
        since = start.value if start.kind == "time" else 0
        ends = reader.ends()
        yield from reader.forward(begins, most, until=ends, since=since, wanted=wanted)
    if follow:
        for record in reader.follow(ends, wanted=wanted):
            if record is not None:
                yield record


def _moment(text: str, now: datetime) -> datetime:
    today = ""
    if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", text):
        today = f"{now.date().isoformat()}T{'0' if text[1] == ':' else ''}"
    try:
        when = datetime.fromisoformat(today + text)
    except ValueError:
        raise ConfigError(
            f"`--from` {text!r} is no place to begin. Write newest, oldest, an offset "
            "such as 1042, a time such as 2026-11-25T20:30 or 20:30, or how long ago: "
            "15m, 2h, 3d."
        ) from None
    return when if when.tzinfo is not None else when.astimezone()
