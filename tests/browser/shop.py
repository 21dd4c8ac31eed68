"""A shop with traffic, for pictures: orders become invoices, some payments fail."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field, SecretStr

from fastkafka import FastKafka, KafkaEvent, Retry


class Status(StrEnum):
    PENDING = "pending"
    PAID = "paid"
    REFUNDED = "refunded"


class Item(BaseModel):
    sku: str
    qty: int = Field(gt=0)


class Card(BaseModel):
    number: SecretStr
    expires: str


class Order(BaseModel):
    """An order that the shop accepted."""

    id: int = Field(
        description="Order number, unique for ever.", examples=[73314510714175488]
    )
    customer: str = Field(
        pattern=r"^c-\d+$", description="Also the record's key.", examples=["c-4711"]
    )
    status: Status = Field(Status.PENDING, examples=["paid"])
    total: float = Field(
        gt=0, description="In `currency`, tax included.", examples=[129.9]
    )
    currency: str = "EUR"
    items: list[Item] = Field(examples=[[{"sku": "SKU-117", "qty": 2}]])
    card: Card | None = None
    note: str | None = None


class Payment(BaseModel):
    id: int = Field(examples=[7000])
    order: int = Field(examples=[73314510714175488])
    amount: float = Field(gt=0, examples=[129.9])
    currency: str = "EUR"


class Invoice(BaseModel):
    order: int
    total: Decimal


class Shipment(BaseModel):
    order: int


class StockEvent(BaseModel):
    sku: str
    change: int


class GatewayTimeoutError(Exception):
    """The acquirer has not answered."""


app = FastKafka(
    title="Order service",
    version="2.4.0",
    description="Takes orders, captures payments, tells the warehouse.",
    retry=Retry(attempts=3, delay=0.02),
)


@app.produces(topic="invoices")
def to_invoices(order: Order) -> Invoice:
    return Invoice(order=order.id, total=Decimal(str(order.total)))


@app.produces(topic="shipments")
def to_shipments(payment: Payment) -> Shipment:
    return Shipment(order=payment.order)


@app.produces(topic="stock.alerts")
def to_stock_alerts(event: StockEvent) -> StockEvent:
    return event


@app.consumes(topic="orders", order="key", concurrency=64)
async def on_orders(order: Order) -> None:
    """Check the stock and write an invoice."""
    await asyncio.sleep(random.expovariate(250))
    to_invoices(order)


@app.consumes(topic="payments", order="key", concurrency=32)
async def on_payments(payment: Payment) -> None:
    """Capture the money."""
    await asyncio.sleep(0.01 + random.expovariate(40))
    if payment.id % 400 == 0:
        raise GatewayTimeoutError(f"no answer from acquirer.internal in {TIMEOUT} s")
    if payment.currency == "CHF":
        raise KeyError("EUR_CHF")
    to_shipments(payment)


@app.consumes(topic="inventory.events")
async def on_inventory(event: StockEvent) -> None:
    """Warn when something runs out."""
    if event.change < -8:
        to_stock_alerts(event)


@app.consumes(topic="invoices", order="none", concurrency=16)
async def on_invoices(invoice: Invoice) -> None:
    await asyncio.sleep(random.expovariate(900))


TIMEOUT = 5
TOPICS = {
    "orders": 12,
    "payments": 6,
    "inventory.events": 3,
    "invoices": 6,
    "shipments": 6,
    "stock.alerts": 3,
}


def order(number: int) -> KafkaEvent[dict[str, Any]]:
    """Return one of the day's orders."""
    customer = f"c-{random.randint(1000, 9999)}"
    card = Card(number=SecretStr("4111111111111111"), expires="2028-04")
    made = Order(
        id=73314510714175000 + number,
        customer=customer,
        status=random.choice(list(Status)),
        total=round(random.uniform(5, 900), 2),
        currency=random.choice(["EUR", "EUR", "USD"]),
        items=[Item(sku=f"SKU-{random.randint(100, 999)}", qty=random.randint(1, 4))],
        card=card,
    )
    # What customers' browsers send has the number itself.
    raw = made.model_dump(mode="json") | {
        "card": {"number": card.number.get_secret_value(), "expires": card.expires}
    }
    return KafkaEvent(raw, key=customer.encode(), headers=[("source", b"checkout")])


async def trade(rate: int) -> None:
    """Let the shop have customers, so many orders a second, until this is cancelled."""
    number = 0
    while True:
        batch = range(number + 1, number + 1 + rate // 10)
        number = batch.stop - 1
        await asyncio.gather(*(sell(one) for one in batch), asyncio.sleep(0.1))


async def sell(number: int) -> None:
    """Write an order, and sometimes what belongs to it."""
    await app.produce(order(number), topic="orders")
    if number % 3 == 0:
        payment = Payment(
            id=number // 3,
            order=number,
            amount=round(random.uniform(5, 500), 2),
            currency="CHF" if number % 9000 == 0 else "EUR",
        )
        await app.produce(payment, topic="payments", key=b"p-%d" % payment.id)
    if number % 10 == 0:
        event = StockEvent(sku=f"SKU-{number % 900}", change=random.randint(-9, 9))
        await app.produce(event, topic="inventory.events")
    if number % 3000 == 0:
        value = b'{"id": 7, "customer": "c-4829", "total": "ten", "items": []}'
        await app.produce(value, topic="orders", key=b"c-4829")
