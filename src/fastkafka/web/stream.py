"""One stream a tab: ticks, what happened, and the records that somebody watches."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from fastkafka.tools.topics import AppTopic
from fastkafka.web.console import Console
from fastkafka.web.reader import Wish

MOST_STREAMS = 8
"""The ninth tab asks for `api/now` every few seconds instead."""


async def stream(console: Console, request: Request) -> Response:
    """Answer with events until the tab is closed.

    `tick` is all numbers, `event` something that happened, `records` what came in the
    topic that is watched, `trouble` why nothing comes.

    Raises:
        ConfigError: The topic is not the app's, or `find` cannot be understood.
    """
    if console.streams >= MOST_STREAMS:
        return JSONResponse(
            {"error": f"{MOST_STREAMS} tabs are open already.", "fields": []}, 503
        )
    name = request.query_params.get("watch")
    topic = wish = None
    if name is not None:
        topic = await console.topic(name)
        partition = request.query_params.get("partition", "")
        wish = Wish(
            topic.name,
            int(partition) if partition.isdecimal() else None,
            request.query_params.get("find", "").strip(),
        )
    return StreamingResponse(
        _events(console, topic, wish),
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no"},
    )


async def _events(
    console: Console, topic: AppTopic | None, wish: Wish | None
) -> AsyncIterator[str]:
    console.streams += 1
    try:
        with contextlib.ExitStack() as stack:
            watch = None
            if topic is not None and wish is not None:
                watch = stack.enter_context(console.watches.watching(topic, wish))
            told, seen = "", 0
            heard = console.journal.count
            trouble: str | None = None
            yield "retry: 500\n\n"
            while not console.closing:
                if console.tick_json != told:
                    told = console.tick_json
                    yield f"event: tick\ndata: {told}\n\n"
                for entry in console.journal.since(heard):
                    yield _event("event", asdict(entry))
                heard = console.journal.count
                if watch is not None:
                    seen, records = watch.since(seen)
                    if records:
                        yield _event("records", {"records": records})
                    if watch.error != trouble:
                        trouble = watch.error
                        yield _event("trouble", {"error": trouble})
                await console.news()
    finally:
        console.streams -= 1


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"
