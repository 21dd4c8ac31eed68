"""How much memory a process has, over many records and behind a blocked handler."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

from bench.child import Job
from bench.measure import Row, Run, Session, result_in, row
from bench.registry import BARE, FASTKAFKA, named

TIMES = 10
"""How many times the records of other works these are."""

_SAMPLE_SECONDS = 0.1
_REST_SECONDS = 3.0


def memory(session: Session) -> list[Row]:
    """Consume very many records; sample the memory."""
    records = session.records * TIMES
    who = [named(key) for key in (BARE, FASTKAFKA) if session.has(key)]
    topic = session.topic(records) if who else ""
    rows = []
    for contender in who:
        run = partial(_run, session, contender.key, topic, records, {})
        rows.append((row("memory", contender, records=records), run))
    return session.alternate(rows, most=1)


def blocked(session: Session) -> list[Row]:
    """Block one of two partitions, with all its records behind it."""
    if not session.has(FASTKAFKA):
        return []
    records = session.records * 2
    topic = session.cluster.create_topic("blocked", 2)
    session.cluster.fill(topic, records, partition=lambda number: number % 2)
    options = {"blocked": True, "rest": _REST_SECONDS}
    run = partial(_run, session, FASTKAFKA, topic, session.records, options)
    return session.alternate(
        [(row("blocked", named(FASTKAFKA), records=session.records), run)], most=1
    )


def _run(
    session: Session,
    key: str,
    topic: str,
    records: int,
    options: Mapping[str, Any],
) -> Run:
    samples: list[tuple[float, int]] = []
    run = session.run(
        *(named(key), "memory", topic, records),
        options=options,
        talk=partial(_sampled, samples=samples),
    )
    return {**run, "samples": samples}


def _sampled(
    process: subprocess.Popen[str], _: Job, *, samples: list[tuple[float, int]]
) -> str:
    """Sample the process until it says its result."""
    said: list[str] = []
    reader = Thread(target=lambda: said.append(process.communicate()[0]))
    reader.start()
    began = time.monotonic()
    page = os.sysconf("SC_PAGE_SIZE")
    statm = Path(f"/proc/{process.pid}/statm")
    while reader.is_alive():
        try:
            resident = int(statm.read_text().split()[1]) * page
        except (OSError, IndexError):  # it has ended, or this is no Linux
            resident = 0
        if resident:
            samples.append((round(time.monotonic() - began, 2), resident))
        reader.join(_SAMPLE_SECONDS)
    return result_in(said[0])
