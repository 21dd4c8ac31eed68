"""What the command itself says: coloured in a terminal, plain in a pipe."""

from __future__ import annotations

import logging

from rich.console import Console
from rich.text import Text

logger = logging.getLogger("fastkafka.cli")

_in_log = False


def speak_in_log() -> None:
    """Log from now on what the command says, so that all that it prints is JSON."""
    global _in_log
    _in_log = True


def say(message: str) -> None:
    """Print a line on stdout."""
    if _in_log:
        logger.info("%s", message)
    else:
        Console().print(Text(message), soft_wrap=True)


def complain(message: str) -> None:
    """Print a line on stderr, red in a terminal."""
    if _in_log:
        logger.error("%s", message)
    else:
        Console(stderr=True).print(Text(message, style="red"), soft_wrap=True)
