"""What the original's notebooks used."""

from __future__ import annotations

import hashlib
import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import AsyncMock, patch

from fastkafka.errors import ConfigError

_servers: dict[int, ThreadingHTTPServer] = {}


def nb_safe_seed(s: str) -> Callable[..., int]:
    """Return a function that makes random seeds, others for each notebook.

    Args:
        s: What tells notebooks apart, such as the name of one.

    Returns:
        A function that takes a number and returns a seed, the same at every run.
    """
    first = int(hashlib.sha256(s.encode()).hexdigest(), 16) % 10**8

    def seed(x: int = 0) -> int:
        return first + x

    return seed


async def display_docs(docs_path: str, port: int = 4000) -> None:
    """Show the page of an app's documentation in a notebook.

    Args:
        docs_path: The folder of the page, ``asyncapi/docs``.
        port: Where it is served on 127.0.0.1, until the notebook's process ends or
            another one is displayed there.

    Raises:
        ConfigError: IPython is not installed.
    """
    try:
        display = importlib.import_module("IPython.display")
    except ImportError:
        raise ConfigError(
            "`display_docs` shows the page in a notebook, which needs IPython. "
            "Elsewhere, use `fastkafka docs serve`."
        ) from None
    if port in _servers:
        before = _servers.pop(port)
        before.shutdown()
        before.server_close()
    handler = partial(_QuietHandler, directory=docs_path)
    server = _servers[port] = ThreadingHTTPServer(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    display.display(
        display.IFrame(f"http://127.0.0.1:{port}", width="100%", height=700)
    )


@contextmanager
def mock_AIOKafkaProducer_send() -> Iterator[AsyncMock]:
    """Replace `AIOKafkaProducer.send` of the main program until the end of the block.

    For programs that use aiokafka themselves. FastKafka does not.

    Raises:
        ConfigError: The main program has no `AIOKafkaProducer`.
    """
    producer = getattr(sys.modules["__main__"], "AIOKafkaProducer", None)
    if producer is None:
        raise ConfigError(
            "`mock_AIOKafkaProducer_send` replaces a method of the `AIOKafkaProducer` "
            "that the main program imports, but it imports none. An app does not use "
            "it: test the app with `Tester(app)`."
        )
    with patch.object(producer, "send", new_callable=AsyncMock) as mock:
        yield mock


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: the notebook is no log."""
