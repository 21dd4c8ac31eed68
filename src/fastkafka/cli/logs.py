"""What `fastkafka run` logs: parent and workers in one form, on stdout."""

from __future__ import annotations

import copy
import logging
import sys
import traceback
from enum import StrEnum

from fastkafka.observe.jsonlog import JsonFormatter
from fastkafka.tracebacks import ErrorFormatter, user_frames

_TEXT = "[%(levelname)s] %(name)s: %(message)s"

_ASSIGNMENTS = "fastkafka.engine.consumer"
"""Who logs them, at INFO."""


class LogFormat(StrEnum):
    """How records are printed."""

    TEXT = "text"
    JSON = "json"


class BriefFormatter(ErrorFormatter):
    """One line for each event, for who writes an app: `fastkafka dev`.

    Only what failed for good shows where, in the user's own code and what that called.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        error = record.exc_info[1] if record.exc_info else None
        if error is None or not record.name.startswith("fastkafka."):
            return super().format(record)
        line = copy.copy(record)
        line.exc_info = line.exc_text = None
        text, frames = super().format(line), user_frames(error)
        if record.levelno < logging.ERROR or frames is None:
            return text
        where = traceback.format_exception(type(error), error, frames)
        return f"{text}\n{''.join(where)}".removesuffix("\n")


def show_assignments(handler: logging.Handler) -> None:
    """Let a handler print, too, which partitions an app gets and gives up."""
    least = handler.level
    handler.setLevel(min(least, logging.INFO))
    handler.addFilter(lambda one: one.levelno >= least or one.name == _ASSIGNMENTS)
    logging.getLogger(_ASSIGNMENTS).setLevel(handler.level)


def configure_logging(
    level: str, log_format: str = LogFormat.TEXT, *, brief: bool = False
) -> None:
    """Print log records from a level on, whatever a logger's own level is.

    Args:
        level: "debug", "info", "warning", "error" or "critical".
        log_format: "text", or "json": one object in a line, Python's warnings too.
        brief: See `BriefFormatter`; and which partitions come and go is printed, too.
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
        elif brief:
            handler.setFormatter(BriefFormatter(_TEXT))
            show_assignments(handler)
    if log_format == LogFormat.JSON:
        logging.captureWarnings(True)
