"""`--http HOST:PORT`: the socket, which the parent holds, whoever serves it."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator

from fastkafka.errors import ConfigError

BACKLOG = 128
"""Connections that wait while the web process starts, or starts again."""


@contextlib.contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    """Listen at an address.

    Args:
        address: ``host:port``; port 0 is a free one.

    Raises:
        ConfigError: It is no such address, or not to be had.
    """
    host, separator, port = address.rpartition(":")
    if not separator or not host or not port.isdecimal() or int(port) > 65_535:
        raise ConfigError(
            f"`--http` {address!r} is not an address. Write `127.0.0.1:8080`."
        )
    host = host.strip("[]")
    try:
        (family, *_, bound), *_ = socket.getaddrinfo(
            host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        server = socket.create_server(bound[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"{address} is in use. Choose another port with `--http`; 0 is a free "
                "one."
            ) from error
        reason = str(error.strerror).partition(" (")[0]  # the rest is the address
        raise ConfigError(
            f"Cannot listen at {address}: {reason}. Use an address of this "
            "machine: `--http 127.0.0.1:8080`."
        ) from error
    with server:
        yield server


def url_of(server: socket.socket) -> str:
    """Return where a browser finds it."""
    host, port = server.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
