"""Questions to the app's clusters: they block, so they are asked in threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fastkafka.tools.topics import Clusters

T = TypeVar("T")

THREADS = 3
IDLE_SECONDS = 60.0
"""Without a question that long, no connection is kept."""


class Desk:
    """Takes questions; each is asked with connections of its own.

    Nothing is connected before the first question, or some time after the last one.
    """

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._free: list[Clusters] = []
        self._asked = time.monotonic()

    async def ask(self, question: Callable[[Clusters], T]) -> T:
        """Return what *question* returns; it may block.

        Raises:
            FastKafkaError: Whatever it raises.
        """
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, "fastkafka-page")
        self._asked = time.monotonic()

        def answer() -> T:
            # `list.pop` and `append` are atomic.
            clusters = self._free.pop() if self._free else Clusters()
            try:
                made = question(clusters)
            except BaseException:
                clusters.close()
                raise
            self._free.append(clusters)
            return made

        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, answer)

    def tidy(self) -> None:
        """Let go of connections that nobody needs."""
        if self._free and time.monotonic() - self._asked > IDLE_SECONDS:
            free, self._free = self._free, []
            assert self._threads is not None
            for clusters in free:
                self._threads.submit(clusters.close)

    def close(self) -> None:
        """Close every connection; questions that are asked now are given up."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None
        while self._free:
            self._free.pop().close()
