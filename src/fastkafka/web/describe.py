"""What an app is made of, as the page draws it: topics, functions, who feeds whom."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from fastkafka.app import FastKafka
from fastkafka.observe.snapshot import Snapshot
from fastkafka.policies import SUFFIX
from fastkafka.routing import PATTERN, Handler, ProducingFunction

Role = Literal["consumed", "produced", "both", "dead_letters"]

DEAD_LETTERS = "dead letters"
"""The label of an edge from a function to where it parks."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic of the app.

    Attributes:
        name: Its name; a pattern that nothing matches yet begins with ``^``.
        role: What the app does with it.
        model: The name of the type that its records must fit; None for any.
        partitions: How many it has; None while nobody has said.
    """

    name: str
    role: Role
    model: str | None = None
    partitions: int | None = None


@dataclass(frozen=True, slots=True)
class Consuming:
    """A function that consumes.

    Attributes:
        name: Unique in the app, as snapshots have it.
        topic: What it reads, with commas.
        topics: The same, one by one.
        group: Its consumer group.
        order: What is handled one after another.
        concurrency: How much one worker handles at once.
        source: Where it is written, ``file.py:12``.
        retry: How its policy is written.
        on_failure: What follows.
        description: For people.
    """

    name: str
    topic: str
    topics: Sequence[str]
    group: str | None
    order: str
    concurrency: int
    source: str
    retry: str
    on_failure: str
    description: str


@dataclass(frozen=True, slots=True)
class Producing:
    """A function that produces."""

    name: str
    topic: str
    source: str


@dataclass(frozen=True, slots=True)
class Edge:
    """From a node to a node, whose names have ``t:``, ``f:`` or ``p:`` before them."""

    start: str
    end: str
    via: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """What an app is made of; ticks have their numbers in this order."""

    topics: Sequence[Topic] = ()
    functions: Sequence[Consuming] = ()
    producers: Sequence[Producing] = ()
    edges: Sequence[Edge] = ()

    @property
    def rev(self) -> str:
        """Another one for another shape."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """Return it as the page reads it."""
        made = asdict(self)
        made["edges"] = [
            {"from": edge.start, "to": edge.end, "via": edge.via} for edge in self.edges
        ]
        return made


def describe(
    app: FastKafka,
    snapshots: Sequence[Snapshot] = (),
    partitions: Mapping[str, int] | None = None,
) -> Shape:
    """Describe an app by its declarations and by what its workers have seen.

    Args:
        app: It need not run.
        snapshots: Of its workers: which topics match its patterns, and who has
            produced to what.
        partitions: How many each topic of the cluster has that is known.
    """
    partitions = partitions or {}
    handlers = handlers_of(app)
    functions = [_consuming(handler, group) for handler, group in handlers]
    producers = [
        Producing(name, function.route.topic, source_of(function.route.function))
        for name, function in producers_of(app)
    ]
    seen = {p.topic for s in snapshots for p in s.partitions} | set(partitions)
    reads = {
        function.name: _read(handler, seen)
        for function, (handler, _) in zip(functions, handlers, strict=True)
    }
    parks = _parks(functions, handlers, reads, snapshots, seen)
    edges = [
        Edge(f"t:{topic}", f"f:{function.name}")
        for function in functions
        for topic in reads[function.name]
    ]
    edges += _production(app, functions, producers, snapshots)
    edges += [
        Edge(f"f:{function.name}", f"t:{topic}{SUFFIX}", DEAD_LETTERS)
        for function in functions
        for topic in parks[function.name]
    ]
    topics = _topics(app, handlers, reads, parks, partitions)
    return Shape(topics, functions, producers, edges)


def handlers_of(app: FastKafka) -> list[tuple[Handler, str | None]]:
    """Return the consuming functions with everything settled, and their groups."""
    groups = app._defaults().consumer_groups(app._consumers, app._servers_of)
    settled = {
        id(handler.route): (handler, group.config.get("group.id"))
        for group in groups
        for handler in group.handlers
    }
    return [settled[id(route)] for route in app.consumers]


def producers_of(app: FastKafka) -> list[tuple[str, ProducingFunction]]:
    """Return the producing functions, in the order in which they were declared, with
    the names that tell them apart.
    """
    groups = app._defaults().producer_groups(app._producing, app._servers_of)
    named = {
        id(function): name for group in groups for name, function in group.functions
    }
    return [(named[id(function)], function) for function in app._producing]


def own_topics(shape: Shape) -> frozenset[str]:
    """Return the topics that may be asked for: the app's own, and no others."""
    return frozenset(t.name for t in shape.topics if not t.name.startswith(PATTERN))


