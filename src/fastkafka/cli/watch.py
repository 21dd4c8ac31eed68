"""What the parent knows of its workers, and to whom it tells it, once a second.

To the web process, which it keeps running, and to a file that it touches, for platforms
that probe by a command.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from pydantic import ValidationError

from fastkafka.cli.process import Lines, Output, Report, WorkerProcess, prefixed
from fastkafka.cli.relay import Relay
from fastkafka.cli.supervise import Restarts, Watcher, how_it_ended
from fastkafka.cli.terminal import complain
from fastkafka.errors import ConfigError
from fastkafka.observe.snapshot import Snapshot
from fastkafka.observe.workers import Workers, to_line

INTERVAL = 1.0
STOP_SECONDS = 3.0
"""That the web process has for ending, after the workers have."""


class Watch(Watcher):
    """Hears of the workers and tells of them.

    Args:
        workers: What is known.
        health_file: Touched while all workers are live, and removed when one is not.
        web: What serves it over HTTP.
        relay: Passes on what is wanted of the workers.

    Raises:
        ConfigError: The file cannot be written.
    """

    def __init__(
        self,
        workers: Workers,
        *,
        health_file: Path | None = None,
        web: WebProcess | None = None,
        relay: Relay | None = None,
    ) -> None:
        self._relay = relay or Relay()
        self._workers = workers
        self._health_file = health_file
        self._web = web
        self._touches = True
        if health_file is not None:
            try:
                health_file.touch()
            except OSError as error:
                raise ConfigError(
                    f"`--health-file` {str(health_file)!r} cannot be written: "
                    f"{error.strerror}. Name a file in a folder that exists and may be "
                    "written."
                ) from error

    def heard(self, worker: int, snapshot: str) -> None:
        """A worker says how it is."""
        try:
            self._workers.heard(worker, Snapshot.from_json(snapshot))
        except ValidationError as error:
            complain(f"What worker {worker} says of itself is no snapshot: {error}")

    def began(self, worker: int, process: WorkerProcess) -> None:
        """A worker's process has been started."""
        self._relay.began(worker, process)

    def answered(self, worker: int, text: str) -> None:
        """A worker has answered a command."""
        self._relay.answered(worker, text)

    def ended(self, worker: int, why: str) -> None:
        """A worker's process has ended."""
        self._relay.ended(worker)
        self._workers.ended(worker, why)

    def stopping(self) -> None:
        """All of them have been told to stop."""
        self._workers.stopping()
        self.tell()

    @contextlib.asynccontextmanager
    async def telling(self) -> AsyncIterator[None]:
        """Tell, from now on to the end of the block."""
        async with contextlib.AsyncExitStack() as stack:
            if self._health_file is not None:
                stack.callback(self._health_file.unlink, missing_ok=True)
            if self._web is not None:
                await stack.enter_async_context(self._web.running())
            ticking = asyncio.create_task(self._tell_each_second())
            stack.callback(ticking.cancel)
            yield

    async def _tell_each_second(self) -> None:
        while True:
            self.tell()
            await asyncio.sleep(INTERVAL)

    def tell(self) -> None:
        """Tell what is known, now."""
        if self._web is not None:
            self._web.tell(to_line(self._workers.snapshots()))
        if self._health_file is None:
            return
        try:
            if self._workers.live:
                self._health_file.touch()
            else:
                self._health_file.unlink(missing_ok=True)
        except OSError as error:
            if self._touches:  # it is said once
                complain(
                    f"`--health-file` {str(self._health_file)!r} cannot be written: "
                    f"{error.strerror}."
                )
            self._touches = False
        else:
            self._touches = True


class WebProcess:
    """Keeps the process running that serves the web; see `web_process.py`.

    Its end is never the end of the run, and it is always worth another try.

    Args:
        command: The arguments that start it, given the descriptor on which it is told.
        listener: The descriptor of the socket that it serves.
        output: Takes what it prints.
        lines: Makes what cuts that into lines.
        relay: Passes on what it wants of the workers.
    """

    def __init__(
        self,
        command: Callable[[int], Sequence[str]],
        *,
        listener: int,
        output: Output,
        lines: Callable[[int, int], Lines] = prefixed,
        relay: Relay | None = None,
    ) -> None:
        self._relay = relay or Relay()
        self._passing: set[asyncio.Task[None]] = set()
        self._command = command
        self._listener = listener
        self._output = output
        self._lines = lines
        self._process: WorkerProcess | None = None
        self._stopping = False

    def tell(self, line: bytes) -> None:
        """Tell it how the workers are."""
        if self._process is not None:
            self._process.tell(line)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep it running to the end of the block."""
        keeping = asyncio.create_task(self._keep_running())
        try:
            yield
        finally:
            self._stopping = True
            if self._process is None:
                keeping.cancel()
            else:
                self._process.terminate()
            _, late = await asyncio.wait({keeping}, timeout=STOP_SECONDS)
            if late and self._process is not None:
                self._process.kill()
                await asyncio.wait({keeping})

    async def _pass_on(self, text: str) -> None:
        process = self._process
        answer = await self._relay.pass_on(text)
        if process is not None:
            process.send(answer)

    async def _keep_running(self) -> None:
        restarts = Restarts()

        def on_report(report: Report, text: str) -> None:
            if report == "ready":
                restarts.ready()
            elif report == "control":
                passing = asyncio.create_task(self._pass_on(text))
                self._passing.add(passing)
                passing.add_done_callback(self._passing.discard)

        while not self._stopping:
            process = await WorkerProcess.start(
                self._command,
                self._output,
                on_report,
                self._lines,
                pass_fds=[self._listener],
            )
            self._process = process
            if self._stopping:  # while it was being started
                process.kill()
            code = await process.ended()
            self._process = None
            if not self._stopping:
                delay = restarts.died(counts=False)
                assert delay is not None
                complain(
                    f"The web process {process.pid} {how_it_ended(code)}. "
                    f"Another one starts in {delay:.1f} s."
                )
                await asyncio.sleep(delay)
