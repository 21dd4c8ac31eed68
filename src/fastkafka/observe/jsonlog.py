"""Log records as JSON, one object in a line, for machines that collect them."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping
from typing import Any

from fastkafka.tracebacks import ErrorFormatter

_OF_EVERY_RECORD = frozenset(
    {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
)
"""Attributes that say nothing beyond the fields below; others are from `extra=`."""


class JsonFormatter(ErrorFormatter):
    """Writes time, level, logger, message and pid, what `extra` has, and an error.

    The engine's records have topic, partition, offset, key and attempt where there are
    such. What the app itself says through `extra` is kept as well.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        more = {
            name: _text(value) if isinstance(value, bytes) else value
            for name, value in vars(record).items()
            if name not in _OF_EVERY_RECORD
        }
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            kind = type(error)
            more["exception"] = {
                "type": f"{kind.__module__}.{kind.__qualname__}",
                "message": str(error),
                "stack": self.formatException(record.exc_info),
            }
        return json_line(
            record.getMessage(),
            time=record.created,
            level=record.levelname,
            logger=record.name,
            pid=record.process or os.getpid(),
            more=more,
        )


def json_line(
    message: str,
    *,
    level: str,
    logger: str,
    pid: int,
    time: float,
    more: Mapping[str, Any] | None = None,
) -> str:
    """Return what was said as one line.

    Args:
        message: What was said.
        level: "INFO" and so on.
        logger: Who said it.
        pid: In which process.
        time: Epoch seconds.
        more: Further fields; what is no JSON is written as its `str`.
    """
    fields = {
        "time": _stamp(time),
        "level": level,
        "logger": logger,
        "message": message,
        "pid": pid,
    }
    return json.dumps({**fields, **(more or {}), **fields}, default=str, skipkeys=True)


def _stamp(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"


def _text(raw: bytes) -> str:
    return raw.decode(errors="backslashreplace")
