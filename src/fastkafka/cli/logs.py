"""What `fastkafka run` logs: parent and workers in one form, on stdout."""

from __future__ import annotations

import logging
import sys
from enum import StrEnum

from fastkafka.observe.jsonlog import JsonFormatter
from fastkafka.tracebacks import ErrorFormatter

_TEXT = "[%(levelname)s] %(name)s: %(message)s"


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
    root = logging.getLogger()
    if not root.handlers:  # else somebody has said how it is to look
        logging.basicConfig(stream=sys.stdout)
        root.handlers[0].setFormatter(ErrorFormatter(_TEXT))
        root.setLevel(level.upper())
    for handler in root.handlers:
        handler.setLevel(level.upper())
        if log_format == LogFormat.JSON:
            handler.setFormatter(JsonFormatter())
    if log_format == LogFormat.JSON:
        logging.captureWarnings(True)
