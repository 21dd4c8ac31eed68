"""What a scenario says to its app, which runs in other processes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from pydantic import TypeAdapter

_VARIABLE = "FASTKAFKA_FAULTS"


@dataclass(frozen=True)
class Setup:
    """How the app of a scenario is made.

    Attributes:
        name: Of the group and of everything else.
        topic: What it consumes.
        output: What it produces, once for each record.
        ledger: The file that handlers write to.
        servers: The network in which a worker finds its brokers.
        kind: How the handler is written.
        order, concurrency, attempts, delay, timeout, on_failure: As in
            `FastKafka.consumes` and `Retry`.
        on_gap: As in `FastKafka.consumes`; None says nothing.
        work: Seconds that each record takes.
        by_partition: Seconds that each record of a partition takes instead.
        settings: Settings of the app.
        output_settings: Settings of its producer.
        output_servers: Where it produces, if that is another network.
        revoke_timeout: As in `FastKafka`.
        clock_jumps: Seconds after the start when the wall clock is an hour ahead.
        in_background: A background task sends a record every 50 ms, without waiting.
        loop: "uvloop" or asyncio's own.
    """

    name: str
    topic: str
    output: str
    ledger: str
    servers: str = ""
    kind: Literal["async", "sync", "batch"] = "async"
    order: Literal["partition", "key", "none"] = "partition"
    concurrency: int = 32
    attempts: int = 3
    delay: float = 0.2
    timeout: float | None = None
    on_failure: Literal["dead_letter", "stop", "skip"] = "dead_letter"
    on_gap: Literal["stop", "earliest", "latest"] | None = None
    work: float = 0.0
    by_partition: Mapping[int, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    output_settings: Mapping[str, Any] = field(default_factory=dict)
    output_servers: str | None = None
    revoke_timeout: float = 10.0
    clock_jumps: float | None = None
    in_background: bool = False
    loop: Literal["asyncio", "uvloop"] = "asyncio"

    def to_environment(self) -> dict[str, str]:
        """Return the environment variable that carries it."""
        text = TypeAdapter(dict[str, Any]).dump_json(asdict(self)).decode()
        return {_VARIABLE: text}

    @classmethod
    def from_environment(cls) -> Self:
        """Read it in the app's process."""
        return TypeAdapter(cls).validate_json(os.environ[_VARIABLE])
