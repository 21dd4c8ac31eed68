"""The app whose workers are tormented: it does what its records say, and notes it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import ctypes
import importlib
import json
import logging
import multiprocessing
import os
import re
import time
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from fastkafka import EventMetadata, FastKafka, KafkaEvent, Retry
from tests.faults.ledger import Kind, Place, Writer
from tests.faults.setup import Setup

setup = Setup.from_environment()
if setup.loop == "uvloop":
    asyncio.set_event_loop_policy(importlib.import_module("uvloop").EventLoopPolicy())
ledger = Writer(setup.ledger)
logger = logging.getLogger("faults")


class Order(BaseModel):
    """What a record says.

    Attributes:
        sequence: Unique among the records of a scenario.
        do: What its handler does.
        seconds: For how long.
        answer: Bytes of its output, beyond the necessary.
        padding: Makes the record large.
    """

    sequence: int
    do: str = ""
    seconds: float = 0.0
    answer: int = 0
    padding: str = ""


class Invoice(BaseModel):
    """The output for a record."""

    sequence: int
    padding: str = ""


KINDS: dict[str, Kind] = {"Assigned": "assigned", "Revoked": "revoked", "Lost": "lost"}


class Assignments(logging.Handler):
    """Notes assignments, from what the engine logs."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line for each partition."""
        kind = KINDS.get(str(record.msg).partition(":")[0])
        if kind is not None and isinstance(record.args, tuple):
            for topic, number in re.findall(r"(\S+)\[(\d+)\]", str(record.args[0])):
                ledger.write(kind, Place(topic, int(number), -1))


logging.getLogger("fastkafka.engine.consumer").addHandler(Assignments())


def cluster(servers: str) -> dict[str, Any]:
    """Return `kafka_brokers` for bootstrap servers."""
    addresses = [address.rpartition(":") for address in servers.split(",")]
    return {"localhost": [{"url": host, "port": port} for host, _, port in addresses]}


app = FastKafka(
    title=setup.name,
    kafka_brokers=cluster(setup.servers),
    retry=Retry(attempts=setup.attempts, delay=setup.delay),
    revoke_timeout=setup.revoke_timeout,
    **setup.settings,
)


class Call:
    """One call of the handler, noted."""

    def __init__(self, order: Order, meta: EventMetadata) -> None:
        self.place = Place(meta.topic, meta.partition, meta.offset)
        self.key = (meta.key or b"").decode(errors="replace")
        self.order = order
        ledger.write("begin", self.place, key=self.key, sequence=order.sequence)

    @property
    def seconds(self) -> float:
        """How long it takes."""
        usual = setup.by_partition.get(self.place.partition, setup.work)
        return self.order.seconds or usual

    def ends(self, error: BaseException | None = None) -> None:
        """Note how it ended."""
        kind: Kind = "end" if error is None else "fail"
        sequence = self.order.sequence
        text = "" if error is None else type(error).__name__
        ledger.write(kind, self.place, key=self.key, sequence=sequence, text=text)


class Strange(BaseException):
    """What no `except Exception` catches."""


def fails(error: BaseException) -> Callable[[float], None]:
    """Return what raises."""

    def fail(_: float) -> None:
        raise error

    return fail


def compute(seconds: float) -> None:
    """Keep a CPU busy."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))


def spawn(_: float) -> None:
    """Let a process that is not a fork do something."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        assert pool.submit(abs, -1).result(30) == 1


def fork(seconds: float) -> None:
    """Produce in a forked child, and note what that says."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        to_invoices(Order(sequence=-1), "forked")
        ledger.write("health", text="forked: nothing was said")
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the answer
        ledger.write("health", text=f"forked: {error!r}")
    time.sleep(seconds)
    os._exit(0)


DEEDS: dict[str, Callable[[float], Any]] = {
    "": lambda _: None,
    "hang": lambda _: None,  # only where it can be waited for
    "raise": fails(ValueError("as the record says")),
    "strange": fails(Strange("as the record says")),
    "exit": fails(SystemExit(3)),
    "cancelled": fails(asyncio.CancelledError()),
    "os_exit": lambda _: os._exit(7),
    "segfault": lambda _: ctypes.string_at(0),
    "block": time.sleep,
    "compute": compute,
    "spawn": spawn,
    "fork": fork,
}
"""What a record can make its handler do, given `seconds`."""


def answer(order: Order, key: str) -> None:
    """Send the output."""
    to_invoices(order, key)


async def handle(order: Order, meta: EventMetadata) -> None:
    call = Call(order, meta)
    try:
        DEEDS[order.do](order.seconds)
        if order.do == "hang":
            await asyncio.Event().wait()
        if order.do not in ("block", "compute") and call.seconds:
            await asyncio.sleep(call.seconds)
        answer(order, call.key)
    except BaseException as error:
        call.ends(error)
        raise
    call.ends()


def handle_sync(order: Order, meta: EventMetadata) -> None:
    call = Call(order, meta)
    try:
        DEEDS[order.do](order.seconds)
        if order.do not in ("block", "compute") and call.seconds:
            time.sleep(call.seconds)
        answer(order, call.key)
    except BaseException as error:
        call.ends(error)
        raise
    call.ends()


async def handle_batch(orders: list[Order], meta: list[EventMetadata]) -> None:
    calls = [Call(*pair) for pair in zip(orders, meta, strict=True)]
    try:
        for call in calls:
            DEEDS[call.order.do](call.order.seconds)
            if call.seconds:
                await asyncio.sleep(call.seconds)
            answer(call.order, call.key)
    except BaseException as error:
        for call in calls:
            call.ends(error)
        raise
    for call in calls:
        call.ends()


HANDLERS: dict[str, Callable[..., Any]] = {
    "async": handle,
    "sync": handle_sync,
    "batch": handle_batch,
}

on_gap: dict[str, Any] = {} if setup.on_gap is None else {"on_gap": setup.on_gap}

app.consumes(
    topic=setup.topic,
    order=None if setup.kind == "batch" else setup.order,
    concurrency=setup.concurrency,
    handler_timeout=setup.timeout,
    on_failure=setup.on_failure,
    **on_gap,
)(HANDLERS[setup.kind])


@app.produces(
    topic=setup.output,
    brokers=cluster(setup.output_servers or setup.servers),
    **setup.output_settings,
)
def to_invoices(order: Order, key: str) -> KafkaEvent[Invoice]:
    invoice = Invoice(sequence=order.sequence, padding="x" * order.answer)
    return KafkaEvent(invoice, key=key.encode() or None)


@app.run_in_background()
async def send_always() -> None:
    """Produce outside handlers, where nobody waits for the broker."""
    number = 0
    while setup.in_background:
        number += 1
        to_invoices(Order(sequence=-number), "background")
        await asyncio.sleep(0.05)


@app.run_in_background()
async def watch() -> None:
    """Note that the app is up, and every change of its health."""
    ledger.write("up")
    before = ""
    while True:
        now = app.snapshot()
        kinds = sorted({problem.kind for problem in now.problems})
        text = json.dumps([now.live, now.ready, kinds])
        if text != before:
            ledger.write("health", text=text)
            before = text
        await asyncio.sleep(0.25)


if setup.clock_jumps is not None:
    # The system's clock is everybody's; ours can be moved for this process alone.
    _jumps_at = time.monotonic() + setup.clock_jumps
    _time = time.time
    time.time = lambda: _time() + 3600 * (time.monotonic() >= _jumps_at)
