"""One process of Apache Kafka: its settings, its start, its signals, its log."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from fastkafka.errors import BrokerUnavailableError

_JVM = (
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # for a life of minutes the quick compiler is quicker
    "-Dlog4j2.level=WARN",
)
_LAST_LINES = 20

_GUARD = 'folder=$1; shift; read -r _; kill -9 "$@"; sleep 1; rm -rf "$folder"'


class PortTakenError(Exception):
    """Kafka found one of its ports in use."""


class KafkaProcess:
    """A broker that is its own controller, in a folder of its own.

    Attributes:
        broker_id: Its ``node.id``.
        port: Where clients find it on 127.0.0.1.
        controller_port: Where the other brokers find it.
    """

    def __init__(
        self,
        broker_id: int,
        port: int,
        controller_port: int,
        *,
        folder: Path,
        java: str,
        class_path: str,
    ) -> None:
        self.broker_id = broker_id
        self.port = port
        self.controller_port = controller_port
        self._folder = folder / f"broker-{broker_id}"
        self._folder.mkdir()
        self._log = self._folder / "kafka.log"
        self._settings = self._folder / "server.properties"
        self._java = java
        self._class_path = class_path
        self._process: subprocess.Popen[bytes] | None = None
        self._formatting = False

    @property
    def address(self) -> str:
        """Where clients find it, ``127.0.0.1:port``."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process that runs, or None."""
        if self._process is None or self._process.poll() is not None:
            return None
        return self._process.pid

    def configure(
        self, voters: Iterable[KafkaProcess], properties: Mapping[str, str]
    ) -> None:
        """Write its ``server.properties``: ours, and *properties* over them."""
        text = self.settings(voters, properties, self._folder / "data")
        self._settings.write_text(text, encoding="utf-8")

    def settings(
        self, voters: Iterable[KafkaProcess], properties: Mapping[str, str], data: Path
    ) -> str:
        """Return what `configure` writes, for data in any folder."""
        controllers = [f"{v.broker_id}@127.0.0.1:{v.controller_port}" for v in voters]
        replicas = str(min(len(controllers), 3))
        in_sync = str(min(len(controllers), 2))
        settings = {
            "process.roles": "broker,controller",
            "node.id": str(self.broker_id),
            "controller.quorum.voters": ",".join(controllers),
            "listeners": (
                f"PLAINTEXT://{self.address},"
                f"CONTROLLER://127.0.0.1:{self.controller_port}"
            ),
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": (
                "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT"
            ),
            "log.dirs": str(data),
            # A group's first member waits for nobody, and members hear of a new
            # assignment within half a second: tests rebalance all the time.
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "group.consumer.min.heartbeat.interval.ms": "100",
            "group.consumer.heartbeat.interval.ms": "500",
            "group.consumer.min.session.timeout.ms": "1000",
            "group.consumer.session.timeout.ms": "6000",
            # Kafka's own topics, as small as they can be: 50 partitions each take
            # seconds to create.
            "offsets.topic.num.partitions": "3",
            "offsets.topic.replication.factor": replicas,
            "transaction.state.log.num.partitions": "3",
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": in_sync,
            "share.coordinator.state.topic.num.partitions": "3",
            "share.coordinator.state.topic.replication.factor": replicas,
            "share.coordinator.state.topic.min.isr": in_sync,
            **properties,
        }
        return "".join(f"{name}={value}\n" for name, value in settings.items())

    def format(self, cluster_id: str) -> None:
        """Start to make its data folder part of a cluster; `run` waits for the end."""
        self._formatting = True
        self._launch(
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={cluster_id}",
            f"--config={self._settings}",
        )

    def run(self) -> None:
        """Start the broker.

        Raises:
            BrokerUnavailableError: Its data folder could not be formatted.
        """
        if self._formatting and self._process is not None and self._process.wait():
            raise self.failure("could not format its data folder")
        self._formatting = False
        self._launch("kafka.Kafka", str(self._settings))

    def accepts(self) -> bool:
        """Whether it accepts connections of clients."""
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        return False

    def check(self) -> None:
        """Raise if it does not run any more.

        Raises:
            PortTakenError: Because one of its ports is in use.
            BrokerUnavailableError: For any other reason; the message ends with the
                last lines of its log.
        """
        if self._process is None or self._process.poll() is None:
            return
        if "Address already in use" in self._log.read_text(errors="replace"):
            raise PortTakenError
        raise self.failure(f"ended with exit code {self._process.returncode}")

    def failure(self, what: str) -> BrokerUnavailableError:
        """Return an error that says *what* happened and shows the end of the log.

        Without Java's stack frames: they push out the lines that say what is wrong.
        """
        log = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        said = [line for line in log if line and not line.startswith("\t")]
        end = "\n".join(said[-_LAST_LINES:])
        return BrokerUnavailableError(
            f"ApacheKafkaBroker: broker {self.broker_id} {what}. "
            f"The end of its log:\n{end}",
            bootstrap_servers=self.address,
        )

    def send(self, signal_number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        if self._process is not None:
            self._process.send_signal(signal_number)  # knows whether it runs

    def end(self, timeout: float) -> None:
        """Wait until it has ended; kill it after *timeout* seconds."""
        if self._process is None:
            return
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _launch(self, *arguments: str) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._java, "-cp", self._class_path, *_JVM, *arguments],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C is for us; we stop it when clients are gone
            )


class Guard:
    """Kills brokers and removes their folder when this process dies without a word.

    A shell waits for the end of a pipe that only this process holds open.
    """

    def __init__(self, processes: Iterable[KafkaProcess], folder: Path) -> None:
        pids = [str(process.pid) for process in processes if process.pid is not None]
        self._shell = subprocess.Popen(
            [shutil.which("sh") or "/bin/sh", "-c", _GUARD, "sh", str(folder), *pids],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )

    def dismiss(self) -> None:
        """Let the brokers live on."""
        self._shell.kill()
        self._shell.communicate()
