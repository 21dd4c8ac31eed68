"""What the command itself says: coloured in a terminal, plain in a pipe."""

from __future__ import annotations

import logging
import os
import sys
from typing import TextIO

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
        _print(message, sys.stdout)


def complain(message: str) -> None:
    """Print a line on stderr, red in a terminal."""
    if _in_log:
        logger.error("%s", message)
    else:
        _print(message, sys.stderr, "red")


def _print(message: str, stream: TextIO, style: str = "") -> None:
    if stream.isatty() or os.environ.keys() & {"FORCE_COLOR", "TTY_COMPATIBLE"}:
        # It takes as long to import as Typer, and services have no terminal.
        from rich.console import Console  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        Console(file=stream).print(Text(message, style), soft_wrap=True)
        return
    try:
        stream.write(f"{message}\n")
        stream.flush()
    except BrokenPipeError:
        # Nobody reads it any more; what is still said goes nowhere.
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
