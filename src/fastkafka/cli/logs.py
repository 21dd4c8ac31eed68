"""What `fastkafka run` logs: parent and workers in one form, on stdout."""

from __future__ import annotations

import logging
import sys


def configure_logging(level: str) -> None:
    """Print log records from a level on, whatever a logger's own level is.

    Args:
        level: "debug", "info", "warning", "error" or "critical".
    """
    logging.basicConfig(
        stream=sys.stdout,
        level=level.upper(),
        format="[%(levelname)s] %(name)s: %(message)s",
    )
    for handler in logging.getLogger().handlers:
        handler.setLevel(level.upper())
