"""What who runs an app may change while it runs: `app.control`.

Nothing of it is kept: an app that starts again knows of no pause. What is wanted before
the start, or while the app restarts a client, is done as soon as there is something to
do it to.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from fastkafka.engine.consumer import GroupMember
from fastkafka.engine.pool import Pool
from fastkafka.engine.supervisor import Supervisor
from fastkafka.errors import ConfigError, NotAssignedError, did_you_mean
from fastkafka.observe.events import Event
from fastkafka.routing import ConsumerRoute, Order
from fastkafka.transport.base import TopicPartition

logger = logging.getLogger(__name__)

T = TypeVar("T")

MOST_CONCURRENCY = 100_000


class Control:
    """Pauses and resumes functions, changes their concurrency, seeks partitions.

    Functions are called by their names, as snapshots have them: `on_orders`. All
    methods may be called from any thread; what they want is done on the app's event
    loop.

    Args:
        routes: Returns the consuming functions with their names, which tell them apart.
        order_of: Returns a function's order.
        running: Returns what runs; None before the start and after the stop.
    """

    def __init__(
        self,
        routes: Callable[[], Sequence[tuple[str, ConsumerRoute]]],
        order_of: Callable[[ConsumerRoute], Order],
        running: Callable[[], Supervisor | None],
    ) -> None:
        self._routes = routes
        self._order_of = order_of
        self._running = running
        self._paused: dict[str, set[TopicPartition | None]] = {}
        self._concurrency: dict[str, int] = {}

    def pause(
        self, function: str, topic: str | None = None, partition: int | None = None
    ) -> str:
        """Let a function begin nothing more, until `resume`.

        What it handles at this moment ends and is committed. Its partitions stay
        assigned, and read up to the usual limits; those that are assigned meanwhile are
        paused, too. Another function of the same group that reads the same topic goes
        on, until it is as far ahead as those limits let it.

        Args:
            function: Its name.
            topic: Pause only at one partition: its topic,
            partition: and its number.

        Returns:
            A sentence that says what was done.

        Raises:
            ConfigError: There is no such function, or it does not read that topic.
        """
        name, where = self._named(function, topic, partition)
        self._paused.setdefault(name, set()).add(where)
        self._on_loop(lambda: self._limit(name, where, pause=True))
        text = f"`{name}` is paused{_at(where)}."
        self._say("paused", name, text)
        return text

    def resume(
        self, function: str, topic: str | None = None, partition: int | None = None
    ) -> str:
        """Let a function go on: everywhere, or at one partition.

        Args, Returns, Raises: As `pause`. A function that is paused everywhere cannot
            be resumed at one partition.
        """
        name, where = self._named(function, topic, partition)
        paused = self._paused.get(name, set())
        if where is not None and None in paused:
            raise ConfigError(
                f"`{name}` is paused everywhere, so it cannot be resumed{_at(where)} "
                "alone. Resume it, and pause it where it is to wait."
            )
        if where is None:
            paused.clear()
        else:
            paused.discard(where)
        self._on_loop(lambda: self._limit(name, where, pause=False))
        text = f"`{name}` goes on{_at(where)}."
        self._say("resumed", name, text)
        return text

    def set_concurrency(self, function: str, concurrency: int) -> str:
        """Change how many keys or records a function handles at once.

        What is above a lower number ends; nothing is cancelled.

        Args:
            function: Its name.
            concurrency: From 1, in each worker, as in the decorator.

        Returns:
            A sentence that says what was done.

        Raises:
            ConfigError: There is no such function, or its order is "partition".
        """
        name, _ = self._named(function, None, None)
        (route, *_) = [r for own, r in self._routes() if own == name]
        if self._order_of(route) == "partition":
            raise ConfigError(
                f'`{name}` has `order="partition"`: it handles as many records at '
                "once as partitions have some. More partitions let it do more, or "
                '`order="key"` in the decorator.'
            )
        if not 1 <= concurrency <= MOST_CONCURRENCY:
            raise ConfigError(
                f"`concurrency` is {concurrency}. Use a number from 1 to "
                f"{MOST_CONCURRENCY:,}."
            )
        self._concurrency[name] = concurrency
        self._on_loop(lambda: self._set_concurrency(name, concurrency))
        text = f"`{name}` handles up to {concurrency} at once."
        self._say("concurrency", name, text)
        return text

    async def seek(
        self, topic: str, partition: int, offset: int, *, group: str | None = None
    ) -> str:
        """Let a group read a partition from another offset on, and commit that.

        What is being handled of it ends first, within the app's `revoke_timeout`. A
        step forward passes records over; a step back handles some again. An offset
        that the log does not have is a gap, which `on_gap` decides about.

        Args:
            topic: The partition's topic.
            partition: Its number.
            offset: The next one to be read.
            group: Which group, if several of this app read the topic.

        Returns:
            A sentence that says what was done.

        Raises:
            ConfigError: The offset is below 0, or the group is not clear.
            NotAssignedError: This process does not have the partition.
            ClientError: It went away meanwhile.
        """
        if offset < 0:
            raise ConfigError(f"`offset` is {offset}. Use a number from 0.")
        supervisor = self._running()
        if supervisor is None:
            raise NotAssignedError("The app does not run, so it has no partitions.")
        where = TopicPartition(topic, partition)
        moving = self._seek(supervisor, where, offset, group)
        return await _awaited_on(supervisor.loop, moving)

    # For the app and its supervisor.

    def prepare(self, member: GroupMember) -> None:
        """Give a new member the limits that are wanted already."""
        for pool in member.pools:
            name = pool.handler.name
            for where in self._paused.get(name, ()):
                pool.limits.pause(where)
            pool.limit()
            if name in self._concurrency:
                member.set_concurrency(pool, self._concurrency[name])

    def forget(self) -> None:
        """Know of no pause and no concurrency any more: the app has stopped."""
        self._paused.clear()
        self._concurrency.clear()

    # How.

    def _named(
        self, function: str, topic: str | None, partition: int | None
    ) -> tuple[str, TopicPartition | None]:
        names = [name for name, _ in self._routes()]
        found = [n for n in names if n in (function, function.rpartition(".")[2])]
        if not found:
            raise ConfigError(
                f"No function {function!r} consumes here."
                f"{did_you_mean(function, names)}"
            )
        if topic is None:
            return found[0], None
        if not any(n == found[0] and r.reads(topic) for n, r in self._routes()):
            raise ConfigError(f"`{found[0]}` does not read '{topic}'.")
        if partition is None or partition < 0:
            raise ConfigError(f"`partition` is {partition}. Use a number from 0.")
        return found[0], TopicPartition(topic, partition)

    def _pools(self, name: str) -> Sequence[tuple[GroupMember, Pool]]:
        supervisor = self._running()
        members = () if supervisor is None else supervisor.members
        return [(m, p) for m in members for p in m.pools if p.handler.name == name]

    def _limit(self, name: str, where: TopicPartition | None, *, pause: bool) -> None:
        for member, pool in self._pools(name):
            if pause:
                pool.limits.pause(where)
                pool.limit()
            else:
                member.resume(pool, where)

    def _set_concurrency(self, name: str, concurrency: int) -> None:
        for member, pool in self._pools(name):
            member.set_concurrency(pool, concurrency)

    async def _seek(
        self,
        supervisor: Supervisor,
        partition: TopicPartition,
        offset: int,
        group: str | None,
    ) -> str:
        owners = [
            member
            for member in supervisor.members
            if member.owns(partition) and group in (None, member.group)
        ]
        if not owners:
            of = "" if group is None else f" in group '{group}'"
            raise NotAssignedError(
                f"{partition} is not this process's{of} at this moment."
            )
        groups = sorted({str(member.group) for member in owners})
        if len(groups) > 1:
            raise ConfigError(
                f"{partition} is read by several groups here: {', '.join(groups)}. "
                "Say which one."
            )
        (member, *_) = owners
        before, committed = await member.seek(
            partition, offset, supervisor.revoke_timeout
        )
        text = _sought(partition, member.group, before, offset)
        skips = before is not None and before < offset
        logger.log(logging.WARNING if skips else logging.INFO, "%s", text)
        supervisor.tell(
            Event("sought", str(partition), text, *partition, offset=offset)
        )
        if not committed and member.group is not None:
            text += " No coordinator has acknowledged that yet."
        return text

    def _say(self, kind: str, name: str, text: str) -> None:
        logger.info("%s", text)
        supervisor = self._running()
        if supervisor is not None:
            self._on_loop(lambda: supervisor.tell(Event(kind, name, text)))

    def _on_loop(self, do: Callable[[], None]) -> None:
        """Do something on the app's event loop, if there is one."""
        supervisor = self._running()
        if supervisor is None:
            return
        if _running_loop() is supervisor.loop:
            do()
        else:
            supervisor.loop.call_soon_threadsafe(do)


def _at(where: TopicPartition | None) -> str:
    return "" if where is None else f" at {where}"


def _sought(
    partition: TopicPartition, group: str | None, before: int | None, offset: int
) -> str:
    """Say where a partition went, and how many offsets that skips or repeats."""
    who = f"{partition} of {'no group' if group is None else f'group {group!r}'}"
    if before is None:
        return f"{who} was sought to {offset}."
    text = f"{who} was sought from {before} to {offset}"
    if before < offset:
        return f"{text}: {offset - before} offsets are passed over on purpose."
    if before > offset:
        return f"{text}: {before - offset} offsets are read again."
    return f"{text}, where it was."


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def _awaited_on(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]
) -> T:
    """Wait for work on any loop; it goes on if who waits is cancelled."""
    if _running_loop() is loop:
        return await asyncio.shield(loop.create_task(work))
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))
