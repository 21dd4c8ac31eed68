"""One worker process, as its parent sees it.

Between the two are three channels. Whatever the worker writes to stdout and stderr
comes out on ours, each line behind `[pid]: `. And there is a socket: the worker
reports on it how far it has come, and notices by its end that the parent is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Literal, Protocol, cast

logger = logging.getLogger("fastkafka._components._subprocess")
"""The original's, whose lines scripts of users wait for."""

LONGEST_LINE = 1024 * 1024
"""Bytes; what is longer is printed in pieces, so that no worker can fill our memory."""

LAST_WORDS = 1.0
"""Seconds that a dead worker's pipes may stay open: a process that it has started may
hold them, and we do not wait for that one."""


class Lines:
    """Cut a stream of bytes into whole lines, each behind a prefix.

    Bytes, because a worker may write anything, and what it writes is not ours to
    change. Lines of several workers may mix, but never within a line.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix.encode()
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Take in *data* and return the lines that it completes."""
        *lines, rest = (self._rest + data).split(b"\n")
        while len(rest) > LONGEST_LINE:
            lines.append(rest[:LONGEST_LINE])
            rest = rest[LONGEST_LINE:]
        self._rest = rest
        return b"".join(b"%b%b\n" % (self._prefix, line) for line in lines)

    def end(self) -> bytes:
        """Return what came after the last line end, as a line."""
        return self.feed(b"\n") if self._rest else b""


Report = Literal["loaded", "ready", "error", "unavailable"]
"""What a worker says on the socket, in a line of its own.

loaded: the app is imported and can be started. ready: it has started. error,
unavailable: why it cannot start, in one sentence; the latter may pass by itself.
"""


class Output(Protocol):
    """Where a worker's lines go."""

    def __call__(self, descriptor: int, lines: bytes) -> None:
        """Write *lines* to stdout (1) or stderr (2)."""


class WorkerProcess:
    """A running worker.

    Attributes:
        pid: Its process id.
        ready: It has reported that its app has started.
        error: Why it could not start, in its own words.
        transient: That reason may pass by itself: no broker answered.
    """

    def __init__(
        self,
        transport: asyncio.SubprocessTransport,
        streams: _Streams,
        reports: socket.socket,
        on_report: Callable[[Report], None],
    ) -> None:
        self.pid: int = transport.get_pid()
        self.ready = False
        self.error: str | None = None
        self.transient = False
        self._asked = False
        self._transport = transport
        self._streams = streams
        self._on_report = on_report
        self._reports = asyncio.create_task(self._read_reports(reports))

    @classmethod
    async def start(
        cls,
        command: Callable[[int], Sequence[str]],
        output: Output,
        on_report: Callable[[Report], None],
    ) -> WorkerProcess:
        """Start a worker.

        It gets a session of its own: a Ctrl-C in the terminal then reaches the
        parent alone, which tells the workers once. It is spawned, not forked: no
        Kafka client would survive that.

        Args:
            command: The arguments, given the descriptor of the worker's socket.
            output: Takes what the worker prints.
            on_report: Called with what the worker reports.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            transport, streams = await asyncio.get_running_loop().subprocess_exec(
                lambda: _Streams(output),
                *command(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        return cls(transport, streams, ours, on_report)

    def terminate(self) -> None:
        """Ask it to stop (SIGTERM)."""
        self._asked = True
        logger.info(
            "terminate_asyncio_process(): Terminating the process %s...", self.pid
        )
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            self._transport.terminate()

    def kill(self) -> None:
        """End it and whatever it has started in its session (SIGKILL)."""
        if self._transport.get_returncode() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    async def ended(self) -> int:
        """Wait until it is gone and all it said is passed on.

        Returns:
            Its exit code, or minus the number of the signal that killed it.
        """
        await self._streams.exited.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                await self._streams.closed.wait()
                await self._reports
        self._transport.close()
        self._streams.close()
        self._reports.cancel()
        code = self._transport.get_returncode()
        assert code is not None
        if self._asked:
            how = "killed!" if code == -signal.SIGKILL else "terminated."
            logger.info("terminate_asyncio_process(): Process %s %s", self.pid, how)
        return code

    async def _read_reports(self, reports: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=reports)
        try:
            while line := await reader.readline():
                word, _, text = line.decode().rstrip("\n").partition(" ")
                report = cast(Report, word)
                if report == "ready":
                    self.ready = True
                elif report in ("error", "unavailable"):
                    self.error = text
                    self.transient = report == "unavailable"
                self._on_report(report)
        finally:
            writer.close()


class _Streams(asyncio.SubprocessProtocol):
    """What asyncio tells of a process, and what the process prints."""

    def __init__(self, output: Output) -> None:
        self.exited = asyncio.Event()
        self.closed = asyncio.Event()
        self._output = output
        self._lines: dict[int, Lines] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn the pid, which each line begins with."""
        pid = cast(asyncio.SubprocessTransport, transport).get_pid()
        self._lines = {fd: Lines(f"[{pid}]: ") for fd in (1, 2)}

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Pass on what the process printed."""
        if lines := self._lines[fd].feed(data):
            self._output(fd, lines)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Pass on a last line that has no end."""
        if (lines := self._lines.pop(fd, None)) and (rest := lines.end()):
            self._output(fd, rest)
        if not self._lines:
            self.closed.set()

    def process_exited(self) -> None:
        """Hear that the process is gone; its pipes may still hold something."""
        self.exited.set()

    def close(self) -> None:
        """Wait no longer for what the pipes may hold."""
        for fd in tuple(self._lines):
            self.pipe_connection_lost(fd, None)
