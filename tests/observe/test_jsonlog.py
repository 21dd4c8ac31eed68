"""Log records as JSON."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from fastkafka.observe.jsonlog import JsonFormatter, json_line


def written(message: str = "hello", *args: object, **fields: Any) -> dict[str, Any]:
    """Return what one record becomes, read back."""
    record = logging.makeLogRecord(
        {
            "name": "shop",
            "levelname": "ERROR",
            "msg": message,
            "args": args,
            "created": 1795569138.0625,
            "process": 7,
            **fields,
        }
    )
    line = JsonFormatter().format(record)
    assert "\n" not in line
    read: dict[str, Any] = json.loads(line)
    return read


def test_a_record_has_time_level_logger_message_and_pid() -> None:
    assert written("%d of %d", 1, 2) == {
        "time": "2026-11-25T01:12:18.062Z",
        "level": "ERROR",
        "logger": "shop",
        "message": "1 of 2",
        "pid": 7,
    }


def test_a_failure_has_where_it_was_and_what_was_raised() -> None:
    def fails() -> None:
        raise ValueError("no such\nfruit")

    with pytest.raises(ValueError, match="fruit") as raised:
        fails()
    error = raised.value
    said = written(
        topic="orders",
        partition=3,
        offset=2**53 + 1,
        key=b"c-9022",
        attempt=2,
        exc_info=(type(error), error, error.__traceback__),
    )

    assert said["topic"] == "orders"
    assert said["partition"] == 3
    assert said["offset"] == 2**53 + 1
    assert said["key"] == "c-9022"
    assert said["attempt"] == 2
    assert said["exception"]["type"] == "builtins.ValueError"
    assert said["exception"]["message"] == "no such\nfruit"
    assert "in fails" in said["exception"]["stack"]


def test_bytes_that_are_no_text_are_escaped() -> None:
    assert written(key=b"\xff\x00a")["key"] == "\\xff\x00a"


def test_a_record_without_a_key_says_so() -> None:
    assert written(key=None)["key"] is None


def test_what_is_no_json_is_written_as_text() -> None:
    assert written(order=pytest)["order"] == str(pytest)


def test_extra_fields_do_not_take_the_place_of_ours() -> None:
    said = written(level="none", time="never", pid=0)

    assert said["level"] == "ERROR"
    assert said["time"] == "2026-11-25T01:12:18.062Z"
    assert said["pid"] == 7


def test_text_that_no_encoding_has_is_still_a_line() -> None:
    line = json_line("\ud800\n", level="INFO", logger="a", pid=1, time=0.0)

    assert line.isascii()
    assert json.loads(line)["message"] == "\ud800\n"
