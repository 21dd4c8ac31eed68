"""What `fastkafka run` logs: parent and workers in one form, on stdout."""

from __future__ import annotations

import logging
import sys
from enum import StrEnum

from fastkafka.observe.jsonlog import JsonFormatter


class LogFormat(StrEnum):
    """How records are printed."""

    TEXT = "text"
    JSON = "json"


def configure_logging(level: str, log_format: str = LogFormat.TEXT) -> None:
    """Print log records from a level on, whatever a logger's own level is.

    Args:
        level: "debug", "info", "warning", "error" or "critical".
        log_format: "text", or "json": one object in a line, Python's warnings too.
    """
    logging.basicConfig(
        stream=sys.stdout,
        level=level.upper(),
        format="[%(levelname)s] %(name)s: %(message)s",
    )
    for handler in logging.getLogger().handlers:
        handler.setLevel(level.upper())
        if log_format == LogFormat.JSON:
            handler.setFormatter(JsonFormatter())
    if log_format == LogFormat.JSON:
        logging.captureWarnings(True)
