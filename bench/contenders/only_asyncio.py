"""asyncio alone, without Kafka: how many handlers an event loop lets wait at most."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from pydantic import TypeAdapter

from bench import child
from bench.cluster import VALUE
from bench.contenders.iris import Iris


def slow(job: child.Job) -> child.Tally:
    """Decode values from memory and wait with each, in as many tasks."""
    tally = child.Tally(job.records, complete=lambda: tally.stop())
    order = child.OrderCheck(job.options["keys"])
    decode = TypeAdapter(Iris).validator.validate_json
    seconds = job.options["seconds"]

    async def on_iris(iris: Iris) -> None:
        order.begin(iris.petal_width)
        await asyncio.sleep(seconds)
        order.end(iris.petal_width)
        tally.saw(iris.petal_width)

    async def work(values: Iterator[bytes]) -> None:
        for value in values:
            await on_iris(decode(value))

    async def run() -> None:
        values = iter([VALUE % number for number in range(job.records)])
        await asyncio.gather(*(work(values) for _ in range(job.options["concurrency"])))

    asyncio.run(run())
    tally.more["out_of_order"] = order.broken
    return tally


if __name__ == "__main__":
    child.main({"slow": slow})
