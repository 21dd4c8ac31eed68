"""TCP connections to fixed loopback ports, passed on to others.

librdkafka's mock brokers choose their ports themselves; this is how one of them
answers at the port that a user asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import threading
from collections.abc import Mapping

_CHUNK = 256 * 1024


class Forwarder:
    """Listens on loopback ports, in a thread of its own, and passes connections on.

    A connection is closed when either side closes it, and at once when nobody
    listens at the target: a client sees of the target what it would see directly.
    """

    def __init__(self, targets: Mapping[int, int]) -> None:
        """Open the ports.

        Args:
            targets: From the port to listen on to the port to connect to.

        Raises:
            OSError: A port cannot be opened.
        """
        with contextlib.ExitStack() as opened:
            self._listeners = [
                (opened.enter_context(socket.create_server(("127.0.0.1", port))), to)
                for port, to in targets.items()
            ]
            opened.pop_all()
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(
            target=self._run, name="fastkafka-forwarder", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Close the ports and every connection."""
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())  # cancels what is still connected at its end

    async def _serve(self) -> None:
        servers = [
            await asyncio.start_server(
                functools.partial(self._connected, to), sock=listener, limit=_CHUNK
            )
            for listener, to in self._listeners
        ]
        await self._closing.wait()
        for server in servers:
            server.close()

    def _connected(
        self, target: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        # Our own task: before Python 3.12 a server complains when its own is cancelled.
        connection = self._loop.create_task(_pass_on(target, reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)


async def _pass_on(
    target: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    with contextlib.closing(writer), contextlib.suppress(OSError):
        target_reader, target_writer = await asyncio.open_connection(
            "127.0.0.1", target, limit=_CHUNK
        )
        with contextlib.closing(target_writer):
            ways = [
                asyncio.create_task(_copy(reader, target_writer)),
                asyncio.create_task(_copy(target_reader, writer)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # either side may be gone at any time
        while data := await source.read(_CHUNK):
            sink.write(data)
            await sink.drain()
