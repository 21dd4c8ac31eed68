"""What both clients need: connect, translate errors, say when the brokers are away."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from fastkafka.errors import BrokerUnavailableError, ClientError, ConfigError

logger = logging.getLogger("fastkafka.transport")

CONNECT_SECONDS = 10.0
"""How long a start waits for a broker to answer."""

REQUEST_SECONDS = 5.0
PROBE_SECONDS = 1.0
"""How often a client that has lost its brokers looks for one."""

_REFUSED = {
    KafkaError._AUTHENTICATION: "Check the user, the password and `sasl_mechanism`.",
    KafkaError._SSL: "Check the certificates and `security_protocol`.",
    KafkaError.SASL_AUTHENTICATION_FAILED: (
        "Check the user, the password and `sasl_mechanism`."
    ),
    KafkaError.TOPIC_AUTHORIZATION_FAILED: (
        "Allow this user to use the topic (kafka-acls.sh --add ...)."
    ),
    KafkaError.GROUP_AUTHORIZATION_FAILED: (
        "Allow this user to use the group (kafka-acls.sh --add ... --group), "
        "or set another `group_id`."
    ),
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: (
        "Allow this user what the cluster refused (kafka-acls.sh --add ... --cluster)."
    ),
}
"""What no retry cures, and what does."""

_CONNECTION = (
    *("bootstrap.", "security.", "sasl.", "ssl.", "enable.ssl.", "oauth", "client.id"),
    *("socket.", "broker.address.", "api.version."),
)
"""What begins the settings that say how to connect."""

_NOISE = ("FAIL", "ERROR", "REQTMOUT", "GETPID", "CONFWARN", "SESSTMOUT")
"""librdkafka's log lines that say again and again what we say once."""


class Client(Protocol):
    """What confluent-kafka's Consumer and Producer have in common."""

    def list_topics(self, topic: str = ..., timeout: float = ...) -> Any:
        """Ask a broker for metadata."""

    def poll(self, timeout: float = ...) -> Any:
        """Serve callbacks."""


def is_refusal(error: KafkaError) -> bool:
    """Whether the broker said no, so that trying again is no use."""
    return error.code() in _REFUSED


def client_error(error: KafkaError, *, doing: str = "") -> ClientError:
    """Translate a client's error.

    Args:
        error: The client's.
        doing: What was tried, for the sentence: ``"commit orders[3]"``.
    """
    text = error.str().rstrip(".")
    sentence = f"Kafka could not {doing}: {text}" if doing else f"Kafka: {text}"
    remedy = _REFUSED.get(error.code())
    return ClientError(
        f"{sentence} ({error.name()})." + (f" {remedy}" if remedy else ""),
        code=error.name(),
        retriable=error.retriable(),
        fatal=error.fatal() or remedy is not None,
    )


def make_client(kind: Any, config: Mapping[str, Any]) -> Any:
    """Make a confluent-kafka client.

    Raises:
        ConfigError: The client refuses a setting.
    """
    try:
        return kind(dict(config), logger=_client_logger())
    except KafkaException as refused:
        error: KafkaError = refused.args[0]
        raise ConfigError(
            f"The Kafka client refuses its settings: {error.str()}."
        ) from refused


def missing_topics(client: Client, topics: Collection[str], *, doing: str) -> list[str]:
    """Return those of *topics* that do not exist.

    The embedded broker makes a topic when it is asked for it, and says so a moment
    later; it is not missing there.

    Raises:
        ClientError: The broker refuses: this user may not use a topic.
    """
    missing = []
    for topic in topics:
        try:
            metadata = client.list_topics(topic, timeout=REQUEST_SECONDS)
        except KafkaException as failed:
            raise client_error(
                failed.args[0], doing=f"look up topic '{topic}'"
            ) from failed
        error: KafkaError | None = metadata.topics[topic].error
        if error is not None and is_refusal(error):
            raise client_error(error, doing=f"{doing} topic '{topic}'")
        if error is not None and not is_embedded(metadata):
            missing.append(topic)
    return missing


def partition_count(client: Client, topic: str) -> int | None:
    """Return how many partitions a topic has; None if it does not exist.

    Raises:
        ClientError: No broker says.
    """
    try:
        metadata = client.list_topics(topic, timeout=REQUEST_SECONDS)
    except KafkaException as failed:
        raise client_error(failed.args[0], doing=f"look up topic '{topic}'") from failed
    found = metadata.topics[topic]
    if found.error is not None and is_refusal(found.error):
        raise client_error(found.error, doing=f"write to topic '{topic}'")
    return len(found.partitions) or None


