"""How a consumer goes on where its offset is not there any more, or another topic's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from fastkafka.errors import ClientError
from fastkafka.observe.events import Event
from fastkafka.transport.base import Committed, ConsumerListener, TopicPartition
from fastkafka.transport.memory.commits import Commits
from fastkafka.transport.memory.faults import Refusal
from fastkafka.transport.memory.fetches import Fetches
from fastkafka.transport.memory.starts import Starts
from fastkafka.transport.wording import rewound

logger = logging.getLogger("fastkafka.transport")


class Gaps:
    """Crosses the gaps of one consumer.

    Args:
        starts: Says where to go on.
        fetches: What it reads.
        commits: What it has to commit.
        done: Up to where each partition is finished.
        listener: Hears of each gap.
        in_group: Whether it commits.
        tell: Calls something in its turn, while the consumer runs.
        give_up: Told of a partition that is not to go on, and why.

    Attributes:
        unheard: Partitions that begin anew, which the engine has not heard yet.
    """

    def __init__(
        self,
        starts: Starts,
        fetches: Fetches,
        commits: Commits,
        done: dict[TopicPartition, int],
        listener: ConsumerListener,
        *,
        in_group: bool,
        tell: Callable[..., None],
        give_up: Callable[[TopicPartition, ClientError], None],
    ) -> None:
        self.unheard: set[TopicPartition] = set()
        self._starts = starts
        self._fetches = fetches
        self._commits = commits
        self._done = done
        self._listener = listener
        self._in_group = in_group
        self._tell = tell
        self._give_up = give_up

    def cross(self, partition: TopicPartition, refusal: Refusal) -> None:
        """Go on behind records that the broker no longer has, or end the app."""
        position = self._fetches.positions[partition]
        gap = self._starts.gap(partition, position, refusal)
        self._settle(partition, gap, position)

    def cross_into_other_topics(self) -> None:
        """Go on in topics that were made again, or end the app."""
        for partition, topic_id in self._fetches.topic_ids().items():
            if self._starts.take(partition, topic_id):
                before = self._commits.last(partition)
                gap = self._starts.made_again(partition, before)
                self._settle(partition, gap, None)

    def passed(self, gap: Event) -> None:
        """Say that a gap lies behind, and where it went on."""
        logger.warning("%s", gap.text)
        self._tell(self._say, gap)

    def look_for_rewinds(self, committed: Mapping[TopicPartition, Committed]) -> None:
        """Say where somebody has set the group back."""
        for partition, (offset, _) in committed.items():
            before = self._commits.found(partition, offset)
            if before is not None:
                event = rewound(partition, before, offset)
                logger.warning("%s", event.text)
                self._tell(self._listener.on_event, event)

    def _settle(
        self,
        partition: TopicPartition,
        gap: Event | ClientError,
        position: int | None,
    ) -> None:
        """Go on behind a gap, or end the app; a position of None is another log."""
        if isinstance(gap, ClientError):
            self._give_up(partition, gap)
            return
        assert gap.offset is not None
        self._fetches.positions[partition] = gap.offset
        if position is None or gap.offset < position:
            self._begin_anew(partition, gap.offset)
        self.passed(gap)

    def _begin_anew(self, partition: TopicPartition, offset: int) -> None:
        """What was read before does not count any more."""
        self.unheard.add(partition)
        self._fetches.begin(partition, offset)
        self._done[partition] = offset
        self._commits.rewind(partition)
        if self._in_group:
            self._commits.now({partition: offset})

    def _say(self, gap: Event) -> None:
        self._listener.on_event(gap)
        self.unheard.discard(TopicPartition(str(gap.topic), gap.partition or 0))
