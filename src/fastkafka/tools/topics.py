"""An app's topics: on which cluster they are, who reads and who writes them."""

from __future__ import annotations

import re
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from fastkafka.app import FastKafka
from fastkafka.errors import ConfigError, did_you_mean
from fastkafka.policies import SUFFIX
from fastkafka.routing import PATTERN, Handler, ProducerRoute
from fastkafka.transport.librdkafka.inspection import Inspection, TopicFacts


@dataclass(frozen=True, slots=True)
class TopicReader:
    """A function that reads a topic.

    Attributes:
        handler: The function, with everything settled.
        group: The group that it reads in; None commits nothing.
        config: The configuration of its consumer, by librdkafka's names.
    """

    handler: Handler
    group: str | None
    config: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The function's name."""
        return self.handler.name

    @property
    def parks(self) -> bool:
        """Whether what it cannot handle goes to the dead-letter topic."""
        return self.handler.on_failure == "dead_letter"


@dataclass(frozen=True, slots=True)
class TopicWriter:
    """A function that writes to a topic.

    Attributes:
        route: What its decorator recorded.
        config: The configuration of its producer, by librdkafka's names.
    """

    route: ProducerRoute
    config: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The function's name."""
        return self.route.name


@dataclass(frozen=True, slots=True)
class AppTopic:
    """A topic of an app, on one cluster.

    Attributes:
        name: Its name; one that begins with ``^`` is a pattern nothing matches yet.
        servers: The cluster's address.
        producer: The configuration of a producer with the app's settings: how to
            connect, and how to send to it.
        readers: The functions that read it.
        writers: The functions that write to it.
        source: For a dead-letter topic, the topic whose dead letters it holds.
    """

    name: str
    servers: str
    producer: Mapping[str, Any]
    readers: Sequence[TopicReader] = ()
    writers: Sequence[TopicWriter] = ()
    source: AppTopic | None = None

    @property
    def connection(self) -> Mapping[str, Any]:
        """How its functions connect to its cluster, and more of their settings."""
        functions: list[TopicReader | TopicWriter] = [*self.readers, *self.writers]
        if not functions and self.source is not None:
            return self.source.connection
        return functions[0].config if functions else self.producer

    @property
    def role(self) -> str:
        """What it is to the app: "read", "written", "read, written", "dead letters"."""
        if self.source is not None:
            return "dead letters"
        roles = [("read", self.readers), ("written", self.writers)]
        return ", ".join(role for role, functions in roles if functions)

    @property
    def functions(self) -> Sequence[str]:
        """The names of the functions that read it and write to it."""
        names = [*(r.name for r in self.readers), *(w.name for w in self.writers)]
        return list(dict.fromkeys(names))

    @property
    def groups(self) -> Sequence[str]:
        """The groups that read it."""
        return list(dict.fromkeys(r.group for r in self.readers if r.group is not None))

    @property
    def is_pattern(self) -> bool:
        """Whether this is a pattern that no topic matches."""
        return self.name.startswith(PATTERN)

    @property
    def dead_letter_name(self) -> str | None:
        """Where its dead letters go; None if no reader parks any."""
        parks = any(reader.parks for reader in self.readers)
        return self.name + SUFFIX if parks and not self.is_pattern else None

    @property
    def model(self) -> str:
        """What a message of it is declared to be, for people; may be empty."""
        # The source's, whose records a dead-letter topic holds.
        topic = self.source or self
        types: list[Any] = [r.handler.route.plan.message for r in topic.readers]
        types += [w.route.message for w in topic.writers if w.route.message is not Any]
        return " | ".join(dict.fromkeys(_type_name(each) for each in types))


class Clusters:
    """Looks into the clusters that topics are on; closes them all at the end.

    A context manager. Not for several threads at once.
    """

    def __init__(self) -> None:
        self._open: dict[str, Inspection] = {}

    def of(self, topic: AppTopic) -> Inspection:
        """Return a look at a topic's cluster, connected.

        Raises:
            BrokerUnavailableError: No broker answers.
            ClientError: One refuses: credentials, TLS.
        """
        return self.at(topic.connection)

    def at(self, config: Mapping[str, Any]) -> Inspection:
        """Return a look at the cluster of a configuration, connected."""
        servers = str(config["bootstrap.servers"])
        if servers not in self._open:
            self._open[servers] = Inspection(config).open()
        return self._open[servers]

    def close(self) -> None:
        """Close every connection; again is no error."""
        for inspection in self._open.values():
            inspection.close()
        self._open.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def declared_topics(app: FastKafka) -> list[AppTopic]:
    """Return the topics that an app names, patterns among them, without asking Kafka.

    Those that are read come first, in the order of the declarations, each dead-letter
    topic behind its source.

    Raises:
        ConfigError: The app's cluster has no address, or settings contradict each
            other.
    """
    defaults = app._defaults()
    found: dict[tuple[str, str], AppTopic] = {}

    def topic(name: str, servers: str) -> AppTopic:
        key = (servers, name)
        if key not in found:
            config = defaults.producer_config(servers)
            found[key] = AppTopic(name, servers, config)
        return found[key]

    for group in defaults.consumer_groups(app.consumers, app._servers_of):
        servers = group.config["bootstrap.servers"]
        for handler in group.handlers:
            reader = TopicReader(handler, group.config.get("group.id"), group.config)
            for name in handler.route.topics:
                old = topic(name, servers)
                found[servers, name] = replace(old, readers=(*old.readers, reader))
    for route in app.producers:
        servers = app._servers_of(route)
        writer = TopicWriter(route, defaults.producer_config(servers, route.settings))
        old = topic(route.topic, servers)
        found[servers, route.topic] = replace(old, writers=(*old.writers, writer))
    return _with_dead_letters(list(found.values()))