def source_of(function: Callable[..., Any]) -> str:
    """Return ``file.py:12``; nothing for what has no file."""
    function = inspect.unwrap(function)
    code = getattr(function, "__code__", None)
    if code is None:
        return ""
    path = Path(code.co_filename)
    if path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return f"{path}:{code.co_firstlineno}"


def model_name(message: Any) -> str | None:
    """Return what people call a message's type; None for any."""
    if message is Any or message is inspect.Parameter.empty:
        return None
    if isinstance(message, type):
        return message.__name__
    return str(message).replace("typing.", "")


def _consuming(handler: Handler, group: str | None) -> Consuming:
    route = handler.route
    retry = handler.retry
    on_failure = handler.on_failure
    return Consuming(
        name=handler.name,
        topic=", ".join(route.topics),
        topics=route.topics,
        group=group,
        order=handler.order,
        concurrency=handler.concurrency,
        source=source_of(route.function),
        retry=f"Retry(attempts={retry.attempts}, delay={retry.delay:g})",
        on_failure=on_failure
        if isinstance(on_failure, str)
        else getattr(on_failure, "__name__", type(on_failure).__name__),
        description=inspect.cleandoc(route.description or ""),
    )


def _read(handler: Handler, seen: Collection[str]) -> list[str]:
    topics: list[str] = []
    for topic in handler.route.topics:
        if topic.startswith(PATTERN):
            matching = sorted(t for t in seen if handler.reads(t))
            topics += matching or [topic]
        else:
            topics.append(topic)
    return list(dict.fromkeys(topics))


def _parks(
    functions: Sequence[Consuming],
    handlers: Sequence[tuple[Handler, str | None]],
    reads: Mapping[str, Sequence[str]],
    snapshots: Sequence[Snapshot],
    seen: Collection[str],
) -> dict[str, list[str]]:
    """Return, by function, the topics of which it has parked records."""
    parked = {f.name for s in snapshots for f in s.functions if f.parked}
    return {
        function.name: [
            topic
            for topic in reads[function.name]
            if handler.on_failure == "dead_letter"
            and not topic.startswith(PATTERN)
            and (function.name in parked or f"{topic}{SUFFIX}" in seen)
        ]
        for function, (handler, _) in zip(functions, handlers, strict=True)
    }


def _production(
    app: FastKafka,
    functions: Sequence[Consuming],
    producers: Sequence[Producing],
    snapshots: Sequence[Snapshot],
) -> list[Edge]:
    """Return who writes to what: seen by the workers, or by decorators that stack.

    A producing function is the label of such an edge; as long as nobody knows who
    calls it, it is a node of its own.
    """
    names = {function.name for function in functions}
    found = {
        (name, topic)
        for snapshot in snapshots
        for name, topic in snapshot.edges
        if name in names
    }
    calls = {producing.call: producing.route.topic for producing in app._producing}
    for route, function in zip(app.consumers, functions, strict=True):
        if route.function in calls:
            found.add((function.name, calls[route.function]))
    via: dict[str, list[str]] = {}
    for producer in producers:
        via.setdefault(producer.topic, []).append(producer.name)
    edges = [
        Edge(f"f:{name}", f"t:{topic}", ", ".join(via.get(topic, ())))
        for name, topic in sorted(found)
    ]
    written = {topic for _, topic in found}
    return edges + [
        Edge(f"p:{producer.name}", f"t:{producer.topic}")
        for producer in producers
        if producer.topic not in written
    ]


def _topics(
    app: FastKafka,
    handlers: Sequence[tuple[Handler, str | None]],
    reads: Mapping[str, Sequence[str]],
    parks: Mapping[str, Sequence[str]],
    partitions: Mapping[str, int],
) -> list[Topic]:
    models: dict[str, str | None] = {}
    for route in app.producers:
        models.setdefault(route.topic, model_name(route.message))
    consumed: dict[str, None] = {}
    for (handler, _), read in zip(handlers, reads.values(), strict=True):
        for topic in read:
            consumed[topic] = None
            models[topic] = model_name(handler.route.plan.message)
    produced = dict.fromkeys(route.topic for route in app.producers)
    dead = dict.fromkeys(f"{t}{SUFFIX}" for topics in parks.values() for t in topics)

    def role(name: str) -> Role:
        if name in consumed:
            return "both" if name in produced else "consumed"
        return "produced" if name in produced else "dead_letters"

    return [
        Topic(
            name,
            role(name),
            models.get(name.removesuffix(SUFFIX) if name in dead else name),
            partitions.get(name),
        )
        for name in {**consumed, **produced, **dead}
    ]
