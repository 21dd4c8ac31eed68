"""A worker: one process that runs one app until it is told to stop.

`fastkafka run` starts these. `run_fastkafka_server_process` is the same in the
foreground, without a parent.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import faulthandler
import gc
import io
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType

from fastkafka.app import FastKafka
from fastkafka.cli.embedded import reachable
from fastkafka.cli.loading import UserModuleError, load_app, user_traceback
from fastkafka.cli.logs import configure_logging
from fastkafka.cli.original_log import OriginalLog
from fastkafka.cli.process import Report
from fastkafka.errors import BrokerUnavailableError, FastKafkaError

GRACE = 1.0
"""Seconds after the deadline of a stop until a process that hangs is ended."""

_ADDRESSES = re.compile(r"[^\s,]+:\d+(,[^\s,]+:\d+)*")


def main() -> None:
    """Run a worker with the arguments of the command line."""
    sys.exit(run_worker(sys.argv[1:]))


def run_worker(arguments: Sequence[str]) -> int:
    """Run a worker and return its exit code: 0 if it was told to stop and did."""
    options = _parser().parse_args(arguments)
    parent = None if options.control is None else Parent(options.control)
    try:
        stop = StopSignal(options.shutdown_timeout, repeat_kills=parent is None)
        _configure_output(options.log_level)
        with reachable(options.kafka_broker) as kafka_broker:
            app = load_app(options.app)
            log = OriginalLog(app)
            _point(app, kafka_broker)
            log.broker_is_chosen()
            app.shutdown_timeout = options.shutdown_timeout
            _tell(parent, "loaded")
            return asyncio.run(_serve(app, stop, lambda: _tell(parent, "ready"), log))
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
    app: FastKafka, stop: StopSignal, on_ready: Callable[[], None], log: OriginalLog
) -> int:
    """Run *app* until the signal or until it fails; return the exit code.

    A signal while the app starts cancels the start; what was opened is closed.
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
    try:
        async with app:
            running = asyncio.ensure_future(app.wait_stopped())
            on_ready()
            # What has been loaded stays: the garbage collector need not look at it
            # again and again while records come and go.
            gc.collect()
            gc.freeze()
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
        if not self._has_deadline:
            self._has_deadline = True
            faulthandler.dump_traceback_later(self._timeout + GRACE, exit=True)

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
        threading.Thread(target=self._watch, name="parent", daemon=True).start()

    def tell(self, report: Report, text: str = "") -> None:
        """Report to the parent, in one line."""
        line = " ".join([report, *text.split()])[:32_000]
        with contextlib.suppress(OSError):  # it has gone; `_watch` sees to that
            self._socket.sendall(f"{line}\n".encode(errors="replace"))

    def _watch(self) -> None:
        """Stop when the parent is gone, however it went."""
        with contextlib.suppress(OSError):
            self._socket.recv(1)
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


def _point(app: FastKafka, kafka_broker: str) -> None:
    """Let *app* use the broker that the command line names."""
    if _ADDRESSES.fullmatch(kafka_broker):
        app.set_bootstrap_servers(kafka_broker)
    else:
        app.set_kafka_broker(kafka_broker)


def _configure_output(log_level: str) -> None:
    """Log to stdout, and let every line out as it is written."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    configure_logging(log_level)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_fastkafka_server_process",
        description="Run one worker of an app in the foreground.",
    )
    parser.add_argument("app", metavar="APP", help="The app, as module:attribute.")
    parser.add_argument("--kafka-broker", required=True)
    parser.add_argument("--log-level", default="info")
    parser.add_argument("--shutdown-timeout", type=float, default=25.0)
    parser.add_argument("--control", type=int, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
