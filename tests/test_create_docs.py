"""`app.create_docs()` writes what `fastkafka docs generate` writes."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel

from fastkafka import FastKafka


class Order(BaseModel):
    id: int


def test_the_documents_are_written_below_the_root_path(tmp_path: Path) -> None:
    app = FastKafka(
        title="Shop", bootstrap_servers="kafka.example:9093", root_path=str(tmp_path)
    )

    @app.consumes()
    async def on_orders(order: Order) -> None:
        """Take an order."""

    assert list(tmp_path.iterdir()) == [], "nothing is created before"
    app.create_docs()

    text = (tmp_path / "asyncapi/spec/asyncapi.yml").read_text()
    written = yaml.safe_load(text)
    assert written["asyncapi"] == "3.0.0"
    assert written["info"]["title"] == "Shop"
    assert written["operations"]["on_orders"]["description"] == "Take an order."
    assert "kafka.example" in str(written["servers"])
    page = (tmp_path / "asyncapi/docs/index.html").read_text()
    assert "Take an order." in page
