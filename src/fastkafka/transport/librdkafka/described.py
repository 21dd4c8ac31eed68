"""Topics as a cluster's metadata describes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PartitionFacts:
    """Where a partition is.

    Attributes:
        leader: The broker's id; -1 is none.
        replicas: The ids of the brokers that should have it.
        in_sync: The ids of those that have all of it.
    """

    leader: int
    replicas: Sequence[int]
    in_sync: Sequence[int]


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """A topic as the cluster describes it.

    Attributes:
        name: Its name.
        partitions: By number.
    """

    name: str
    partitions: Mapping[int, PartitionFacts]

    @property
    def replication(self) -> int:
        """How many replicas its least replicated partition has."""
        return min((len(p.replicas) for p in self.partitions.values()), default=0)


def described(found: Any) -> TopicFacts:
    """Read what confluent-kafka says of a topic."""
    return TopicFacts(
        found.topic,
        {
            number: PartitionFacts(p.leader, tuple(p.replicas), tuple(p.isrs))
            for number, p in sorted(found.partitions.items())
        },
    )