def create_topic(
    client: Client, config: Mapping[str, Any], topic: str, like: str
) -> int:
    """Create a topic with as many partitions as another; return how many.

    Raises:
        ClientError: The broker refuses, or none answers.
    """
    partitions = partition_count(client, like) or 1
    admin = AdminClient(connecting(config))
    new = NewTopic(topic, num_partitions=partitions, replication_factor=-1)
    [created] = admin.create_topics([new], request_timeout=REQUEST_SECONDS).values()
    try:
        created.result()
    except KafkaException as failed:
        error: KafkaError = failed.args[0]
        if error.code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise client_error(error, doing=f"create topic '{topic}'") from failed
    else:
        logger.info("Created topic '%s' with %d partitions", topic, partitions)
    return partitions


def connecting(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that say how to connect, for any client."""
    return {name: config[name] for name in config if name.startswith(_CONNECTION)}


def is_embedded(metadata: Any) -> bool:
    """Whether a cluster is librdkafka's mock cluster, our embedded broker."""
    return str(metadata.cluster_id or "").startswith("mockCluster")


class Connection:
    """Knows whether the brokers answer, and says so once each time it changes.

    Args:
        bootstrap_servers: For messages.
    """

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.up = True
        self.refusal: KafkaError | None = None
        self._next_probe = 0.0
        self._down_since = 0.0

    def wait_for_broker(self, client: Client, topics: Sequence[str]) -> Any:
        """Return the cluster's metadata as soon as a broker answers.

        Raises:
            BrokerUnavailableError: None did for `CONNECT_SECONDS`.
            ClientError: One did, and refused: credentials, TLS.
        """
        deadline = time.monotonic() + CONNECT_SECONDS
        while True:
            try:
                return _ask(client, topics, timeout=PROBE_SECONDS)
            except KafkaException as away:
                error: KafkaError = away.args[0]
                client.poll(0)
                refusal = error if is_refusal(error) else self.refusal
                if refusal is not None:
                    raise client_error(refusal, doing="connect") from away
                if time.monotonic() > deadline:
                    raise BrokerUnavailableError(
                        f"No broker answers at {self.bootstrap_servers}. "
                        "Is Kafka running? To try without one: "
                        "`--kafka-broker embedded`.",
                        bootstrap_servers=self.bootstrap_servers,
                    ) from away
                self.lost()

    def on_error(self, error: KafkaError) -> None:
        """Take note of an error that the client reports by its callback."""
        if is_refusal(error):
            self.refusal = error
        elif error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.lost()

    def lost(self) -> None:
        """Say that no broker answers, if that is new."""
        if self.up:
            self.up = False
            self._down_since = time.monotonic()
            self._next_probe = self._down_since + PROBE_SECONDS
            logger.warning(
                "No broker answers at %s; waiting for one.", self.bootstrap_servers
            )

    def found(self) -> None:
        """Say that a broker answers again, if that is new."""
        if not self.up:
            self.up = True
            logger.warning(
                "A broker answers at %s again, after %.0f s.",
                self.bootstrap_servers,
                time.monotonic() - self._down_since,
            )

    def probe(self, client: Client, topics: Sequence[str]) -> None:
        """While no broker answers, look once a second whether one does."""
        now = time.monotonic()
        if self.up or now < self._next_probe:
            return
        try:
            _ask(client, topics, timeout=PROBE_SECONDS / 2)
        except KafkaException:
            self._next_probe = now + PROBE_SECONDS
        else:
            self.found()


def _ask(client: Client, topics: Sequence[str], *, timeout: float) -> Any:
    """Ask for metadata, of one topic where there is one: all may be thousands."""
    if topics:
        return client.list_topics(topics[0], timeout=timeout)
    return client.list_topics(timeout=timeout)


def _client_logger() -> logging.Logger:
    log = logging.getLogger("fastkafka.transport.client")
    if not log.filters:
        log.addFilter(_is_news)
    return log


def _is_news(line: logging.LogRecord) -> bool:
    """Keep a line of librdkafka's unless it repeats what `Connection` says."""
    facility = line.args[0] if isinstance(line.args, tuple) and line.args else ""
    return facility not in _NOISE
