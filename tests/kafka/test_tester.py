"""The `Tester` on a real Apache Kafka."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from pydantic import BaseModel

from fastkafka import FastKafka
from fastkafka.testing import Tester

pytestmark = pytest.mark.kafka


class Order(BaseModel):
    id: int


class Invoice(BaseModel):
    order: int


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*")}


async def test_a_tester_starts_a_kafka_with_the_apps_topics_and_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    app = FastKafka(title="Shop")

    @app.consumes(auto_offset_reset="earliest")
    async def on_orders(order: Order) -> None:
        await to_invoices(order.id)

    @app.produces()
    async def to_invoices(order: int) -> Invoice:
        return Invoice(order=order)

    tester = Tester(app).using_local_kafka(topics=["returns"], retries=1)
    async with tester:
        # Its data folder: a partition of a topic has a folder of its own there.
        assert {"orders-0", "invoices-0", "returns-0"} <= names_in(tmp_path)

        await tester.to_orders(Order(id=7))
        await app.awaited_mocks.on_orders.assert_awaited_with(Order(id=7), timeout=30)
        await tester.awaited_mocks.on_invoices.assert_awaited_with(
            Invoice(order=7), timeout=30
        )

    assert not app.is_started
    assert names_in(tmp_path) == set()
