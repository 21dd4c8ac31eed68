"""How far groups are behind, in records and in seconds."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastkafka.tools.topics import AppTopic, Clusters, facts_of
from fastkafka.transport.librdkafka.inspection import Commit, Inspection, Range

_PATIENCE = 3.0


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a group is behind in one partition.

    Attributes:
        topic: The topic.
        servers: The cluster's address.
        group: The group.
        partition: The partition's number.
        functions: Who reads it.
        committed: The next offset, as committed; None if the group has committed none.
        begins: Where it goes on, or would begin.
        end: Where the partition ends.
        seconds: How long the oldest record has waited; 0 if none waits, None if nobody
            knows.
    """

    topic: str
    servers: str
    group: str
    partition: int
    functions: Sequence[str]
    committed: int | None
    begins: int
    end: int
    seconds: float | None

    @property
    def records(self) -> int:
        """How many records the group has not committed."""
        return max(0, self.end - self.begins)


def lags(
    topics: Sequence[AppTopic], clusters: Clusters, *, seconds: bool = True
) -> list[Lag]:
    """Return the lag of every group that reads the topics, by partition.

    Topics that do not exist, and functions without a group, are left out.

    Args:
        topics: The app's; see `app_topics`.
        clusters: Where they are.
        seconds: Look for how long records wait, too: it reads one record of each
            partition with a lag.

    Raises:
        BrokerUnavailableError: No broker answers.
        ClientError: No broker says, or this user may not see a group.
    """
    read = [topic for topic in topics if topic.readers and not topic.is_pattern]
    facts = facts_of(read, clusters)
    found: list[Lag] = []
    for topic in read:
        if (topic.servers, topic.name) not in facts:
            continue
        cluster = clusters.of(topic)
        partitions = list(facts[topic.servers, topic.name].partitions)
        ranges = cluster.ranges(topic.name, partitions)
        for group in topic.groups:
            commits = cluster.committed(group, topic.name, partitions)
            begins = _begins(topic, group, ranges, commits)
            waiting = {p: at for p, at in begins.items() if at < ranges[p].end}
            ages = _ages(cluster, topic.name, waiting) if seconds else {}
            names = [r.name for r in topic.readers if r.group == group]
            found += [
                Lag(
                    topic=topic.name,
                    servers=topic.servers,
                    group=group,
                    partition=p,
                    functions=names,
                    committed=commits[p].offset if p in commits else None,
                    begins=begins[p],
                    end=ranges[p].end,
                    seconds=ages.get(p) if p in waiting else 0.0,
                )
                for p in partitions
            ]
    return found


def _begins(
    topic: AppTopic,
    group: str,
    ranges: Mapping[int, Range],
    commits: Mapping[int, Commit],
) -> dict[int, int]:
    """Return where a group goes on: at its commit, else where a new one starts."""
    starts = [r.handler.start_at for r in topic.readers if r.group == group]
    at_end = bool(starts) and starts[0] == "latest" and not commits
    return {
        p: max(commits[p].offset, held.low)
        if p in commits
        else (held.end if at_end else held.low)
        for p, held in ranges.items()
    }


def _ages(
    cluster: Inspection, topic: str, waiting: Mapping[int, int]
) -> dict[int, float]:
    """Return for how many seconds the first record from an offset on has been there."""
    if not waiting:
        return {}
    ages: dict[int, float] = {}
    deadline = time.monotonic() + _PATIENCE
    with cluster.reader() as reader:
        reader.start(topic, waiting)
        left = set(waiting)
        while left and time.monotonic() < deadline:
            for record in reader.read(100):
                p = record.partition()
                if p in left:
                    left.discard(p)
                    reader.hold(topic, p)
                    kind, milliseconds = record.timestamp()
                    if kind:
                        ages[p] = max(0.0, time.time() - milliseconds / 1000)
            # Only what is never shown, such as the markers of transactions.
            ended = {p for p in left if reader.at_end(topic, p)}
            ages |= dict.fromkeys(ended, 0.0)
            left -= ended
    return ages
