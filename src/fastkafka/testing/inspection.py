"""What is in the broker, as a test of some apps wants to know it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from fastkafka import codecs
from fastkafka.errors import ConfigError
from fastkafka.messages import KafkaEvent
from fastkafka.params import function_name
from fastkafka.policies import SUFFIX
from fastkafka.routing import PATTERN, ConsumerRoute
from fastkafka.testing.clusters import Clusters
from fastkafka.testing.in_memory import SharedBroker
from fastkafka.testing.mirrors import Codecs, decoded
from fastkafka.testing.mocks import Watch
from fastkafka.testing.sides import Side
from fastkafka.transport.memory import MemoryBroker

Memory = MemoryBroker | SharedBroker

_PATIENCE, _TICK = 1.0, 0.01
"""Seconds until a stop is taken to wait for a clock, and between its seconds then."""

Topic = str | Callable[..., Any]
"""A topic's name, or a function that reads it or writes to it."""


class Inspection:
    """Looks into the clusters of some apps; see the methods of `Tester`.

    Args:
        sides: The functions of the apps.
        clusters: Their clusters.
        main: The address of the one that is meant when nothing else says so.
        inverse: The apps' codecs.
        watch: Knows whether an app has failed.
    """

    def __init__(
        self,
        sides: Sequence[Side],
        clusters: Clusters[MemoryBroker] | Clusters[SharedBroker],
        main: str,
        inverse: Codecs,
        watch: Watch,
    ) -> None:
        self._sides = sides
        self._clusters = clusters
        self._main = main
        self._inverse = inverse
        self._watch = watch

    def broker(self, of: Callable[..., Any] | None) -> Memory:
        """Return the broker that a function talks to, or the apps' own."""
        servers = self._main if of is None else self._sides_known_as(of)[0].servers
        return self._clusters.at(servers)

    async def idle(self, timeout: float) -> None:
        """Wait until everything is handled, and commit it."""
        handled = asyncio.ensure_future(self._all_idle())
        try:
            await self._watch.first(handled, timeout)
        finally:
            handled.cancel()
        # What was parked is no failure here; who looks at `dead_letters` knows of it.
        self._watch.raise_failure(given_up=False)
        for broker in self._brokers():
            broker.commit()
        if not handled.done():
            left = {name: n for name, n in self._lags(None).items() if n}
            raise AssertionError(
                f"Tester: not idle after {timeout:g} s. "
                + (
                    f"Not handled yet: {_counted(left)}."
                    if left
                    else "What was sent is not acknowledged yet."
                )
            )

    async def let_time_pass(self) -> None:
        """Turn the brokers' clocks, fast, when a stop takes so long that it waits.

        A clock that only a test turns stands still once the test has left its block;
        then nothing would end that waits for it.
        """
        await asyncio.sleep(_PATIENCE)
        while True:
            for broker in self._brokers():
                broker.advance(1.0)
            await asyncio.sleep(_TICK)

    def committed(self, topic: Topic) -> dict[int, int]:
        """Return the committed offsets of a topic by partition."""
        broker, name, sides = self._find(topic)
        readers = [s for s in sides if isinstance(s.route, ConsumerRoute)]
        if not readers:
            raise ConfigError(
                f"Tester: no function of the apps reads '{name}', so nobody commits "
                "its offsets."
            )
        groups = sorted({s.group for s in readers if s.group is not None})
        if len(groups) > 1:
            raise ConfigError(
                f"Tester: '{name}' is read by the groups {_joined(groups)}. "
                "Give the function instead of the topic."
            )
        return broker.committed(groups[0], name) if groups else {}

    def lag(self, topic: Topic | None) -> int:
        """Return how many records the apps have not committed."""
        return sum(self._lags(topic).values())

    def messages(self, topic: Topic) -> list[KafkaEvent[Any]]:
        """Return what a topic holds, decoded."""
        broker, name, sides = self._find(topic)
        decoders: list[codecs.Decoder] = []
        for side in sides:
            if isinstance(side.route, ConsumerRoute):
                decoders.append(side.route.decode)
            elif (decoder := self._inverse.decoder(side.route)) is not None:
                decoders.append(decoder)
        return [
            KafkaEvent(
                decoded(record.value(), decoders),
                key=record.key(),
                headers=record.headers(),
                partition=record.partition(),
                timestamp=record.timestamp()[1],
            )
            for record in broker.messages(name)
        ]

    def dead_letters(self, topic: Topic) -> list[KafkaEvent[Any]]:
        """Return the dead letters of a topic; the test knows of their errors now."""
        broker, name, _ = self._find(topic)
        self._watch.see_given_up(name)
        parked = name + SUFFIX
        return [
            KafkaEvent(record.value(), record.key(), record.headers())
            for record in (broker.messages(parked) if parked in broker.topics else ())
        ]

    def _brokers(self) -> Collection[Memory]:
        return [self._clusters.at(each) for each in {s.servers for s in self._sides}]

    async def _all_idle(self) -> None:
        brokers = self._brokers()
        # What one has brought to its end may have sent something to another.
        while any(broker.busy for broker in brokers):
            for broker in brokers:
                await broker.idle()

    def _lags(self, topic: Topic | None) -> Mapping[str, int]:
        """Return by topic how many records some group has not committed."""
        found: dict[tuple[str, str, str], int] = {}
        only = None if topic is None else self._find(topic)
        for side in self._sides if only is None else only[2]:
            if side.group is None:
                continue
            broker = self._clusters.at(side.servers)
            for name in broker.topics if only is None else (only[1],):
                if side.has(name):
                    lag = broker.lag(side.group, name)
                    found[side.servers, side.group, name] = sum(lag.values())
        by_topic: dict[str, int] = {}
        for (_, _, name), lags in found.items():
            by_topic[name] = by_topic.get(name, 0) + lags
        return by_topic

    def _find(self, topic: Topic) -> tuple[Memory, str, Sequence[Side]]:
        """Return where a topic is, its name, and who is on its ends."""
        if isinstance(topic, str):
            name = topic
            sides: Sequence[Side] = [s for s in self._sides if s.has(topic)]
        else:
            sides = self._sides_known_as(topic)
            name = self._only_topic(sides)
        servers = list(dict.fromkeys(side.servers for side in sides))
        if len(servers) > 1:
            functions = _joined([side.route.name for side in sides])
            raise ConfigError(
                f"Tester: '{name}' is on {len(servers)} clusters, for the functions "
                f"{functions}. Give the function instead of the topic."
            )
        return self._clusters.at((servers or [self._main])[0]), name, sides

    def _sides_known_as(self, function: Callable[..., Any]) -> Sequence[Side]:
        sides = [s for s in self._sides if any(function is f for f in s.known_as)]
        if not sides:
            raise ConfigError(
                f"Tester: `{function_name(function)}` is no function of the apps under "
                "test."
            )
        return sides

    def _only_topic(self, sides: Sequence[Side]) -> str:
        topics = list(dict.fromkeys(topic for side in sides for topic in side.topics))
        if len(topics) == 1 and not topics[0].startswith(PATTERN):
            return topics[0]
        raise ConfigError(
            f"Tester: `{sides[0].route.name}` has the topics "
            f"{_joined([topic.removeprefix(PATTERN) for topic in topics])}. "
            "Give the name of one."
        )


def _joined(names: Sequence[str]) -> str:
    return " and ".join(map(repr, names))


def _counted(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{number} of {name!r}" for name, number in numbers.items())
