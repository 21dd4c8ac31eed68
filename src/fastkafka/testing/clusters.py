"""Clusters for apps under test: a transport that leads each address somewhere else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Protocol, TypeVar

from fastkafka.brokers import KafkaBroker, bootstrap_servers
from fastkafka.errors import ConfigError
from fastkafka.transport.base import Consumer, ConsumerListener, Producer, Transport
from fastkafka.transport.librdkafka import LibrdkafkaTransport

T = TypeVar("T", bound=Transport)

_ADDRESS = "bootstrap.servers"
_LOGIN = ("security.", "sasl.", "ssl.", "enable.ssl.", "oauth")
"""What begins the settings that say how to be let in."""


class Clusters(Generic[T]):
    """A transport to several brokers: one for each address that apps would use.

    Args:
        make: Makes a broker.
        brokers: Those that are there from the start, by their address.
    """

    def __init__(
        self, make: Callable[[], T], brokers: Mapping[str, T] | None = None
    ) -> None:
        self._make = make
        self._brokers = dict(brokers or {})

    def at(self, servers: str) -> T:
        """Return the broker at an address, a new one if there is none."""
        if servers not in self._brokers:
            # Apps of several threads may get here at once: all use the first one.
            self._brokers.setdefault(servers, self._make())
        return self._brokers[servers]

    def consumer(
        self,
        config: Mapping[str, Any],
        topics: Collection[str],
        listener: ConsumerListener,
        *,
        start_at: Mapping[str, str],
        on_gap: Mapping[str, str],
        revoke_timeout: float,
    ) -> Consumer:
        """See `Transport`."""
        return self.at(config[_ADDRESS]).consumer(
            config,
            topics,
            listener,
            start_at=start_at,
            on_gap=on_gap,
            revoke_timeout=revoke_timeout,
        )

    def producer(self, config: Mapping[str, Any], topics: Collection[str]) -> Producer:
        """See `Transport`."""
        return self.at(config[_ADDRESS]).producer(config, topics)


class Detour:
    """A transport to a broker that was started for tests: everybody may connect.

    Args:
        servers: Its address, instead of the one that apps would use.
    """

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._transport = LibrdkafkaTransport()

    def consumer(
        self,
        config: Mapping[str, Any],
        topics: Collection[str],
        listener: ConsumerListener,
        *,
        start_at: Mapping[str, str],
        on_gap: Mapping[str, str],
        revoke_timeout: float,
    ) -> Consumer:
        """See `Transport`."""
        return self._transport.consumer(
            self._there(config),
            topics,
            listener,
            start_at=start_at,
            on_gap=on_gap,
            revoke_timeout=revoke_timeout,
        )

    def producer(self, config: Mapping[str, Any], topics: Collection[str]) -> Producer:
        """See `Transport`."""
        return self._transport.producer(self._there(config), topics)

    def _there(self, config: Mapping[str, Any]) -> dict[str, Any]:
        plain = {k: v for k, v in config.items() if not k.startswith(_LOGIN)}
        return plain | {_ADDRESS: self._servers}


class StartedBroker(AbstractAsyncContextManager[str], Protocol):
    """A broker for tests like `EmbeddedBroker`: entering it starts it."""

    @property
    def is_started(self) -> bool:
        """Whether it runs."""

    @property
    def bootstrap_servers(self) -> str:
        """Where it is, when it runs."""


def any_address(name: str, brokers: Sequence[KafkaBroker]) -> str:
    """Return the address of a cluster, or what stands in its place.

    In memory an address is but a name, so that a placeholder will do.
    """
    try:
        return bootstrap_servers(name, brokers)
    except ConfigError:
        return ",".join(f"{broker.url}:{broker.port}" for broker in brokers)
