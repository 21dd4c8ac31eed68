"""What every transport says alike about offsets that are not what they were."""

from __future__ import annotations

from fastkafka.errors import ClientError
from fastkafka.observe.events import Event
from fastkafka.transport.base import TopicPartition

_TOPIC_IS_GONE = ("UNKNOWN_TOPIC_OR_PART", "UNKNOWN_TOPIC_ID", "_UNKNOWN_TOPIC")


def commits_fail(error: ClientError) -> str:
    """Say that commits fail, and what becomes of the offsets."""
    if error.code in _TOPIC_IS_GONE:
        return (
            f"{error} The topic is not there, so nobody keeps these offsets. If it is "
            "made again, `on_gap` decides where the group goes on."
        )
    return f"{error} The offsets go with the next commit."


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


def made_again_error(partition: TopicPartition, before: int) -> ClientError:
    """Say that a group's offset is of a topic that is gone, which ends the app."""
    return ClientError(
        f"{partition}: the topic was deleted and made again, and the group's offset "
        f"{before} is of the old one. What the group had not read of that is gone. To "
        "go on where the new one begins or at its end, set `on_gap` to "
        '"earliest" or "latest"; or set the group\'s offset with '
        "kafka-consumer-groups.sh --reset-offsets.",
        code="INCONSISTENT_TOPIC_ID",
        fatal=True,
    )


def made_again(
    partition: TopicPartition,
    *,
    before: int | None,
    low: int,
    high: int,
    on_gap: str,
) -> Event:
    """Say that a group goes on in a topic that was made again; `offset` is where.

    Args:
        partition: Where.
        before: The group's offset in the old one; None if it had none.
        low: Where the new log begins.
        high: Where it ends.
        on_gap: "earliest" or "latest".
    """
    what = f"{partition}: the topic was deleted and made again"
    offset = low if on_gap == "earliest" else high
    if before is None:
        text = f"{what}. It is read from its beginning, {low}."
    else:
        over = f" {high - low} offsets are passed over." if offset > low else ""
        text = (
            f"{what}, and the group's offset {before} is of the old one. The new log "
            f"has the offsets {low} to {high}; by `on_gap={on_gap!r}` the group goes "
            f"on at {offset}.{over}"
        )
    return Event("made_again", str(partition), text, *partition, offset=offset)


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
