"""Where apps run in a test: in memory, on brokers of their own, or on started ones."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Collection, Mapping
from contextlib import AsyncExitStack
from typing import Any, Protocol

from fastkafka.errors import ConfigError
from fastkafka.testing.clusters import Clusters, Detour, StartedBroker
from fastkafka.testing.in_memory import SharedBroker, active_clusters
from fastkafka.transport.base import Transport
from fastkafka.transport.memory import MemoryBroker

Addresses = Mapping[str, Collection[str]]
"""Clusters by the addresses that apps name, with the topics used there; the first is
the one of the tester itself."""


class Place(Protocol):
    """Where apps run in a test.

    Attributes:
        in_memory: Addresses are but names there.
    """

    in_memory: bool

    async def open(
        self, addresses: Addresses, block: AsyncExitStack
    ) -> Transport | None:
        """Get ready, until the end of the block.

        Returns:
            What leads there; None is the apps' own transport.
        """


class InMemory:
    """A broker in memory for each cluster.

    Args:
        broker: The one for the only cluster; None is a new one for each, or those of
            the `InMemoryBroker` that surrounds the test.
    """

    in_memory = True

    def __init__(self, broker: MemoryBroker | None = None) -> None:
        self._broker = broker

    async def open(
        self, addresses: Addresses, block: AsyncExitStack
    ) -> Clusters[MemoryBroker] | Clusters[SharedBroker]:
        """See `Place`."""
        if self._broker is None:
            return active_clusters() or Clusters(MemoryBroker)
        _check_only_one(addresses)
        return Clusters(MemoryBroker, dict.fromkeys(addresses, self._broker))


class External:
    """The brokers that the apps name."""

    in_memory = False

    async def open(self, addresses: Addresses, block: AsyncExitStack) -> None:
        """See `Place`."""


class Started:
    """Brokers that are started for the test.

    Args:
        make: Makes a broker that is to have some topics.
        only: Whether there is but one, so that the apps must not use several clusters.
    """

    in_memory = False

    def __init__(
        self, make: Callable[[Collection[str]], StartedBroker], *, only: bool = False
    ) -> None:
        self._make = make
        self._only = only

    @classmethod
    def of(cls, name: str, settings: Mapping[str, Any]) -> Started:
        """Return brokers of a class of `fastkafka.testing`.

        Args:
            name: Of the class.
            settings: Its arguments; its `topics` come beside those of the apps.
        """
        given = dict(settings)
        wanted: Any = given.pop("topics", ())

        def make(topics: Collection[str]) -> StartedBroker:
            both = (
                dict.fromkeys(topics, 1) | dict(wanted)
                if isinstance(wanted, Mapping)
                else list(dict.fromkeys([*wanted, *topics]))
            )
            kind = getattr(importlib.import_module("fastkafka.testing"), name)
            broker: StartedBroker = kind(topics=both, **given)
            return broker

        return cls(make)

    @classmethod
    def given(cls, broker: StartedBroker) -> Started:
        """Return the place of a broker that a test has made."""
        return cls(lambda topics: broker, only=True)

    async def open(
        self, addresses: Addresses, block: AsyncExitStack
    ) -> Clusters[Detour]:
        """See `Place`."""
        if self._only:
            _check_only_one(addresses)
        detours: dict[str, Detour] = {}
        for address, topics in addresses.items():
            broker = self._make(sorted(topics))
            if getattr(broker, "is_started", False):
                servers = broker.bootstrap_servers
            else:
                servers = await block.enter_async_context(broker)
            if self._only:
                await asyncio.to_thread(_create_missing, broker, sorted(topics))
            detours[address] = Detour(servers)
        return Clusters(_nowhere, detours)


def _nowhere() -> Detour:
    raise AssertionError("every address has its broker")


def _create_missing(broker: Any, topics: Collection[str]) -> None:
    for topic in topics:
        try:
            broker.create_topic(topic)
        except ConfigError:  # it exists
            continue


def _check_only_one(addresses: Addresses) -> None:
    if len(addresses) > 1:
        found = " and ".join(map(repr, addresses))
        raise ConfigError(
            f"Tester: the apps use {len(addresses)} clusters, {found}, but `broker` is "
            "one. Leave `broker` out: every cluster gets a broker of its own."
        )
