"""The app that these tests and those of the commands look into; it is never started."""

from __future__ import annotations

import re

from pydantic import BaseModel, Field, SecretStr

from fastkafka import FastKafka


class Order(BaseModel):
    id: int = Field(examples=[7])
    status: str = Field(examples=["paid"])
    total: float = Field(examples=[9.5])


class Payment(BaseModel):
    order: int
    card: SecretStr


class Refund(BaseModel):
    order: int


app = FastKafka(title="Shop", kafka_brokers={"localhost": {"url": "127.0.0.1"}})


@app.consumes()
async def on_orders(order: Order) -> None:
    """Take an order."""


@app.consumes(on_failure="skip")
async def on_payments(payment: Payment) -> None:
    """Take a payment."""


@app.consumes(topic="blobs", on_failure="skip")
async def on_blobs(blob: bytes) -> None:
    """Take bytes."""


@app.consumes(topic="refunds", on_failure="skip")
async def on_refunds(refund: Refund | None) -> None:
    """Take a refund, or that there is none any more."""


@app.produces()
async def to_invoices(order: Order) -> Order:
    return order


patterns = FastKafka(title="Patterns")


@patterns.consumes(topic=re.compile("orders.*"))
async def on_all_orders(order: Order) -> None:
    """Take orders of every country."""
