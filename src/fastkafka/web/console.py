"""What the page of one app shows: one look a second at the workers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from fastkafka.app import FastKafka
from fastkafka.errors import ConfigError, FastKafkaError
from fastkafka.observe.snapshot import Snapshot
from fastkafka.tools.topics import (
    AppTopic,
    Clusters,
    app_topics,
    declared_topics,
    facts_of,
    topic_named,
)
from fastkafka.web.attention import attention
from fastkafka.web.board import Board
from fastkafka.web.describe import Shape, describe
from fastkafka.web.desk import Desk
from fastkafka.web.failures import Failures
from fastkafka.web.guard import Rules
from fastkafka.web.journal import Journal
from fastkafka.web.reader import Watches
from fastkafka.web.replays import Replays
from fastkafka.web.source import Source

Mode = Literal["dev", "run", "mounted"]

INTERVAL = 1.0
FACTS_SECONDS = 30.0
"""How often the cluster is asked how many partitions the topics have, while watched."""
PARKED_SECONDS = 5.0
"""How often it is asked how many dead letters are parked, while watched."""


@dataclass(frozen=True, slots=True)
class Broken:
    """Why there is no app.

    Attributes:
        error: A sentence.
        traceback: Of the user's module; empty if it is not that.
    """

    error: str
    traceback: str = ""


class Console:
    """What the page of one app shows; see `routes`.

    Attributes:
        app: The app.
        source: What runs.
        rules: Who may what.
        mode: How it was started.
        broken: Why there is no app.
        shape: What the app is made of, as far as is known.
        board: Rates, percentiles, history.
        journal: What has happened.
        desk: Takes questions to the clusters.
        watches: What is watched live.
        failures: The dead letters.
        replays: What is being replayed.
    """

    def __init__(
        self,
        source: Source,
        rules: Rules,
        app: FastKafka | None,
        *,
        mode: Mode = "run",
        name: str = "",
        broken: Broken | None = None,
    ) -> None:
        self.app = app
        self.source = source
        self.rules = rules
        self.mode: Mode = mode
        self.name = name
        self.broken = broken
        self.shape = Shape()
        self.board = Board()
        self.journal = Journal()
        self.desk = Desk()
        self.redact = () if app is None else app.redact
        self.watches = Watches(self.redact, self._wake)
        self.failures = Failures(self.desk, self.topics, self.redact)
        self.replays = Replays(self.failures, self.topics, self.desk, self.redact)
        self.streams = 0
        self.closing = False
        self.snapshots: Sequence[Snapshot] = ()
        self.tick_json = "{}"
        self._partitions: dict[str, int] = {}
        self._shape_key: object = None
        self._ticker: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[None]] = set()
        self._next = asyncio.Event()
        self._facts_at = self._parked_at = 0.0

    @property
    def cluster(self) -> str | None:
        """The address of the app's cluster."""
        return None if self.app is None else self.app._choice.servers(None)

    def state(
        self, topic: AppTopic, partition: int, offset: int
    ) -> Sequence[Mapping[str, Any]]:
        """Return what has become of a record: for each group that reads its topic.

        "handled", "parked", or "waiting" behind so many others; "unknown" when no
        worker here has the partition.
        """
        found = []
        known = {
            p.group: p
            for snapshot in self.snapshots
            for p in snapshot.partitions
            if (p.topic, p.partition) == (topic.name, partition)
        }
        for group in topic.groups:
            one = known.get(group)
            state, behind = "unknown", None
            if self.failures.is_parked(topic.name, partition, offset):
                state = "parked"
            elif one is not None and one.committed is not None:
                state = "handled" if offset < one.committed else "waiting"
                behind = max(0, offset - one.committed)
            found.append({"group": group, "state": state, "behind": behind})
        return found

    # Ticking.

    def wake_up(self) -> None:
        """Start to look at the workers once a second, unless that is done already."""
        loop = asyncio.get_running_loop()
        if (
            self._ticker is None
            or self._ticker.done()
            or self._ticker.get_loop() is not loop
        ):
            self._next = asyncio.Event()
            self.look()
            self._ticker = loop.create_task(self._keep_looking())

    def look(self) -> None:
        """Look at the workers, and tell everybody who waits."""
        now = time.time()
        self.snapshots = self.source.snapshots()
        self._describe()
        tick = self.board.tick(self.shape, self.snapshots, now)
        self.journal.look(self.snapshots, now)
        lines = attention(self.shape, self.snapshots, self.board)
        tick["attention"] = [asdict(line) for line in lines]
        self.tick_json = json.dumps(tick, separators=(",", ":"))
        self._wake()

    def close(self) -> None:
        """Let all streams end: the server is about to stop."""
        self.closing = True
        self._wake()

    async def news(self) -> None:
        """Wait until there is something new to show."""
        await self._next.wait()

    def _wake(self) -> None:
        self._next.set()
        self._next = asyncio.Event()

    async def _keep_looking(self) -> None:
        try:
            while True:
                # Early in each second, so that none is left out.
                await asyncio.sleep(INTERVAL - (time.time() - 0.1) % INTERVAL)
                self.look()
                self.desk.tidy()
                self.failures.tidy()
                if self.streams and self.app is not None:
                    self._ask_again()
        finally:
            self.watches.close()
            self.replays.close()
            self.desk.close()

    def _describe(self) -> None:
        if self.app is None:
            return
        key = (
            frozenset(e for s in self.snapshots for e in s.edges),
            frozenset(p.topic for s in self.snapshots for p in s.partitions),
            frozenset(
                (f.name, bool(f.parked)) for s in self.snapshots for f in s.functions
            ),
            tuple(self._partitions.items()),
        )
        if key != self._shape_key:
            self._shape_key = key
            try:
                self.shape = describe(self.app, self.snapshots, self._partitions)
            except ConfigError as error:  # which no worker can start with, either
                self.app, self.broken = None, Broken(str(error))

    def _ask_again(self) -> None:
        """Ask the cluster what no worker says, now and then, while somebody looks."""
        now = time.monotonic()
        if now - self._facts_at > FACTS_SECONDS:
            self._facts_at = now
            self._in_background(self._ask_facts())
        if now - self._parked_at > PARKED_SECONDS:
            self._parked_at = now
            self._in_background(self._ask_parked())

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask_facts(self) -> None:
        def ask(clusters: Clusters) -> Mapping[str, int]:
            facts = facts_of(self._known(clusters), clusters)
            return {name: len(f.partitions) for (_, name), f in facts.items()}

        try:
            self._partitions.update(await self.desk.ask(ask))
        except FastKafkaError:
            return  # the workers say that no broker answers
        self._describe()

    async def _ask_parked(self) -> None:
        try:
            self.board.parked = await self.failures.parked()
        except FastKafkaError:
            return  # as above

    # Topics.

    def _known(self, clusters: Clusters) -> Sequence[AppTopic]:
        assert self.app is not None
        return [t for t in app_topics(self.app, clusters) if not t.is_pattern]

    async def topic(self, name: str) -> AppTopic:
        """Return a topic of the app.

        Raises:
            ConfigError: The app has none of that name.
        """
        if self.app is None:
            raise ConfigError("There is no app, so it has no topics.")
        declared = declared_topics(self.app)
        if any(t.is_pattern for t in declared):
            return await self.desk.ask(lambda c: topic_named(self._known(c), name))
        return topic_named(declared, name)

    async def topics(self) -> Sequence[AppTopic]:
        """Return the app's topics, patterns resolved."""
        return await self.desk.ask(self._known) if self.app else ()
