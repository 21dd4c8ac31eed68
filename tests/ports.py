"""Ports for tests that name one before anybody listens there."""

from __future__ import annotations

import contextlib
import random
import socket


def unused_port() -> int:
    """Return a port that nobody has and nobody gets, as little as its neighbour.

    Who asks the system for any port gets a higher one: from 32768 on, or 49152.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with (
            contextlib.suppress(OSError),
            socket.create_server(("127.0.0.1", port)),
            socket.create_server(("127.0.0.1", port + 1)),
        ):
            return port
