"""Looking at a cluster from outside: what tools ask, read and write, without an app.

Everything here blocks; who has an event loop calls it in a thread. Nothing joins a
group: records are read by assigning partitions, and offsets of a group are committed
as Kafka's own tools do it, which works while the group has no members.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, Self

import confluent_kafka
from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from fastkafka.errors import ConfigError
from fastkafka.transport.librdkafka.connection import (
    REQUEST_SECONDS,
    Connection,
    client_error,
    connecting,
    is_embedded,
    is_refusal,
    make_client,
)
from fastkafka.transport.librdkafka.described import (
    PartitionFacts,
    TopicFacts,
    described,
)
from fastkafka.transport.librdkafka.reader import READING, Range, Reader
from fastkafka.transport.librdkafka.sender import (
    Acknowledged,
    Outgoing,
    Position,
    Sending,
)
from fastkafka.transport.topic_ids import split_topic_id

_EMBEDDED_PARTITIONS = 4
_ADMIN_SECONDS = 15.0
"""How long a request to the controller may take: it may be moving."""

_SPECS: Any = OffsetSpec  # it has no annotations
_EARLIEST, _LATEST = _SPECS.earliest(), _SPECS.latest()


class Commit(NamedTuple):
    """What a group has committed of a partition: the next offset, and its metadata."""

    offset: int
    metadata: str = ""


class Inspection:
    """A look at one cluster; a context manager that closes what it has opened.

    Args:
        config: A client's configuration by librdkafka's names; only what says how to
            connect is used.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = connecting(config)
        self.servers = str(config.get("bootstrap.servers", ""))
        """The cluster's address."""
        self.embedded = False
        """Whether it is the embedded broker, which has no admin requests."""
        self._admin: Any = None
        self._groups: dict[str, Any] = {}

    def open(self) -> Self:
        """Connect; again is no error.

        Raises:
            BrokerUnavailableError: No broker answers.
            ClientError: One refuses: credentials, TLS.
            ConfigError: The client refuses its settings.
        """
        if self._admin is None:
            connection = Connection(self.servers)
            admin = make_client(
                AdminClient, self._config | {"error_cb": connection.on_error}
            )
            self.embedded = is_embedded(connection.wait_for_broker(admin, []))
            self._admin = admin
        return self

    def close(self) -> None:
        """Close what was opened; again is no error."""
        for consumer in self._groups.values():
            consumer.close()
        self._groups.clear()
        self._admin = None

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # Topics.

    def topics(self) -> Mapping[str, TopicFacts]:
        """Return every topic that this user may see, by name.

        Raises:
            ClientError: No broker says.
        """
        found = self._asked("list the topics", self._admin.list_topics).topics
        return {
            name: described(found[name]) for name in found if found[name].error is None
        }

    def topic(self, name: str) -> TopicFacts | None:
        """Return a topic; None if it does not exist.

        Raises:
            ClientError: No broker says, or this user may not see it.
        """
        # All are asked for: to ask for one makes it, where topics make themselves.
        return self.topics().get(name)

    def broker_count(self) -> int:
        """Return how many brokers the cluster has."""
        return len(self._asked("list the brokers", self._admin.list_topics).brokers)

    def create_topic(
        self,
        name: str,
        partitions: int | None = None,
        replication: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> bool:
        """Create a topic.

        Args:
            name: Its name.
            partitions: How many; None is the cluster's default.
            replication: How many brokers have each; None is the cluster's default.
            settings: The topic's own, by Kafka's names.

        Returns:
            False if it exists already.

        Raises:
            ClientError: The broker refuses, or none answers.
            ConfigError: The embedded broker makes no topic like that.
        """
        if self.embedded:
            return self._create_embedded(name, partitions, replication)
        new = NewTopic(
            name,
            num_partitions=-1 if partitions is None else partitions,
            replication_factor=-1 if replication is None else replication,
            config=dict(settings or {}),
        )
        [created] = self._admin.create_topics(
            [new], request_timeout=_ADMIN_SECONDS
        ).values()
        try:
            created.result()
        except KafkaException as failed:
            error: KafkaError = failed.args[0]
            if error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return False
            raise client_error(error, doing=f"create topic '{name}'") from failed
        # The controller has it; other brokers hear of it, and of leaders, a bit later.
        deadline = time.monotonic() + _ADMIN_SECONDS
        while time.monotonic() < deadline:
            made = self.topic(name)
            if made is not None and all(
                p.leader >= 0 for p in made.partitions.values()
            ):
                break
            time.sleep(0.05)
        return True

    def _create_embedded(
        self, name: str, partitions: int | None, replication: int | None
    ) -> bool:
        """Let the embedded broker make a topic, which it does when asked for it."""
        if partitions not in (None, _EMBEDDED_PARTITIONS) or replication not in (
            None,
            1,
        ):
            raise ConfigError(
                f"The embedded broker makes a topic with {_EMBEDDED_PARTITIONS} "
                "partitions and one replica when it is asked for it. For others start "
                f"it with them: `fastkafka broker --topic {name}:{partitions}`."
            )
        exists = name in self.topics()
        self._asked(f"create topic '{name}'", partial(self._admin.list_topics, name))
        return not exists

    def topic_settings(
        self, names: Collection[str]
    ) -> Mapping[str, Mapping[str, str] | None]:
        """Return the settings of topics, by Kafka's names; None where it is forbidden.

        Raises:
            ClientError: No broker says.
        """
        return self._settings(ResourceType.TOPIC, names)

    def broker_settings(self) -> Mapping[str, str] | None:
        """Return the settings of one broker; None where it is forbidden.

        Raises:
            ClientError: No broker says.
        """
        brokers = self._asked("list the brokers", self._admin.list_topics).brokers
        name = str(min(brokers))
        return self._settings(ResourceType.BROKER, [name])[name]

    def _settings(
        self, kind: ResourceType, names: Collection[str]
    ) -> Mapping[str, Mapping[str, str] | None]:
        if not names:
            return {}
        asked = [ConfigResource(kind, name) for name in sorted(names)]
        answers = self._admin.describe_configs(asked, request_timeout=_ADMIN_SECONDS)
        settings: dict[str, Mapping[str, str] | None] = {}
        for resource, answer in answers.items():
            try:
                entries = answer.result()
            except KafkaException as failed:
                error: KafkaError = failed.args[0]
                if not is_refusal(error):
                    raise client_error(
                        error, doing=f"describe the settings of '{resource.name}'"
                    ) from failed
                settings[resource.name] = None
            else:
                settings[resource.name] = {
                    name: entry.value
                    for name, entry in entries.items()
                    if entry.value is not None
                }
        return settings

    def allowed(self, names: Collection[str]) -> Mapping[str, Collection[str] | None]:
        """Return what this user may do with topics: "READ", "WRITE", "DESCRIBE", ...

        None where the broker does not say, and nothing where it may not even be seen; a
        topic that does not exist is left out.
        """
        if not names:
            return {}
        answers = self._admin.describe_topics(
            confluent_kafka.TopicCollection(sorted(names)),
            include_authorized_operations=True,
            request_timeout=_ADMIN_SECONDS,
        )
        allowed: dict[str, Collection[str] | None] = {}
        for name, answer in answers.items():
            try:
                operations = answer.result().authorized_operations
            except KafkaException as failed:
                if is_refusal(failed.args[0]):
                    allowed[name] = ()
                continue
            allowed[name] = operations and {each.name for each in operations}
        return allowed

    def allowed_groups(
        self, groups: Collection[str]
    ) -> Mapping[str, Collection[str] | None]:
        """Return what this user may do with groups; see `allowed`."""
        if not groups:
            return {}
        answers = self._admin.describe_consumer_groups(
            list(groups),
            include_authorized_operations=True,
            request_timeout=_ADMIN_SECONDS,
        )
        allowed: dict[str, Collection[str] | None] = {}
        for group, answer in answers.items():
            try:
                operations = answer.result().authorized_operations
            except KafkaException as failed:
                if failed.args[0].code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
                    allowed[group] = ()
                continue
            allowed[group] = operations and {each.name for each in operations}
        return allowed

    # Offsets.

    def ranges(self, topic: str, partitions: Collection[int]) -> Mapping[int, Range]:
        """Return what partitions of a topic hold, asked all at once.

        Raises:
            ClientError: No broker says.
        """
        lows = self._listed(topic, partitions, _EARLIEST)
        ends = self._listed(topic, partitions, _LATEST)
        return {p: Range(lows[p], ends[p]) for p in sorted(partitions)}

    def offsets_at(
        self, topic: str, partitions: Collection[int], timestamp: int
    ) -> Mapping[int, int]:
        """Return the first offset of each partition that is not older than a time.

        Args:
            topic: Its name.
            partitions: Their numbers.
            timestamp: Milliseconds since the epoch.

        Returns:
            The end where all is older. The embedded broker does not know: there it is
            the first offset, and the reader has to look at the records' times.

        Raises:
            ClientError: No broker says.
        """
        if self.embedded:
            return self._listed(topic, partitions, _EARLIEST)
        spec = OffsetSpec.for_timestamp(timestamp)
        found = self._listed(topic, partitions, spec)
        if any(offset < 0 for offset in found.values()):
            ends = self._listed(topic, partitions, _LATEST)
            return {p: at if at >= 0 else ends[p] for p, at in found.items()}
        return found

    def _listed(
        self, topic: str, partitions: Collection[int], spec: OffsetSpec
    ) -> dict[int, int]:
        if not partitions:
            return {}
        # A new topic's leaders may not be elected yet, or be moving.
        deadline = time.monotonic() + 2 * REQUEST_SECONDS
        while True:
            answers = self._admin.list_offsets(
                {TopicPartition(topic, p): spec for p in sorted(partitions)},
                isolation_level=IsolationLevel.READ_UNCOMMITTED,
                request_timeout=REQUEST_SECONDS,
            )
            try:
                return {tp.partition: a.result().offset for tp, a in answers.items()}
            except KafkaException as failed:
                error: KafkaError = failed.args[0]
                if not _passes(error) or time.monotonic() > deadline:
                    raise client_error(
                        error, doing=f"look up the offsets of '{topic}'"
                    ) from failed
                time.sleep(0.1)

    def committed(
        self, group: str, topic: str, partitions: Collection[int]
    ) -> Mapping[int, Commit]:
        """Return what a group has committed; partitions without a commit are left out.

        Raises:
            ClientError: No broker says, or this user may not see the group.
        """
        asked = [TopicPartition(topic, p) for p in sorted(partitions)]
        if not asked:
            return {}
        doing = f"look up what group '{group}' has committed of '{topic}'"
        answers = self._asked(doing, self._group(group).committed, asked)
        for answer in answers:
            if answer.error is not None:
                raise client_error(answer.error, doing=doing)
        return {
            a.partition: Commit(a.offset, split_topic_id(a.metadata or "")[1])
            for a in answers
            if a.offset >= 0
        }

    def commit(self, group: str, topic: str, commits: Mapping[int, Commit]) -> None:
        """Commit offsets of a group that has no members.

        Raises:
            ClientError: The group has members, the broker refuses, or none answers.
        """
        if not commits:
            return
        offsets = [
            TopicPartition(topic, p, offset, metadata)
            for p, (offset, metadata) in sorted(commits.items())
        ]
        doing = f"commit offsets of '{topic}' for group '{group}'"
        client = self._group(group)
        answers = self._asked(
            doing,
            lambda timeout: client.commit(offsets=offsets, asynchronous=False),
        )
        for answer in answers:
            if answer.error is not None:
                raise client_error(answer.error, doing=doing)

    def _group(self, group: str) -> Any:
        """Return a client that asks for a group, without being a member of it."""
        if group not in self._groups:
            self._groups[group] = make_client(
                confluent_kafka.Consumer,
                {**self._config, **READING, "group.id": group},
            )
        return self._groups[group]

    # Records.

    def reader(self) -> Reader:
        """Return what reads records; close it when it is done."""
        return Reader(self._config, embedded=self.embedded)

    def sender(self, config: Mapping[str, Any]) -> Sending:
        """Return what sends records; a context manager.

        Args:
            config: A producer's configuration, from `settings.producer_config`.
        """
        return Sending(config)

    def _asked(self, doing: str, request: Callable[..., Any], *args: Any) -> Any:
        """Ask, and again while a coordinator or a leader is on the move."""
        deadline = time.monotonic() + 2 * REQUEST_SECONDS
        while True:
            try:
                return request(*args, timeout=REQUEST_SECONDS)
            except KafkaException as failed:
                error: KafkaError = failed.args[0]
                if not _passes(error) or time.monotonic() > deadline:
                    raise client_error(error, doing=doing) from failed
                time.sleep(0.1)


def _passes(error: KafkaError) -> bool:
    """Whether an error is one of those that come and go by themselves."""
    return error.retriable() or error.code() in _COMES_AND_GOES


_COMES_AND_GOES = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError._WAIT_COORD,
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
)


__all__ = [
    "Acknowledged",
    "Commit",
    "Inspection",
    "Outgoing",
    "PartitionFacts",
    "Position",
    "Range",
    "Reader",
    "Sending",
    "TopicFacts",
]
