"""The functions of apps under test, and which end of which topics they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from fastkafka import settings as client_settings
from fastkafka.app import FastKafka
from fastkafka.errors import ConfigError
from fastkafka.routing import PATTERN, ConsumerRoute, ProducerRoute
from fastkafka.testing.mocks import original


@dataclass(frozen=True, slots=True)
class Side:
    """A function on one end of some topics.

    Attributes:
        app: Whose it is.
        route: The function.
        known_as: The objects that tests know it by: the user's function, and what its
            decorator made of it.
        servers: The address of its cluster.
    """

    app: FastKafka
    route: ConsumerRoute | ProducerRoute
    known_as: Collection[Callable[..., Any]]
    servers: str

    @property
    def topics(self) -> tuple[str, ...]:
        """What it reads, or writes to; one that begins with ``^`` is a pattern."""
        route = self.route
        return route.topics if isinstance(route, ConsumerRoute) else (route.topic,)

    @property
    def group(self) -> str | None:
        """The group that it reads in; None commits nothing."""
        if isinstance(self.route, ProducerRoute):
            return None
        return client_settings.group_id(self.route.settings, default=self.app.group_id)

    def has(self, topic: str) -> bool:
        """Whether it is on an end of a topic."""
        return any(
            name == topic or (name.startswith(PATTERN) and re.fullmatch(name, topic))
            for name in self.topics
        )


def sides_of(app: FastKafka) -> list[Side]:
    """Return the functions of an app, those that consume first."""
    return [
        *(
            Side(app, route, [original(route.function)], _servers(app, route))
            for route in app._consumers
        ),
        *(
            Side(
                app,
                each.route,
                [each.call, original(each.route.function)],
                _servers(app, each.route),
            )
            for each in app._producing
        ),
    ]


def _servers(app: FastKafka, route: ConsumerRoute | ProducerRoute) -> str:
    """Return the address, or what tells clusters apart while none is chosen."""
    try:
        return app._servers_of(route)
    except ConfigError:
        return repr(route.brokers or app.brokers)
