"""What a function may do at this moment: whether it is paused, and how much at once.

Who runs the app may change both while it runs (control.py). A pool asks only while
`Limits.any` says that there is something to ask for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Protocol

from fastkafka.engine.chunks import KeyQueue
from fastkafka.transport.base import TopicPartition


class LimitedOwner(Protocol):
    """The assignment that records belong to."""

    partition: TopicPartition
    stopped: asyncio.Event


class Limits:
    """The limits of one function.

    Args:
        concurrency: How much it may handle at once.
    """

    def __init__(self, concurrency: int) -> None:
        self.any = False
        """There may be something that is not to be handled now."""
        self.concurrency = concurrency
        self.paused = False
        """No call begins."""
        self.partitions: set[TopicPartition] = set()
        """No call begins with a record of these, whoever has them."""
        self.held: list[KeyQueue] = []
        """Keys that could be handled, but for a pause."""
        self._changed = asyncio.Event()

    def pause(self, partition: TopicPartition | None) -> None:
        """Pause everything, or one partition."""
        if partition is None:
            self.paused = True
        else:
            self.partitions.add(partition)

    def resume(self, partition: TopicPartition | None) -> None:
        """Resume everything, or one partition."""
        if partition is None:
            self.paused = False
            self.partitions.clear()
        else:
            self.partitions.discard(partition)

    def pauses(self, partition: TopicPartition) -> bool:
        """Whether a partition's records are not to be handled now."""
        return self.paused or partition in self.partitions

    def holds(self, owner: LimitedOwner) -> bool:
        """Whether an assignment's records wait; those of one that ends do not."""
        return self.pauses(owner.partition) and not owner.stopped.is_set()

    def changed(self) -> Collection[KeyQueue]:
        """Let those look again who wait; return the keys that were held."""
        self._changed.set()
        self._changed = asyncio.Event()
        held, self.held = self.held, []
        return held

    async def over(self, owner: LimitedOwner) -> bool:
        """Wait while an assignment's records are paused; return whether it goes on."""
        while self.holds(owner):
            await self._changed.wait()
        return not owner.stopped.is_set()
