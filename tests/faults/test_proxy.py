"""The network that can be broken, without Kafka."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.clients import in_thread
from tests.faults.proxy import Network, wires


class Echo:
    """A broker that says everything twice."""

    def __init__(self) -> None:
        self.connected = 0
        self.tasks: list[asyncio.Task[None] | None] = []
        self.heard = b""

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connected += 1
        self.tasks.append(asyncio.current_task())
        try:
            while data := await reader.read(100):
                self.heard += data
                writer.write(2 * data)
        except ConnectionResetError:
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionResetError):
                await writer.wait_closed()


@asynccontextmanager
async def network() -> AsyncIterator[tuple[Network, Echo]]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    with wires() as made:
        links = await in_thread(made.network, range(1, 2))
        links.links[1].target = server.sockets[0].getsockname()[1]
        yield links, echo
    server.close()
    await asyncio.gather(*filter(None, echo.tasks))


@asynccontextmanager
async def connected(
    links: Network,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", links.links[1].port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionResetError):
            await writer.wait_closed()


async def test_what_is_whole_lets_everything_through() -> None:
    async with network() as (links, _), connected(links) as (reader, writer):
        writer.write(b"abc")
        assert await reader.readexactly(6) == b"abcabc"
        writer.close()


@pytest.mark.parametrize("way", ["to_broker", "to_client"])
async def test_what_is_cut_is_held_back_until_it_is_mended(way: str) -> None:
    async with network() as (links, echo), connected(links) as (reader, writer):
        writer.write(b"a")
        await reader.readexactly(2)
        await in_thread(links.cut, way)
        writer.write(b"b")
        answer = asyncio.ensure_future(reader.readexactly(2))
        done, _ = await asyncio.wait([answer], timeout=0.2)
        assert not done
        assert echo.heard == (b"a" if way == "to_broker" else b"ab")
        await in_thread(links.mend)
        assert await answer == b"bb"


async def test_who_connects_to_what_is_cut_waits() -> None:
    async with network() as (links, echo):
        await in_thread(links.cut)
        async with connected(links) as (reader, writer):
            writer.write(b"a")
            answer = asyncio.ensure_future(reader.readexactly(2))
            await asyncio.wait([answer], timeout=0.1)
            assert not echo.connected
            await in_thread(links.mend)
            assert await answer == b"aa"


async def test_a_reset_is_an_error_for_the_client() -> None:
    async with network() as (links, _), connected(links) as (reader, writer):
        writer.write(b"a")
        await reader.readexactly(2)
        assert await in_thread(links.reset) == 1
        with pytest.raises(ConnectionResetError):
            await reader.read()


async def test_a_response_is_cut_in_its_middle() -> None:
    async with network() as (links, _), connected(links) as (reader, writer):
        writer.write(b"a")
        await reader.readexactly(2)
        await in_thread(links.reset_in_response, 3)
        writer.write(b"bcd")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(6)


async def test_a_half_open_connection_swallows_what_comes_and_says_nothing() -> None:
    async with network() as (links, echo), connected(links) as (reader, writer):
        writer.write(b"a")
        await reader.readexactly(2)
        assert await in_thread(links.half_open) == 1
        writer.write(b"b")
        answer = asyncio.ensure_future(reader.read(1))
        done, _ = await asyncio.wait([answer], timeout=0.2)
        assert not done
        assert echo.heard == b"a"
        answer.cancel()
        await asyncio.wait([answer])
        async with connected(links) as (again, other):
            other.write(b"c")
            assert await again.readexactly(2) == b"cc"


async def test_a_slow_link_is_late_in_both_directions() -> None:
    async with network() as (links, _), connected(links) as (reader, writer):
        await in_thread(links.slow, 0.1)
        loop = asyncio.get_running_loop()
        began = loop.time()
        writer.write(b"a")
        await reader.readexactly(2)
        assert loop.time() - began >= 0.2
