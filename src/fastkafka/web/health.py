"""Probes and reasons, workers, versions, events, and the settings that may be shown."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from fastkafka import __version__
from fastkafka.app import FastKafka
from fastkafka.observe.snapshot import Problem, Snapshot
from fastkafka.web.console import Console

SHOWN = frozenset(
    {
        "acks",
        "allow.auto.create.topics",
        "auto.commit.interval.ms",
        "auto.offset.reset",
        "batch.size",
        "client.id",
        "compression.type",
        "enable.idempotence",
        "fetch.max.bytes",
        "fetch.min.bytes",
        "fetch.wait.max.ms",
        "group.id",
        "group.instance.id",
        "group.protocol",
        "isolation.level",
        "linger.ms",
        "max.partition.fetch.bytes",
        "max.poll.interval.ms",
        "message.max.bytes",
        "partition.assignment.strategy",
        "partitioner",
        "queued.max.messages.kbytes",
        "queued.min.messages",
        "request.timeout.ms",
        "sasl.mechanism",
        "security.protocol",
        "session.timeout.ms",
        "transaction.timeout.ms",
    }
)
"""Only these settings are shown: a list of what may be seen cannot forget a secret."""


def health(console: Console) -> dict[str, Any]:
    """Return all that the page says of how the app is."""
    return {
        "live": _probe(console, "live"),
        "ready": _probe(console, "ready"),
        "workers": [_worker(s) for s in console.snapshots if s.worker],
        "members": _members(console),
        "versions": {
            "fastkafka": __version__,
            "python": platform.python_version(),
            "confluent-kafka": version("confluent-kafka"),
            "pydantic": version("pydantic"),
        },
        "events": [asdict(entry) for entry in reversed(list(console.journal))],
        "settings": _settings(console.app) if console.app is not None else [],
    }


def _probe(console: Console, name: str) -> dict[str, Any]:
    reasons = [
        _reason(snapshot, problem)
        for snapshot in console.snapshots
        for problem in snapshot.problems
        if not getattr(problem, name)
    ]
    return {"ok": not reasons and bool(console.snapshots), "reasons": reasons}


def _reason(snapshot: Snapshot, problem: Problem) -> dict[str, Any]:
    return {
        "kind": problem.kind,
        "what": problem.what,
        "text": problem.text,
        "since": problem.since,
        "worker": snapshot.worker,
    }


def _worker(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "worker": snapshot.worker,
        "pid": snapshot.pid or None,
        "live": snapshot.live,
        "ready": snapshot.ready,
        "loop_lag": snapshot.loop_lag,
        "partitions": len(snapshot.partitions),
        "in_flight": sum(p.in_flight for p in snapshot.partitions),
        "time": snapshot.time,
        "problems": [_reason(snapshot, problem) for problem in snapshot.problems],
    }


def _members(console: Console) -> list[dict[str, Any]]:
    return [
        {**asdict(member), "worker": snapshot.worker}
        for snapshot in console.snapshots
        for member in snapshot.members
        if snapshot.pid
    ]


def _settings(app: FastKafka) -> list[dict[str, Any]]:
    """Return the settings of each client, of those that may be shown."""
    defaults = app._defaults()
    consumers = defaults.consumer_groups(app.consumers, app._servers_of)
    producers = defaults.producer_groups(app._producing, app._servers_of)
    found = [
        _client("consumer", [h.name for h in group.handlers], group.config)
        for group in consumers
    ]
    found += [
        _client("producer", [name for name, _ in group.functions], group.config)
        for group in producers
    ]
    own = {
        "shutdown_timeout": app.shutdown_timeout,
        "revoke_timeout": app.revoke_timeout,
    }
    return [{"client": "app", "functions": [], "settings": own}, *found]


def _client(
    client: str, functions: list[str], config: Mapping[str, Any]
) -> dict[str, Any]:
    settings = {name: config[name] for name in sorted(config) if name in SHOWN}
    return {"client": client, "functions": functions, "settings": settings}
