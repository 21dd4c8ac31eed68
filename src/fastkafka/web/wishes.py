"""The bodies of requests that change something."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Wish(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SendWish(_Wish):
    """A message to send.

    Attributes:
        value: JSON as text, so that no number changes on the way; None is a tombstone.
        key: As text.
        headers: Names and values, in order.
        partition: Its number; None lets the key decide.
        check_only: Only say whether it fits.
    """

    value: str | None
    key: str | None = None
    headers: Sequence[tuple[str, str]] = ()
    partition: Annotated[int, Field(ge=0)] | None = None
    check_only: bool = False


class Place(_Wish):
    """A dead letter: a record of a dead-letter topic."""

    topic: str
    partition: int
    offset: int


class ReplayWish(_Wish):
    """Dead letters to replay or to dismiss.

    Attributes:
        group: A group of failures; None with *records*, or for all of them.
        records: Only these.
        action: "replay" sends them back to where they came from, "dismiss" only says
            that they need not be looked at any more.
        rate: Records a second.
        check_only: Only say what would be sent where.
    """

    group: str | None = None
    records: Sequence[Place] | None = None
    action: Literal["replay", "dismiss"] = "replay"
    rate: Annotated[float, Field(gt=0, le=10_000)] = 100.0
    check_only: bool = False


class ControlWish(_Wish):
    """What the app that runs is to do.

    Attributes:
        action: What.
        function: Whose name, but for a seek.
        topic: Where: with *partition*, only there; without, everywhere.
        partition: Its number.
        concurrency: How much at once, in each worker.
        group: For a seek: which one, if several read the topic.
        to: For a seek: "earliest", "latest", an offset, or ``t`` and epoch seconds.
        check_only: For a seek: only say what it would skip or repeat.
    """

    action: Literal["pause", "resume", "concurrency", "seek"]
    function: str = ""
    topic: str | None = None
    partition: Annotated[int, Field(ge=0)] | None = None
    concurrency: Annotated[int, Field(ge=1)] | None = None
    group: str | None = None
    to: str | None = None
    check_only: bool = False


class TokenWish(_Wish):
    """The token, to be traded for a cookie."""

    token: str
