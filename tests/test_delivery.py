"""`DeliveryScope`: what was sent, and what became of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fastkafka.engine.delivery import DeliveryScope, Failure
from fastkafka.transport.base import Delivered
from tests.clients import until


class Record:
    """A record that came back; without an offset it is not known to be in the log."""

    def __init__(self, offset: int | None) -> None:
        self._offset = offset

    def offset(self) -> int | None:
        return self._offset


class Twice:
    """Stands for a producer that sends once more what is not clear."""

    def __init__(self) -> None:
        self.again: list[Delivered] = []

    def once_more(self, error: Any, record: Any, delivered: Delivered) -> bool:
        self.again.append(delivered)
        return True


@pytest.mark.parametrize("error", [None, "refused"])
async def test_a_record_that_is_sent_once_more_counts_as_what_it_becomes_then(
    error: str | None,
) -> None:
    producer: Any = Twice()
    settled: list[list[Failure]] = []
    scope = DeliveryScope(asyncio.get_running_loop())
    delivered = scope.expect(3, producer)
    scope.close(settled.append)
    delivered(None, Record(None))
    assert settled == [], "it is not known yet"

    record = Record(None if error else 7)
    [again] = producer.again
    again(error, record)
    await until(lambda: bool(settled))

    assert settled == [[(3, "refused", record, producer)] if error else []]
