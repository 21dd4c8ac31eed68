"""Files over HTTP, until somebody presses Ctrl-C."""

from __future__ import annotations

import errno
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from fastkafka.errors import ConfigError

_STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder: Path, bind: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in bind else socket.AF_INET
        handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
        super().__init__((bind, port), handler)

    @property
    def address(self) -> str:
        host, port = self.server_address[:2]
        text = str(host)
        return f"http://{f'[{text}]' if ':' in text else text}:{port}"


@contextmanager
def serve_folder(
    folder: Path, bind: str, port: int
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Serve a folder.

    Args:
        folder: Whose files.
        bind: The address to listen at.
        port: 0 is a free one.

    Yields:
        Where it listens, and a function that waits for SIGINT or SIGTERM.

    Raises:
        ConfigError: It cannot listen there.
    """
    # A signal waits for `sigwait`, however early it comes.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        server = _listen(folder, bind, port)
        with server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield server.address, partial(signal.sigwait, _STOP_SIGNALS)
            finally:
                server.shutdown()
                thread.join()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)


def _listen(folder: Path, bind: str, port: int) -> _Server:
    try:
        return _Server(folder, bind, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"{bind}:{port} is in use. Choose another port with `--port`; 0 is a "
                "free one."
            ) from error
        raise ConfigError(
            f"Cannot listen at {bind}:{port}: {error.strerror}. "
            "Use an address of this machine: `--bind 127.0.0.1`."
        ) from error
