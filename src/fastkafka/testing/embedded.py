"""`EmbeddedBroker`: a Kafka broker that comes with `pip install`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from enum import IntEnum

from fastkafka.errors import ConfigError
from fastkafka.testing.forwarder import Forwarder
from fastkafka.testing.local import LocalBroker, partitions_of
from fastkafka.testing.mock_cluster import Cluster, load_library, open_cluster

_LEGAL_TOPIC = re.compile(r"(?!\.\.?$)[a-zA-Z0-9._-]{1,249}")

_MAX_PARTITIONS = 10_000
"""Each takes memory from the start; more is a slip of the keyboard."""


class ApiKey(IntEnum):
    """Kafka's numbers of the requests that the embedded broker answers."""

    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    METADATA = 3
    OFFSET_COMMIT = 8
    OFFSET_FETCH = 9
    FIND_COORDINATOR = 10
    JOIN_GROUP = 11
    HEARTBEAT = 12
    LEAVE_GROUP = 13
    SYNC_GROUP = 14
    API_VERSIONS = 18
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    TXN_OFFSET_COMMIT = 28
    CONSUMER_GROUP_HEARTBEAT = 68


class EmbeddedBroker(LocalBroker):
    """A Kafka broker inside this process, for demos, development and tests.

    It is librdkafka's mock cluster: Kafka's protocol on loopback, so that every
    client of this machine can use it, and no JVM. Starting and stopping take
    milliseconds. Groups of ``group.protocol=consumer`` rebalance within a second;
    classic ones need their members' session timeout for it, after the first time.

    It is no Apache Kafka. A partition keeps at most 5 MiB or 100,000 batches and
    drops older ones silently; nothing outlives `stop`; a read-committed consumer
    sees aborted records and no producer is fenced; there are no admin requests, no
    ACLs, no TLS. Take `ApacheKafkaBroker` where that matters.

    A context manager, sync and async, that yields the bootstrap servers::

        with EmbeddedBroker({"orders": 6}) as bootstrap_servers: ...
    """

    def __init__(
        self,
        topics: Mapping[str, int] | Sequence[str] = (),
        *,
        brokers: int = 1,
        port: int | None = None,
    ) -> None:
        """Say what to start; nothing starts before `start`.

        Args:
            topics: Names, with their number of partitions or with 4. Other topics
                appear with 4 partitions when a producer asks for them.
            brokers: How many; their ids count from 1.
            port: Where the first broker listens on 127.0.0.1, the others behind it.
                None takes free ports, without a detour: a fixed port costs a
                forwarding thread, which is slower under load.

        Raises:
            ConfigError: A name, a number of partitions or of brokers, or a port
                cannot be.
        """
        super().__init__()
        topics = partitions_of(topics, 4, where="EmbeddedBroker")
        for name, partitions in topics.items():
            _check_topic(name, partitions)
        if brokers < 1:
            raise ConfigError(
                f"EmbeddedBroker: `brokers` is {brokers!r}. Give at least 1."
            )
        if port is not None and not 1 <= port <= 65536 - brokers:
            raise ConfigError(
                f"EmbeddedBroker: port {port!r} does not exist. "
                f"Give one from 1 to {65536 - brokers}."
            )
        self._topics = topics
        self._brokers = brokers
        self._port = port
        self._cluster: Cluster | None = None
        self._forwarder: Forwarder | None = None

    @property
    def is_started(self) -> bool:
        """Whether it runs."""
        return self._cluster is not None

    @property
    def bootstrap_servers(self) -> str:
        """The brokers' addresses, ``127.0.0.1:port,127.0.0.1:port``.

        Raises:
            ConfigError: It does not run.
        """
        if self._port is None:
            ports = self._running().ports
        else:
            self._running()
            ports = list(range(self._port, self._port + self._brokers))
        return ",".join(f"127.0.0.1:{port}" for port in ports)

    def start(self) -> str:
        """Start it and create its topics.

        Returns:
            The `bootstrap_servers`.

        Raises:
            ConfigError: It runs already, or the port is in use.
        """
        if self._cluster is not None:
            raise ConfigError(
                f"EmbeddedBroker: it runs already, at {self.bootstrap_servers!r}."
            )
        cluster = open_cluster(self._brokers, load_library())
        try:
            if self._port is not None:
                self._forwarder = self._forward_to(cluster, self._port)
            for name, partitions in self._topics.items():
                cluster.create_topic(name, partitions)
        except ConfigError:
            self._cluster = cluster
            self.stop()
            raise
        self._cluster = cluster
        return self.bootstrap_servers

    def stop(self) -> None:
        """Stop it and forget every record; again is no error.

        Clients that are still connected lose their connections, as they would
        when a real broker dies, and go on trying.
        """
        if self._forwarder is not None:
            self._forwarder.close()
            self._forwarder = None
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None

    def create_topic(self, name: str, partitions: int = 4) -> None:
        """Create a topic.

        Raises:
            ConfigError: The broker does not run, the topic exists already, or name
                or number cannot be.
        """
        _check_topic(name, partitions)
        self._running().create_topic(name, partitions)

    def broker_down(self, broker_id: int) -> None:
        """Close a broker's connections and refuse new ones.

        Its partitions keep it as their leader, and their records.

        Args:
            broker_id: From 1.
        """
        self._broker(broker_id).set_up(broker_id, False)

    def broker_up(self, broker_id: int) -> None:
        """Let a broker that is down accept connections again."""
        self._broker(broker_id).set_up(broker_id, True)

    def round_trip_time(self, broker_id: int, seconds: float) -> None:
        """Delay every response of a broker.

        Args:
            broker_id: From 1.
            seconds: To the millisecond; 0 ends the delay.
        """
        self._broker(broker_id).set_round_trip_time(broker_id, round(seconds * 1000))

    def fail_requests(self, api_key: int, error_code: int, times: int = 1) -> None:
        """Answer the next requests of one kind with an error, whoever sends them.

        Calls add up: the errors are used in the order in which they were given.

        Args:
            api_key: Which requests, an `ApiKey`.
            error_code: Kafka's number, for example
                `confluent_kafka.KafkaError.NOT_LEADER_FOR_PARTITION`; its
                `_TRANSPORT` cuts the connection instead.
            times: How many requests.
        """
        self._running().push_errors(api_key, error_code, times)

    def _running(self) -> Cluster:
        if self._cluster is None:
            raise ConfigError(
                "EmbeddedBroker: it does not run. Call `start()`, or use it as a "
                "context manager."
            )
        return self._cluster

    def _broker(self, broker_id: int) -> Cluster:
        if not 1 <= broker_id <= self._brokers:
            raise ConfigError(
                f"EmbeddedBroker: there is no broker {broker_id!r}. "
                f"Ids go from 1 to {self._brokers}."
            )
        return self._running()

    def _forward_to(self, cluster: Cluster, port: int) -> Forwarder:
        """Listen at the fixed ports and make the brokers say that they are there."""
        fixed = range(port, port + self._brokers)
        try:
            forwarder = Forwarder(dict(zip(fixed, cluster.ports, strict=True)))
        except OSError as error:
            raise ConfigError(
                f"EmbeddedBroker: port {port} cannot be opened. "
                f"{os.strerror(error.errno or 0)}. "
                "Stop what listens there, or take another port."
            ) from error
        for broker_id, at in enumerate(fixed, start=1):
            cluster.advertise(broker_id, at)
        return forwarder

    async def astart(self) -> str:
        """`start`, which takes milliseconds."""
        return self.start()

    async def astop(self) -> None:
        """`stop`, which takes milliseconds."""
        self.stop()


def _check_topic(name: str, partitions: int) -> None:
    if not _LEGAL_TOPIC.fullmatch(name):
        raise ConfigError(
            f"EmbeddedBroker: {name!r} cannot be a topic's name. Kafka allows "
            "letters, digits, '.', '_' and '-', at most 249 of them."
        )
    if not 1 <= partitions <= _MAX_PARTITIONS:
        raise ConfigError(
            f"EmbeddedBroker: topic {name!r} cannot have {partitions!r} partitions. "
            f"Give 1 to {_MAX_PARTITIONS}."
        )
