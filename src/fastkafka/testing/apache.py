"""`ApacheKafkaBroker`: a real Apache Kafka for tests, without Docker."""

from __future__ import annotations

import atexit
import base64
import functools
import logging
import random
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from fastkafka.errors import BrokerUnavailableError, ConfigError
from fastkafka.testing.installation import find_java, find_kafka
from fastkafka.testing.kafka_process import Guard, KafkaProcess, PortTakenError
from fastkafka.testing.local import LocalBroker, is_free, partitions_of

logger = logging.getLogger(__name__)

_START_TIMEOUT = 60.0
_STOP_TIMEOUT = 10.0  # of a broker whose data are needed again
_END_TIMEOUT = 3.0  # of a cluster whose data are removed
_LOOK_AGAIN = 0.05

# Below the ports that systems hand out themselves (Linux from 32768), so that no
# client's connection takes one between two looks; controllers apart from listeners,
# so that two clusters never meet.
_LISTENER_PORTS = range(19_000, 25_000)
_CONTROLLER_PORTS = range(25_000, 31_000)


class ApacheKafkaBroker(LocalBroker):
    """A real Apache Kafka, one broker or several, in a temporary folder.

    It needs Java and what `fastkafka testing install_deps` fetches. One broker is
    ready after about three seconds, three after about six. Nothing is kept.

    A context manager, sync and async, that yields the bootstrap servers::

        with ApacheKafkaBroker({"orders": 6}, brokers=3) as bootstrap_servers: ...

    Brokers can be killed, suspended and restarted, by their ids, which count from 1.
    """

    def __init__(
        self,
        topics: Mapping[str, int] | Sequence[str] = (),
        *,
        brokers: int = 1,
        listener_port: int = 0,
        retries: int = 3,
        properties: Mapping[str, str] | None = None,
        apply_nest_asyncio: bool = False,
        zookeeper_port: int | None = None,
    ) -> None:
        """Say what to start; nothing starts before `start`.

        Args:
            topics: Names, with their number of partitions or with Kafka's default
                of 1; each partition has a replica on up to three brokers.
            brokers: How many, each a controller too.
            listener_port: The first broker's port on 127.0.0.1; 0 takes free ones.
                When it is in use, a free one is taken.
            retries: How often to try again with other ports, when somebody was
                quicker to take one.
            properties: More of Kafka's broker settings, for every broker.
            apply_nest_asyncio: Without effect; the original needed it in notebooks.
            zookeeper_port: Without effect; Kafka 4 has no ZooKeeper.

        Raises:
            ConfigError: `brokers` or `topics` cannot be.
        """
        super().__init__()
        self._topics = partitions_of(topics, -1, where="ApacheKafkaBroker")
        if brokers < 1:
            raise ConfigError(
                f"ApacheKafkaBroker: `brokers` is {brokers!r}. Give at least 1."
            )
        if apply_nest_asyncio:
            _say_once("`apply_nest_asyncio` has no effect: nothing needs it any more")
        if zookeeper_port is not None:
            _say_once("`zookeeper_port` has no effect: Kafka 4 has no ZooKeeper")
        self._brokers = brokers
        self._listener_port = listener_port
        self._retries = retries
        self._properties = dict(properties or {})
        self._processes: list[KafkaProcess] = []
        self._folder: Path | None = None
        self._guard: Guard | None = None

    @property
    def is_started(self) -> bool:
        """Whether it was started, and not stopped since."""
        return bool(self._processes)

    @property
    def bootstrap_servers(self) -> str:
        """The brokers' addresses, ``127.0.0.1:port,127.0.0.1:port``.

        Raises:
            ConfigError: It does not run.
        """
        return ",".join(process.address for process in self._running())

    def start(self) -> str:
        """Start the brokers, wait until they answer, and create the topics.

        Returns:
            The `bootstrap_servers`.

        Raises:
            ConfigError: It runs already; Java or Kafka is missing; or a topic cannot
                be created.
            BrokerUnavailableError: A broker ended, or did not answer in a minute.
        """
        if self._processes:
            raise ConfigError(
                f"ApacheKafkaBroker: it runs already, at {self.bootstrap_servers!r}."
            )
        java, class_path = find_java(), find_kafka()
        try:
            self._launch_at_free_ports(java, class_path)
            for name, partitions in self._topics.items():
                self.create_topic(name, partitions)
        except BaseException:
            self.stop()
            raise
        return self.bootstrap_servers

    def stop(self) -> None:
        """Stop the brokers and remove their data; again is no error."""
        atexit.unregister(self.stop)
        for process in self._processes:
            process.send(signal.SIGTERM)
            process.send(signal.SIGCONT)  # a suspended one hears nothing otherwise
        deadline = time.monotonic() + _END_TIMEOUT
        for process in self._processes:
            process.end(max(0.0, deadline - time.monotonic()))
        self._processes = []
        if self._guard is not None:
            self._guard.dismiss()
            self._guard = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def create_topic(
        self,
        name: str,
        partitions: int = -1,
        *,
        config: Mapping[str, str] | None = None,
    ) -> None:
        """Create a topic and wait until its partitions have leaders.

        Args:
            name: The topic's name.
            partitions: How many; -1 is Kafka's default, ``num.partitions``.
            config: Kafka's topic settings, for example ``{"retention.ms": "1000"}``.

        Raises:
            ConfigError: Kafka refused.
            BrokerUnavailableError: No broker answers.
        """
        running = self._running()
        admin = _admin(self.bootstrap_servers)
        topic = NewTopic(
            name, partitions, min(len(running), 3), config=dict(config or {})
        )
        try:
            admin.create_topics([topic])[name].result(_START_TIMEOUT)
        except KafkaException as error:
            raise ConfigError(
                f"ApacheKafkaBroker: topic {name!r} cannot be created. "
                f"{error.args[0].str().rstrip('.')}."
            ) from error
        deadline = time.monotonic() + _START_TIMEOUT
        while not _has_leaders(admin, name):
            self._look_again(deadline, [])

    def get_service_config_string(self, service: str, *, data_dir: Path) -> str:
        """Return the first broker's settings, as its file holds them.

        Args:
            service: "kafka"; Kafka 4 has no ZooKeeper.
            data_dir: Where its data would be.

        Raises:
            ConfigError: It does not run, or *service* is another.
        """
        if service != "kafka":
            raise ConfigError(
                f"ApacheKafkaBroker: there is no service {service!r}. Ask for 'kafka', "
                "which needs no other since version 4."
            )
        process, *_ = running = self._running()
        return process.settings(running, self._properties_of(process), data_dir)

    def kill(self, broker_id: int) -> None:
        """Kill a broker: it can do nothing more, not even close its files (SIGKILL)."""
        process = self._process(broker_id)
        process.send(signal.SIGKILL)
        process.end(_STOP_TIMEOUT)
        self._watch_over()

    def suspend(self, broker_id: int) -> None:
        """Make a broker hang: its connections stay open, nothing answers (SIGSTOP)."""
        self._process(broker_id).send(signal.SIGSTOP)

    def resume(self, broker_id: int) -> None:
        """Let a suspended broker go on (SIGCONT)."""
        self._process(broker_id).send(signal.SIGCONT)

    def restart(self, broker_id: int) -> None:
        """Start a broker again that was killed, or stop it first; wait for its answer.

        Its port and its data are those it had.

        Raises:
            BrokerUnavailableError: It ended, or did not answer in a minute.
        """
        process = self._process(broker_id)
        process.send(signal.SIGTERM)
        process.send(signal.SIGCONT)
        process.end(_STOP_TIMEOUT)
        process.run()
        self._watch_over()
        try:
            self._wait_for([process])
        except PortTakenError as error:
            raise process.failure("lost its port to somebody else") from error

    def _launch_at_free_ports(self, java: str, class_path: str) -> None:
        wanted = self._listener_port
        for _ in range(self._retries + 1):
            self._launch(java, class_path, wanted)
            try:
                self._wait_for(self._processes)
            except PortTakenError:
                logger.warning(
                    "ApacheKafkaBroker: a port of %s was taken meanwhile",
                    self.bootstrap_servers,
                )
                self.stop()
                wanted = 0
            else:
                return
        raise BrokerUnavailableError(
            f"ApacheKafkaBroker: its ports were taken by others, {self._retries + 1} "
            "times in a row. Give it more `retries`.",
            bootstrap_servers="127.0.0.1",
        )

    def _launch(self, java: str, class_path: str, wanted: int) -> None:
        """Start every process; return before they answer."""
        ports = _listener_ports(self._brokers, wanted)
        controllers = _free_ports(_CONTROLLER_PORTS, self._brokers)
        atexit.register(self.stop)
        self._folder = Path(tempfile.mkdtemp(prefix="fastkafka-kafka-"))
        self._processes = [
            KafkaProcess(
                broker_id,
                port,
                controller_port,
                folder=self._folder,
                java=java,
                class_path=class_path,
            )
            for broker_id, (port, controller_port) in enumerate(
                zip(ports, controllers, strict=True), start=1
            )
        ]
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        for process in self._processes:
            process.configure(self._processes, self._properties_of(process))
            process.format(cluster_id)
        for process in self._processes:
            process.run()
        self._watch_over()

    def _properties_of(self, process: KafkaProcess) -> Mapping[str, str]:
        """Return the settings of one broker that differ from ours."""
        return self._properties

    def _watch_over(self) -> None:
        if self._guard is not None:
            self._guard.dismiss()
        if self._folder is not None:
            self._guard = Guard(self._processes, self._folder)

    def _wait_for(self, processes: Sequence[KafkaProcess]) -> None:
        """Return when each of *processes* answers and knows of all of them.

        Before that it accepts no clients, or sends them to brokers that do not.
        """
        deadline = time.monotonic() + _START_TIMEOUT
        ids = {process.broker_id for process in processes}
        for process in processes:
            while not process.accepts():
                self._look_again(deadline, processes)
            admin = _admin(process.address)
            while not ids <= _known_brokers(admin):
                self._look_again(deadline, processes)

    def _look_again(self, deadline: float, alive: Sequence[KafkaProcess]) -> None:
        """Wait a moment, unless there is nothing to wait for."""
        for process in alive:
            process.check()
        if time.monotonic() > deadline:
            process = (alive or self._processes)[0]
            raise process.failure(f"did not answer within {_START_TIMEOUT:g} seconds")
        if self._given_up.wait(_LOOK_AGAIN):
            raise BrokerUnavailableError(
                "ApacheKafkaBroker: the start was cancelled.",
                bootstrap_servers=self.bootstrap_servers,
            )

    def _running(self) -> list[KafkaProcess]:
        if not self._processes:
            raise ConfigError(
                "ApacheKafkaBroker: it does not run. Call `start()`, or use it as a "
                "context manager."
            )
        return self._processes

    def _process(self, broker_id: int) -> KafkaProcess:
        running = self._running()
        if not 1 <= broker_id <= len(running):
            raise ConfigError(
                f"ApacheKafkaBroker: there is no broker {broker_id!r}. "
                f"Ids go from 1 to {len(running)}."
            )
        return running[broker_id - 1]


