"""Questions to the app's clusters: they block, so they are asked in threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from fastkafka.tools.topics import Clusters

T = TypeVar("T")

THREADS = 3
IDLE_SECONDS = 60.0
"""Without a question that long, no connection is kept."""


class Desk:
    """Takes questions; each is asked with connections of its own.

    Nothing is connected before the first question, or some time after the last one. The
    program's end does not wait for a broker that does not answer.
    """

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(THREADS)
        self._free: list[Clusters] = []
        self._asked = time.monotonic()
        self._closed = False

    async def ask(self, question: Callable[[Clusters], T]) -> T:
        """Return what *question* returns; it may block.

        Raises:
            FastKafkaError: Whatever it raises.
        """
        self._asked = time.monotonic()

        def answer() -> T:
            # `list.pop` and `append` are atomic.
            clusters = self._free.pop() if self._free else Clusters()
            try:
                made = question(clusters)
            except BaseException:
                clusters.close()
                raise
            if self._closed:
                clusters.close()
            else:
                self._free.append(clusters)
            return made

        await self._turns.acquire()
        answering = asyncio.wrap_future(_in_daemon(answer))
        # Who asked may go away; the thread goes on, and has its turn until it ends.
        answering.add_done_callback(lambda _: self._turns.release())
        return await asyncio.shield(answering)

    def tidy(self) -> None:
        """Let go of connections that nobody needs."""
        if self._free and time.monotonic() - self._asked > IDLE_SECONDS:
            free, self._free = self._free, []
            for clusters in free:
                _in_daemon(clusters.close)

    def close(self) -> None:
        """Close every connection; questions that are asked now are given up."""
        self._closed = True
        while self._free:
            self._free.pop().close()


def _in_daemon(function: Callable[[], T]) -> Future[T]:
    """Call a function in a thread of its own, for which Python does not wait.

    It waits for the threads of an executor when it ends, also after a `shutdown`.
    """
    future: Future[Any] = Future()

    def call() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - who waits for it gets it
            future.set_exception(error)

    threading.Thread(target=call, name="fastkafka-page", daemon=True).start()
    return future
