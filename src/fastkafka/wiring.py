"""Routes and settings to what the supervisor runs: one client for each configuration.

Functions whose clients would be configured alike share one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastkafka import settings as client_settings
from fastkafka.engine.supervisor import ConsumerGroup, ProducerGroup
from fastkafka.errors import ConfigError
from fastkafka.params import function_name
from fastkafka.policies import (
    OnFailure,
    Retry,
    check_on_failure,
    check_retry,
    check_seconds,
    check_timeout,
)
from fastkafka.router import check_count, check_order
from fastkafka.routing import (
    ConsumerRoute,
    Handler,
    Order,
    ProducerRoute,
    ProducingFunction,
)
from fastkafka.transport import intake

LARGEST_BATCH = 1000

LARGEST_DEAD_LETTER = 256 << 20
"""Bytes; what could be read has to be written, whatever the app's own limit is. The
topic's `max.message.bytes` decides."""

ServersOf = Callable[[ConsumerRoute | ProducerRoute], str]
"""Returns the bootstrap servers of the cluster that a function talks to."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What an app says for functions that say nothing else.

    Attributes:
        settings: Client settings.
        group_id: The consumer group, or None.
        order: What is handled one after another.
        concurrency: How many keys, records or sync calls are handled at once.
        batch_timeout: Seconds that a batch waits to be filled.
        retry: How often a function is called with a record that fails.
        on_failure: What follows when that is used up.
        timeout: Seconds that one call of an async function may take, or None.
        at_once: Neither retries nor batches wait, for tests.
        worker: The number of this worker among several, from 1.
    """

    settings: Mapping[str, object]
    group_id: str | None
    order: Order
    concurrency: int
    batch_timeout: float
    retry: Retry
    on_failure: OnFailure
    timeout: float | None
    at_once: bool = False
    worker: int | None = None

    def consumer_groups(
        self, routes: Sequence[ConsumerRoute], servers_of: ServersOf
    ) -> list[ConsumerGroup]:
        """Return the consumers that the functions need.

        Raises:
            ConfigError: Two functions that would share one contradict each other.
        """
        sharing: dict[Any, list[Handler]] = {}
        for name, route in self.named(routes):
            group = self._group(route)
            config = client_settings.consumer_config(self.settings, route.settings)
            config["bootstrap.servers"] = servers_of(route)
            if group is not None:
                config["group.id"] = group
            key = frozenset(config.items())
            sharing.setdefault(key, []).append(self._handler(route, name))
        for handlers in sharing.values():
            _check_starts(handlers)
        groups = [
            ConsumerGroup(
                handlers=handlers,
                config=(own := dict(config)),
                # Dead letters go where the records came from.
                dead_letters={
                    **self.producer_config(own["bootstrap.servers"]),
                    "message.max.bytes": LARGEST_DEAD_LETTER,
                    # Their topic may just have been made; see transport/librdkafka.
                    "max.in.flight.requests.per.connection": 1,
                },
            )
            for config, handlers in sharing.items()
        ]
        self._tell_members_apart(groups)
        return groups

    def named(
        self, routes: Sequence[ConsumerRoute]
    ) -> Sequence[tuple[str, ConsumerRoute]]:
        """Return each function with a name that tells it apart from the others."""
        names = _told_apart(
            [
                _spellings(
                    route.function,
                    ", ".join(route.topics),
                    self._group(route) or "no group",
                )
                for route in routes
            ]
        )
        return list(zip(names, routes, strict=True))

    def _tell_members_apart(self, groups: Sequence[ConsumerGroup]) -> None:
        """Give each static member an id of its own: each worker, and each client.

        Two members of one id would throw each other out of the group, for ever.
        """
        seen: Counter[tuple[Any, Any]] = Counter()
        for group in groups:
            config = group.config
            name = config.get("group.instance.id")
            if name is None:
                continue
            if self.worker is not None:
                config["group.instance.id"] = f"{name}-{self.worker}"
            alike = config["bootstrap.servers"], config.get("group.id")
            seen[alike] += 1
            if seen[alike] > 1:
                config["group.instance.id"] += f"-{seen[alike]}"

    def producer_groups(
        self, functions: Sequence[ProducingFunction], servers_of: ServersOf
    ) -> list[ProducerGroup]:
        """Return the producers that the functions need."""
        sharing: dict[Any, list[tuple[str, ProducingFunction]]] = {}
        routes = [function.route for function in functions]
        names = _told_apart([_spellings(r.function, r.topic) for r in routes])
        for name, function in zip(names, functions, strict=True):
            servers = servers_of(function.route)
            config = self.producer_config(servers, function.route.settings)
            sharing.setdefault(frozenset(config.items()), []).append((name, function))
        return [
            ProducerGroup(functions=alike, config=dict(config))
            for config, alike in sharing.items()
        ]

    def producer_config(
        self, servers: str, *own: Mapping[str, object]
    ) -> dict[str, Any]:
        """Return the configuration of a producer.

        Args:
            servers: Its bootstrap servers.
            own: Settings of a function, over the app's.
        """
        config = client_settings.producer_config(self.settings, *own)
        config["bootstrap.servers"] = servers
        return config

    def remarks(self, routes: Sequence[ConsumerRoute | ProducerRoute]) -> Sequence[str]:
        """Return once each what is accepted, but means something else here."""
        layers: list[tuple[Mapping[str, object], ...]] = [(self.settings,)]
        layers += [(self.settings, route.settings) for route in routes]
        said = [remark for own in layers for remark in client_settings.remarks(*own)]
        said += [
            f"`{route.name}`: `max_batch` is {route.max_batch}, but a partition has at "
            f"most {intake.HIGH_RECORDS} records in work, so a batch has no more."
            for route in routes
            if isinstance(route, ConsumerRoute)
            and (route.max_batch or 0) > intake.HIGH_RECORDS
        ]
        return list(dict.fromkeys(said))

    def _group(self, route: ConsumerRoute) -> str | None:
        return client_settings.group_id(route.settings, default=self.group_id)

    def _handler(self, route: ConsumerRoute, name: str) -> Handler:
        """Settle what a function leaves to the app."""
        layers = self.settings, route.settings
        most = client_settings.max_poll_records(*layers)
        retry = route.retry or self.retry
        wait = (
            self.batch_timeout if route.batch_timeout is None else route.batch_timeout
        )
        if self.at_once:
            retry = replace(retry, delay=0.0)
        return Handler(
            route,
            name,
            start_at=client_settings.start_at(*layers),
            on_gap=client_settings.on_gap(*layers),
            order=route.order or self.order,
            concurrency=route.concurrency or self.concurrency,
            max_batch=min(
                route.max_batch or most or LARGEST_BATCH, intake.HIGH_RECORDS
            ),
            batch_timeout=0.0 if self.at_once or not route.plan.batch else wait,
            retry=retry,
            on_failure=route.on_failure or self.on_failure,
            timeout=(route.timeout or self.timeout) if route.plan.is_async else None,
        )


