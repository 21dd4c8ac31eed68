"""What brokers for tests have in common: they start and stop, by hand or in a block."""

from __future__ import annotations

import asyncio
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType

from fastkafka.errors import ConfigError


class LocalBroker(ABC):
    """A broker on this machine, and a context manager, sync and async, for it."""

    def __init__(self) -> None:
        self._given_up = threading.Event()
        """Set when nobody waits any more for a start that goes on in a thread."""

    @abstractmethod
    def start(self) -> str:
        """Start it, and return the bootstrap servers."""

    @abstractmethod
    def stop(self) -> None:
        """Stop it and remove its data; again is no error."""

    async def astart(self) -> str:
        """`start`, without blocking the event loop; cancelled, it leaves nothing."""
        starting = asyncio.ensure_future(asyncio.to_thread(self.start))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            self._given_up.set()
            await asyncio.wait([starting])
            self._given_up.clear()
            await self.astop()
            raise

    async def astop(self) -> None:
        """`stop`, without blocking the event loop."""
        await asyncio.to_thread(self.stop)

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> str:
        return await self.astart()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.astop()


def partitions_of(
    topics: Mapping[str, int] | Sequence[str], default: int, *, where: str
) -> dict[str, int]:
    """Return how many partitions each topic is to have.

    Args:
        topics: Names, with their number of partitions or without.
        default: The number of those without.
        where: The broker's class, for the error.

    Raises:
        ConfigError: It is one name instead of a list.
    """
    if isinstance(topics, str):
        raise ConfigError(
            f"{where}: `topics` is the string {topics!r}. Write `topics=[{topics!r}]`."
        )
    if isinstance(topics, Mapping):
        return dict(topics)
    return dict.fromkeys(topics, default)


def is_free(port: int) -> bool:
    """Whether nobody listens at a port of 127.0.0.1."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
