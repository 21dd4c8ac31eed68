"""Private attributes of the original's app that tests of old apps read.

They show what was declared; changing what is returned changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fastkafka.brokers import KafkaBroker, KafkaBrokers
from fastkafka.routing import ConsumerRoute, ProducerRoute


def kafka_config(
    settings: Mapping[str, object], bootstrap_servers_id: str
) -> dict[str, object]:
    """Return what was ``_kafka_config``: client settings, and which cluster is used."""
    return {**settings, "bootstrap_servers_id": bootstrap_servers_id}


def kafka_brokers(brokers: Mapping[str, Sequence[KafkaBroker]]) -> KafkaBrokers:
    """Return what was ``_kafka_brokers``."""
    return KafkaBrokers(
        brokers={
            name: servers[0] if len(servers) == 1 else list(servers)
            for name, servers in brokers.items()
        }
    )


def store(
    routes: Sequence[ConsumerRoute] | Sequence[ProducerRoute],
) -> dict[str, Any]:
    """Return what was ``_consumers_store`` or ``_producers_store``.

    Keys are ``"<topic>_<n>"``, counting a topic's functions from 0. Values are routes,
    where the original had tuples.
    """
    found: dict[str, Any] = {}
    counts: Counter[str] = Counter()
    for route in routes:
        topics = route.topics if isinstance(route, ConsumerRoute) else (route.topic,)
        for topic in topics:
            found[f"{topic}_{counts[topic]}"] = route
            counts[topic] += 1
    return found


class PrivateNames:
    """The names by which tests read them; a base of `FastKafka`."""

    _kafka_config = property(
        lambda self: kafka_config(self._settings, self._choice.name)
    )
    _kafka_brokers = property(lambda self: kafka_brokers(self.brokers))
    _consumers_store = property(lambda self: store(self.consumers))
    _producers_store = property(lambda self: store(self.producers))
