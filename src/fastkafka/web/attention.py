"""What somebody should look at: a sentence, a link, a thing to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fastkafka.observe.merging import merged
from fastkafka.observe.snapshot import Partition, Problem, Snapshot
from fastkafka.web.board import Board
from fastkafka.web.describe import Consuming, Shape

MUCH_LAG = 1000
FAST_GROWTH = 1.0
"""Records a second; less is noise."""

MOST_LINES = 6


@dataclass(frozen=True, slots=True)
class Line:
    """Something that is not as it should be.

    Attributes:
        level: "bad" when records are not handled, else "warn".
        what: What it is about: a partition, a function, a topic; the link's text.
        link: Where more of it is, a fragment of the page's address.
        text: What is wrong, after `what`.
        hint: What to do.
    """

    level: Literal["bad", "warn"]
    what: str
    link: str
    text: str
    hint: str = ""


_LINKS = {
    "stalled_partition": ("lag", "See what its handler waits for."),
    "overdue_handler": (
        "functions",
        "See what it waits for, or set `handler_timeout`.",
    ),
    "missing_topic": ("health", "Create it, or correct its name."),
    "dead_letters_fail": ("failures", "Create the topic, or allow writing to it."),
    "commits_fail": ("health", ""),
    "blocked_loop": (
        "health",
        "Something computes or waits in an `async def`. Make the handler a `def`.",
    ),
    "paused": ("functions", "Resume it when it may go on."),
    "no_broker": ("health", "Is Kafka running?"),
}


def attention(
    shape: Shape, snapshots: Sequence[Snapshot], board: Board
) -> Sequence[Line]:
    """Return what is wrong now, worst first.

    Args:
        shape: The app.
        snapshots: Of its workers.
        board: What was.
    """
    now = merged(snapshots)
    lines = [_problem(problem) for problem in now.problems]
    lines += [line for p in now.partitions if (line := _behind(p, shape, board))]
    recent = [line for f in shape.functions if (line := _parked(f, board))]
    lines += recent or _still_parked(board)
    return sorted(lines, key=lambda line: line.level)[:MOST_LINES]


def _problem(problem: Problem) -> Line:
    screen, hint = _LINKS.get(problem.kind, ("health", ""))
    text = problem.text.strip()
    # The sentence may begin with what the link says already.
    for before in (f"`{problem.what}`", problem.what):
        text = text.removeprefix(before).lstrip()
    return Line(
        "warn" if problem.ready and problem.live else "bad",
        problem.what,
        f"#/{screen}",
        text,
        hint,
    )


def _behind(partition: Partition, shape: Shape, board: Board) -> Line | None:
    place = (partition.group, partition.topic, partition.partition)
    growth = board.growth(place)
    if (partition.lag or 0) < MUCH_LAG or growth is None or growth < FAST_GROWTH:
        return None
    text = f"falls behind by {growth:,.0f} records/s."
    hint = ""
    for function, numbers in zip(shape.functions, board.now["functions"], strict=False):
        if partition.topic in function.topics and function.group == partition.group:
            busy, capacity = numbers[4], numbers[8]
            if capacity and busy >= capacity:
                text += (
                    f" `{function.name}` is at its limit: {busy} of {capacity} busy."
                )
                hint = "More `concurrency`, more workers, or a faster handler."
            else:
                hint = f"`{function.name}` has room: more `concurrency` will not help."
                if function.order == "partition":
                    hint = (
                        'Each partition is handled in order: `order="key"` or more '
                        "partitions let it do more at once."
                    )
    return Line(
        "warn", f"{partition.topic}[{partition.partition}]", "#/lag", text, hint
    )


def _still_parked(board: Board) -> list[Line]:
    """Return what was parked longer ago, or before anybody looked."""
    return [
        Line(
            "bad",
            topic,
            "#/failures",
            f"holds {count:,} parked record{'' if count == 1 else 's'}.",
            "See why, and replay them.",
        )
        for topic, count in board.parked.items()
        if count
    ]


def _parked(function: Consuming, board: Board) -> Line | None:
    errors = board.failures(function.name)
    if not errors:
        return None
    count = sum(errors.values())
    most = max(errors, key=lambda name: errors[name])
    name = most.rpartition(".")[2]
    text = f"parked {count:,} record{'' if count == 1 else 's'} in 15 min"
    if len(errors) == 1:
        text += f": `{name}`."
    else:
        text += f", {errors[most]:,} of them because of `{name}`."
    return Line("bad", function.name, "#/failures", text, "See why, and replay them.")
