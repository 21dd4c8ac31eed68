"""`fastkafka run` against Apache Kafka: nothing is lost when workers stop or die."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clients import committed, ends, produce, read

pytestmark = pytest.mark.kafka

APP = """
import os, time
from pydantic import BaseModel
from fastkafka import EventMetadata, FastKafka

class Order(BaseModel):
    id: int

class Invoice(BaseModel):
    order: int
    partition: int
    offset: int

app = FastKafka(title=os.environ["GROUP"])

@app.consumes(topic=os.environ["INPUT"])
async def handle(order: Order, meta: EventMetadata):
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(f"{os.getpid()} {meta.partition} {meta.offset} {order.id}\\n")
    answer(order, meta)

@app.produces(topic=os.environ["OUTPUT"])
def answer(order: Order, meta: EventMetadata) -> Invoice:
    return Invoice(order=order.id, partition=meta.partition, offset=meta.offset)
"""


class Run:
    """A `fastkafka run` and what it has printed."""

    def __init__(self, process: subprocess.Popen[str], output: Path) -> None:
        self.process = process
        self._output = output

    @property
    def output(self) -> str:
        return self._output.read_text()

    def shares(self) -> list[int]:
        """Return how many partitions each worker has, by what it has printed."""
        shares: Counter[str] = Counter()
        for worker, verb, partitions in re.findall(
            r"\[(\d+)\]: .*(Assigned|Revoked): (.*)", self.output
        ):
            count = len(partitions.split(", "))
            shares[worker] += count if verb == "Assigned" else -count
        return sorted(shares.values())

    def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(by)
        return self.process.wait(60)


class Shop:
    """An app in a folder of its own, its topics, and the ledger of its handlers."""

    def __init__(self, folder: Path, servers: str, topic: Callable[..., str]) -> None:
        self.folder = folder
        self.servers = servers
        self.input = topic(4)
        self.output = topic(4)
        self.group = f"group-{self.input}"
        self._ledger = folder / "ledger"
        self._ledger.touch()
        (folder / "shop.py").write_text(APP)

    @contextmanager
    def run(self, workers: int) -> Iterator[Run]:
        output = self.folder / "output"
        with output.open("w") as file:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "fastkafka", "run", "shop:app"),
                    *("--num-workers", str(workers), "--kafka-broker", self.servers),
                ],
                cwd=self.folder,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
                env=os.environ
                | {
                    "GROUP": self.group,
                    "INPUT": self.input,
                    "OUTPUT": self.output,
                    "LEDGER": str(self._ledger),
                },
            )
        try:
            yield Run(process, output)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    @property
    def handled(self) -> list[tuple[int, int, int, int]]:
        """Process, partition, offset and order of each call of the handler."""
        lines = self._ledger.read_text().splitlines()
        return [tuple(map(int, line.split())) for line in lines]  # type: ignore[misc]

    def send(self, count: int) -> None:
        values = [json.dumps({"id": i}).encode() for i in range(count)]
        produce(self.servers, self.input, values)

    def invoices(self, count: int) -> Counter[int]:
        """Count how often each order was answered."""
        records = read(self.servers, self.output, count)
        return Counter(json.loads(r.value() or b"")["order"] for r in records)


@pytest.fixture
def shop(tmp_path: Path, apache_kafka: str, topic: Callable[..., str]) -> Shop:
    return Shop(tmp_path, apache_kafka, topic)


def test_two_workers_share_the_partitions_and_a_clean_stop_repeats_nothing(
    shop: Shop,
) -> None:
    shop.send(1000)
    with shop.run(workers=2) as run:
        run.until(lambda: len(shop.handled) >= 200)
        assert run.stop() == 0
    stopped_at = len(shop.handled)
    offsets = committed(shop.servers, shop.group, shop.input)
    assert sum(offsets.values()) == stopped_at

    with shop.run(workers=2) as run:
        run.until(lambda: run.shares() == [2, 2])
        shop.send(1000)
        run.until(lambda: len(shop.handled) == 2000)
        processes = {process for process, *_ in shop.handled[stopped_at:]}
        assert run.stop(signal.SIGINT) == 0

    assert len(processes) == 2
    places = Counter((partition, offset) for _, partition, offset, _ in shop.handled)
    assert set(places.values()) == {1}, "nothing is handled twice"
    offsets = committed(shop.servers, shop.group, shop.input)
    assert offsets == ends(shop.servers, shop.input)
    assert set(shop.invoices(2000).values()) == {2}


def test_after_a_sigkill_every_record_is_handled_and_answered(shop: Shop) -> None:
    count = 10_000
    with shop.run(workers=2) as run:
        run.until(lambda: run.shares() == [2, 2])
        shop.send(count)
        run.until(lambda: len(shop.handled) > count // 4)
        victim = shop.handled[-1][0]
        os.kill(victim, signal.SIGKILL)
        run.until(
            lambda: len({(p, o) for _, p, o, _ in shop.handled}) == count, seconds=90
        )
        # The victim may have handled all it had, of which the rest is repeated now.
        end = ends(shop.servers, shop.input)
        run.until(
            lambda: committed(shop.servers, shop.group, shop.input) == end, seconds=90
        )
        assert run.stop() == 0
        output = run.output

    assert f"[{victim}]" in output
    handled = [order for *_, order in shop.handled]
    assert set(handled) == set(range(count))
    invoices = shop.invoices(sum(ends(shop.servers, shop.output).values()))
    assert set(invoices) == set(range(count)), "every handled record has its output"
    offsets = committed(shop.servers, shop.group, shop.input)
    assert offsets == ends(shop.servers, shop.input)
    # What was repeated is what the victim had not committed yet.
    repeated = [place for place, n in Counter(handled).items() if n > 1]
    assert len(repeated) < count // 2