def _spellings(function: Callable[..., Any], topics: str, group: str = "") -> list[str]:
    """Return what a function may be called, from its bare name to all that is known."""
    name = function_name(function)
    full = f"{getattr(function, '__module__', '')}.{name}"
    spellings = [name, full, f"{name}({topics})", f"{full}({topics})"]
    return [*spellings, f"{full}({topics}) in {group}"] if group else spellings


def _told_apart(spellings: Sequence[Sequence[str]]) -> list[str]:
    """Return a name for each function: the bare one, unless others have the same.

    Those that do get the shortest spelling that tells all of them apart; what nothing
    tells apart is numbered.
    """
    names = [own[0] for own in spellings]
    for bare, count in Counter(names).items():
        if count == 1:
            continue
        alike = [index for index, own in enumerate(spellings) if own[0] == bare]
        ways = [list(way) for way in zip(*(spellings[i] for i in alike), strict=True)]
        numbered = [f"{name} #{n}" for n, name in enumerate(ways[-1], 1)]
        found = next((way for way in ways if len(set(way)) == count), numbered)
        for index, name in zip(alike, found, strict=True):
            names[index] = name
    return names


def defaults_of_app(
    settings: Mapping[str, object],
    order: Order,
    concurrency: int,
    batch_timeout: float,
    retry: Retry | None,
    on_failure: OnFailure,
    timeout: float | None,
) -> Defaults:
    """Return what an app has declared; its group depends on what it is called later.

    Raises:
        ConfigError: Something of it cannot be.
    """
    where = "FastKafka"
    if check_order(order, where=where) is None:
        raise ConfigError(f"{where}: `order` is None. Leave it out for 'partition'.")
    if check_count("concurrency", concurrency, where=where) is None:
        raise ConfigError(f"{where}: `concurrency` is None. Use a number from 1.")
    return Defaults(
        settings,
        None,
        order,
        concurrency,
        check_seconds("batch_timeout", batch_timeout, where=where),
        check_retry(retry, where=where) or Retry(),
        check_on_failure(on_failure, where=where) or "dead_letter",
        check_timeout(timeout, where=where),
    )


def _check_starts(handlers: Sequence[Handler]) -> None:
    """Refuse functions that share a group's offset, but want it elsewhere."""
    first: dict[str, Handler] = {}
    for handler in handlers:
        for topic in handler.route.topics:
            other = first.setdefault(topic, handler)
            if other.on_gap != handler.on_gap:
                raise ConfigError(
                    f"`{other.route.name}` has `on_gap={other.on_gap!r}` for '{topic}' "
                    f"and `{handler.route.name}` `on_gap={handler.on_gap!r}`, but they "
                    "share a group, which has one offset. Use the same for both, or "
                    "another `group_id` for one."
                )
            if other.start_at != handler.start_at:
                raise ConfigError(
                    f"`{other.route.name}` starts '{topic}' at {other.start_at!r} and "
                    f"`{handler.route.name}` at {handler.start_at!r}, but they share a "
                    "group, which has one start. Use one `auto_offset_reset` for both, "
                    "or another `group_id` for one."
                )
