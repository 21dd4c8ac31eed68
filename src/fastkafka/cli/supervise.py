"""The parent of the workers: starts them, keeps them running, stops them together.

It never imports the user's module, so that a mistake in it cannot take the parent
down, and no Kafka client exists where processes are started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

from fastkafka.cli.process import Lines, Report, WorkerProcess, prefixed
from fastkafka.cli.terminal import complain, say

APP_FAILED = 1
"""A worker's exit code when its app cannot start or has failed: starting it again
would only repeat it. Every other end that nobody asked for is a crash."""

GRACE = 2.0
"""Seconds that the parent waits longer than a worker allows itself."""


class Restarts:
    """Decide what follows when a worker crashes; one of these per worker.

    A worker's life counts from when its app was ready, however long the import took.

    Args:
        clock: Seconds, as of `time.monotonic`.
        chance: A number in [0, 1), so that workers that died together do not come
            back together.
    """

    FIRST_DELAY = 1.0
    LONGEST_DELAY = 30.0
    JITTER = 0.2
    EARLY = 10.0
    """Seconds; a death before that is one in a row."""
    FAILED_STARTS = 3
    """In a row, and there is no sense in another try."""
    EARLY_DEATHS = 5
    """The same for workers that were ready. A record that kills its process is parked
    after it has killed four, so a fifth has to have its chance."""
    HEALTHY = 60.0
    """Seconds; who has lived that long starts with the first delay again."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._delay = self.FIRST_DELAY
        self.early_deaths = 0
        """How many in a row."""
        self._ready_at: float | None = None

    def ready(self) -> None:
        """The worker's app has started."""
        self._ready_at = self._clock()

    def died(self, *, counts: bool = True) -> float | None:
        """The worker has crashed.

        Args:
            counts: False if the cause lies outside and may pass, such as a broker
                that does not answer: then it is always worth another try.

        Returns:
            Seconds until it should be started again, or None if it keeps dying.
        """
        ready, life = self._ready_at is not None, 0.0
        if self._ready_at is not None:
            life = self._clock() - self._ready_at
        self._ready_at = None
        if life >= self.HEALTHY:
            self._delay = self.FIRST_DELAY
        if life >= self.EARLY:
            self.early_deaths = 0
        elif counts:
            self.early_deaths += 1
            most = self.EARLY_DEATHS if ready else self.FAILED_STARTS
            if self.early_deaths >= most:
                return None
        delay = self._delay * (1 + self.JITTER * self._chance())
        self._delay = min(2 * self._delay, self.LONGEST_DELAY)
        return delay


class Watcher:
    """Hears of the workers, by their numbers from 1; this one does nothing with it."""

    def began(self, worker: int, process: WorkerProcess) -> None:
        """A worker's process has been started."""

    def loaded(self, worker: int, topics: Sequence[str]) -> None:
        """A worker has imported the app, which has these topics."""

    def ready(self, worker: int) -> None:
        """A worker's app has started."""

    def heard(self, worker: int, snapshot: str) -> None:
        """A worker says how it is."""

    def answered(self, worker: int, text: str) -> None:
        """A worker has answered a command."""

    def ended(self, worker: int, why: str) -> None:
        """A worker's process has ended: how, and what follows."""

    def stopping(self) -> None:
        """All of them have been told to stop."""


