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


class DeliveryScope:
    """Counts what was sent and what was acknowledged.

    Sending may happen in any thread and acknowledgements come in the producers'
    threads, so both are counted by appending to a list: atomic, without a lock.

    A scope can be opened again once it is settled. Its callbacks are kept meanwhile, so
    that a record costs no object that lives until its acknowledgement: many of those
    are what Python's garbage collector would spend its time on.

    Args:
        loop: Where *settled* is called.
    """

    __slots__ = (
        "_acknowledged",
        "_callbacks",
        "_failures",
        "_loop",
        "_opening",
        "_sent",
        "_settled",
        "closed",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._settled: Settled | None = None
        self._opening = 0
        self._sent: list[int] = []
        self._acknowledged: list[int] = []
        self._failures: list[Failure] = []
        self._callbacks: dict[Producer, list[Delivered]] = {}
        self.closed = True

    def open(self, settled: Settled) -> DeliveryScope:
        """Begin to count; only when it is settled, or new.

        Args:
            settled: Called once, on the loop, after `close`, when everything is
                acknowledged.
        """
        self._settled = settled
        self._opening += 1
        self._sent.clear()
        self._acknowledged.clear()
        self._failures = []
        self.closed = False
        return self

    def expect(self, index: int, producer: Producer) -> Delivered:
        """Count one record to be sent; return what its producer has to call.

        Args:
            index: Which record of the slice it is produced for.
            producer: Who sends it.
        """
        self._sent.append(index)
        callbacks = self._callbacks.get(producer)
        if callbacks is None:
            callbacks = self._callbacks[producer] = []
        while index >= len(callbacks):
            of_index = len(callbacks)
            callbacks.append(partial(self._delivered, of_index, producer))
        return callbacks[index]

    def withdraw(self) -> None:
        """Take back the last `expect`: the record was refused and never queued."""
        self._sent.pop()

    def close(self) -> None:
        """Expect no more; it settles now, or with the last acknowledgement."""
        self.closed = True
        if len(self._acknowledged) == len(self._sent):
            self._settle(self._opening)

    def _delivered(
        self, index: int, producer: Producer, error: Any, record: Any
    ) -> None:
        # A record that got no offset is not known to be in the log.
        if error is not None or record.offset() is None:
            again = partial(self._delivered_at_last, index, producer)
            if producer.once_more(error, record, again):
                return
            if error is not None:
                self._failures.append((index, error, record, producer))
        self._acknowledged.append(index)
        # Both sides set first and look afterwards, so one of them sees the end.
        if self.closed and len(self._acknowledged) == len(self._sent):
            call_soon(self._loop, partial(self._settle, self._opening))

    def _delivered_at_last(
        self, index: int, producer: Producer, error: Any, record: Any
    ) -> None:
        """The same for a record that was sent once more."""
        if error is not None:
            self._failures.append((index, error, record, producer))
        self._acknowledged.append(index)
        if self.closed and len(self._acknowledged) == len(self._sent):
            call_soon(self._loop, partial(self._settle, self._opening))

    def _settle(self, opening: int) -> None:
        # Both sides may have seen the end; it may even be open again.
        settled = self._settled
        if settled is not None and opening == self._opening:
            self._settled = None
            settled(self._failures)


Failure = tuple[int, Any, Any, Producer]
"""The index that was given to `expect`, the error and the record as the producer's
callback got them, and that producer."""

Settled = Callable[[list[Failure]], None]
"""Called with the failures of a scope."""


class Outbox:
    """What one lane's handlers may produce into at this moment.

    Attributes:
        scope: The open scope; None while no handler runs.
        index: Which record of the slice is being handled.
        congested: A producer that was full when a handler produced.
        cut: End the slice after this record.
        failed: What a batch handler returned for records that failed, by index.
        sender: Who produced last.
        topics: Where something was produced to.
    """

    __slots__ = (
        "_settled",
        "congested",
        "cut",
        "failed",
        "index",
        "scope",
        "sender",
        "topics",
    )

    def __init__(self) -> None:
        self._settled: list[DeliveryScope] = []
        self.scope: DeliveryScope | None = None
        self.index = 0
        self.congested: Producer | None = None
        self.cut = False
        self.failed: dict[int, BaseException] = {}
        self.sender: object = None
        self.topics: set[str] = set()

    def open(self, loop: asyncio.AbstractEventLoop, settled: Settled) -> DeliveryScope:
        """Open a scope for a slice that begins; see `DeliveryScope.open`."""
        scope = self._settled.pop() if self._settled else DeliveryScope(loop)

        def again(failures: list[Failure]) -> None:
            settled(failures)
            if len(self._settled) < MOST_SETTLED:
                self._settled.append(scope)

        self.scope = scope.open(again)
        self.index, self.cut, self.failed = 0, False, {}
        return scope


MOST_SETTLED = 256
"""Scopes that a lane keeps to be opened again."""


current_outbox: ContextVar[Outbox | None] = ContextVar("current_outbox", default=None)
"""The outbox of the lane that runs this code; None outside handlers."""


def call_soon(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    """Call *function* on the loop from another thread; drop it if the loop is gone."""
    try:
        loop.call_soon_threadsafe(function)
    except RuntimeError:
        if not loop.is_closed():
            raise
