"""The network between clients and brokers, so that it can be broken without privileges.

A `Network` has one `Link` for each broker: a port on loopback that the broker
advertises, behind which everything is forwarded, or not.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

R = TypeVar("R")

Way = Literal["to_broker", "to_client"]
WAYS: tuple[Way, ...] = ("to_broker", "to_client")

_CHUNK = 65_536
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Link:
    """The way of clients to one broker.

    What is cut is held back, as TCP does it in a network that lost its packets: nothing
    is refused, nobody is told, and when the link is mended the rest arrives.

    Attributes:
        port: Where clients connect.
        target: The broker's own port; set before the first client comes.
        delay: Seconds that every piece waits, in both directions.
    """

    def __init__(self) -> None:
        self.port = 0
        self.target = 0
        self.delay = 0.0
        self._open: dict[Way, asyncio.Event] = {way: asyncio.Event() for way in WAYS}
        self._reset_after: int | None = None
        self._pairs: set[_Pair] = set()
        for event in self._open.values():
            event.set()

    async def serve(self) -> asyncio.Server:
        """Listen at a free port."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def cut(self, *ways: Way) -> None:
        """Hold back what goes these ways; without any, both."""
        for way in ways or WAYS:
            self._open[way].clear()

    def mend(self) -> None:
        """Let everything through again, at once."""
        self.delay = 0.0
        self._reset_after = None
        for event in self._open.values():
            event.set()

    def reset(self) -> int:
        """Break every connection with a TCP reset; return how many."""
        pairs = list(self._pairs)
        for pair in pairs:
            pair.reset()
        return len(pairs)

    def reset_in_response(self, after: int) -> None:
        """Break each connection in the middle of a response, once.

        Args:
            after: How many bytes of an answer are let through first.
        """
        self._reset_after = after
        for pair in self._pairs:
            pair.fuse = after

    def half_open(self) -> int:
        """Part from the broker, and let clients believe in their connections.

        What they send is swallowed. Connections that are made later work.

        Returns:
            How many connections are half-open now.
        """
        pairs = list(self._pairs)
        for pair in pairs:
            pair.abandon()
        return len(pairs)

    async def _connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            for event in self._open.values():
                await event.wait()
            broker = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            _reset(writer)
            return
        except asyncio.CancelledError:
            writer.transport.abort()
            return
        pair = _Pair(writer, broker[1])
        self._pairs.add(pair)
        pair.pumps = {
            "to_broker": asyncio.create_task(
                self._pump(pair, "to_broker", reader, broker[1])
            ),
            "to_client": asyncio.create_task(
                self._pump(pair, "to_client", broker[0], writer)
            ),
        }
        with contextlib.suppress(asyncio.CancelledError):  # the network is taken down
            await pair.over.wait()
        self._pairs.discard(pair)
        pair.close()

    async def _pump(
        self,
        pair: _Pair,
        way: Way,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self.delay:
                    await asyncio.sleep(self.delay)
                await self._open[way].wait()
                if pair.abandoned:
                    continue
                if way == "to_client" and pair.fuse is not None:
                    if len(data) > pair.fuse:
                        writer.write(data[: pair.fuse])
                        pair.reset()
                        break
                    pair.fuse -= len(data)
                writer.write(data)
                await writer.drain()
        await self._open[way].wait()  # the end is passed on as late as the rest
        if way == "to_broker" or not pair.abandoned:
            pair.over.set()  # Kafka never closes one direction alone


class _Pair:
    """The two connections of one client."""

    def __init__(
        self, client: asyncio.StreamWriter, broker: asyncio.StreamWriter
    ) -> None:
        self.fuse: int | None = None
        self.abandoned = False
        self.over = asyncio.Event()
        self.pumps: dict[Way, asyncio.Task[None]] = {}
        self._client, self._broker = client, broker

    def reset(self) -> None:
        _reset(self._client)
        _reset(self._broker)

    def abandon(self) -> None:
        self.abandoned = True
        self._broker.transport.abort()

    def close(self) -> None:
        for pump in self.pumps.values():
            pump.cancel()
        self._client.transport.abort()
        self._broker.transport.abort()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset (RST) instead of a goodbye (FIN)."""
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
    writer.transport.abort()


class Network:
    """A link to each broker.

    Its methods may be called from any thread, and return when it is done.
    """

    def __init__(self, wires: Wires, links: dict[int, Link]) -> None:
        self._wires = wires
        self.links = links

    def cut(self, *ways: Way, brokers: set[int] | None = None) -> None:
        """See `Link.cut`; of some brokers or of all."""
        self._each(lambda link: link.cut(*ways), brokers)

    def mend(self, brokers: set[int] | None = None) -> None:
        """See `Link.mend`."""
        self._each(Link.mend, brokers)

    def slow(self, delay: float, brokers: set[int] | None = None) -> None:
        """Let each piece wait *delay* seconds."""
        self._each(lambda link: setattr(link, "delay", delay), brokers)

    def reset(self, brokers: set[int] | None = None) -> int:
        """See `Link.reset`."""
        return sum(self._each(Link.reset, brokers))

    def reset_in_response(self, after: int, brokers: set[int] | None = None) -> None:
        """See `Link.reset_in_response`."""
        self._each(lambda link: link.reset_in_response(after), brokers)

    def half_open(self, brokers: set[int] | None = None) -> int:
        """See `Link.half_open`."""
        return sum(self._each(Link.half_open, brokers))

    def _each(self, do: Callable[[Link], R], brokers: set[int] | None) -> list[R]:
        links = [k for i, k in self.links.items() if brokers is None or i in brokers]

        async def all_of_them() -> list[R]:
            return [do(link) for link in links]

        return self._wires.run(all_of_them())


class Wires:
    """The thread whose event loop forwards everything."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wires")
        self._thread.daemon = True
        self._servers: list[asyncio.Server] = []
        self._thread.start()

    def network(self, brokers: range) -> Network:
        """Make a network of that many links."""

        async def make() -> dict[int, Link]:
            links = {broker: Link() for broker in brokers}
            self._servers += [await link.serve() for link in links.values()]
            return links

        return Network(self, self.run(make()))

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """Run something on the loop and return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def close(self) -> None:
        """Take everything down."""

        async def end() -> None:
            for server in self._servers:
                server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0.01)  # what was aborted closes its sockets

        self.run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@contextmanager
def wires() -> Iterator[Wires]:
    """Yield wires, and close them."""
    made = Wires()
    try:
        yield made
    finally:
        made.close()
