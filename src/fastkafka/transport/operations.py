"""What consumers tell who measures them: a poll for each topic, and commits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

from fastkafka.observe.events import Operation
from fastkafka.transport.base import Run, TopicPartition

T = TypeVar("T")


def polled(runs: Sequence[Run], seconds: float) -> Collection[Operation]:
    """Return one poll that brought records, as an operation for each topic."""
    by_topic: dict[str, list[Run]] = {}
    for run in runs:
        by_topic.setdefault(run.partition.topic, []).append(run)
    return [
        Operation(
            "poll",
            topic,
            _one(run.partition.partition for run in of_topic),
            seconds,
            records=sum(len(run.records) for run in of_topic),
        )
        for topic, of_topic in by_topic.items()
    ]


def committed(
    partitions: Collection[TopicPartition], seconds: float, error: str | None = None
) -> Operation:
    """Return a commit that somebody waited for.

    Args:
        partitions: Whose offsets.
        seconds: From the wish to the coordinator's answer.
        error: Kafka's name of what went wrong.
    """
    topic = _one(partition.topic for partition in partitions)
    number = _one(partition.partition for partition in partitions)
    return Operation(
        "commit", topic, number if topic is not None else None, seconds, error=error
    )


def _one(values: Iterable[T]) -> T | None:
    """Return what all values are, or None."""
    different = set(values)
    return different.pop() if len(different) == 1 else None
