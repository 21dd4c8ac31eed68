"""Errors as text, for logs and dead letters: quick when the same place fails again.

A service whose database is away fails thousands of times at one line. Formatting a
traceback takes longer than handling a hundred records: Python reads the source again
for each of its lines. So the frames of a place are formatted once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import traceback
from pathlib import Path
from types import CodeType, TracebackType

MOST_PLACES = 256
"""How many places are remembered before they are forgotten, all of them."""

_Place = tuple[int, ...]

_frames_of: dict[_Place, tuple[list[CodeType], str]] = {}
"""The formatted frames of a place. The code objects are kept with them, so that no
other one gets their `id`."""

_BARE = ("builtins", "__main__")
"""Modules that are not named before an error's class."""

_WITH_A_GUESS = (NameError, AttributeError, ImportError)
"""Python guesses what was meant, from the frame itself."""


_LIBRARY = Path(contextlib.__file__).parent

MACHINERY = (
    "<frozen ",
    contextlib.__file__,
    *(
        f"{folder}{os.sep}"
        for folder in (
            Path(__file__).parent,
            _LIBRARY / "importlib",
            _LIBRARY / "asyncio",
            _LIBRARY / "concurrent",
        )
    ),
)
"""Files whose frames say nothing about the user's code."""


def user_frames(error: BaseException) -> TracebackType | None:
    """Return an error's traceback from the user's code on; None if it is not in it."""
    frames = error.__traceback__
    while frames is not None:
        if not frames.tb_frame.f_code.co_filename.startswith(MACHINERY):
            return frames
        frames = frames.tb_next
    return None


def format_error(error: BaseException) -> str:
    """Return what `traceback.format_exception` returns, as one text."""
    chained = error.__cause__ is not None or (
        error.__context__ is not None and not error.__suppress_context__
    )
    if (
        chained
        or error.__traceback__ is None
        or isinstance(error, (BaseExceptionGroup, *_WITH_A_GUESS))
    ):
        return "".join(traceback.format_exception(error))
    return f"Traceback (most recent call last):\n{_frames(error)}{_last_line(error)}"


def _last_line(error: BaseException) -> str:
    if isinstance(error, SyntaxError) or hasattr(error, "__notes__"):
        return "".join(traceback.format_exception_only(error))
    kind = type(error)
    home = kind.__module__
    name = kind.__qualname__ if home in _BARE else f"{home}.{kind.__qualname__}"
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - the error's own, whatever it is
        said = "<exception str() failed>"
    return f"{name}: {said}\n" if said else f"{name}\n"


def _frames(error: BaseException) -> str:
    place: list[int] = []
    codes: list[CodeType] = []
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        codes.append(code)
        place += id(code), step.tb_lasti
        step = step.tb_next
    key = tuple(place)
    known = _frames_of.get(key)
    if known is None:
        if len(_frames_of) >= MOST_PLACES:
            _frames_of.clear()
        text = "".join(traceback.format_tb(error.__traceback__))
        known = _frames_of[key] = codes, text
    return known[1]


class ErrorFormatter(logging.Formatter):
    """Formats the error of a log record with `format_error`."""

    def formatException(self, ei: object) -> str:
        """Return the error's text."""
        assert isinstance(ei, tuple)
        return "" if ei[1] is None else format_error(ei[1]).removesuffix("\n")
