"""Watch the iris app work: `scripts/demo`, or `python demo.py --help`.

Starts an embedded broker and, as a user would, `fastkafka run`. Then sends iris records
one at a time, each when the prediction for the one before is here: the guide's messages
carry neither key nor id, so this is what makes it certain which prediction belongs to
which record.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import signal
import statistics
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import TypeVar

from lifespan_example import IrisInputData, IrisPrediction
from rich.console import Console
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text
from sklearn.datasets import load_iris

from fastkafka import FastKafka
from fastkafka.testing import EmbeddedBroker

READY = "fastkafka.app: Started"
"""What the app logs when it has its partitions. It reads from the latest offset, so
what is sent earlier is not for it."""

PATIENCE = 60.0
"""Seconds after which an app that does nothing is given up."""

COLUMNS = {"#": 5, "sepal, cm": 11, "petal, cm": 11, "predicted": 12, "is": 12, "ms": 6}

T = TypeVar("T")
Ask = Callable[[IrisInputData], Awaitable[IrisPrediction]]


class DemoError(Exception):
    """The demo cannot go on."""


class Display:
    """Shows the app's output and each answer: a live table, or lines in a pipe."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.latest: deque[list[str]] = deque(maxlen=max(5, self.console.height - 12))
        self.live = Live(console=self.console, auto_refresh=False)
        self.agreed = 0
        self.seconds: list[float] = []

    def say(self, text: str, style: str = "") -> None:
        """Print one line."""
        self.console.print(Text(text, style=style), soft_wrap=True)

    def show(
        self, iris: IrisInputData, predicted: str, species: str, seconds: float
    ) -> None:
        """Show a prediction beside its record and what the record really is."""
        self.agreed += predicted == species
        self.seconds.append(seconds)
        row = [
            f"{len(self.seconds)}",
            f"{iris.sepal_length} x {iris.sepal_width}",
            f"{iris.petal_length} x {iris.petal_width}",
            predicted,
            species,
            f"{seconds * 1000:.1f}",
        ]
        self.latest.append(row)
        if self.console.is_terminal:
            columns = [Column(name, min_width=w) for name, w in COLUMNS.items()]
            table = Table(*columns, caption="Ctrl-C stops the demo.")
            for cells in self.latest:
                table.add_row(*cells, style=None if cells[3] == cells[4] else "yellow")
            self.live.update(table, refresh=True)
            return
        for cells in [row] if len(self.seconds) > 1 else [list(COLUMNS), row]:
            widths = COLUMNS.values()
            self.say("".join(map(str.ljust, cells, widths)).rstrip())

    @property
    def summary(self) -> str:
        """The demo's last line."""
        if not self.seconds:
            return "No predictions."
        return (
            f"{len(self.seconds)} predictions, {self.agreed} as in the data set; "
            f"median {statistics.median(self.seconds) * 1000:.1f} ms from sending "
            "a record to receiving its prediction."
        )


def iris_records() -> Iterator[tuple[IrisInputData, str]]:
    """Yield the data set's records and their species, shuffled, without end."""
    data = load_iris()
    rows = list(zip(data.data.tolist(), data.target.tolist(), strict=True))
    names = list(IrisInputData.model_fields)
    while True:
        random.shuffle(rows)
        for measures, species in rows:
            record = IrisInputData(**dict(zip(names, measures, strict=True)))
            yield record, str(data.target_names[species])


