"""The stream: ticks, what happened, and records while somebody watches."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest
from confluent_kafka import Producer
from starlette.requests import Request
from starlette.responses import StreamingResponse

from fastkafka.testing import EmbeddedBroker
from fastkafka.transport.librdkafka import connection
from fastkafka.web.console import Console
from fastkafka.web.stream import MOST_STREAMS, stream
from tests.web.consoles import Said, console, shop, snapshot


def asked(query: str = "") -> Request:
    scope = {"type": "http", "query_string": query.encode(), "headers": []}
    return Request(scope)


async def events(
    console: Console, query: str = ""
) -> AsyncGenerator[tuple[str, Any], None]:
    """Yield what a stream tells: names and data."""
    console.wake_up()
    response = await stream(console, asked(query))
    assert isinstance(response, StreamingResponse)
    told: Any = response.body_iterator
    async with contextlib.aclosing(told):
        async for text in told:
            name, _, data = text.removeprefix("event: ").partition("\ndata: ")
            if data:
                yield name, json.loads(data)


async def next_of(told: AsyncIterator[tuple[str, Any]], name: str) -> Any:
    async with asyncio.timeout(20):
        async for found, data in told:
            if found == name:
                return data
    raise AssertionError(f"the stream ended without {name!r}")


async def test_a_stream_begins_with_a_tick_and_goes_on_with_others() -> None:
    said = Said(snapshot(time.time()))
    told = events(console(said))
    first = await next_of(told, "tick")
    assert first["totals"]["workers"] == 1
    assert (await next_of(told, "tick"))["t"] > first["t"]


async def test_what_happens_is_told_once() -> None:
    said = Said(snapshot(time.time()))
    told = events(console(said))
    await next_of(told, "tick")
    said.said = [snapshot(time.time() + 1, parked={"shop.Timeout": 2})]
    event = await next_of(told, "event")
    assert event["text"] == "`on_orders` parked 2 records: `Timeout`."


async def test_records_are_told_while_somebody_watches(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 1)
    producer = Producer({"bootstrap.servers": embedded.bootstrap_servers})

    def write(*numbers: int) -> None:
        for number in numbers:
            value = json.dumps({"id": number, "customer": "c-1", "total": 1})
            producer.produce("orders", value)
        assert producer.flush(30) == 0

    write(1, 2)
    told = events(
        console(app=shop(embedded.bootstrap_servers)), "watch=orders&find=id>1"
    )
    found = await next_of(told, "records")
    assert [record["offset"] for record in found["records"]] == [1]
    write(3, 1, 4)
    found = await next_of(told, "records")
    assert [record["offset"] for record in found["records"]] == [2, 4]


async def test_why_no_records_come_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.1)
    told = events(console(app=shop("127.0.0.1:1")), "watch=orders")
    trouble = await next_of(told, "trouble")
    assert trouble["error"].startswith("No broker answers at 127.0.0.1:1.")


async def test_the_ninth_tab_has_to_ask() -> None:
    open_console = console()
    told = [events(open_console) for _ in range(MOST_STREAMS)]
    for one in told:
        await next_of(one, "tick")
    refused = await stream(open_console, asked())
    assert refused.status_code == 503
    await told[0].aclose()
    assert (await stream(open_console, asked())).status_code == 200
