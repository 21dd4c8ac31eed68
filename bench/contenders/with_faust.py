"""Faust (faust-streaming): an agent over a topic of validated records."""
# mypy: disable-error-code="import-not-found, call-arg", allow-untyped-decorators
# mypy: allow-subclassing-any

from __future__ import annotations

import asyncio
import tempfile
from typing import Any

import faust

from bench import child


class Iris(faust.Record, serializer="json", validation=True):
    """A record of the input topic, in Faust's own kind of model."""

    sepal_length: float
    sepal_width: float
    petal_length: float
    petal_width: float


class Prediction(faust.Record, serializer="json"):
    """A record of the output topic."""

    species: str


def consume(job: child.Job) -> child.Tally:
    """Do nothing with every record."""
    app, ended = _app(job)

    def complete() -> None:
        tally.stop()
        ended.set()

    tally = child.Tally(job.records, complete)

    @app.agent(app.topic(job.topic, value_type=Iris))
    async def on_iris(irises: Any) -> None:
        async for iris in irises:
            tally.saw(iris.petal_width)

    asyncio.run(_run(app, ended))
    return tally


def consume_and_produce(job: child.Job) -> child.Tally:
    """Answer every record with one."""
    app, ended = _app(job)
    tally = child.Tally(job.records, complete=ended.set)
    output = app.topic(job.output, value_type=Prediction)

    @app.agent(app.topic(job.topic, value_type=Iris))
    async def on_iris(irises: Any) -> None:
        async for iris in irises:
            await output.send(value=Prediction(species="setosa"))
            tally.saw(iris.petal_width)

    async def flushed() -> None:
        await app.producer.flush()
        tally.stop()

    asyncio.run(_run(app, ended, flushed))
    return tally


def latency(job: child.Job) -> child.Delays:
    """Note when each record came."""
    app, ended = _app(job)
    delays = child.Delays(job.records, ended.set)

    @app.agent(app.topic(job.topic, value_type=Iris))
    async def on_iris(irises: Any) -> None:
        async for iris in irises:
            delays.saw(iris.petal_width)

    asyncio.run(_run(app, ended))
    return delays


def _app(job: child.Job) -> tuple[Any, asyncio.Event]:
    app = faust.App(
        job.group,
        broker=f"kafka://{job.bootstrap}",
        store="memory://",
        datadir=tempfile.mkdtemp(),
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        producer_acks=-1,
    )
    return app, asyncio.Event()


async def _run(app: Any, ended: asyncio.Event, then: Any = None) -> None:
    async with app:
        await ended.wait()
        if then is not None:
            await then()


if __name__ == "__main__":
    child.main(
        {
            "consume": consume,
            "consume-produce": consume_and_produce,
            "latency": latency,
        }
    )
