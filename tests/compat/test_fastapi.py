"""Guide 32: an app inside FastAPI's."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from fastapi.testclient import TestClient

from fastkafka import FastKafka
from fastkafka.testing import EmbeddedBroker, InMemoryBroker, Tester
from tests.clients import produce, read
from tests.compat.guides import load, start, write_guide

GUIDE = "g32-fastapi"


async def test_a_tester_greets(tmp_path: Path) -> None:
    module = load(GUIDE, "fastapi_app", tmp_path)

    async with Tester(module.kafka_app) as tester:
        await tester.to_names(module.TestMsg(msg="signal"))
        await tester.awaited_mocks.on_greetings.assert_awaited_with(
            module.TestMsg(msg="Hello signal"), timeout=5
        )


async def test_fastapis_test_client_runs_the_app_beside_the_routes(
    tmp_path: Path,
) -> None:
    module = load(GUIDE, "fastapi_app", tmp_path)
    client_app = FastKafka(title="Client", kafka_brokers=module.kafka_brokers)
    greetings: asyncio.Queue[str] = asyncio.Queue()

    @client_app.produces()
    async def to_names(name: str) -> Any:
        return module.TestMsg(msg=name)

    @client_app.consumes()
    async def on_greetings(msg: dict[str, str]) -> None:
        greetings.put_nowait(msg["msg"])

    with InMemoryBroker(), TestClient(module.fastapi_app) as web:
        async with client_app:
            assert web.get("/hello").json() == {"msg": "hello there"}
            await to_names("Mickey")
            assert await greetings.get() == "Hello Mickey"


def test_uvicorn_serves_the_routes_and_runs_the_app(tmp_path: Path) -> None:
    with EmbeddedBroker(["names", "greetings"]) as servers:
        write_guide(GUIDE, tmp_path, [servers])
        line = "uvicorn fastapi_app:fastapi_app --host 127.0.0.1 --port 0"
        web = start(line, tmp_path, [servers])
        try:
            (url,) = web.wait_for(r"running on (http://127\.0\.0\.1:\d+)", on="err")
            with urlopen(f"{url}/hello") as answer:
                assert json.load(answer) == {"msg": "hello there"}
            produce(servers, "names", [b'{"msg":"Mickey"}'])
            (greeting,) = read(servers, "greetings", 1)
        finally:
            web.process.terminate()
            code = web.end()

    assert greeting.value() == b'{"msg":"Hello Mickey"}'
    assert code in (0, -15), web.err
