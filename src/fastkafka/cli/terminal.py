"""What the command itself says: coloured in a terminal, plain in a pipe."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text


def say(message: str) -> None:
    """Print a line on stdout."""
    Console().print(Text(message), soft_wrap=True)


def complain(message: str) -> None:
    """Print a line on stderr, red in a terminal."""
    Console(stderr=True).print(Text(message, style="red"), soft_wrap=True)
