"""Three Apache Kafka brokers on loopback, and the networks that lead to them.

Each broker has a listener for every network, whose advertised address is the network's
link (proxy.py): a client that starts at one network stays in it. Brokers speak to each
other, and the checks to them, on the inside, which is never broken.
"""

from __future__ import annotations

import functools
import signal
import time
from collections.abc import Mapping

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from fastkafka.testing import ApacheKafkaBroker
from fastkafka.testing.apache import _LISTENER_PORTS, _free_ports
from fastkafka.testing.kafka_process import KafkaProcess
from tests.faults.proxy import Wires

NETWORKS = ("left", "right", "feed")
OFFSETS = "__consumer_offsets"
WAIT_SECONDS = 60.0

_PROPERTIES = {
    "auto.create.topics.enable": "false",
    # A killed broker is noticed after 3 s instead of 9 s; its clients see the same.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "log.cleaner.backoff.ms": "500",
    "log.cleaner.dedupe.buffer.size": "16777216",
}


class Cluster(ApacheKafkaBroker):
    """Three brokers, or another number; see the module.

    Args:
        wires: What networks are made of.
        brokers: How many.
        properties: More of Kafka's settings.

    Attributes:
        brokers: Their ids.
        networks: By name: ``left`` and ``right`` for workers, ``feed`` for whoever
            sends them records.
    """

    def __init__(
        self,
        wires: Wires,
        *,
        brokers: int = 3,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        replicas = {
            "min.insync.replicas": str(min(brokers, 2)),
            "default.replication.factor": str(brokers),
        }
        super().__init__(
            brokers=brokers,
            properties={**_PROPERTIES, **replicas, **(properties or {})},
        )
        self.brokers = range(1, brokers + 1)
        self.networks = {name: wires.network(self.brokers) for name in NETWORKS}

    def servers(self, network: str) -> str:
        """Return the bootstrap servers of a network."""
        links = self.networks[network].links.values()
        return ",".join(f"127.0.0.1:{link.port}" for link in links)

    @property
    def admin(self) -> AdminClient:
        """A new client on the inside."""
        return AdminClient(
            {"bootstrap.servers": self.bootstrap_servers, "log_level": 0}
        )

    def make_topic(
        self, name: str, partitions: int, config: Mapping[str, str] | None = None
    ) -> None:
        """Create a topic with a replica on each broker; wait until it is ready."""
        topic = NewTopic(name, partitions, len(self.brokers), config=dict(config or {}))
        admin = self.admin  # its answers come only while it lives
        admin.create_topics([topic])[name].result(WAIT_SECONDS)
        self.wait_in_sync(name)

    def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has; 0 if there is none."""
        found = self.admin.list_topics(timeout=WAIT_SECONDS).topics.get(topic)
        return 0 if found is None or found.error else len(found.partitions)

    def leader(self, topic: str, partition: int = 0) -> int:
        """Return who leads a partition."""
        found = self.admin.list_topics(topic, timeout=WAIT_SECONDS).topics[topic]
        return int(found.partitions[partition].leader)

    def coordinator(self, group: str) -> int:
        """Return who coordinates a group: the leader of its part of the offsets.

        Kafka chooses that part by Java's hash of the name. Asking for it with
        confluent-kafka's admin client can end this process by an assertion when the
        answer is late.
        """
        number = functools.reduce(
            lambda h, c: (31 * h + ord(c)) & 0xFFFF_FFFF, group, 0
        )
        return self.leader(OFFSETS, (number & 0x7FFF_FFFF) % self.partitions(OFFSETS))

    def wait_in_sync(self, topic: str, seconds: float = WAIT_SECONDS) -> None:
        """Return when every replica of a topic is in sync and has a leader.

        Kafka tells of a dead broker late, so this is asked after it has started again.
        """
        deadline = time.monotonic() + seconds
        # A client of its own: metadata that is cached would not do.
        client = Producer({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        while True:
            try:
                found = client.list_topics(topic, timeout=5).topics[topic].partitions
            except KafkaException:
                found = {}
            if found and all(
                p.leader in self.brokers and len(p.isrs) == len(self.brokers)
                for p in found.values()
            ):
                return
            assert time.monotonic() < deadline, f"{topic} is not in sync: {found}"
            time.sleep(0.1)

    def terminate(self, broker_id: int) -> None:
        """Stop a broker as an operator does: it hands over what it leads."""
        process = self._process(broker_id)
        process.send(signal.SIGTERM)
        process.end(WAIT_SECONDS)
        self._watch_over()

    def kill_all(self) -> None:
        """Kill every broker at the same moment."""
        for process in self._processes:
            process.send(signal.SIGKILL)
        for process in self._processes:
            process.end(10)

    def restart_all(self) -> None:
        """Start every broker that does not run; return when all answer."""
        for process in self._processes:
            if process.pid is None:
                process.run()
        self._watch_over()
        self._wait_for(self._processes)

    def mend(self) -> None:
        """Leave nothing broken for the next scenario."""
        for network in self.networks.values():
            network.mend()
        for process in self._processes:
            process.send(signal.SIGCONT)
        self.restart_all()

    def _properties_of(self, process: KafkaProcess) -> Mapping[str, str]:
        """Give a broker a listener for each network, which the network leads to."""
        listeners = [
            f"INSIDE://{process.address}",
            f"CONTROLLER://127.0.0.1:{process.controller_port}",
        ]
        advertised = [f"INSIDE://{process.address}"]
        ports = _free_ports(_LISTENER_PORTS, len(NETWORKS))
        for port, (name, network) in zip(ports, self.networks.items(), strict=True):
            link = network.links[process.broker_id]
            link.target = port
            listeners.append(f"{name.upper()}://127.0.0.1:{port}")
            advertised.append(f"{name.upper()}://127.0.0.1:{link.port}")
        names = ["CONTROLLER", "INSIDE", *(name.upper() for name in NETWORKS)]
        return {
            **super()._properties_of(process),
            "listeners": ",".join(listeners),
            "advertised.listeners": ",".join(advertised),
            "inter.broker.listener.name": "INSIDE",
            "listener.security.protocol.map": ",".join(f"{n}:PLAINTEXT" for n in names),
        }
