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

    Args:
        loop: Where *settled* is called.
        settled: Called once, on the loop, after `close`, when everything is
            acknowledged; its argument are the failures: the index that was given to
            `expect`, the error and the record as the producer's callback got them,
            and that producer.
    """

    __slots__ = ("_acknowledged", "_loop", "_sent", "_settled", "closed", "failures")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settled: Callable[[list[Failure]], None],
    ) -> None:
        self._loop = loop
        self._settled: Callable[[list[Failure]], None] | None = settled
        self._sent: list[int] = []
        self._acknowledged: list[int] = []
        self.failures: list[Failure] = []
        self.closed = False

    def expect(self, index: int, producer: Producer) -> Delivered:
        """Count one record to be sent; return what its producer has to call.

        Args:
            index: Which record of the slice it is produced for.
        """
        self._sent.append(index)
        return partial(self._delivered, index, producer)

    def withdraw(self) -> None:
        """Take back the last `expect`: the record was refused and never queued."""
        self._sent.pop()

    def close(self) -> bool:
        """Expect no more.

        Returns:
            Whether it is settled already; then *settled* has been called.
        """
        self.closed = True
        if len(self._acknowledged) == len(self._sent):
            self._settle()
            return True
        return False

    def _delivered(
        self, index: int, producer: Producer, error: Any, record: Any
    ) -> None:
        if error is not None:
            self.failures.append((index, error, record, producer))
        self._acknowledged.append(index)
        # Both sides set first and look afterwards, so one of them sees the end.
        if self.closed and len(self._acknowledged) == len(self._sent):
            call_soon(self._loop, self._settle)

    def _settle(self) -> None:
        settled, self._settled = self._settled, None
        if settled is not None:
            settled(self.failures)


Failure = tuple[int, Any, Any, Producer]


class Outbox:
    """What one lane's handlers may produce into at this moment.

    Attributes:
        scope: The open scope; None while no handler runs.
        index: Which record of the slice is being handled.
        congested: A producer that was full when a handler produced.
        cut: End the slice after this record.
    """

    __slots__ = ("congested", "cut", "index", "scope")

    def __init__(self) -> None:
        self.scope: DeliveryScope | None = None
        self.index = 0
        self.congested: Producer | None = None
        self.cut = False


current_outbox: ContextVar[Outbox | None] = ContextVar("current_outbox", default=None)
"""The outbox of the lane that runs this code; None outside handlers."""


def call_soon(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    """Call *function* on the loop from another thread; drop it if the loop is gone."""
    try:
        loop.call_soon_threadsafe(function)
    except RuntimeError:
        if not loop.is_closed():
            raise
