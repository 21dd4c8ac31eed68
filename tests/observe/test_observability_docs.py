"""What docs/observability.md shows runs, and what it says of logs is so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import prometheus_client
import pytest
from starlette.testclient import TestClient

from fastkafka import FastKafka
from fastkafka.observe.figures import FIGURES
from fastkafka.transport.memory import MemoryBroker

GUIDE = Path(__file__).parents[2] / "docs" / "observability.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(), re.M | re.S)


def executed(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {
        "app": FastKafka(title="Shop", transport=MemoryBroker({"orders": 1}))
    }
    exec(compile(code, str(GUIDE), "exec"), names)
    return names


def test_an_app_is_in_a_registry_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = prometheus_client.CollectorRegistry()
    monkeypatch.setattr(prometheus_client, "REGISTRY", registry)
    executed(next(block for block in blocks("python") if "REGISTRY" in block))

    assert b"fastkafka_ready" in prometheus_client.generate_latest(registry)


def test_an_app_is_mounted_in_fastapi() -> None:
    names = executed(next(block for block in blocks("python") if "mount" in block))
    with TestClient(names["api"]) as http:
        assert http.get("/kafka/readyz").status_code == 200


async def test_an_app_is_traced() -> None:
    names = executed(next(block for block in blocks("python") if "observe(" in block))
    async with names["app"]:
        pass


def test_the_record_that_is_shown_has_the_fields_that_are_written() -> None:
    (line,) = blocks("json")
    said = json.loads(line)

    assert list(said)[:5] == ["time", "level", "logger", "message", "pid"]
    assert set(said["exception"]) == {"type", "message", "stack"}


def test_the_table_has_each_figure_as_it_is() -> None:
    table = GUIDE.read_text()
    for figure in FIGURES:
        name = figure.name + ("_total" if figure.kind == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in figure.labels)
        assert f"| `{name}` | {figure.kind} | {labels} | {figure.help} |" in table
