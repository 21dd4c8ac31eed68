"""A worker: one process that runs one app until it is told to stop.

`fastkafka run` starts these. `run_fastkafka_server_process` is the same in the
foreground, without a parent.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import faulthandler
import io
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import CancelledError
from types import FrameType
from typing import Protocol

from fastkafka.app import FastKafka
from fastkafka.cli import dump, garbage
from fastkafka.cli.embedded import reachable
from fastkafka.cli.loading import (
    UserModuleError,
    choose_broker,
    load_app,
    user_traceback,
)
from fastkafka.cli.logs import LogFormat, configure_logging
from fastkafka.cli.original_log import OriginalLog
from fastkafka.cli.process import Report
from fastkafka.engine.commands import Command, obey
from fastkafka.errors import BrokerUnavailableError, FastKafkaError
from fastkafka.observe.snapshot import Snapshot
from fastkafka.observe.workers import with_blocked_loop

GRACE = 1.0
"""Seconds after the deadline of a stop until a process that hangs is ended."""

INTERVAL = 1.0
"""Seconds between snapshots that the parent gets."""


def main() -> None:
    """Run a worker with the arguments of the command line."""
    sys.exit(run_worker(sys.argv[1:]))


def run_worker(arguments: Sequence[str]) -> int:
    """Run a worker and return its exit code: 0 if it was told to stop and did."""
    options = _parser().parse_args(arguments)
    parent = None if options.control is None else Parent(options.control)
    try:
        stop = StopSignal(options.shutdown_timeout, repeat_kills=parent is None)
        _configure_output(options.log_level, options.log_format, brief=options.brief)
        with reachable(options.kafka_broker) as kafka_broker:
            app = load_app(options.app)
            log = OriginalLog(app)
            choose_broker(app, kafka_broker)
            log.broker_is_chosen()
            app.shutdown_timeout = options.shutdown_timeout
            app.worker = options.worker
            _tell(parent, "loaded", " ".join(sorted(app.get_topics())))
            watcher = parent if options.snapshots else None
            commands = options.commands
            return asyncio.run(
                _serve(
                    *(app, stop, lambda: _tell(parent, "ready"), log),
                    watcher=watcher,
                    commands=commands,
                )
            )
    except KeyboardInterrupt:
        return 0  # told to stop before anything had started
    except UserModuleError as error:
        if error.__cause__ is not None:
            sys.stderr.write(user_traceback(error.__cause__))
        _tell(parent, "error", str(error))
    except BrokerUnavailableError as error:
        _tell(parent, "unavailable", str(error))
    except FastKafkaError as error:
        _tell(parent, "error", str(error))
    except Exception as error:  # noqa: BLE001 - the lifespan's: shown, and the end
        sys.stderr.write(user_traceback(error))
    return 1


async def _serve(
    app: FastKafka,
    stop: StopSignal,
    on_ready: Callable[[], None],
    log: OriginalLog,
    *,
    watcher: Parent | None,
    commands: str,
) -> int:
    """Run *app* until the signal or until it fails; return the exit code.

    A signal while the app starts cancels the start; what was opened is closed. What was
    asked of the workers before this one came, it does before it starts.
    """
    loop = asyncio.get_running_loop()
    starting = asyncio.current_task()
    running: asyncio.Future[None] | None = None
    failure: BaseException | None = None

    def cancel() -> None:
        if running is not None:
            running.cancel()
        elif starting is not None:
            starting.cancel()

    stop.call(lambda: loop.call_soon_threadsafe(cancel))
    for command in json.loads(commands):
        await obey(app.control, Command(**command))
    try:
        async with shown_to(watcher, app), commanded_by(watcher, app), app:
            running = asyncio.ensure_future(app.wait_stopped())
            dump.listen(app)
            on_ready()
            garbage.leave_what_stays()
            await asyncio.wait({running})
            stop.start_deadline()
            log.stops()
            failure = None if running.cancelled() else running.exception()
    except asyncio.CancelledError:
        if not stop.came:
            raise
    except Exception as error:
        if error is not failure:
            raise
        # It is in the log already: the engine knows more of it than we.
    finally:
        stop.start_deadline()
    return 0 if failure is None else 1


class StopSignal:
    """SIGTERM and SIGINT, from the first moment of the process to its last.

    Handlers of `signal`, not of the event loop, so that they work while the user's
    module is imported and while a handler blocks the loop.

    Args:
        shutdown_timeout: Seconds that the app has for stopping.
        repeat_kills: A second signal ends the process at once. Not under a parent:
            a service manager may signal all processes of the service, and the
            parent then once more.

    Attributes:
        came: There was a signal.
    """

    def __init__(self, shutdown_timeout: float, *, repeat_kills: bool) -> None:
        self.came = False
        self._timeout = shutdown_timeout
        self._repeat_kills = repeat_kills
        self._callback: Callable[[], object] | None = None
        self._has_deadline = False
        self._listen()

    def call(self, callback: Callable[[], object]) -> None:
        """Call *callback* on the signal, instead of raising `KeyboardInterrupt`."""
        self._callback = callback
        self._listen()  # again, if the user's module has set handlers of its own
        if self.came:
            callback()

    def start_deadline(self) -> None:
        """End the process if it is still there when the time for stopping is over.

        Python waits for the thread of a handler that hangs, and cannot end it. This
        timer can, whatever else hangs, and prints where that is.
        """
        if self._has_deadline:
            return
        self._has_deadline = True
        # Its thread is to get no signal, not even before it blocks them itself: one
        # that another thread gets does not interrupt what blocks this one.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            faulthandler.dump_traceback_later(self._timeout + GRACE, exit=True)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _listen(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self.came:
            if self._repeat_kills:
                os._exit(128 + number)
            return
        self.came = True
        self.start_deadline()
        if self._callback is None:
            raise KeyboardInterrupt
        self._callback()


class Parent:
    """The process that started this one, at the other end of a socket."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)
        self._lock = threading.Lock()
        self._hears: Callable[[str], None] | None = None
        self._unheard: list[str] = []
        threading.Thread(target=self._watch, name="parent", daemon=True).start()

    def tell(self, report: Report, text: str = "") -> None:
        """Report to the parent, in one line."""
        line = " ".join([report, *text.split()])[:32_000]
        self._send(f"{line}\n".encode(errors="replace"))

    def show(self, snapshot: Snapshot) -> None:
        """Report to the parent how this worker is."""
        self._send(b"snapshot %b\n" % snapshot.to_json())

    def answer(self, line: bytes) -> None:
        """Report to the parent what became of a command."""
        self._send(b"answer %b\n" % line)

    def listen(self, hears: Callable[[str], None]) -> None:
        """Call *hears*, in a thread, with each line that the parent says."""
        with self._lock:
            unheard, self._unheard = self._unheard, []
            self._hears = hears
        for line in unheard:
            hears(line)

    def _send(self, line: bytes) -> None:
        # Two threads report; a line is never within another.
        with self._lock, contextlib.suppress(OSError):  # it has gone; see `_watch`
            self._socket.sendall(line)

    def _watch(self) -> None:
        """Take in what the parent says; stop when it is gone, however it went."""
        with contextlib.suppress(OSError), self._socket.makefile() as lines:
            for line in lines:
                with self._lock:
                    hears = self._hears
                    if hears is None:
                        self._unheard.append(line)
                if hears is not None:
                    hears(line)
        # What we print has no reader any more; it must not fail.
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        os.kill(os.getpid(), signal.SIGTERM)