class RunningApp:
    """`fastkafka run` in a process of its own; shows what it prints."""

    def __init__(self, process: asyncio.subprocess.Process, display: Display) -> None:
        self.process = process
        self.ready = asyncio.Event()
        self.ended = asyncio.create_task(self._relay(display))

    async def _relay(self, display: Display) -> int:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            text = line.decode(errors="replace").rstrip()
            display.say(text, style="dim")
            if READY in text:
                self.ready.set()
        return await self.process.wait()

    async def does(self, awaited: Awaitable[T]) -> T:
        """Wait for what the app should bring about.

        Raises:
            DemoError: It ended, or took longer than `PATIENCE`.
        """
        task = asyncio.ensure_future(awaited)
        await asyncio.wait(
            {task, self.ended}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED
        )
        if task.done():
            return task.result()
        task.cancel()
        if self.ended.done():
            raise DemoError(f"The app ended with exit code {self.ended.result()}.")
        raise DemoError(f"The app did nothing for {PATIENCE:.0f} s.")

    async def stop(self) -> None:
        """Interrupt it and wait; when that is interrupted too, it has to hurry."""
        if self.ended.done():
            return
        self.process.send_signal(signal.SIGINT)
        try:
            await asyncio.shield(self.ended)
        except asyncio.CancelledError:
            self.process.send_signal(signal.SIGINT)
            await self.ended
            raise


@asynccontextmanager
async def running_app(bootstrap: str, display: Display) -> AsyncIterator[RunningApp]:
    """Run the example against *bootstrap*, and stop it at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fastkafka"),
        *("run", "--num-workers=1", "--kafka-broker", bootstrap),
        "lifespan_example:kafka_app",
        cwd=Path(__file__).parent,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        # Ctrl-C would reach the whole process group: we pass it on, once.
        process_group=0,
    )
    app = RunningApp(process, display)
    try:
        yield app
    finally:
        await app.stop()


@asynccontextmanager
async def other_end(bootstrap: str) -> AsyncIterator[Ask]:
    """Connect to both topics; yield what sends a record and returns its prediction."""
    predictions: asyncio.Queue[IrisPrediction] = asyncio.Queue()
    app = FastKafka(title="Iris demo", bootstrap_servers=bootstrap, group_id=None)

    @app.produces(topic="input_data")
    async def to_input_data(record: IrisInputData) -> IrisInputData:
        return record

    @app.consumes(topic="predictions", auto_offset_reset="earliest")
    async def on_predictions(prediction: IrisPrediction) -> None:
        predictions.put_nowait(prediction)

    async def ask(record: IrisInputData) -> IrisPrediction:
        await to_input_data(record)
        return await predictions.get()

    async with app:
        yield ask


async def demo(
    bootstrap: str, count: int | None, rate: float, display: Display
) -> None:
    """Send *count* records, *rate* a second, and show each with its prediction."""
    async with running_app(bootstrap, display) as app, other_end(bootstrap) as ask:
        await app.does(app.ready.wait())
        with display.live if display.console.is_terminal else nullcontext():
            due = time.perf_counter()
            for record, species in itertools.islice(iris_records(), count):
                await asyncio.sleep(due - time.perf_counter())
                sent = time.perf_counter()
                prediction = await app.does(ask(record))
                seconds = time.perf_counter() - sent
                display.show(record, prediction.species, species, seconds)
                due += 1 / rate


async def until_a_signal(work: Awaitable[None]) -> None:
    """Do *work*; a signal ends it early and cleanly."""
    task = asyncio.ensure_future(work)
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(signum, task.cancel)
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()


def main() -> int:
    """Run the demo and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo", description="Watch the iris app of examples/lifespan work."
    )
    parser.add_argument("--count", type=int, help="end after so many records")
    parser.add_argument(
        "--rate", type=float, default=2.0, help="records a second (%(default)s)"
    )
    options = parser.parse_args()
    if options.rate <= 0 or (options.count is not None and options.count < 1):
        parser.error("--count and --rate must be above zero")

    display = Display()
    exit_code = 0
    with EmbeddedBroker({"input_data": 4, "predictions": 4}) as bootstrap:
        work = demo(bootstrap, options.count, options.rate, display)
        try:
            asyncio.run(until_a_signal(work))
        except DemoError as error:
            display.say(str(error), style="red")
            exit_code = 1
    display.say(display.summary)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
