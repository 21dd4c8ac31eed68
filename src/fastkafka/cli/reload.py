"""Run an app, and run it again when a file changes: `fastkafka dev`, `run --reload`.

The workers are stopped as ever, so that nothing is lost and the group goes on where it
was, and started again. The web process is replaced by a new one that serves the same
socket, so that no request finds nobody. What cannot be imported is shown until it can.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from fastkafka.cli.listening import listening, url_of
from fastkafka.cli.logs import LogFormat
from fastkafka.cli.process import JsonLines, Report, WorkerProcess, prefixed
from fastkafka.cli.relay import Relay
from fastkafka.cli.running import Plan
from fastkafka.cli.supervise import Supervisor, Watcher
from fastkafka.cli.terminal import complain, say
from fastkafka.errors import ConfigError, needs_extra
from fastkafka.observe.snapshot import Snapshot
from fastkafka.observe.workers import Workers, to_line

INTERVAL = 1.0
DEBOUNCE_MS = 100
"""An editor writes a file in several steps."""
STOP_SECONDS = 2.0

Topics = Callable[[Sequence[str]], None]
"""Called with an app's topics before it connects."""


def check_watchfiles() -> Any:
    """Import watchfiles.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        return importlib.import_module("watchfiles")
    except ImportError as error:
        raise needs_extra(
            "Reloading (`fastkafka dev` does without it: `--no-reload`)",
            "watchfiles",
            "reload",
        ) from error


async def run_again(plan: Plan) -> int:
    """Run an app as `fastkafka run --reload` does; return the exit code.

    Raises:
        ConfigError: watchfiles is not installed, it cannot listen at that address, or
            a flag makes no sense with it.
    """
    if plan.health_file is not None:
        raise ConfigError(
            "`--health-file` is for production, `--reload` for development. Leave one "
            "of them out."
        )
    with contextlib.ExitStack() as stack:
        server = None
        if plan.http is not None:
            server = stack.enter_context(listening(plan.http))
            say(f"Page, probes and metrics: {url_of(server)}")
        return await run_reloading(plan, folders=[Path.cwd()], server=server)


async def run_reloading(
    plan: Plan,
    *,
    folders: Sequence[Path],
    server: socket.socket | None = None,
    topics: Topics = lambda names: None,
    reload: bool = True,
) -> int:
    """Run an app until a signal, again and again when a file changes.

    Args:
        plan: What is run.
        folders: Whose Python files are watched.
        server: The socket of the page; None is no page.
        topics: Called with the app's topics before it connects.
        reload: False runs it only once.

    Returns:
        The exit code.

    Raises:
        ConfigError: watchfiles is not installed.
    """
    watchfiles = check_watchfiles() if reload else None
    for name in ("fastkafka._components._subprocess", "watchfiles"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Python takes compiled code for that of a file that was changed twice in a second.
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    reports = _Reports(Workers(plan.num_workers), topics)
    async with contextlib.AsyncExitStack() as stack:
        web: _Web | None = None
        if server is not None:
            web = await stack.enter_async_context(_serving(plan, server, reports))
        changes = asyncio.Queue[list[str]]()
        if watchfiles is not None:
            watching = asyncio.create_task(_watch(watchfiles, folders, changes))
            stack.callback(watching.cancel)
        reports.starts([], page=web is not None)
        while True:
            run = _Run(plan, reports)
            reports.runs()
            running = asyncio.create_task(run.run())
            changed = await _until_changed(running, changes)
            if not changed and not run.told and reload:
                await _there(web)  # it shows what is wrong, and so do we
                changed = await reports.next(changes)
            if changed:
                # The page begins anew while the workers end: both take their time.
                reports.starts(changed, page=web is not None)
                if web is not None:
                    web.begin_anew()
                run.stop()
            code = await running
            if not changed or run.told:
                reports.stops_for_good()
                return code


async def _there(web: _Web | None) -> None:
    """Wait until the page, if there is one, is that of the last change."""
    if web is not None:
        await web.there()


async def _until_changed(
    running: asyncio.Task[int], changes: asyncio.Queue[list[str]]
) -> list[str]:
    """Return the files that have changed; none when the run has ended before."""
    changing = asyncio.create_task(changes.get())
    await asyncio.wait({running, changing}, return_when=asyncio.FIRST_COMPLETED)
    if changing.done():
        return changing.result()
    changing.cancel()
    return []


class _Run(Supervisor):
    """One run between two changes.

    Attributes:
        told: A signal has ended it.
    """

    def __init__(self, plan: Plan, reports: _Reports) -> None:
        super().__init__(
            lambda number, control: plan.worker(number, control, reports.relay.kept),
            num_workers=plan.num_workers,
            shutdown_timeout=plan.shutdown_timeout,
            lines=JsonLines if plan.log_format == LogFormat.JSON else prefixed,
            watcher=reports,
        )
        self.told = False

    def _on_signal(self) -> None:
        self.told = True
        super()._on_signal()


class _Reports(Watcher):
    """What the workers say, over all runs.

    Attributes:
        workers: What is known of them.
        relay: Passes on what is wanted of them.
    """

    def __init__(self, workers: Workers, topics: Topics) -> None:
        self.workers = workers
        self.relay = Relay()
        self._topics = topics
        self._since = time.monotonic()
        self._why: list[str] = []
        self._waits: set[str] = set()
        self._runs = False

    def starts(self, changed: Sequence[str], *, page: bool) -> None:
        """A run is to start, because of these files; with a page or without.

        The one before it may not have ended yet.
        """
        self._runs = False
        self.relay.forget()  # the code may be another one
        self._since = time.monotonic()
        self._why = list(changed)
        self._waits = {"app", "page"} if page else {"app"}

    def runs(self) -> None:
        """It starts now."""
        self._runs = True

    def stops_for_good(self) -> None:
        """No other run follows."""
        self.workers.stopping()

    async def next(self, changes: asyncio.Queue[list[str]]) -> list[str]:
        """Wait after a failure for files that change; return none after a signal."""
        complain("It is tried again as soon as a file changes.")
        waiting = asyncio.create_task(changes.get())
        loop = asyncio.get_running_loop()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, waiting.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            return await waiting
        return []

    def loaded(self, worker: int, topics: Sequence[str]) -> None:
        """A worker has imported the app."""
        self._topics(topics)

    def ready(self, worker: int) -> None:
        """A worker's app has started."""
        if self._runs:
            self.serves("app")

    def serves(self, what: str) -> None:
        """The app, or the page, is there; when both are, somebody wants to know."""
        if what in self._waits:
            self._waits.remove(what)
            if not self._waits:
                seconds = time.monotonic() - self._since
                said = f"{_named(self._why)}: ready again" if self._why else "Ready"
                say(f"{said} after {seconds:.1f} s.")

    def heard(self, worker: int, snapshot: str) -> None:
        """A worker says how it is."""
        self.workers.heard(worker, Snapshot.from_json(snapshot))

    def began(self, worker: int, process: WorkerProcess) -> None:
        """A worker's process has been started."""
        self.relay.began(worker, process)

    def answered(self, worker: int, text: str) -> None:
        """A worker has answered a command."""
        self.relay.answered(worker, text)

    def ended(self, worker: int, why: str) -> None:
        """A worker's process has ended."""
        self.relay.ended(worker)
        self.workers.ended(worker, why)


