"""Consumer groups as their coordinator sees them: members, partitions, offsets.

Rebalances are cooperative, as with KIP-848 and `cooperative-sticky`: there is a target,
each member gives up only what it should not keep, and a partition goes to its next
owner when the last one has let it go. `Group.reconcile` is the step that is repeated
until the target is reached. Every group here rebalances like this, whatever
`partition.assignment.strategy` says.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

from fastkafka.transport.base import Committed, TopicPartition
from fastkafka.transport.memory.clock import Clock, Timer
from fastkafka.transport.memory.faults import Refusal


class GroupClient(Protocol):
    """What a coordinator needs of a consumer."""

    id: str
    topics: Collection[str]
    session_timeout: float

    @property
    def answers(self) -> bool:
        """Whether it hears what the coordinator tells it."""

    def assign(self, partitions: Collection[TopicPartition]) -> None:
        """Take over partitions."""

    def revoke(self, partitions: Collection[TopicPartition]) -> None:
        """Give partitions up, then call `Group.released`."""


class Member:
    """One consumer in a group.

    Attributes:
        generation: The rebalance that it has last caught up with.
        owned: What it may read; its own until it lets go, or is given up.
        surrender: What it must give up though the target may let it have it again.
    """

    def __init__(self, name: str, client: GroupClient) -> None:
        self.id = name
        self.client = client
        self.generation = 0
        self.owned: set[TopicPartition] = set()
        self.surrender: set[TopicPartition] = set()
        self.revoking = False
        self.told = False
        self.session: Timer | None = None


class Group:
    """One group.

    Args:
        name: Its id.
        clock: For sessions.
        partitions_of: Returns the partitions of what a consumer is subscribed to.
        reachable: Whether the broker can be reached.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        partitions_of: Callable[[Collection[str]], Collection[TopicPartition]],
        reachable: Callable[[], bool],
    ) -> None:
        self.name = name
        self.generation = 0
        self.members: dict[str, Member] = {}
        self.committed: dict[TopicPartition, int] = {}
        self.metadata: dict[TopicPartition, str] = {}
        self._pending: dict[int, dict[TopicPartition, int]] = {}
        self._target: dict[str, set[TopicPartition]] = {}
        self._clock = clock
        self._partitions_of = partitions_of
        self._reachable = reachable
        self._numbers = itertools.count(1)

    # Members.

    def admit(self, client: GroupClient) -> Member:
        """Let a consumer in; with the next `rebalance` it gets its share."""
        member = Member(f"{client.id}-{next(self._numbers)}", client)
        self.members[member.id] = member
        return member

    def leave(self, member: Member) -> None:
        """Let a member go, or give it up; its partitions are free."""
        if self.members.pop(member.id, None) is not None:
            if member.session is not None:
                member.session.cancel()
            member.owned.clear()
            self.rebalance()

    def fell_silent(self, member: Member) -> None:
        """Give a member up after its session timeout, unless it comes back."""
        if member.session is None and member.id in self.members:
            member.session = self._clock.call_at(
                self._clock.time() + member.client.session_timeout,
                lambda: self._expire(member),
            )

    def came_back(self, member: Member) -> bool:
        """Go on with a member that was silent; return whether it is one still."""
        if member.session is not None:
            member.session.cancel()
            member.session = None
        return member.id in self.members

    def _expire(self, member: Member) -> None:
        member.session = None
        if self._reachable():
            self.leave(member)
        else:  # the coordinator is away, and counts anew when it is back
            self.fell_silent(member)

    # Partitions.

    def rebalance(self) -> None:
        """Work out who should have what, because members or topics changed."""
        self._retarget(before=self._target)

    def rotate(self, chance: random.Random) -> None:
        """Move every partition to another member; with only one, away and back."""
        names = list(self.members)
        shift = chance.randrange(1, len(names)) if len(names) > 1 else 0
        for member in self.members.values():
            member.surrender = set(member.owned)
        moved = {
            names[(at + shift) % len(names)]: self._target[name]
            for at, name in enumerate(names)
        }
        self._retarget(before=moved)

    def _retarget(self, before: Mapping[str, Collection[TopicPartition]]) -> None:
        wanted = {
            name: self._partitions_of(member.client.topics)
            for name, member in self.members.items()
        }
        self._target = balance(wanted, before)
        self.generation += 1
        self.reconcile()

    def reconcile(self) -> None:
        """Bring every member one step nearer to its target."""
        if self._reachable():
            for member in list(self.members.values()):
                self._reconcile(member)

    def _reconcile(self, member: Member) -> None:
        if member.revoking or not member.client.answers:
            return
        target = self._target[member.id]
        surplus = member.owned - target | member.surrender & member.owned
        if surplus:
            member.revoking = True
            member.client.revoke(sorted(surplus))
            return
        member.generation = self.generation
        member.surrender = set()
        taken = {p for m in self.members.values() for p in m.owned}
        unstable = {p for offsets in self._pending.values() for p in offsets}
        free = target - taken - unstable
        if free or not member.told:
            member.told = True
            member.owned |= free
            member.client.assign(sorted(free))

    def released(self, member: Member, partitions: Collection[TopicPartition]) -> None:
        """A member has given partitions up: they go to whoever should have them."""
        member.revoking = False
        member.owned.difference_update(partitions)
        member.surrender.difference_update(partitions)
        self.reconcile()

    # Offsets.

    def commit(
        self,
        member_id: str,
        generation: int,
        offsets: Mapping[TopicPartition, Committed],
    ) -> Refusal | None:
        """Commit a member's offsets; return why not."""
        refusal = self._refuse(member_id, generation)
        if refusal is None:
            self.committed.update((p, c.offset) for p, c in offsets.items())
            self.metadata.update((p, c.metadata) for p, c in offsets.items())
        return refusal

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """Partitions were deleted, and so is what is committed of them."""
        for partition in partitions:
            self.committed.pop(partition, None)
            self.metadata.pop(partition, None)
            for offsets in self._pending.values():
                offsets.pop(partition, None)

    def commit_in_transaction(
        self,
        producer_id: int,
        member_id: str,
        generation: int,
        offsets: Mapping[TopicPartition, int],
    ) -> Refusal | None:
        """Hold offsets until a transaction ends; return why not.

        A partition is not handed out meanwhile: its next owner could not know where
        to start.
        """
        refusal = self._refuse(member_id, generation)
        if refusal is None:
            self._pending.setdefault(producer_id, {}).update(offsets)
        return refusal

    def end_transaction(self, producer_id: int, *, commit: bool) -> None:
        """Commit what a transaction holds, or forget it."""
        offsets = self._pending.pop(producer_id, {})
        if commit:
            self.committed.update(offsets)
        self.reconcile()

    def _refuse(self, member_id: str, generation: int) -> Refusal | None:
        member = self.members.get(member_id)
        if member is None:
            return Refusal("UNKNOWN_MEMBER_ID")
        if generation != member.generation:
            return Refusal("ILLEGAL_GENERATION")
        return None