def _tell(parent: Parent | None, report: Report, text: str = "") -> None:
    if parent is not None:
        parent.tell(report, text)
    elif text:
        sys.stderr.write(f"{text}\n")


class Watcher(Protocol):
    """Whom snapshots are shown to: the `Parent`."""

    def show(self, snapshot: Snapshot) -> None:
        """Take one."""


class HasSnapshot(Protocol):
    """What makes them: an app."""

    def snapshot(self) -> Snapshot:
        """Return what it looks like now."""


@contextlib.asynccontextmanager
async def shown_to(watcher: Watcher | None, app: HasSnapshot) -> AsyncIterator[None]:
    """Report a snapshot each second, and one at the end.

    It is made on the event loop, where nothing changes meanwhile. While that is blocked
    nothing changes either, so a thread makes it, which tells that it is blocked.
    """
    if watcher is None:
        yield
        return
    loop = asyncio.get_running_loop()
    ended = threading.Event()

    async def made() -> Snapshot:
        return app.snapshot()

    def show() -> None:
        turned = time.monotonic()
        while not ended.wait(INTERVAL):
            answer = asyncio.run_coroutine_threadsafe(made(), loop)
            try:
                snapshot = answer.result(INTERVAL)
                turned = time.monotonic()
            except CancelledError:  # the loop is being closed
                return
            except TimeoutError:
                answer.cancel()
                since = time.monotonic() - turned
                snapshot = with_blocked_loop(app.snapshot(), since)
            if not ended.is_set():
                watcher.show(snapshot)

    watcher.show(app.snapshot())
    thread = threading.Thread(target=show, name="snapshots", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        watcher.show(app.snapshot())


@contextlib.asynccontextmanager
async def commanded_by(parent: Parent | None, app: FastKafka) -> AsyncIterator[None]:
    """Do what the parent passes on, and answer it."""
    if parent is None:
        yield
        return
    loop = asyncio.get_running_loop()
    doing: set[asyncio.Task[None]] = set()

    async def do(line: str) -> None:
        asked = json.loads(line)
        answer = await obey(app.control, Command(**asked["command"]))
        said = b'{"id":%d,"answer":%b}' % (asked["id"], answer.to_json())
        # A socket that nobody reads must not block the loop.
        await asyncio.to_thread(parent.answer, said)

    def begin(line: str) -> None:
        task = loop.create_task(do(line))
        doing.add(task)
        task.add_done_callback(doing.discard)

    def hear(line: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: it is over
            loop.call_soon_threadsafe(begin, line)

    parent.listen(hear)
    yield


def _configure_output(log_level: str, log_format: str, *, brief: bool) -> None:
    """Log to stdout, and let every line out as it is written."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    configure_logging(log_level, log_format, brief=brief)


_COMPLETION = (
    "Shells complete the `fastkafka` command: `fastkafka --install-completion`. This "
    "one has only flags, which services write once."
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_fastkafka_server_process",
        description="Run one worker of an app in the foreground.",
    )
    parser.add_argument("app", metavar="APP", help="The app, as module:attribute.")
    parser.add_argument("--kafka-broker", required=True)
    parser.add_argument("--log-level", default="info")
    parser.add_argument("--log-format", choices=list(LogFormat), default="text")
    parser.add_argument("--shutdown-timeout", type=float, default=25.0)
    for flag in ("--install-completion", "--show-completion"):
        parser.add_argument(
            flag, action="version", version=_COMPLETION, help="See `fastkafka --help`."
        )
    parser.add_argument("--control", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--commands", default="[]", help=argparse.SUPPRESS)
    parser.add_argument("--brief", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--snapshots", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
