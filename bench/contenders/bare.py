"""A loop written by hand with confluent-kafka and pydantic, without a framework."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer
from pydantic import TypeAdapter

from bench import child
from bench.contenders.iris import Iris, Prediction

BATCH = 1000
BATCH_SECONDS = 0.01
"""How long a batch is waited for; short, or the last records would wait for it."""

COMMIT_SECONDS = 0.1


def consume(job: child.Job) -> child.Tally:
    """Validate every record, with the client's own automatic commits."""
    tally = child.Tally(job.records, complete=lambda: tally.stop())
    decode: Callable[[Any], Iris] = TypeAdapter(Iris).validator.validate_json
    consumer = _consumer(job)
    while not tally.complete:
        for message in consumer.consume(BATCH, BATCH_SECONDS):
            if (error := message.error()) is not None:
                raise KafkaException(error)
            tally.saw(decode(message.value()).petal_width)
    consumer.close()
    return tally


def consume_and_produce(job: child.Job) -> child.Tally:
    """Answer every record with one; flush and commit ten times a second."""
    tally = child.Tally(job.records, complete=lambda: None)
    decode: Callable[[Any], Iris] = TypeAdapter(Iris).validator.validate_json
    encode = TypeAdapter(Prediction).serializer.to_json
    consumer = _consumer(job, {"enable.auto.commit": False})
    producer = Producer(
        {
            "bootstrap.servers": job.bootstrap,
            "acks": "all",
            "enable.idempotence": True,
        }
    )
    topic = job.output
    uncommitted = False
    due = 0.0
    while not tally.complete:
        for message in consumer.consume(BATCH, BATCH_SECONDS):
            if (error := message.error()) is not None:
                raise KafkaException(error)
            iris = decode(message.value())
            value = encode(Prediction(species="setosa"))
            try:
                producer.produce(topic, value)
            except BufferError:
                producer.flush()
                producer.produce(topic, value)
            tally.saw(iris.petal_width)
            uncommitted = True
        if uncommitted and (tally.complete or time.monotonic() >= due):
            producer.flush()
            if tally.complete:
                tally.stop()
            consumer.commit(asynchronous=False)
            uncommitted = False
            due = time.monotonic() + COMMIT_SECONDS
    consumer.close()
    return tally


def slow(job: child.Job) -> child.Tally:
    """Wait with every record: a task and a queue for each share of the keys.

    It keeps the order of each key and bounds what waits; its commits are the client's
    automatic ones, so what is in flight at a crash is lost.
    """
    tally = child.Tally(job.records, complete=lambda: tally.stop())
    order = child.OrderCheck(job.options["keys"])
    decode: Callable[[Any], Iris] = TypeAdapter(Iris).validator.validate_json
    seconds, lanes = job.options["seconds"], job.options["concurrency"]

    async def work(queue: asyncio.Queue[Any]) -> None:
        while True:
            iris = decode((await queue.get()).value())
            order.begin(iris.petal_width)
            await asyncio.sleep(seconds)
            order.end(iris.petal_width)
            tally.saw(iris.petal_width)

    async def run() -> None:
        queues: list[asyncio.Queue[Any]] = [asyncio.Queue(200) for _ in range(lanes)]
        tasks = [asyncio.ensure_future(work(queue)) for queue in queues]
        consumer = _consumer(job)
        while not tally.complete:
            for message in await asyncio.to_thread(
                consumer.consume, BATCH, BATCH_SECONDS
            ):
                if (error := message.error()) is not None:
                    raise KafkaException(error)
                await queues[hash(message.key()) % lanes].put(message)
        for task in tasks:
            task.cancel()
        consumer.close()

    asyncio.run(run())
    tally.more["out_of_order"] = order.broken
    return tally


def latency(job: child.Job) -> child.Delays:
    """Note when each record came: one poll for each, as one waits for single ones."""
    ended: list[bool] = []
    delays = child.Delays(job.records, lambda: ended.append(True))
    decode: Callable[[Any], Iris] = TypeAdapter(Iris).validator.validate_json
    consumer = _consumer(job)
    while not ended:
        message = consumer.poll(0.1)
        if message is not None:
            if (error := message.error()) is not None:
                raise KafkaException(error)
            delays.saw(decode(message.value()).petal_width)
    consumer.close()
    return delays


def memory(job: child.Job) -> child.Count:
    """Count very many records."""
    count = child.Count(job.records, complete=lambda: None)
    decode: Callable[[Any], Iris] = TypeAdapter(Iris).validator.validate_json
    consumer = _consumer(job)
    while not count.complete:
        for message in consumer.consume(BATCH, BATCH_SECONDS):
            if (error := message.error()) is not None:
                raise KafkaException(error)
            count.saw(decode(message.value()).petal_width)
    consumer.close()
    return count


def _consumer(job: child.Job, settings: dict[str, object] | None = None) -> Consumer:
    consumer = Consumer(
        {
            "bootstrap.servers": job.bootstrap,
            "group.id": job.group,
            "auto.offset.reset": "earliest",
            # With the default, 1000, it stalls for a second whenever 100,000 records
            # are fetched ahead; it would make this loop look bad.
            "fetch.queue.backoff.ms": 10,
            **job.consumer,
            **(settings or {}),
        }
    )
    consumer.subscribe(job.options.get("topics", [job.topic]))
    return consumer


if __name__ == "__main__":
    child.main(
        {
            "consume": consume,
            "consume-produce": consume_and_produce,
            "slow": slow,
            "latency": latency,
            "memory": memory,
        }
    )
