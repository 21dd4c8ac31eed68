"""FastStream, in both flavours, as its documentation says.

Variants are `FLAVOUR` and `FLAVOUR-HOW`: the flavour is "aiokafka" or "confluent", and
how is nothing (its defaults), "ack" (acknowledge after the handler), "batch" (that,
and many records for each call), or "workers" (`max_workers`: no order).
"""
# mypy: disable-error-code="import-not-found", allow-untyped-decorators

from __future__ import annotations

import asyncio
from typing import Any

import faststream.confluent
import faststream.kafka
from faststream import AckPolicy, FastStream

from bench import child
from bench.contenders.iris import Iris, Prediction

BATCH = 1000


def consume(job: child.Job) -> child.Tally:
    """Do nothing with every record."""
    broker, app = _app(job)

    def complete() -> None:
        tally.stop()
        app.exit()

    tally = child.Tally(job.records, complete)

    if job.variant.endswith("-batch"):

        @broker.subscriber(job.topic, **_how(job))
        async def on_irises(irises: list[Iris]) -> None:
            for iris in irises:
                tally.saw(iris.petal_width)
    else:

        @broker.subscriber(job.topic, **_how(job))
        async def on_iris(iris: Iris) -> None:
            tally.saw(iris.petal_width)

    asyncio.run(app.run())
    return tally


def consume_and_produce(job: child.Job) -> child.Tally:
    """Answer every record with one: the publisher waits for its acknowledgement."""
    broker, app = _app(job)
    tally = child.Tally(job.records, complete=lambda: None)

    if job.variant.endswith("-batch"):
        publisher = broker.publisher(job.output)

        @broker.subscriber(job.topic, **_how(job))
        async def on_irises(irises: list[Iris]) -> None:
            for iris in irises:
                tally.saw(iris.petal_width)
            # Faster than its publisher for batches, in both flavours.
            acknowledgements = [
                await publisher.publish(Prediction(species="setosa"), no_confirm=True)
                for _ in irises
            ]
            await asyncio.gather(*acknowledgements)
            if tally.complete:
                tally.stop()
                app.exit()
    else:
        single = broker.publisher(job.output)

        @broker.subscriber(job.topic, **_how(job))
        async def on_iris(iris: Iris) -> None:
            tally.saw(iris.petal_width)
            await single.publish(Prediction(species="setosa"))
            if tally.complete:
                tally.stop()
                app.exit()

    asyncio.run(app.run())
    return tally


def slow(job: child.Job) -> child.Tally:
    """Wait with every record, up to `concurrency` of them at once, in any order."""
    broker, app = _app(job)
    order = child.OrderCheck(child.KEYS)

    def complete() -> None:
        tally.stop()
        app.exit()

    tally = child.Tally(job.records, complete)
    seconds = job.options["seconds"]

    @broker.subscriber(
        job.topic, max_workers=job.options["concurrency"], **_how(job, order=False)
    )
    async def on_iris(iris: Iris) -> None:
        order.begin(iris.petal_width)
        await asyncio.sleep(seconds)
        order.end(iris.petal_width)
        tally.saw(iris.petal_width)

    asyncio.run(app.run())
    tally.more["out_of_order"] = order.broken
    return tally


def latency(job: child.Job) -> child.Delays:
    """Note when each record came."""
    broker, app = _app(job)
    delays = child.Delays(job.records, app.exit)

    @broker.subscriber(job.topic, **_how(job))
    async def on_iris(iris: Iris) -> None:
        delays.saw(iris.petal_width)

    asyncio.run(app.run())
    return delays


def _app(job: child.Job) -> tuple[Any, Any]:
    # By default it logs two lines for each record; a service under load would not.
    if job.variant.startswith("aiokafka"):
        broker: Any = faststream.kafka.KafkaBroker(job.bootstrap, logger=None)
    else:
        broker = faststream.confluent.KafkaBroker(job.bootstrap, logger=None)
    return broker, FastStream(broker, logger=None)


def _how(job: child.Job, *, order: bool = True) -> dict[str, Any]:
    settings: dict[str, Any] = {"group_id": job.group, "auto_offset_reset": "earliest"}
    flavour, _, how = job.variant.partition("-")
    if how in ("ack", "batch"):
        settings["ack_policy"] = AckPolicy.NACK_ON_ERROR
    if how == "batch":
        settings |= {"batch": True, "max_records": BATCH}
        if flavour == "confluent":
            settings["polling_interval"] = 0.1
    return settings


if __name__ == "__main__":
    child.main(
        {
            "consume": consume,
            "consume-produce": consume_and_produce,
            "slow": slow,
            "latency": latency,
        }
    )
