"""aiokafka alone: a loop of `getmany` and pydantic, without a framework."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pydantic import TypeAdapter

from bench import child
from bench.contenders.iris import Iris, Prediction

COMMIT_SECONDS = 0.1
DECODE: Any = TypeAdapter(Iris).validator.validate_json


def consume(job: child.Job) -> child.Tally:
    """Validate every record, with the client's own automatic commits."""
    tally = child.Tally(job.records, complete=lambda: tally.stop())

    async def run() -> None:
        async with _consumer(job) as consumer:
            while not tally.complete:
                for value in _values(await consumer.getmany(timeout_ms=100)):
                    tally.saw(DECODE(value).petal_width)

    asyncio.run(run())
    return tally


def consume_and_produce(job: child.Job) -> child.Tally:
    """Answer every record with one; flush and commit ten times a second."""
    tally = child.Tally(job.records, complete=lambda: None)
    encode = TypeAdapter(Prediction).serializer.to_json

    async def run() -> None:
        due = 0.0
        producer = AIOKafkaProducer(
            bootstrap_servers=job.bootstrap, acks="all", enable_idempotence=True
        )
        async with producer, _consumer(job, enable_auto_commit=False) as consumer:
            while not tally.complete:
                for value in _values(await consumer.getmany(timeout_ms=100)):
                    iris = DECODE(value)
                    await producer.send(
                        job.output, encode(Prediction(species="setosa"))
                    )
                    tally.saw(iris.petal_width)
                if tally.complete or time.monotonic() >= due:
                    await producer.flush()
                    if tally.complete:
                        tally.stop()
                    await consumer.commit()
                    due = time.monotonic() + COMMIT_SECONDS

    asyncio.run(run())
    return tally


def latency(job: child.Job) -> child.Delays:
    """Note when each record came."""
    ended: list[bool] = []
    delays = child.Delays(job.records, lambda: ended.append(True))

    async def run() -> None:
        async with _consumer(job) as consumer:
            while not ended:
                for value in _values(await consumer.getmany(timeout_ms=100)):
                    delays.saw(DECODE(value).petal_width)

    asyncio.run(run())
    return delays


def _consumer(job: child.Job, **settings: Any) -> Any:
    return AIOKafkaConsumer(
        job.topic,
        bootstrap_servers=job.bootstrap,
        group_id=job.group,
        auto_offset_reset="earliest",
        **settings,
    )


def _values(found: dict[Any, list[Any]]) -> Iterator[Any]:
    return (record.value for records in found.values() for record in records)


if __name__ == "__main__":
    child.main(
        {
            "consume": consume,
            "consume-produce": consume_and_produce,
            "latency": latency,
        }
    )
