"""FastKafka, as its README says to use it, with its defaults."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Collection, Mapping
from typing import Any

from bench import child
from bench.contenders.iris import Iris, Prediction
from fastkafka import FastKafka
from fastkafka.transport.base import ConsumerListener, TopicPartition
from fastkafka.transport.librdkafka import LibrdkafkaConsumer, LibrdkafkaTransport


def consume(job: child.Job) -> child.Tally:
    """Do nothing with every record."""
    ended = asyncio.Event()

    def complete() -> None:
        tally.stop()
        ended.set()

    tally = child.Tally(job.records, complete)
    app = FastKafka(bootstrap_servers=job.bootstrap, group_id=job.group)

    @app.consumes(topic=job.topic)
    async def on_iris(iris: Iris) -> None:
        tally.saw(iris.petal_width)

    asyncio.run(_run(app, ended))
    return tally


def consume_and_produce(job: child.Job) -> child.Tally:
    """Answer every record with one."""
    tally = child.Tally(job.records, complete=lambda: None)
    ended = asyncio.Event()
    finished: dict[TopicPartition, int] = {}

    def finish(partition: TopicPartition, offset: int) -> None:
        finished[partition] = offset
        # A record is finished when its output is acknowledged: that is the end.
        if tally.complete and sum(finished.values()) == job.records:
            tally.stop()
            ended.set()

    app = FastKafka(
        bootstrap_servers=job.bootstrap,
        group_id=job.group,
        transport=_Watched(finish),
    )

    @app.produces(topic=job.output)
    def to_predictions(species: str) -> Prediction:
        return Prediction(species=species)

    @app.consumes(topic=job.topic)
    async def on_iris(iris: Iris) -> None:
        to_predictions("setosa")
        tally.saw(iris.petal_width)

    asyncio.run(_run(app, ended))
    return tally


async def _run(app: FastKafka, ended: asyncio.Event) -> None:
    async with app:
        # As `fastkafka run` does when an app is ready.
        gc.collect()
        gc.freeze()
        tasks = {
            asyncio.ensure_future(ended.wait()),
            asyncio.ensure_future(app.wait_stopped()),
        }
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        for task in done:
            task.result()


class _Watched(LibrdkafkaTransport):
    """Tells what the engine has finished: once for each slice, not for each record."""

    def __init__(self, finish: Callable[[TopicPartition, int], None]) -> None:
        self._finish = finish

    def consumer(
        self,
        config: Mapping[str, Any],
        topics: Collection[str],
        listener: ConsumerListener,
        *,
        start_at: Mapping[str, str],
        on_gap: Mapping[str, str],
        revoke_timeout: float,
    ) -> LibrdkafkaConsumer:
        """See `Transport`."""
        consumer = _WatchedConsumer(
            config,
            topics,
            listener,
            start_at=start_at,
            on_gap=on_gap,
            revoke_timeout=revoke_timeout,
        )
        consumer.finish = self._finish
        return consumer


class _WatchedConsumer(LibrdkafkaConsumer):
    finish: Callable[[TopicPartition, int], None]

    def finished(self, partition: TopicPartition, offset: int) -> None:
        """See `Consumer`."""
        super().finished(partition, offset)
        self.finish(partition, offset)


if __name__ == "__main__":
    child.main({"consume": consume, "consume-produce": consume_and_produce})
