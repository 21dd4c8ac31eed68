"""Partitions that are to be read from another offset on, because somebody wants it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, NamedTuple

from fastkafka.transport.base import TopicPartition
from fastkafka.transport.intake import Intake

COMMIT_SECONDS = 5.0
"""How long a seek waits for its commit; later that is said to be on its way."""


class Seek(NamedTuple):
    """One of them: where to go, and what is told when it is there, and committed.

    It is for the assignment whose *intake* this is, and for no later one.
    """

    partition: TopicPartition
    offset: int
    intake: Intake | None
    moved: asyncio.Future[None]
    committed: asyncio.Future[None]


class Seeks:
    """Asked for on the event loop, done in the poll thread."""

    def __init__(self) -> None:
        self.waiting: deque[Seek] = deque()

    async def ask(
        self, partition: TopicPartition, offset: int, intake: Intake | None
    ) -> bool:
        """Ask for one; return whether its commit was acknowledged in time.

        Raises:
            ClientError: The partition is not assigned.
        """
        loop = asyncio.get_running_loop()
        moved: asyncio.Future[Any] = loop.create_future()
        committed: asyncio.Future[Any] = loop.create_future()
        self.waiting.append(Seek(partition, offset, intake, moved, committed))
        await moved
        await asyncio.wait({committed}, timeout=COMMIT_SECONDS)
        if committed.done():
            return committed.exception() is None
        committed.add_done_callback(asyncio.Future.exception)  # nobody waits any more
        return False
