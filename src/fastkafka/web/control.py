"""Pausing, resuming, concurrency and seeking over HTTP; see `engine/control.py`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fastkafka.engine.commands import Answer, Command
from fastkafka.errors import (
    BrokerUnavailableError,
    ClientError,
    ConfigError,
    did_you_mean,
)
from fastkafka.observe.snapshot import Function
from fastkafka.tools.lag import Lag, lags
from fastkafka.tools.records import RecordReader
from fastkafka.tools.topics import AppTopic, Clusters, facts_of
from fastkafka.web.console import Console
from fastkafka.web.requests import RequestError, read_wish
from fastkafka.web.wishes import ControlWish

logger = logging.getLogger(__name__)

_STATUS = {"wrong": 422, "failed": 503, "silent": 504}
"""HTTP's for an outcome; the first that some worker answered decides."""


async def control(console: Console, _: Request) -> Response:
    """Say what may be controlled, and how it is."""
    return JSONResponse(
        {
            "functions": _functions(console),
            "partitions": [
                {
                    "topic": p.topic,
                    "partition": p.partition,
                    "group": p.group,
                    "worker": snapshot.worker,
                    "committed": p.committed,
                    "end": p.end,
                    "lag": p.lag,
                    "paused_for": list(p.paused_for),
                }
                for snapshot in console.source.snapshots()
                for p in snapshot.partitions
            ],
            "workers": [
                {
                    "worker": snapshot.worker,
                    "pid": snapshot.pid or None,
                    "ready": snapshot.ready,
                    "problems": [p.text for p in snapshot.problems],
                }
                for snapshot in console.source.snapshots()
                if snapshot.worker
            ],
        }
    )


async def command(console: Console, request: Request) -> Response:
    """Do it, in every worker that it concerns, and say what they answer."""
    wish: ControlWish = await read_wish(ControlWish, request)
    if wish.action == "seek":
        return await _seek(console, wish, request)
    _check_function(console, wish.function)
    if wish.action == "pause" and wish.topic is not None:
        await _check_partition(console, wish.topic, wish.partition)
    asked = Command(
        wish.action,
        wish.function,
        wish.topic,
        wish.partition,
        concurrency=wish.concurrency or 0,
    )
    return await _asked(console, asked, request)


async def _asked(
    console: Console, asked: Command, request: Request, more: Mapping[str, Any] = {}
) -> Response:
    client = request.client.host if request.client else "somebody"
    logger.info("%s asks for this: %s", client, _said(asked))
    answers = await console.source.command(asked)
    _check(answers, asked)
    done = [answer.text for answer in answers if answer.outcome in ("done", "later")]
    return JSONResponse({"done": True, "texts": list(dict.fromkeys(done)), **more})


def _check(answers: Sequence[Answer], asked: Command) -> None:
    """Raise what the workers answer, if it was not done everywhere where it is to be.

    Raises:
        RequestError: It was not.
    """
    outcomes = [answer.outcome for answer in answers]
    if asked.action == "seek" and "done" in outcomes:
        return
    if not answers:
        raise RequestError("No worker runs at this moment.", 503)
    for outcome, status in _STATUS.items():
        texts = list(dict.fromkeys(a.text for a in answers if a.outcome == outcome))
        if texts and "done" in outcomes:
            texts.append("The other workers have done it.")
        if texts:
            raise RequestError(" ".join(texts), status)
    if "elsewhere" in outcomes:
        raise RequestError(
            f"No worker here has {asked.topic}[{asked.partition}] of group "
            f"{asked.group!r} at this moment: another member of the group has it, or "
            "it is on its way. Ask there; or stop the whole group and use "
            "kafka-consumer-groups.sh --reset-offsets.",
            409,
        )


# A seek.


async def _seek(console: Console, wish: ControlWish, request: Request) -> Response:
    """Find out where it goes, and what that skips or repeats; go there if wanted."""
    if wish.topic is None or wish.partition is None or wish.to is None:
        raise RequestError("A seek needs `topic`, `partition` and `to`.", 422)
    topic = await console.topic(wish.topic)
    partition, to = wish.partition, wish.to

    def look(clusters: Clusters) -> tuple[Lag | None, int]:
        with RecordReader(topic, clusters) as reader:
            if partition not in reader.partitions:
                text = _no_partition(topic.name, partition, reader.partitions)
                raise RequestError(text, 404)
            offset = _offset(reader, partition, to, topic)
        found = lags([topic], clusters, seconds=False)
        own = [lag for lag in found if lag.partition == partition]
        return _of_group(own, wish.group, topic), offset

    lag, offset = await console.desk.ask(look)
    group = wish.group if lag is None else lag.group
    owner, known = _owner(console, topic.name, partition, group)
    # The worker knows better than the last commit how far it is.
    before = known if known is not None else (None if lag is None else lag.begins)
    found = {
        "topic": topic.name,
        "partition": partition,
        "group": group,
        "from": before,
        "to": offset,
        "skipped": max(0, offset - before) if before is not None else 0,
        "repeated": max(0, before - offset) if before is not None else 0,
        "owner": owner,
    }
    if wish.check_only:
        return JSONResponse(found)
    asked = Command(
        "seek", topic=topic.name, partition=partition, offset=offset, group=group
    )
    return await _asked(console, asked, request, found)