class Supervisor:
    """Run a number of workers until a signal, or until one of them cannot go on.

    Args:
        command: The arguments that start a worker, given its number, from 1, and the
            descriptor of the socket on which it reports.
        num_workers: How many.
        shutdown_timeout: Seconds that each worker allows itself to stop.
        restarts: Makes the memory of one worker's crashes.
        lines: Makes what cuts a worker's output into lines; see `WorkerProcess.start`.
        watcher: Hears of the workers.
    """

    def __init__(
        self,
        command: Callable[[int, int], Sequence[str]],
        *,
        num_workers: int,
        shutdown_timeout: float,
        restarts: Callable[[], Restarts] = Restarts,
        lines: Callable[[int, int], Lines] = prefixed,
        watcher: Watcher | None = None,
    ) -> None:
        self._command = command
        self._num_workers = num_workers
        self._patience = shutdown_timeout + GRACE
        self._restarts = restarts
        self._lines = lines
        self._watcher = watcher or Watcher()
        self._running: set[WorkerProcess] = set()
        self._loaded = asyncio.Event()
        self._was_ready = False
        self._stopping = asyncio.Event()
        self._killing = False
        self._explained: set[str] = set()
        self._exit_code = 0
        self._return_codes: list[int] = []

    async def run(self) -> int:
        """Run the workers and return the exit code of the whole."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # not under nohup
            # A shell and the kernel may both send it: it is never the second signal.
            loop.add_signal_handler(signal.SIGHUP, self.stop)
        for number in (signal.SIGUSR1, signal.SIGQUIT):
            loop.add_signal_handler(number, self._ask_for_reports)
        async with asyncio.TaskGroup() as workers:
            # The first alone until it has loaded the app: what is wrong there is
            # said once, and costs one process.
            workers.create_task(self._keep_running(1))
            await self._loaded.wait()
            if not self._stopping.is_set():
                for worker in range(2, self._num_workers + 1):
                    workers.create_task(self._keep_running(worker))
        failed = any(self._return_codes)
        if failed and not self._explained:
            complain(f"Return codes are not all zero: {self._return_codes}")
        return self._exit_code or int(failed)

    def stop(self) -> None:
        """Ask all workers to stop, in parallel, with one deadline."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._loaded.set()
        self._watcher.stopping()
        for worker in self._running:
            worker.terminate()
        asyncio.get_running_loop().call_later(self._patience, self._on_deadline)

    def _ask_for_reports(self) -> None:
        for worker in self._running:
            worker.ask_for_a_report()

    def _kill(self) -> None:
        self._killing = True
        for worker in self._running:
            worker.kill()

    def _on_signal(self) -> None:
        if self._stopping.is_set():
            self._kill()
        else:
            say("Starting process cleanup, this may take a few seconds...")
            self.stop()

    def _on_deadline(self) -> None:
        for worker in self._running:
            complain(
                f"Worker {worker.pid} did not stop within {self._patience:g} s. "
                "It is killed."
            )
        self._kill()

    async def _keep_running(self, number: int) -> None:
        restarts = self._restarts()
        on_report = partial(self._hear, number, restarts)
        while not self._stopping.is_set():
            worker = await WorkerProcess.start(
                partial(self._command, number), self.write, on_report, self._lines
            )
            self._running.add(worker)
            self._watcher.began(number, worker)
            if self._stopping.is_set():  # while it was being started
                worker.terminate()
            if self._killing:
                worker.kill()
            code = await worker.ended()
            self._running.discard(worker)
            why = worker.error or f"Worker {worker.pid} {how_it_ended(code)}."
            if self._stopping.is_set():
                self._ended_when_told(worker, code)
                self._watcher.ended(number, why)
            elif delay := self._after(worker, code, restarts, why):
                self._watcher.ended(number, f"{why} Another one starts.")
                await self._pause(delay)

    def _hear(self, number: int, restarts: Restarts, report: Report, text: str) -> None:
        """Take in what a worker reports."""
        if report == "loaded":
            self._loaded.set()
            self._watcher.loaded(number, text.split())
        elif report == "ready":
            self._was_ready = True
            restarts.ready()
            self._watcher.ready(number)
        elif report == "snapshot":
            self._watcher.heard(number, text)
        elif report == "answer":
            self._watcher.answered(number, text)

    def _ended_when_told(self, worker: WorkerProcess, code: int) -> None:
        if -code in (signal.SIGTERM, signal.SIGINT) and not worker.ready:
            code = 0  # it had nothing yet to stop; Python ends by SIGINT, too
        self._explain(worker)
        self._return_codes.append(code)

    def _after(
        self, worker: WorkerProcess, code: int, restarts: Restarts, why: str
    ) -> float | None:
        """Decide what follows the end of a worker that nobody has asked to end.

        Returns:
            Seconds until another takes its place, or None when all have to stop.
        """
        passes = worker.transient and self._was_ready
        if code == APP_FAILED and not passes:
            self._explain(worker)
            self._give_up(code)
            return None
        delay = restarts.died(counts=not passes)
        if delay is None:
            complain(
                f"{why} {restarts.early_deaths} in a row did not live for "
                f"{Restarts.EARLY:g} s, so there will be no other."
            )
            self._give_up(code)
        else:
            complain(f"{why} Another one starts in {delay:.1f} s.")
        return delay

    def _explain(self, worker: WorkerProcess) -> None:
        """Say why a worker could not start, if no other has said the same."""
        if worker.error is not None and worker.error not in self._explained:
            self._explained.add(worker.error)
            complain(worker.error)

    def _give_up(self, code: int) -> None:
        """End the run because of a worker's return code."""
        self._return_codes.append(code)
        self._exit_code = 128 - code if code < 0 else code or 1
        self.stop()

    async def _pause(self, delay: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._stopping.wait()

    def write(self, descriptor: int, lines: bytes) -> None:
        """Print what a process of the run has printed."""
        stream = sys.stdout if descriptor == 1 else sys.stderr
        try:
            stream.buffer.write(lines)
            stream.buffer.flush()
        except OSError:
            # Nobody reads it any more, as after `fastkafka run ... | head`. To go on
            # unseen serves nobody; what is still said on the way goes nowhere.
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), descriptor)
            self.stop()


def how_it_ended(code: int) -> str:
    """Say it, as in `Worker 7 was killed by SIGKILL`."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
