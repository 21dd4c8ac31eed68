"""Sending and counting messages, as the guides' benchmarks do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from fastkafka.app import FastKafka

_LOCALHOST = "localhost:9092"


async def produce_messages(
    *,
    topic: str,
    bootstrap_servers: str = _LOCALHOST,
    msgs: Sequence[Any],
    **kwargs: Any,
) -> None:
    """Send messages and wait until all of them are acknowledged.

    Args:
        topic: Where they go.
        bootstrap_servers: The cluster's address.
        msgs: Models and the like are sent as JSON, `bytes` untouched.
        kwargs: Settings of the producer.
    """
    app = FastKafka(bootstrap_servers=bootstrap_servers, **kwargs)
    async with app:
        await app.produce(list(msgs), topic=topic)


async def consumes_messages(
    *,
    topic: str,
    bootstrap_servers: str = _LOCALHOST,
    msgs_count: int,
    auto_offset_reset: Any = "latest",
    **kwargs: Any,
) -> None:
    """Wait until a number of messages has arrived.

    Args:
        topic: Where they arrive.
        bootstrap_servers: The cluster's address.
        msgs_count: How many.
        auto_offset_reset: "latest" counts those that come from now on, "earliest"
            those that are there, too.
        kwargs: Settings of the consumer.
    """
    app = FastKafka(
        bootstrap_servers=bootstrap_servers,
        auto_offset_reset=auto_offset_reset,
        **{"group_id": None, **kwargs},
    )
    left = msgs_count
    arrived = asyncio.Event()

    @app.consumes(topic=topic)
    async def count(batch: list[bytes]) -> None:
        nonlocal left
        left -= len(batch)
        if left <= 0:
            arrived.set()

    async with app:
        failing = asyncio.ensure_future(app.wait_stopped())
        waiting = asyncio.ensure_future(arrived.wait())
        try:
            await asyncio.wait([failing, waiting], return_when=asyncio.FIRST_COMPLETED)
        finally:
            failing.cancel()
            waiting.cancel()
