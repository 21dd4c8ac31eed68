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
import time
from collections.abc import Callable, Sequence
from typing import Literal, Protocol, cast

from fastkafka.observe.jsonlog import json_line

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
        return b"".join(b"%b\n" % self._dressed(line) for line in lines)

    def end(self) -> bytes:
        """Return what came after the last line end, as a line."""
        return self.feed(b"\n") if self._rest else b""

    def _dressed(self, line: bytes) -> bytes:
        return self._prefix + line


class JsonLines(Lines):
    """Cut a stream into lines of JSON: what is none becomes the message of one.

    Args:
        pid: Who writes it.
        descriptor: Where: 1 is stdout, 2 stderr.
    """

    def __init__(self, pid: int, descriptor: int) -> None:
        super().__init__("")
        self._pid = pid
        self._descriptor = descriptor

    def _dressed(self, line: bytes) -> bytes:
        if line.startswith(b"{") and line.endswith(b"}"):
            return line
        return json_line(
            line.decode(errors="backslashreplace"),
            level="INFO" if self._descriptor == 1 else "WARNING",
            logger="stdout" if self._descriptor == 1 else "stderr",
            pid=self._pid,
            time=time.time(),
        ).encode()


def prefixed(pid: int, descriptor: int) -> Lines:
    """Return what puts `[pid]: ` before each line of a process."""
    return Lines(f"[{pid}]: ")


Report = Literal[
    "loaded", "ready", "error", "unavailable", "snapshot", "control", "answer"
]
"""What a worker says on the socket, in a line of its own.

loaded: the app is imported and can be started; the names of its topics. ready: it has
started. error, unavailable: why it cannot start, in one sentence; the latter may pass
by itself. snapshot: how it is, as JSON, each second if it was asked to. control: what
the web process wants of the workers; answer: what one says to that; see relay.py.
"""

LONGEST_REPORT = 64 * 1024 * 1024
"""Bytes; a snapshot has about 200 for each partition."""


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
        on_report: Callable[[Report, str], None],
    ) -> None:
        self.pid: int = transport.get_pid()
        self.ready = False
        self.error: str | None = None
        self.transient = False
        self._asked = False
        self._writer: asyncio.StreamWriter | None = None
        self._unsent: list[bytes] = []
        self._transport = transport
        self._streams = streams
        self._on_report = on_report
        self._reports = asyncio.create_task(self._read_reports(reports))

    @classmethod
    async def start(
        cls,
        command: Callable[[int], Sequence[str]],
        output: Output,
        on_report: Callable[[Report, str], None],
        lines: Callable[[int, int], Lines] = prefixed,
        pass_fds: Sequence[int] = (),
    ) -> WorkerProcess:
        """Start a worker.

        It gets a session of its own: a Ctrl-C in the terminal then reaches the
        parent alone, which tells the workers once. It is spawned, not forked: no
        Kafka client would survive that.

        Args:
            command: The arguments, given the descriptor of the worker's socket.
            output: Takes what the worker prints.
            on_report: Called with what the worker reports, and its text.
            lines: Makes what cuts a stream of it into lines: of its process id, and
                1 for stdout or 2 for stderr.
            pass_fds: Descriptors that it inherits, besides that socket's.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            transport, streams = await asyncio.get_running_loop().subprocess_exec(
                lambda: _Streams(output, lines),
                *command(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno(), *pass_fds],
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        return cls(transport, streams, ours, on_report)

    def tell(self, line: bytes) -> None:
        """Write a line to its socket, unless it has not taken the last one yet."""
        if self._writer and not self._writer.transport.get_write_buffer_size():
            self._writer.write(line)

    def send(self, line: bytes) -> None:
        """Write a line to its socket that must not be left out."""
        if self._writer is None:
            self._unsent.append(line)
        else:
            self._writer.write(line)

    def terminate(self) -> None:
        """Ask it to stop (SIGTERM)."""
        self._asked = True
        logger.info(
            "terminate_asyncio_process(): Terminating the process %s...", self.pid
        )
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            self._transport.terminate()

    def ask_for_a_report(self) -> None:
        """Let it print what it is doing (SIGUSR1), once it is ready."""
        if self.ready:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                self._transport.send_signal(signal.SIGUSR1)

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
        reader, writer = await asyncio.open_connection(
            sock=reports, limit=LONGEST_REPORT
        )
        self._writer = writer
        writer.writelines(self._unsent)
        try:
            while line := await reader.readline():
                word, _, text = line.decode().rstrip("\n").partition(" ")
                report = cast(Report, word)
                if report == "ready":
                    self.ready = True
                elif report in ("error", "unavailable"):
                    self.error = text
                    self.transient = report == "unavailable"
                self._on_report(report, text)
        except ConnectionResetError:
            pass  # it has ended without having read all that we told it
        finally:
            writer.close()


class _Streams(asyncio.SubprocessProtocol):
    """What asyncio tells of a process, and what the process prints."""

    def __init__(self, output: Output, lines: Callable[[int, int], Lines]) -> None:
        self.exited = asyncio.Event()
        self.closed = asyncio.Event()
        self._output = output
        self._make_lines = lines
        self._lines: dict[int, Lines] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn the pid, which each line begins with."""
        pid = cast(asyncio.SubprocessTransport, transport).get_pid()
        self._lines = {fd: self._make_lines(pid, fd) for fd in (1, 2)}

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
