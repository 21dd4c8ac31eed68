"""How brokers for tests start and stop: in a block, by hand, cancelled."""

from __future__ import annotations

import asyncio
import threading

import pytest

from fastkafka.testing.local import LocalBroker
from tests.clients import until


class Slow(LocalBroker):
    """Starts when it is let, or not at all when it is given up."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()
        self.life: list[str] = []

    def start(self) -> str:
        self.life.append("starts")
        while not self.let.is_set():
            if self._given_up.wait(0.01):
                raise RuntimeError("given up")
        self.life.append("runs")
        return "127.0.0.1:9092"

    def stop(self) -> None:
        self.life.append("stops")


async def test_a_block_starts_and_stops_it_and_gives_its_address() -> None:
    broker = Slow()
    broker.let.set()

    with broker as servers:
        assert servers == "127.0.0.1:9092"
    async with broker as servers:
        assert servers == "127.0.0.1:9092"

    assert broker.life == ["starts", "runs", "stops"] * 2


async def test_a_start_that_is_cancelled_leaves_nothing_and_can_be_tried_again() -> (
    None
):
    broker = Slow()
    starting = asyncio.create_task(broker.astart())
    await until(lambda: broker.life == ["starts"])
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert broker.life == ["starts", "stops"]

    threading.Timer(0.05, broker.let.set).start()
    assert broker.start() == "127.0.0.1:9092"
