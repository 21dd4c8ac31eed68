"""Finding the clients that run on a cluster, by what a test calls them."""

from __future__ import annotations

from fastkafka.errors import ConfigError
from fastkafka.transport.memory.cluster import Cluster
from fastkafka.transport.memory.consumer import MemoryConsumer
from fastkafka.transport.memory.producer import MemoryProducer


def find_client(
    cluster: Cluster, client: MemoryConsumer | MemoryProducer | str
) -> MemoryConsumer | MemoryProducer:
    """Return a client, which may be named by its id or its member id.

    Raises:
        ConfigError: There is no such client.
    """
    for each in cluster.clients:
        if isinstance(each, MemoryConsumer | MemoryProducer):
            member = getattr(each, "member", None)
            if client in (each, each.id, member and member.id):
                return each
    raise no_client(cluster, client)


def find_consumer(cluster: Cluster, consumer: MemoryConsumer | str) -> MemoryConsumer:
    """Return a consumer; see `find_client`."""
    found = find_client(cluster, consumer)
    if not isinstance(found, MemoryConsumer):
        raise no_client(cluster, consumer)
    return found


def no_client(cluster: Cluster, client: object) -> ConfigError:
    """Say that a client does not run here, and which do."""
    known = [each.id for each in cluster.clients if hasattr(each, "id")]
    return ConfigError(
        f"MemoryBroker: no client {client!r} runs here. These do: {known}."
    )
