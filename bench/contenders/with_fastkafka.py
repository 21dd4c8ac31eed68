"""FastKafka, as its README says to use it, with its defaults.

Variants are nothing (pydantic), "msgspec" and "batch".
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec

from bench import child
from bench.contenders.iris import Iris, Prediction
from fastkafka import FastKafka, Retry
from fastkafka.cli import garbage
from fastkafka.cli.logs import configure_logging
from fastkafka.transport.base import TopicPartition
from fastkafka.transport.librdkafka import LibrdkafkaConsumer, LibrdkafkaTransport


class IrisStruct(msgspec.Struct):
    """A record of the input topic, for msgspec; no bounds, as its users write it."""

    sepal_length: float
    sepal_width: float
    petal_length: float
    petal_width: float


class Ended(asyncio.Event):
    """Set when there is nothing left to do."""


def consume(job: child.Job) -> child.Tally:
    """Do nothing with every record; with one function for each of `topics`."""
    ended = Ended()

    def complete() -> None:
        tally.stop()
        ended.set()

    tally = child.Tally(job.records, complete)
    app = FastKafka(bootstrap_servers=job.bootstrap, group_id=job.group)
    for topic in job.options.get("topics", [job.topic]):
        _declare(app, topic, job.variant, tally.saw)
    collector = _GarbageClock()
    asyncio.run(_run(app, ended))
    tally.more.update(collector.result())
    return tally


def consume_and_produce(job: child.Job) -> child.Tally:
    """Answer every record with one."""
    app, tally, ended = _app_that_finishes(job)

    @app.produces(topic=job.output)
    def to_predictions(species: str) -> Prediction:
        return Prediction(species=species)

    @app.consumes(topic=job.topic)
    async def on_iris(iris: Iris) -> None:
        to_predictions("setosa")
        tally.saw(iris.petal_width)

    asyncio.run(_run(app, ended))
    return tally


def failures(job: child.Job) -> child.Tally:
    """Fail with every so-manieth record; it is retried and then parked."""
    # As `fastkafka run` does: each failure is a log record with its traceback.
    with contextlib.redirect_stdout(sys.stderr):
        configure_logging("info")
    app, tally, ended = _app_that_finishes(job)
    every = job.options["every"]
    failed: set[float] = set()

    @app.consumes(topic=job.topic, retry=Retry(attempts=3, delay=0))
    async def on_iris(iris: Iris) -> None:
        number = iris.petal_width
        if every and number % every == 0:
            if number not in failed:
                failed.add(number)
                tally.saw(number)
            raise ValueError("This one fails")
        tally.saw(number)

    asyncio.run(_run(app, ended))
    return tally


def slow(job: child.Job) -> child.Tally:
    """Wait with every record, up to `concurrency` keys at once; with one even longer.

    Options are `seconds`, `keys`, `concurrency`, and `slow_seconds` for key 0, which
    does not count then.
    """
    ended = Ended()

    def complete() -> None:
        tally.stop()
        ended.set()

    seconds, keys = job.options["seconds"], job.options["keys"]
    slow_seconds = job.options.get("slow_seconds")
    order = child.OrderCheck(keys)
    expected = job.records
    if slow_seconds:
        expected -= len(range(0, job.records, keys))
    tally = child.Tally(expected, complete)
    app = FastKafka(
        bootstrap_servers=job.bootstrap, group_id=job.group, shutdown_timeout=2
    )

    @app.consumes(topic=job.topic, order="key", concurrency=job.options["concurrency"])
    async def on_iris(iris: Iris) -> None:
        number = iris.petal_width
        order.begin(number)
        if slow_seconds and number % keys == 0:
            await asyncio.sleep(slow_seconds)
            order.end(number)
            return
        await asyncio.sleep(seconds)
        order.end(number)
        tally.saw(number)

    asyncio.run(_run(app, ended))
    tally.more["out_of_order"] = order.broken
    return tally


def latency(job: child.Job) -> child.Delays:
    """Note when each record came."""
    ended = Ended()
    delays = child.Delays(job.records, ended.set)
    app = FastKafka(bootstrap_servers=job.bootstrap, group_id=job.group)
    _declare(app, job.topic, job.variant, delays.saw)
    asyncio.run(_run(app, ended))
    return delays


def memory(job: child.Job) -> child.Count:
    """Count very many records; or those of one partition while the other is blocked.

    With `blocked`, records of even numbers are in a partition whose first one is never
    done; the others are counted, and then nothing happens for `rest` seconds.
    """
    ended = Ended()
    count = child.Count(job.records, ended.set)
    app = FastKafka(
        bootstrap_servers=job.bootstrap, group_id=job.group, shutdown_timeout=2
    )
    blocked = job.options.get("blocked", False)

    @app.consumes(topic=job.topic)
    async def on_iris(iris: Iris) -> None:
        if blocked and iris.petal_width % 2 == 0:
            await asyncio.Event().wait()
        count.saw(iris.petal_width)

    async def run() -> None:
        async with app:
            await ended.wait()
            await asyncio.sleep(job.options.get("rest", 0))

    asyncio.run(run())
    return count


def worker(job: child.Job) -> child.Result:
    """One of several workers: say ten times a second how far it is, until told to stop.

    Each line has the number of records, the times of the first and the last of them,
    and the processor time since the first.
    """
    progress = _Progress()
    app = FastKafka(bootstrap_servers=job.bootstrap, group_id=job.group)
    _declare(app, job.topic, job.variant, progress.saw)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        told = loop.run_in_executor(None, sys.stdin.read)
        async with app:
            garbage.leave_what_stays()
            while not told.done():
                await asyncio.wait({told}, timeout=0.1)
                print(progress.line(), flush=True)

    asyncio.run(run())
    return progress


class _Progress:
    def __init__(self) -> None:
        self.seen = 0
        self.first = self.last = 0.0
        self._cpu = 0.0

    def saw(self, _: float) -> None:
        self.last = time.monotonic()
        if not self.seen:
            self.first = self.last
            self._cpu = child.clocks()[1]
        self.seen += 1

    def result(self) -> dict[str, Any]:
        used = child.clocks()[1] - self._cpu if self.seen else 0.0
        return {
            "seen": self.seen,
            "first": self.first,
            "last": self.last,
            "cpu_seconds": used,
        }

    def line(self) -> str:
        return msgspec.json.encode(self.result()).decode()


class _GarbageClock:
    """How often the garbage collector runs once the app is ready, and how long."""

    def __init__(self) -> None:
        self._began = self._seconds = 0.0
        self._runs = 0
        gc.callbacks.append(self._hear)

    def _hear(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self._seconds += time.perf_counter() - self._began
            self._runs += 1

    def result(self) -> dict[str, Any]:
        gc.callbacks.remove(self._hear)
        return {"gc_runs": self._runs, "gc_seconds": self._seconds}


def _declare(
    app: FastKafka, topic: str, variant: str, saw: Callable[[float], None]
) -> None:
    if variant == "msgspec":

        @app.consumes(topic=topic)
        async def on_struct(iris: IrisStruct) -> None:
            saw(iris.petal_width)
    elif variant == "batch":

        @app.consumes(topic=topic)
        async def on_irises(irises: list[Iris]) -> None:
            for iris in irises:
                saw(iris.petal_width)
    else:

        @app.consumes(topic=topic)
        async def on_iris(iris: Iris) -> None:
            saw(iris.petal_width)


def _app_that_finishes(job: child.Job) -> tuple[FastKafka, child.Tally, Ended]:
    """Return an app that has ended when every record is finished.

    It is, when it was handled and its output, or its dead letter, is acknowledged.
    """
    tally = child.Tally(job.records, complete=lambda: None)
    ended = Ended()
    finished: dict[TopicPartition, int] = {}

    def finish(partition: TopicPartition, offset: int) -> None:
        finished[partition] = offset
        if tally.complete and sum(finished.values()) == job.records:
            tally.stop()
            ended.set()

    app = FastKafka(
        bootstrap_servers=job.bootstrap,
        group_id=job.group,
        transport=_Watched(finish),
    )
    return app, tally, ended


async def _run(app: FastKafka, ended: Ended) -> None:
    async with app:
        garbage.leave_what_stays()  # as `fastkafka run` does
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
        super().__init__()
        self._finish = finish

    def consumer(self, *args: Any, **settings: Any) -> LibrdkafkaConsumer:
        """See `Transport`."""
        consumer = _WatchedConsumer(*args, **settings)
        consumer.finish = self._finish
        return consumer


class _WatchedConsumer(LibrdkafkaConsumer):
    finish: Callable[[TopicPartition, int], None]

    def finished(self, partition: TopicPartition, offset: int) -> None:
        """See `Consumer`."""
        super().finished(partition, offset)
        self.finish(partition, offset)


if __name__ == "__main__":
    child.main(
        {
            "consume": consume,
            "consume-produce": consume_and_produce,
            "failures": failures,
            "slow": slow,
            "latency": latency,
            "memory": memory,
            "worker": worker,
        }
    )
