"""What every transport says alike about offsets that are not what they were."""

from __future__ import annotations

from fastkafka.errors import ClientError
from fastkafka.observe.events import Event
from fastkafka.transport.base import TopicPartition


def gap_error(partition: TopicPartition, text: str, *, code: str) -> ClientError:
    """Say that the broker no longer has a group's offset, which ends the app."""
    return ClientError(
        f"{partition}: the group's offset is not there any more: {text}. Records were "
        "deleted before this group read them, or the topic was made again. To go on "
        'where it begins now or at its end, set `on_gap` to "earliest" or "latest"; or '
        "set the group's offset with kafka-consumer-groups.sh --reset-offsets.",
        code=code,
        fatal=True,
    )


def gap_passed(
    partition: TopicPartition,
    text: str,
    *,
    before: int | None,
    low: int,
    high: int,
    on_gap: str,
) -> Event:
    """Say that a group goes on behind records that are gone; `offset` is where.

    Args:
        partition: Where.
        text: What the broker says.
        before: The group's offset, if it is known.
        low: Where the log begins now.
        high: Where it ends.
        on_gap: "earliest" or "latest".
    """
    offset = low if on_gap == "earliest" else high
    size = ""
    if before is not None and before < offset:
        size = f" {offset - before} offsets are passed over."
    which = "offset" if before is None else f"offset {before}"
    return Event(
        "gap",
        str(partition),
        f"{partition}: the group's {which} is not there any more: {text}. The log has "
        f"the offsets {low} to {high} now; by `on_gap={on_gap!r}` the group goes on "
        f"at {offset}.{size}",
        *partition,
        offset=offset,
    )


def rewound(partition: TopicPartition, before: int, now: int) -> Event:
    """Say that a group's committed offset is lower than this consumer left it."""
    return Event(
        "rewound",
        str(partition),
        f"{partition}: the group's committed offset went back from {before} to {now}. "
        "Somebody has set it, or the topic was made again. "
        "What is between is read again.",
        *partition,
        offset=now,
    )


def not_assigned(partition: TopicPartition) -> ClientError:
    """Say that a partition cannot be sought, for it is not this consumer's."""
    text = f"{partition} is not assigned to this consumer, which cannot move it."
    return ClientError(text, code="_STATE")
