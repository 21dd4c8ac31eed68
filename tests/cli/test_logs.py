"""What is printed of log records while somebody writes an app."""

from __future__ import annotations

import logging

import pytest

from fastkafka.cli.logs import BriefFormatter, show_assignments
from fastkafka.errors import HandlerError


def users_function() -> None:
    raise ValueError("odd")


def record(level: int, name: str = "fastkafka.engine.recovery") -> logging.LogRecord:
    """A record of an error whose first frames are Kafka's, so to speak."""
    with pytest.raises(ValueError, match="odd") as caught:
        users_function()
    told = caught._excinfo
    text = "orders[0]@1 failed; again in 1 s"
    return logging.LogRecord(name, level, "x.py", 1, text, (), told)


def printed(one: logging.LogRecord) -> list[str]:
    return BriefFormatter("[%(levelname)s] %(message)s").format(one).splitlines()


def test_what_is_tried_again_is_one_line() -> None:
    assert printed(record(logging.WARNING)) == [
        "[WARNING] orders[0]@1 failed; again in 1 s"
    ]


def test_what_failed_for_good_shows_where_in_the_code_of_the_user() -> None:
    first, *more, last = printed(record(logging.ERROR))
    assert first == "[ERROR] orders[0]@1 failed; again in 1 s"
    assert more[0] == "Traceback (most recent call last):"
    assert more[-1].strip() == 'raise ValueError("odd")'
    assert last == "ValueError: odd"


def test_an_error_outside_of_the_users_code_is_one_line() -> None:
    """Such as a record that does not fit: the line says why."""
    error = HandlerError("x", topic="orders", partition=0, offset=1)
    told = (type(error), error, None)
    name = "fastkafka.engine.recovery"
    one = logging.LogRecord(name, logging.ERROR, "x.py", 1, "it failed", (), told)
    assert printed(one) == ["[ERROR] it failed"]


def test_what_the_users_own_loggers_say_is_left_as_it_is() -> None:
    lines = printed(record(logging.WARNING, "shop"))
    assert lines[1] == "Traceback (most recent call last):"


@pytest.mark.parametrize(
    ("level", "name", "shown"),
    [
        (logging.INFO, "fastkafka.engine.consumer", True),
        (logging.INFO, "fastkafka.app", False),
        (logging.WARNING, "fastkafka.app", True),
        (logging.DEBUG, "fastkafka.engine.consumer", False),
    ],
)
def test_assignments_are_shown_though_they_are_no_warnings(
    level: int, name: str, shown: bool
) -> None:
    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record)

    kept: list[logging.LogRecord] = []
    logger, handler = logging.getLogger(name), Keeping(logging.WARNING)
    assignments = logging.getLogger("fastkafka.engine.consumer")
    before = assignments.level
    logger.addHandler(handler)
    try:
        show_assignments(handler)
        logger.log(level, "it happened")
    finally:
        logger.removeHandler(handler)
        assignments.setLevel(before)
    assert bool(kept) == shown