LocalKafkaBroker = ApacheKafkaBroker
"""Its name up to FastKafka 0.3."""


def _admin(bootstrap_servers: str) -> AdminClient:
    # It is quiet: a broker that does not answer is what we are asking about.
    return AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 2})


def _known_brokers(admin: AdminClient) -> set[int]:
    try:
        return set(admin.list_topics(timeout=2).brokers)
    except KafkaException:
        return set()


def _has_leaders(admin: AdminClient, topic: str) -> bool:
    try:
        partitions = admin.list_topics(topic, timeout=2).topics[topic].partitions
    except KafkaException:
        return False
    return bool(partitions) and all(p.leader >= 0 for p in partitions.values())


def _listener_ports(brokers: int, wanted: int) -> list[int]:
    if not wanted:
        return _free_ports(_LISTENER_PORTS, brokers)
    ports = list(range(wanted, wanted + brokers))
    if all(is_free(port) for port in ports):
        return ports
    logger.warning("ApacheKafkaBroker: port %d is in use, taking another", wanted)
    return _free_ports(_LISTENER_PORTS, brokers)


def _free_ports(among: range, count: int) -> list[int]:
    """Return ports that nobody listens at; with luck they are still free later."""
    # The system's randomness: tests that run at once often share a seed.
    ports = random.SystemRandom().sample(among, len(among))
    free: list[int] = []
    while len(free) < count:
        if is_free(port := ports.pop()):
            free.append(port)
    return free


@functools.cache
def _say_once(what: str) -> None:
    logger.warning("ApacheKafkaBroker: %s", what)