def app_topics(app: FastKafka, clusters: Clusters) -> list[AppTopic]:
    """Return an app's topics as they are: patterns are what they match.

    A pattern that matches nothing stays itself.

    Raises:
        ConfigError: The app's cluster has no address.
        BrokerUnavailableError: There is a pattern, and no broker answers.
    """
    return list(_resolved(declared_topics(app), clusters))


def topic_named(topics: Sequence[AppTopic], name: str) -> AppTopic:
    """Return the topic of a name.

    Raises:
        ConfigError: The app has none of that name, or has it on several clusters.
    """
    found = [topic for topic in topics if topic.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        places = " and ".join(topic.servers for topic in found)
        raise ConfigError(
            f"The app has topic {name!r} on several clusters: {places}. Choose one "
            "by its address: `--kafka-broker`."
        )
    known = [topic.name for topic in topics]
    raise ConfigError(
        f"The app has no topic {name!r}.{did_you_mean(name, known)} "
        f"Its topics: {', '.join(map(repr, known)) or 'none'}."
    )


def facts_of(
    topics: Collection[AppTopic], clusters: Clusters
) -> Mapping[AppTopicKey, TopicFacts]:
    """Return what the clusters say of topics; missing ones are left out.

    Raises:
        BrokerUnavailableError: No broker answers.
    """
    facts: dict[AppTopicKey, TopicFacts] = {}
    for servers in dict.fromkeys(topic.servers for topic in topics):
        here = [topic for topic in topics if topic.servers == servers]
        existing = clusters.of(here[0]).topics()
        for topic in here:
            if topic.name in existing:
                facts[servers, topic.name] = existing[topic.name]
    return facts


def records_in(topic: AppTopic, facts: TopicFacts, clusters: Clusters) -> int:
    """Return how many records a topic holds.

    It counts offsets: where records were compacted away, or transactions have left
    their marks, there are fewer.

    Raises:
        ClientError: No broker says.
    """
    ranges = clusters.of(topic).ranges(topic.name, facts.partitions)
    return sum(end - low for low, end in ranges.values())


def create_missing(
    topics: Sequence[AppTopic],
    clusters: Clusters,
    partitions: int | None = None,
    replication: int | None = None,
) -> Iterator[AppTopic]:
    """Create those of an app's topics that do not exist, and yield each.

    Args:
        topics: The app's; patterns are passed over.
        clusters: Where they are to be.
        partitions: How many; None is the cluster's default, and for dead letters as
            many as their source has.
        replication: How many brokers have each; None is the cluster's default.

    Raises:
        ClientError: The broker refuses, or none answers.
        ConfigError: The embedded broker makes no topic like that.
    """
    facts = dict(facts_of(topics, clusters))
    for topic in topics:
        if topic.is_pattern or (topic.servers, topic.name) in facts:
            continue
        count = partitions
        if topic.source is not None and count is None:
            # It may have been created just before.
            source = clusters.of(topic).topic(topic.source.name)
            count = None if source is None else len(source.partitions)
        if clusters.of(topic).create_topic(topic.name, count, replication):
            yield topic


AppTopicKey = tuple[str, str]
"""A topic's cluster and its name."""


def _with_dead_letters(topics: list[AppTopic]) -> list[AppTopic]:
    """Put dead-letter topics behind their sources, or tell those that are there."""
    names = {(topic.servers, topic.name) for topic in topics}
    sources = {
        (topic.servers, name): topic
        for topic in topics
        if (name := topic.dead_letter_name) is not None
    }
    made = []
    for topic in topics:
        source = sources.get((topic.servers, topic.name))
        made.append(topic if source is None else replace(topic, source=source))
        name = topic.dead_letter_name
        if name is not None and (topic.servers, name) not in names:
            made.append(AppTopic(name, topic.servers, topic.producer, source=topic))
    return made


def _resolved(topics: list[AppTopic], clusters: Clusters) -> Iterator[AppTopic]:
    patterns = [topic for topic in topics if topic.is_pattern]
    if not patterns:
        yield from topics
        return
    named = {
        (t.servers, t.name): replace(t, source=None)
        for t in topics
        if not t.is_pattern and (t.readers or t.writers)
    }
    unmatched = []
    for pattern in patterns:
        existing = clusters.of(pattern).topics()
        matching = [n for n in existing if pattern.readers[0].handler.reads(n)]
        if not matching:
            unmatched.append(pattern)
        for name in sorted(matching):
            key = (pattern.servers, name)
            old = named.get(key, replace(pattern, name=name, readers=()))
            named[key] = replace(old, readers=(*old.readers, *pattern.readers))
    yield from _with_dead_letters([*named.values(), *unmatched])


def _type_name(message: Any) -> str:
    """Write a type as its declaration does, without modules."""
    if isinstance(message, type) and not typing.get_args(message):
        return message.__name__
    return re.sub(r"(?:\w+\.)+(?=\w)", "", str(message))
