"""The original FastKafka 0.8, as its guides say; it runs in its own environment."""
# mypy: ignore-errors

# No `from __future__ import annotations`: it does not resolve annotations.
import asyncio
from typing import Any

from bench import child
from bench.contenders.iris import Iris, Prediction
from fastkafka import FastKafka
from fastkafka.executors import DynamicTaskExecutor


def consume(job: child.Job) -> child.Tally:
    """Do nothing with every record."""
    app, ended = _app(job)

    def complete() -> None:
        tally.stop()
        ended.set()

    tally = child.Tally(job.records, complete)

    @app.consumes(topic=job.topic, group_id=job.group, auto_offset_reset="earliest")
    async def on_iris(msg: Iris) -> None:
        tally.saw(msg.petal_width)

    asyncio.run(_run(app, ended))
    return tally


def consume_and_produce(job: child.Job) -> child.Tally:
    """Answer every record with one."""
    app, ended = _app(job)
    tally = child.Tally(job.records, complete=ended.set)

    @app.produces(topic=job.output)
    async def to_predictions(species: str) -> Prediction:
        return Prediction(species=species)

    @app.consumes(topic=job.topic, group_id=job.group, auto_offset_reset="earliest")
    async def on_iris(msg: Iris) -> None:
        await to_predictions("setosa")
        tally.saw(msg.petal_width)

    asyncio.run(_run(app, ended))  # it stops its producers, which flushes them
    tally.stop()
    return tally


def slow(job: child.Job) -> child.Tally:
    """Wait with every record, up to `concurrency` of them at once, in any order."""
    app, ended = _app(job)
    order = child.OrderCheck(child.KEYS)

    def complete() -> None:
        tally.stop()
        ended.set()

    tally = child.Tally(job.records, complete)
    seconds = job.options["seconds"]

    @app.consumes(
        topic=job.topic,
        executor=DynamicTaskExecutor(size=job.options["concurrency"]),
        group_id=job.group,
        auto_offset_reset="earliest",
    )
    async def on_iris(msg: Iris) -> None:
        order.begin(msg.petal_width)
        await asyncio.sleep(seconds)
        order.end(msg.petal_width)
        tally.saw(msg.petal_width)

    asyncio.run(_run(app, ended))
    tally.more["out_of_order"] = order.broken
    return tally


def latency(job: child.Job) -> child.Delays:
    """Note when each record came."""
    app, ended = _app(job)
    delays = child.Delays(job.records, ended.set)

    @app.consumes(topic=job.topic, group_id=job.group, auto_offset_reset="earliest")
    async def on_iris(msg: Iris) -> None:
        delays.saw(msg.petal_width)

    asyncio.run(_run(app, ended))
    return delays


def _app(job: child.Job) -> tuple[Any, asyncio.Event]:
    host, _, port = job.bootstrap.rpartition(":")
    app = FastKafka(
        title="bench",
        kafka_brokers={"bench": {"url": host, "port": port}},
    )
    app.set_kafka_broker("bench")
    return app, asyncio.Event()


async def _run(app: Any, ended: asyncio.Event) -> None:
    async with app:
        await ended.wait()


if __name__ == "__main__":
    child.main(
        {
            "consume": consume,
            "consume-produce": consume_and_produce,
            "slow": slow,
            "latency": latency,
        }
    )
