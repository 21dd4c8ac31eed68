"""What is told at once: seldom things. Nothing here happens for every record."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeGuard

from fastkafka.messages import Record


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        kind: "started", "stopping", "assigned", "revoked", "lost", "failed" (a call
            raised), "parked", "skipped", "stopped_at" (on_failure="stop"),
            "problem", "solved", "gap" (a group goes on behind records that are gone),
            "made_again" (in a topic that was made again) or "rewound"; and what
            `app.control` did: "paused", "resumed", "concurrency" or "sought".
        what: Which one: a function, a partition, a topic, a cluster.
        text: A sentence for people.
        topic, partition, offset, key: Of the record, if there is one.
        attempt: Which call of the handler it was, from 1.
        error: What was raised.
        time: Epoch seconds.
    """

    kind: str
    what: str
    text: str
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    key: bytes | None = None
    attempt: int | None = None
    error: BaseException | None = None
    time: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class Operation:
    """What a consumer's client did for its group: a poll, or a commit.

    Attributes:
        name: "poll", one that brought records; or "commit".
        topic: None where there were several.
        partition: None where there were several.
        seconds: How long it took; for a poll, waiting for the first record included.
        records: How many a poll brought.
        error: Kafka's name of what went wrong.
        ended: Epoch seconds.
    """

    name: str
    topic: str | None
    partition: int | None
    seconds: float
    records: int = 0
    error: str | None = None
    ended: float = field(default_factory=time.time)


Measure = Callable[[Operation], None]
"""Hears of an operation when it is over."""


class Listener(Protocol):
    """Hears of events, on the event loop; it must not wait and must not raise."""

    def on_event(self, event: Event) -> None:
        """Hear of it."""


Tell = Callable[[Event], None]
"""Passes an event on to those who listen."""

Headers = list[tuple[str, bytes]]

Delivered = Callable[[Any, Any], None]
"""Called once per record, in a thread of the producer's, with `(error, record)`.

*error* is None when the broker acknowledged the record; otherwise
`Producer.explain(error, record)` says what happened.
"""


class Tracer(Protocol):
    """Stands around each call of a handler, and sees each record that is produced.

    While an app has one, consumers tell of each poll and each commit.
    """

    def measured(self, group: str | None, operation: Operation) -> None:
        """Hear of a poll or a commit that is over, on the event loop."""

    def processing(
        self, function: str, group: str | None, records: Sequence[Record]
    ) -> AbstractContextManager[object]:
        """Return what is entered around one call, for one record or for a batch."""

    def sending(
        self, topic: str, headers: Sequence[tuple[str, bytes]] | None
    ) -> Headers:
        """Return the headers of a record that is about to be sent."""

    def delivering(self, topic: str, delivered: Delivered) -> Delivered:
        """Return what is called with the outcome of a record instead of *delivered*,
        which it calls.
        """


def is_tracer(listener: object) -> TypeGuard[Tracer]:
    """Whether a listener is a tracer, too."""
    names = "processing", "sending", "delivering", "measured"
    return all(hasattr(listener, name) for name in names)
