"""Errors as text: the same as Python's, however often a place fails."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from functools import partial

import pytest

from fastkafka import tracebacks
from fastkafka.errors import Reject
from fastkafka.tracebacks import ErrorFormatter, format_error


class Unspeakable(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise ValueError("no text")


def fails(number: int) -> None:
    raise ValueError(f"number {number}")


def raised_by(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except BaseException as error:  # noqa: BLE001 - whatever it raises
        return error
    raise AssertionError("it did not raise")


def _from_another() -> None:
    try:
        fails(1)
    except ValueError as error:
        raise KeyError("other") from error


def _while_handling() -> None:
    try:
        fails(1)
    except ValueError:
        raise KeyError("other")  # noqa: B904 - the case is that it has a context


def _instead_of_another() -> None:
    try:
        fails(1)
    except ValueError:
        raise KeyError("other") from None


def _with_a_note() -> None:
    error = ValueError("noted")
    error.add_note("a note\nof two lines")
    raise error


def _group() -> None:
    raise ExceptionGroup("several", [ValueError("one"), KeyError("two")])


def _raise(error: BaseException) -> Callable[[], None]:
    def function() -> None:
        raise error

    return function


@pytest.mark.parametrize(
    "function",
    [
        lambda: fails(1),
        _raise(ValueError()),
        _raise(ValueError("two\nlines")),
        _raise(Reject("why")),
        _raise(SystemExit(3)),
        _raise(Unspeakable()),
        lambda: compile("a b", "somewhere", "exec"),
        lambda: [].push(1),  # type: ignore[attr-defined]
        lambda: appned,  # type: ignore[name-defined] # noqa: F821
        _from_another,
        _while_handling,
        _instead_of_another,
        _with_a_note,
        _group,
    ],
)
def test_an_error_reads_as_python_writes_it(function: Callable[[], object]) -> None:
    error = raised_by(function)
    for _ in range(2):
        assert format_error(error) == "".join(traceback.format_exception(error))


def test_an_error_that_was_not_raised_has_its_line() -> None:
    assert format_error(ValueError("x")) == "ValueError: x\n"


def test_a_place_that_fails_again_says_what_was_wrong_this_time() -> None:
    for number in range(3):
        text = format_error(raised_by(partial(fails, number)))
        assert text.endswith(f"ValueError: number {number}\n")


def test_two_places_are_told_apart() -> None:
    one = raised_by(lambda: fails(1))
    other = raised_by(lambda: int("x"))
    assert 'raise ValueError(f"number {number}")' in format_error(one)
    assert "raise ValueError" not in format_error(other)


def test_places_are_not_remembered_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracebacks, "MOST_PLACES", 5)
    monkeypatch.setattr(tracebacks, "_frames_of", {})
    for number in range(20):
        scope: dict[str, Callable[[], None]] = {}
        exec(f"def fail(): raise ValueError({number})", scope)
        text = format_error(raised_by(scope["fail"]))
        assert text.endswith(f"ValueError: {number}\n")
        assert len(tracebacks._frames_of) <= 5


def test_a_log_record_shows_it() -> None:
    formatter = ErrorFormatter("%(message)s")
    error = raised_by(lambda: fails(1))
    record = logging.LogRecord("x", 40, "f.py", 1, "It failed", (), None)
    record.exc_info = type(error), error, error.__traceback__
    assert formatter.format(record) == "It failed\n" + format_error(error).rstrip("\n")