def _named(files: Sequence[str]) -> str:
    names = sorted({Path(file).name for file in files})
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"Changed {names[0]}{more}"


async def _watch(
    watchfiles: Any, folders: Sequence[Path], changes: asyncio.Queue[list[str]]
) -> None:
    async for found in watchfiles.awatch(
        *folders,
        watch_filter=watchfiles.PythonFilter(),
        debounce=DEBOUNCE_MS,
        step=20,
        recursive=True,
    ):
        changes.put_nowait([path for _, path in found])


class _Web:
    """The web process, and the one that takes its place.

    Args:
        plan: What is run.
        server: What it serves.
        reports: What it is told.
    """

    def __init__(self, plan: Plan, server: socket.socket, reports: _Reports) -> None:
        self._plan = plan
        self._server = server
        self._reports = reports
        self._process: WorkerProcess | None = None
        self._passing: set[asyncio.Task[None]] = set()
        self._beginning: set[asyncio.Task[None]] = set()
        self._wanted = 0
        self._one_at_a_time = asyncio.Lock()

    async def _pass_on(self, text: str, process: WorkerProcess) -> None:
        process.send(await self._reports.relay.pass_on(text))

    def begin_anew(self) -> None:
        """Start another one; the one before ends as soon as it serves."""
        self._wanted += 1
        beginning = asyncio.create_task(self._begin_anew(self._wanted))
        self._beginning.add(beginning)

    async def there(self) -> None:
        """Wait until the last one that was begun serves."""
        await asyncio.gather(*self._beginning)

    async def _begin_anew(self, number: int) -> None:
        async with self._one_at_a_time:
            if number == self._wanted:  # else a change has come meanwhile
                await self._replace()
        if number == self._wanted:
            self._reports.serves("page")

    async def _replace(self) -> None:
        before = self._process
        ready = asyncio.Event()
        process: WorkerProcess

        def on_report(report: Report, text: str) -> None:
            if report == "ready":
                ready.set()
            elif report == "control":
                passing = asyncio.create_task(self._pass_on(text, process))
                self._passing.add(passing)
                passing.add_done_callback(self._passing.discard)

        address = self._server.getsockname()[0]
        process = await WorkerProcess.start(
            lambda control: self._plan.web(control, self._server.fileno(), address),
            _write,
            on_report,
            pass_fds=[self._server.fileno()],
        )
        self._process = process
        ended = asyncio.create_task(process.ended())
        waiting = asyncio.create_task(ready.wait())
        while not ended.done() and not waiting.done():
            process.tell(to_line(self._reports.workers.snapshots()))
            await asyncio.wait(
                {ended, waiting},
                timeout=0.05,
                return_when=asyncio.FIRST_COMPLETED,
            )
        waiting.cancel()
        if before is not None:
            await _end(before)
        if ended.done():
            complain(f"The web process ended with exit code {ended.result()}.")

    async def keep_telling(self) -> None:
        """Tell it once a second how the workers are; replace one that has ended."""
        while True:
            await asyncio.sleep(INTERVAL)
            if self._process is not None:
                self._process.tell(to_line(self._reports.workers.snapshots()))

    async def stop(self) -> None:
        """End it."""
        await self.there()
        if self._process is not None:
            await _end(self._process)


async def _end(process: WorkerProcess) -> None:
    process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.ended()
    except TimeoutError:
        process.kill()
        await process.ended()


@contextlib.asynccontextmanager
async def _serving(
    plan: Plan, server: socket.socket, reports: _Reports
) -> AsyncIterator[_Web]:
    web = _Web(plan, server, reports)
    web.begin_anew()
    telling = asyncio.create_task(web.keep_telling())
    try:
        yield web
    finally:
        telling.cancel()
        await web.stop()


def _write(descriptor: int, lines: bytes) -> None:
    (say if descriptor == 1 else complain)(lines.decode(errors="replace").rstrip("\n"))
