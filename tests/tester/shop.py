"""The app that most tests of the `Tester` run."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import BaseModel

from fastkafka import ConfigError, FastKafka, KafkaEvent


class Order(BaseModel):
    id: int


class Invoice(BaseModel):
    order: int


def shop(**settings: Any) -> FastKafka:
    """An app that answers each order with an invoice."""
    app = FastKafka(title="Shop", **settings)

    @app.consumes()
    async def on_orders(order: Order) -> None:
        await to_invoices(order.id)

    @app.produces()
    async def to_invoices(order: int) -> KafkaEvent[Invoice]:
        key = b"%d" % order
        return KafkaEvent(Invoice(order=order), key=key, headers=[("from", b"shop")])

    return app


def refused(sentence: str, error: type[BaseException] = ConfigError) -> Any:
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")
