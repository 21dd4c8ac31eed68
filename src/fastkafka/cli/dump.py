"""What a worker is doing at this moment, for whoever asks it by a signal."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
import threading
import traceback
from types import FrameType

from fastkafka.app import FastKafka

SIGNALS = (signal.SIGUSR1, signal.SIGQUIT)
"""SIGQUIT is Ctrl-\\ in a terminal."""


def listen(app: FastKafka) -> None:
    """Print a report to stderr at each SIGUSR1 or SIGQUIT, also while the loop blocks.

    Call it on the event loop.
    """
    loop = asyncio.get_running_loop()

    def write(number: int, frame: FrameType | None) -> None:
        sys.stderr.write(report(app, loop))
        sys.stderr.flush()

    for number in SIGNALS:
        signal.signal(number, write)


def report(app: FastKafka, loop: asyncio.AbstractEventLoop) -> str:
    """Return the state of every lane and partition, and every stack.

    Args:
        app: The app.
        loop: Where it runs.
    """
    snapshot = app.snapshot()
    parts = [
        f"== State of process {os.getpid()}",
        *(f"problem: {problem.text}" for problem in snapshot.problems),
        "== Lanes at work",
        *(app.lanes() or ("none",)),
        "== Partitions",
        *(
            f"{p.topic}[{p.partition}] of {p.group or 'no group'}: done up to "
            f"{p.committed}, read up to {p.position}, end {p.end}, "
            f"{p.in_flight} in flight, nothing done for {p.unfinished_seconds:.1f} s"
            + (", paused" if p.paused else "")
            for p in snapshot.partitions
        ),
        "== Tasks",
        *(_stack_of(task) for task in sorted(asyncio.all_tasks(loop), key=str)),
        "== Threads",
        *_threads(),
    ]
    return "\n".join(parts) + "\n"


def _stack_of(task: asyncio.Task[object]) -> str:
    text = io.StringIO()
    task.print_stack(file=text)
    return text.getvalue().rstrip()


def _threads() -> list[str]:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return [
        f"Thread {names.get(ident, ident)}:\n"
        + "".join(traceback.format_stack(frame)).rstrip()
        for ident, frame in sys._current_frames().items()
    ]