def balance(
    wanted: Mapping[str, Collection[TopicPartition]],
    before: Mapping[str, Collection[TopicPartition]],
) -> dict[str, set[TopicPartition]]:
    """Share partitions out evenly, moving as few as possible.

    Args:
        wanted: What each member would read, members in the order of their joining.
        before: Who had what.
    """
    shares: dict[str, set[TopicPartition]] = {}
    left = {partition for partitions in wanted.values() for partition in partitions}
    for name in wanted:
        shares[name] = left.intersection(wanted[name], before.get(name, ()))
        left -= shares[name]
    for partition in sorted(left):
        takers = [name for name in wanted if partition in wanted[name]]
        shares[min(takers, key=lambda name: len(shares[name]))].add(partition)
    while (move := _improvement(wanted, shares)) is not None:
        partition, giver, taker = move
        shares[giver].remove(partition)
        shares[taker].add(partition)
    return shares


def _improvement(
    wanted: Mapping[str, Collection[TopicPartition]],
    shares: Mapping[str, set[TopicPartition]],
) -> tuple[TopicPartition, str, str] | None:
    by_size = sorted(shares, key=lambda name: len(shares[name]))
    for giver in reversed(by_size):
        for taker in by_size:
            if len(shares[giver]) < len(shares[taker]) + 2:
                break
            for partition in sorted(shares[giver], reverse=True):
                if partition in wanted[taker]:
                    return partition, giver, taker
    return None
