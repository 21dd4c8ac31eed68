"""An app, what its workers would say, and a client of its page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, Field, SecretStr
from starlette.applications import Starlette
from starlette.testclient import TestClient

from fastkafka import FastKafka
from fastkafka.engine.commands import Answer, Command
from fastkafka.observe.snapshot import Function, Partition, Producing, Snapshot
from fastkafka.web.console import Broken, Console, Mode
from fastkafka.web.guard import Rules, rules
from fastkafka.web.page import routes_of

TOKEN = "a-token-of-32-characters-or-more"
WRITING = {"X-FastKafka": "1", "Content-Type": "application/json"}
HOST = "http://127.0.0.1:8080"


class Card(BaseModel):
    number: SecretStr


class Order(BaseModel):
    """An order."""

    id: int = Field(description="Unique for ever.", examples=[73314510714175488])
    customer: str = Field(pattern=r"^c-\d+$", examples=["c-1"])
    total: float = Field(gt=0, examples=[12.5])
    card: Card | None = None
    note: str | None = None


class Invoice(BaseModel):
    order: int


def shop(bootstrap_servers: str = "127.0.0.1:1", **settings: Any) -> FastKafka:
    """Return an app that reads orders and writes invoices; it does not run."""
    app = FastKafka(
        title="Shop", version="1.2", bootstrap_servers=bootstrap_servers, **settings
    )

    @app.produces(topic="invoices")
    def to_invoices(order: Order) -> Invoice:
        return Invoice(order=order.id)

    @app.consumes(topic="orders", order="key", concurrency=8)
    async def on_orders(order: Order) -> None:
        """Write an invoice."""
        to_invoices(order)

    return app


@dataclass(frozen=True, slots=True)
class Failed:
    """The record `orders[0]@7`, which could not be handled."""

    raw: bytes
    raw_key: bytes

    def topic(self) -> str:
        return "orders"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return 7

    def key(self) -> bytes:
        return self.raw_key

    def value(self) -> bytes:
        return self.raw

    def headers(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_700_000_000_000


class Said:
    """What workers have said; a source."""

    def __init__(self, *snapshots: Snapshot) -> None:
        self.said: Sequence[Snapshot] = snapshots or (Snapshot(time.time(), 7),)
        self.answers: Sequence[Answer] = (Answer("done", "Done."),)
        self.commands: list[Command] = []

    def snapshots(self) -> Sequence[Snapshot]:
        return self.said

    async def command(self, command: Command) -> Sequence[Answer]:
        self.commands.append(command)
        return self.answers


def snapshot(at: float, **changes: Any) -> Snapshot:
    """Return what a worker of the shop says.

    Args:
        at: Epoch seconds.
        changes: Of the consuming function.
    """
    function = Function("on_orders", "shop", ["orders"], "key", concurrency=8)
    return Snapshot(
        at,
        pid=7,
        functions=[replace(function, **changes)],
        producing=[Producing("to_invoices", "invoices")],
        partitions=[Partition("orders", 0, "shop", committed=5, end=9, lag=4)],
        edges=[("on_orders", "invoices")],
    )


def console(
    source: Said | None = None,
    *,
    app: FastKafka | None = None,
    allowed: Rules | None = None,
    mode: Mode = "dev",
    broken: Broken | None = None,
) -> Console:
    """Return a console that everybody may write to, unless told otherwise."""
    return Console(
        source or Said(),
        allowed or rules("127.0.0.1", dev=True),
        None if broken else app or shop(),
        mode=mode,
        name="shop:app",
        broken=broken,
    )


def client(console: Console, **headers: str) -> TestClient:
    """Return a client of the console's page."""
    return TestClient(
        Starlette(routes=routes_of(console)),
        base_url=HOST,
        headers=headers,
        follow_redirects=False,
    )