def _of_group(found: Sequence[Lag], group: str | None, topic: AppTopic) -> Lag | None:
    """Return how far a group is in a partition; None reads without a group.

    Raises:
        RequestError: There is no such group, or it is not clear which one.
    """
    own = [lag for lag in found if group in (None, lag.group)]
    names = ", ".join(repr(name) for name in topic.groups)
    if not own and (group is not None or topic.groups):
        raise RequestError(f"No group {group!r} reads '{topic.name}': {names}.", 404)
    if len(own) > 1:
        text = f"Several groups read '{topic.name}': {names}. Say which one: `group`."
        raise RequestError(text, 422)
    return own[0] if own else None


def _offset(reader: RecordReader, partition: int, to: str, topic: AppTopic) -> int:
    """Return the offset that somebody means.

    Raises:
        RequestError: It is none, or the partition does not have it.
    """
    begin, end = (
        reader.begins([partition])[partition],
        reader.ends([partition])[partition],
    )
    if to == "earliest":
        return begin
    if to == "latest":
        return end
    if to.startswith("t"):
        try:
            since = int(float(to[1:]) * 1000)
            start = reader.at_time(since, [partition])
        except (ValueError, OverflowError):
            raise RequestError(f"{to!r} is no time. Write `t` and seconds.") from None
        first = reader.forward(start, 1, until={partition: end}, since=since)
        return next((view.record.offset() for view in first), end)
    if not to.isdecimal():
        raise RequestError(
            f"{to!r} is no place. Write earliest, latest, an offset, or `t` and epoch "
            "seconds.",
            422,
        )
    if not begin <= int(to) <= end:
        raise RequestError(
            f"{topic.name}[{partition}] has no offset {to}: it holds {begin} to {end}.",
            422,
        )
    return int(to)


def _owner(
    console: Console, topic: str, partition: int, group: str | None
) -> tuple[int | None, int | None]:
    """Return the worker that has a partition, and how far it is."""
    for snapshot in console.source.snapshots():
        for p in snapshot.partitions:
            if (p.topic, p.partition, p.group) == (topic, partition, group):
                return snapshot.worker, p.committed
    return None, None


# Functions.


def _functions(console: Console) -> Sequence[Mapping[str, Any]]:
    found: dict[tuple[str, str | None], list[Function]] = {}
    for snapshot in console.source.snapshots():
        for function in snapshot.functions:
            if snapshot.worker:
                key = function.name, function.group
                found.setdefault(key, []).append(function)
    return [
        {
            "name": name,
            "group": group,
            "topics": list(of[0].topics),
            "order": of[0].order,
            "concurrency": max(f.concurrency for f in of),
            "busy": sum(f.busy for f in of),
            "waiting": sum(f.waiting for f in of),
            "paused": any(f.paused for f in of),
            "paused_partitions": sorted({p for f in of for p in f.paused_partitions}),
        }
        for (name, group), of in found.items()
    ]


def _check_function(console: Console, name: str) -> None:
    """Raise for a name that no worker has.

    Raises:
        ConfigError: As it says.
    """
    names = {f["name"].rpartition(".")[2] for f in _functions(console)}
    if names and name.rpartition(".")[2] not in names:
        raise ConfigError(
            f"No function {name!r} consumes here.{did_you_mean(name, sorted(names))}"
        )


async def _check_partition(console: Console, name: str, partition: int | None) -> None:
    """Raise for a partition that is not there, if anybody knows.

    Raises:
        ConfigError: The app has no such topic.
        RequestError: The topic has no such partition.
    """
    here = {
        (p.topic, p.partition) for s in console.source.snapshots() for p in s.partitions
    }
    if (name, partition) in here:
        return
    topic = await console.topic(name)
    try:
        facts = await console.desk.ask(lambda clusters: facts_of([topic], clusters))
    except (BrokerUnavailableError, ClientError):
        return  # a pause needs no broker
    for found in facts.values():
        if partition not in found.partitions:
            raise RequestError(_no_partition(name, partition, found.partitions), 404)


def _no_partition(topic: str, partition: int | None, there: Iterable[int]) -> str:
    most = max(there, default=0)
    return f"'{topic}' has no partition {partition}; they count from 0 to {most}."


def _said(command: Command) -> str:
    parts = [command.action, command.function]
    if command.topic is not None:
        parts.append(f"{command.topic}[{command.partition}]")
    if command.action == "concurrency":
        parts.append(str(command.concurrency))
    if command.action == "seek":
        parts.append(f"to {command.offset}")
    return " ".join(part for part in parts if part)
