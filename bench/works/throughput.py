"""Records per second, and what they cost: no-op handlers, outputs, slow handlers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from bench.child import KEYS
from bench.measure import Row, Session, row
from bench.registry import FASTKAFKA, OURS, named

SLOW_SECONDS = 0.005
CONCURRENCY = 512
SLOW_KEY_SECONDS = 1.0
FEW_KEYS = 4

WITHOUT, WITH = "no slow key", "key 0 takes 1 s"


def consume(session: Session) -> list[Row]:
    """Validate every record, and do nothing."""
    return _all(session, "consume")


def consume_and_produce(session: Session) -> list[Row]:
    """Answer every record with one."""
    return _all(session, "consume-produce", produces=True)


def slow(session: Session) -> list[Row]:
    """Wait 5 ms with every record, 512 at once."""
    options = {"seconds": SLOW_SECONDS, "concurrency": CONCURRENCY, "keys": KEYS}
    return _all(session, "slow", part=0.2, options=options)


def few_keys(session: Session) -> list[Row]:
    """The same with four keys; then one of the four takes 1 s for each record."""
    records = max(400, min(3000, session.records // 100))
    return _with_and_without(session, "few-keys", records, FEW_KEYS)


def slow_key(session: Session) -> list[Row]:
    """The same with all keys, of which one takes 1 s for each record."""
    return _with_and_without(session, "slow-key", session.records // 5, KEYS)


def _all(
    session: Session,
    work: str,
    *,
    part: float = 1.0,
    produces: bool = False,
    options: Mapping[str, Any] | None = None,
) -> list[Row]:
    rows = []
    for each in session.contenders(work):
        if session.quick and work == "slow" and each.environment != OURS:
            continue
        records = session.share(each, work, part)
        topic = session.topic(records)
        run = partial(
            session.run, each, work, topic, records, produces=produces, options=options
        )
        rows.append((row(work, each, records=records), run))
    return session.alternate(rows)


def _with_and_without(
    session: Session, work: str, records: int, keys: int
) -> list[Row]:
    ours = named(FASTKAFKA)
    if not session.has(FASTKAFKA):
        return []
    topic = session.topic(records, 0 if keys == KEYS else keys)
    rows = []
    for case, slow_seconds in ((WITHOUT, None), (WITH, SLOW_KEY_SECONDS)):
        options = {
            "seconds": SLOW_SECONDS,
            "concurrency": CONCURRENCY,
            "keys": keys,
            "slow_seconds": slow_seconds,
        }
        counted = records - (len(range(0, records, keys)) if slow_seconds else 0)
        run = partial(session.run, ours, "slow", topic, records, options=options)
        rows.append((row(work, ours, case, counted), run))
    return session.alternate(rows, most=3)
