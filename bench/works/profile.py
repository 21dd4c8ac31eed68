"""Where a record's time goes: a sampling profiler, and counters."""

from __future__ import annotations

import linecache
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from bench.cluster import BenchError
from bench.measure import Row, Run, Session, row
from bench.registry import FASTKAFKA, named
from bench.works import failures

_FRAME = re.compile(r"(?P<function>.+) \((?P<file>[^()]+):(?P<line>\d+)\)$")
_RATE = 500

_POLL = "poll thread: take records out of librdkafka"
_HANDLER = "the handler itself, which is the bench's"
_SPLIT = "poll thread: split them by partition, hand them over"
_DECODE = "decode and validate (pydantic)"
CALL = "call the handler"
_PRODUCE = "deliver: outputs, their acknowledgements, the scope of a slice"
_LOOP = "the event loop"
LOG = "log records, with their tracebacks"
RETRIES, DEAD_LETTERS = "retries", "dead letters"
DISPATCH = "dispatch, slices, offsets"

_STAGES = (
    # Part of the file's path, part of the line that runs, stage.
    ("/logging/", "", LOG),
    ("/fastkafka/tracebacks.py", "", LOG),
    ("/engine/recovery.py", "", RETRIES),
    ("/engine/deadletters.py", "", DEAD_LETTERS),
    ("/transport/librdkafka/consumer.py", ".poll(", _POLL),
    ("/transport/librdkafka/consumer.py", ".consume(", _POLL),
    ("/transport/librdkafka/consumer.py", "", _SPLIT),
    ("/engine/lanes.py", "decode", _DECODE),
    ("/engine/lanes.py", "values", _DECODE),
    ("/engine/calling.py", "", CALL),
    ("/engine/handling.py", "", CALL),
    ("/bench/", "gc.", None),  # once, when the app is ready
    ("/bench/", "", _HANDLER),
    ("/engine/delivery.py", "", _PRODUCE),
    ("/engine/producer.py", "", _PRODUCE),
    ("/transport/librdkafka/producer.py", "", _PRODUCE),
    ("/codecs/", "", _PRODUCE),
    ("/fastkafka/routing.py", "", _PRODUCE),
    ("/engine/", "", DISPATCH),
    ("/asyncio/", "", _LOOP),
    ("selectors.py", "", _LOOP),
)
_AT_WORK = ("_run_once", "_bootstrap")
"""Functions of Python's that are below all work, in the event loop and in threads."""

OTHER = "other"

NEEDED = (_POLL, _DECODE)
"""What a loop written by hand does too."""

NOT_OURS = (*NEEDED, _HANDLER)


def profile(session: Session) -> list[Row]:
    """Profile a run of each of three works; each a row with shares by stage."""
    if not session.has(FASTKAFKA):
        return []
    ours = named(FASTKAFKA)
    rows = []
    for work, options in (
        ("consume", {}),
        ("consume-produce", {}),
        ("failures", {"every": failures.EVERY}),
    ):
        records = session.share(ours, work)
        run = partial(_run, session, work, records, options)
        rows.append((row("profile", ours, work, records), run))
    return session.alternate(rows, most=1)


def _run(session: Session, work: str, records: int, options: Mapping[str, int]) -> Run:
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which(
        "py-spy"
    )
    if spy is None:
        raise BenchError("py-spy is not installed: `pip install -e '.[bench]'`.")
    ours = named(FASTKAFKA)
    with tempfile.TemporaryDirectory() as folder:
        stacks = Path(folder) / "stacks"
        before = [
            *(spy, "record", "--format", "raw", "--rate", str(_RATE), "--threads"),
            *("--gil", "--full-filenames", "--output", str(stacks), "--"),
        ]
        run = session.run(
            *(ours, work, session.topic(records), records),
            produces=work == "consume-produce",
            options=options,
            before=before,
        )
        return {**run, "stages": stages(stacks.read_text())}


def stages(stacks: str) -> dict[str, float]:
    """Return which share of the samples each stage has, of those in a record's way.

    Args:
        stacks: What py-spy wrote: a stack in each line, frames apart by semicolons,
            and how often it was seen.
    """
    found: Counter[str] = Counter()
    for line in stacks.splitlines():
        frames, _, count = line.rpartition(" ")
        stage = _stage(frames.split(";"))
        if stage is not None:
            found[stage] += int(count)
    total = sum(found.values())
    return {stage: count / total for stage, count in found.most_common()}


def _stage(frames: list[str]) -> str | None:
    """Return the stage of a stack: the innermost frame that belongs to one.

    None is what happens once: imports, the start and the stop.
    """
    matches = [match for frame in frames if (match := _FRAME.match(frame))]
    # Work is in the loop or in a thread; what is before that happens once.
    if not any(match["function"].endswith(_AT_WORK) for match in matches):
        return None
    if any(
        "importlib" in match["file"] or match["function"].endswith("_distinct")
        for match in matches
    ):
        return None
    for match in reversed(matches):
        file = match["file"]
        text = linecache.getline(file, int(match["line"]))
        for part, needle, stage in _STAGES:
            if part in file and needle in text:
                return stage
    return OTHER if matches else None
