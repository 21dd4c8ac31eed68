"""Which inputs wait for which acknowledgements.

A lane opens one scope for each slice of records that it handles. What a handler
produces is counted in the scope that is open; when the scope is closed and everything
in it is acknowledged, it is settled, and only then are its records finished.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

from fastkafka.transport.base import Delivered, Producer

MOST_SPARE = 256
"""Scopes that a lane keeps to be opened again."""


class DeliveryScope:
    """Counts what was sent and what was acknowledged.

    Sending may happen in any thread and acknowledgements come in the producers'
    threads, so both are counted by appending to a list: atomic, without a lock.

    It is open when it is made, and again once it is settled. Its callbacks are kept
    meanwhile, so that a record costs no object that lives until its acknowledgement:
    many of those are what Python's garbage collector would spend its time on.

    Args:
        loop: Where it is settled.
        spare: Where it waits to be used again, once it is settled.
    """

    __slots__ = (
        "_acknowledged",
        "_callbacks",
        "_closed",
        "_delivered",
        "_failures",
        "_loop",
        "_opening",
        "_settled",
        "_spare",
        "sent",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        spare: list[DeliveryScope] | None = None,
    ) -> None:
        self.sent: list[int] = []
        """The index of each record that was sent."""
        self._loop = loop
        self._spare = spare
        self._settled: Settled | None = None
        self._opening = 0
        self._acknowledged: list[int] = []
        self._failures: list[Failure] = []
        self._callbacks: dict[Producer, list[Delivered]] = {}
        self._delivered = self._on_delivered  # one object for all callbacks
        self._closed = False

    def expect(self, index: int, producer: Producer) -> Delivered:
        """Count one record to be sent; return what its producer has to call.

        Args:
            index: Which record of the slice it is produced for.
            producer: Who sends it.
        """
        self.sent.append(index)
        try:
            return self._callbacks[producer][index]
        except LookupError:
            return self._make_callback(index, producer)

    def withdraw(self) -> None:
        """Take back the last `expect`: the record was refused and never queued."""
        self.sent.pop()

    def close(self, settled: Settled) -> None:
        """Expect no more.

        Args:
            settled: Called once, on the loop, when everything is acknowledged: now, or
                with the last acknowledgement.
        """
        self._settled = settled
        self._closed = True
        if len(self._acknowledged) == len(self.sent):
            self._settle(self._opening)

    def _make_callback(self, index: int, producer: Producer) -> Delivered:
        callbacks = self._callbacks.setdefault(producer, [])
        while index >= len(callbacks):
            callbacks.append(partial(self._delivered, len(callbacks), producer))
        return callbacks[index]

    def _on_delivered(
        self, index: int, producer: Producer, error: Any, record: Any
    ) -> None:
        # A record that got no offset is not known to be in the log.
        if error is not None or record.offset() is None:
            again = partial(self._on_delivered_at_last, index, producer)
            if not producer.once_more(error, record, again):
                self._on_delivered_at_last(index, producer, error, record)
            return
        self._acknowledged.append(index)
        # Both sides set first and look afterwards, so one of them sees the end.
        if self._closed and len(self._acknowledged) == len(self.sent):
            call_soon(self._loop, partial(self._settle, self._opening))

    def _on_delivered_at_last(
        self, index: int, producer: Producer, error: Any, record: Any
    ) -> None:
        """The same for a record that is not sent once more."""
        if error is not None:
            self._failures.append((index, error, record, producer))
        self._acknowledged.append(index)
        if self._closed and len(self._acknowledged) == len(self.sent):
            call_soon(self._loop, partial(self._settle, self._opening))

    def _settle(self, opening: int) -> None:
        # Both sides may have seen the end; it may even be open again.
        settled, failures = self._settled, self._failures
        if settled is None or opening != self._opening:
            return
        self._settled = None
        self._opening += 1
        self._closed = False
        self.sent.clear()
        self._acknowledged.clear()
        self._failures = []
        if self._spare is not None and len(self._spare) < MOST_SPARE:
            self._spare.append(self)
        settled(failures)


Failure = tuple[int, Any, Any, Producer]
"""The index that was given to `expect`, the error and the record as the producer's
callback got them, and that producer."""

Settled = Callable[[list[Failure]], None]
"""Called with the failures of a scope."""


class Outbox:
    """What one lane's handlers may produce into at this moment.

    Attributes:
        scope: The open scope; None while no handler runs.
        index: Which record of the slice is being handled; behind the last, how many
            were.
        congested: A producer that was full when a handler produced.
        cut: End the slice after this record.
        failed: What a batch handler returned for records that failed, by index.
        sender: Who produced last.
        topics: Where something was produced to.
    """

    __slots__ = (
        "_spare",
        "congested",
        "cut",
        "failed",
        "index",
        "scope",
        "sender",
        "topics",
    )

    def __init__(self) -> None:
        self._spare: list[DeliveryScope] = []
        self.scope: DeliveryScope | None = None
        self.index = 0
        self.congested: Producer | None = None
        self.cut = False
        self.failed: dict[int, BaseException] = {}
        self.sender: object = None
        self.topics: set[str] = set()

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open a scope for a slice that begins."""
        spare = self._spare
        self.scope = spare.pop() if spare else DeliveryScope(loop, spare)
        self.index, self.cut, self.failed = 0, False, {}

    def close(self) -> DeliveryScope | None:
        """A slice has ended; return its scope if anything was sent in it."""
        scope, self.scope = self.scope, None
        assert scope is not None
        if scope.sent:
            return scope
        self._spare.append(scope)
        return None


current_outbox: ContextVar[Outbox | None] = ContextVar("current_outbox", default=None)
"""The outbox of the lane that runs this code; None outside handlers."""


def call_soon(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    """Call *function* on the loop from another thread; drop it if the loop is gone."""
    try:
        loop.call_soon_threadsafe(function)
    except RuntimeError:
        if not loop.is_closed():
            raise
