"""Tables, records and progress: coloured in a terminal, plain lines in a pipe.

What is printed may come from anybody, so none of it is read as markup.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from pydantic_core import to_json
from rich.console import Console
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

Cell = str | int | Text | None


def in_terminal() -> bool:
    """Whether somebody looks at what is printed, rather than a program."""
    return Console().is_terminal


def print_json(value: Any) -> None:
    """Print one JSON object in one line."""
    print_raw_json(to_json(value).decode())


def print_raw_json(text: str) -> None:
    """Print a line that is JSON already."""
    sys.stdout.write(text + "\n")


def print_text(text: Text | str) -> None:
    """Print text as it is; the terminal wraps it."""
    Console(highlight=False, soft_wrap=True, markup=False).print(text)


def print_indented(text: Text, spaces: int) -> None:
    """Print text some way to the right, and what the terminal wraps of it, too."""
    console = Console(highlight=False, markup=False)
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, spaces)))
    else:
        print_text(Text(" " * spaces).append_text(text))


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, shrinks: str = ""
) -> None:
    """Print a table; numbers stand on the right.

    Args:
        columns: Their titles.
        rows: None is an empty cell.
        shrinks: The column that is cut off where the terminal is too narrow.
    """
    table = table_of(columns, rows, shrinks=shrinks)
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(table)
        return
    # A pipe has no width: nothing is cut off, and no line ends with spaces.
    wide = Console(highlight=False, width=_NO_LIMIT, color_system=None)
    with wide.capture() as captured:
        wide.print(table)
    lines = (line.rstrip() for line in captured.get().splitlines())
    sys.stdout.write("".join(f"{line}\n" for line in lines))


_NO_LIMIT = 100_000


def table_of(
    columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, shrinks: str = ""
) -> Table:
    """Return what `print_table` prints."""
    cells = [[_shown(cell) for cell in row] for row in rows]
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for index, column in enumerate(columns):
        numbers = any(isinstance(row[index], int) for row in rows)
        table.add_column(
            Text(column, style="bold"),
            justify="right" if numbers else "left",
            no_wrap=column == shrinks,
            overflow="ellipsis" if column == shrinks else "fold",
            max_width=_room(columns, cells, index) if column == shrinks else None,
        )
    for row in cells:
        table.add_row(*row)
    return table


_GAP = 2


def _room(columns: Sequence[str], rows: Sequence[Sequence[Text]], index: int) -> int:
    """Return how wide a column may be beside the others; a pipe has no limit."""
    console = Console()
    if not console.is_terminal:
        return _NO_LIMIT
    taken = sum(
        max([len(column), *(row[i].cell_len for row in rows)]) + _GAP
        for i, column in enumerate(columns)
        if i != index
    )
    return max(console.width - taken - _GAP, _LEAST)


_LEAST = 20


class Bar(Protocol):
    """A progress bar, or what stands in its place where nobody looks."""

    def advance(self, done: int) -> None:
        """Show that so much is done in all."""


@contextmanager
def progress(description: str, total: int | None) -> Iterator[Bar]:
    """Show a progress bar on stderr, in a terminal only.

    Args:
        description: What is being done.
        total: How much there is to do; None is not known.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _NoBar()
        return
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as shown:
        yield _RichBar(shown, shown.add_task(description, total=total))


class _RichBar:
    def __init__(self, shown: Progress, task: Any) -> None:
        self._shown, self._task = shown, task

    def advance(self, done: int) -> None:
        self._shown.update(self._task, completed=done)


class _NoBar:
    def advance(self, done: int) -> None:
        pass


def _shown(cell: Cell) -> Text:
    if isinstance(cell, Text):
        return cell
    if isinstance(cell, int):
        return Text(f"{cell:,}" if in_terminal() else str(cell))
    return Text("" if cell is None else cell)
