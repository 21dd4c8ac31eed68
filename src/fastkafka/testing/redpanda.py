"""`LocalRedpandaBroker`: Redpanda in Docker, for tests."""

from __future__ import annotations

import atexit
import logging
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from fastkafka.errors import BrokerUnavailableError, ConfigError
from fastkafka.testing.local import LocalBroker, is_free, partitions_of

logger = logging.getLogger(__name__)

IMAGE = "docker.redpanda.com/redpandadata/redpanda"

_START_TIMEOUT = 60.0
_STOP_TIMEOUT = 10.0
_LOOK_AGAIN = 0.1
_LAST_LINES = 15
_PORT_IN_USE = ("port is already allocated", "address already in use")


class LocalRedpandaBroker(LocalBroker):
    """Redpanda in a Docker container, which is removed afterwards.

    Other machines cannot connect: its port is on 127.0.0.1 only. A context manager,
    sync and async, that yields the bootstrap servers::

        with LocalRedpandaBroker(["orders"]) as bootstrap_servers: ...

    Args:
        topics: Names, with their number of partitions or with Redpanda's default of 1.
        retries: How often to try again with another port, when one is in use.
        apply_nest_asyncio: Without effect; the original needed it in notebooks.
        listener_port: The port on 127.0.0.1.
        tag: Which Redpanda: a tag of its image.
        seastar_core: How many cores it uses.
        memory: How much memory, as Redpanda writes it.
        mode: Redpanda's mode.
        default_log_level: Redpanda's log level.
    """

    def __init__(
        self,
        topics: Mapping[str, int] | Sequence[str] = (),
        *,
        retries: int = 3,
        apply_nest_asyncio: bool = False,
        listener_port: int = 9092,
        tag: str = "v23.1.2",
        seastar_core: int = 1,
        memory: str = "1G",
        mode: str = "dev-container",
        default_log_level: str = "debug",
    ) -> None:
        super().__init__()
        self._topics = partitions_of(topics, 1, where="LocalRedpandaBroker")
        if apply_nest_asyncio:
            logger.info("`apply_nest_asyncio` has no effect: nothing needs it any more")
        self._retries = retries
        self._port = listener_port
        self._image = f"{IMAGE}:{tag}"
        self._redpanda = [
            *("--smp", f"{seastar_core}"),
            *("--memory", memory),
            *("--mode", mode),
            *("--default-log-level", default_log_level),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    @property
    def is_started(self) -> bool:
        """Whether it was started, and not stopped since."""
        return self._process is not None

    @property
    def bootstrap_servers(self) -> str:
        """Its address, ``127.0.0.1:port``.

        Raises:
            ConfigError: It does not run.
        """
        if self._process is None:
            raise ConfigError(
                "LocalRedpandaBroker: it does not run. Call `start()`, or use it as a "
                "context manager."
            )
        return self._address

    def start(self) -> str:
        """Start the container, wait until it answers, and create the topics.

        Returns:
            The `bootstrap_servers`.

        Raises:
            RuntimeError: There is no Docker.
            ConfigError: It runs already, or a topic cannot be created.
            BrokerUnavailableError: The container ended, or did not answer in a minute.
        """
        if self._process is not None:
            raise ConfigError(
                f"LocalRedpandaBroker: it runs already, at {self._address!r}."
            )
        if shutil.which("docker") is None:
            raise RuntimeError(
                "Docker installation not found! Please install docker manually and "
                "retry."
            )
        self._fetch_image()
        try:
            self._launch_at_free_port()
            for name, partitions in self._topics.items():
                self.create_topic(name, partitions)
        except BaseException:
            self.stop()
            raise
        return self.bootstrap_servers

    def stop(self) -> None:
        """Stop the container, which removes it; again is no error."""
        atexit.unregister(self.stop)
        if self._process is not None:
            self._process.terminate()  # which Docker passes on to the container
            try:
                self._process.wait(_STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                _docker("rm", "--force", self._name)
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._log is not None:
            self._log.close()
            self._log = None

    def create_topic(self, name: str, partitions: int = 1) -> None:
        """Create a topic, by Redpanda's own tool in the container.

        Args:
            name: The topic's name.
            partitions: How many.

        Raises:
            ConfigError: It does not run, or Redpanda refused.
        """
        brokers = self.bootstrap_servers
        ran = _docker(
            *("exec", self._name, "rpk", "topic", "create", name),
            *("--partitions", f"{partitions}", "--brokers", brokers),
        )
        if ran.returncode:
            raise ConfigError(
                f"LocalRedpandaBroker: topic {name!r} cannot be created. "
                f"{_last_line(ran.stdout)}"
            )

    @property
    def _name(self) -> str:
        return f"redpanda_{self._port}"

    @property
    def _address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def _fetch_image(self) -> None:
        """Fetch what is not there; that takes minutes, so not in the start's time."""
        if _docker("image", "inspect", self._image).returncode == 0:
            return
        logger.info("LocalRedpandaBroker: fetching %s", self._image)
        ran = _docker("pull", "--quiet", self._image)
        if ran.returncode:
            raise BrokerUnavailableError(
                f"LocalRedpandaBroker: Docker cannot fetch {self._image!r}. "
                f"{_last_line(ran.stdout)}",
                bootstrap_servers=self._address,
            )

    def _launch_at_free_port(self) -> None:
        if not is_free(self._port):
            logger.warning(
                "LocalRedpandaBroker: port %d is in use, taking another", self._port
            )
            self._port = _free_port()
        for _ in range(self._retries + 1):
            self._launch()
            if self._answers():
                return
            logger.warning("LocalRedpandaBroker: port %d was taken", self._port)
            self.stop()
            self._port = _free_port()
        raise BrokerUnavailableError(
            f"LocalRedpandaBroker: its ports were taken by others, {self._retries + 1} "
            "times in a row. Give it more `retries`.",
            bootstrap_servers="127.0.0.1",
        )

    def _launch(self) -> None:
        _docker("rm", "--force", self._name)  # of a test that was killed
        atexit.register(self.stop)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - `stop` closes it
        port = self._port
        self._process = subprocess.Popen(
            [
                *("docker", "run", "--rm", "--name", self._name),
                *("--publish", f"127.0.0.1:{port}:{port}"),
                *(self._image, "redpanda", "start"),
                *("--kafka-addr", f"0.0.0.0:{port}"),
                *("--advertise-kafka-addr", self._address),
                *self._redpanda,
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            process_group=0,  # Ctrl-C is for us; we stop it when clients are gone
        )

    def _answers(self) -> bool:
        """Wait until it answers; return False if its port was taken meanwhile."""
        assert self._process is not None
        # It is quiet: a broker that does not answer is what we are asking about.
        admin = AdminClient({"bootstrap.servers": self._address, "log_level": 2})
        deadline = time.monotonic() + _START_TIMEOUT
        while True:
            if self._process.poll() is not None:
                if any(said in self._end_of_log() for said in _PORT_IN_USE):
                    return False
                raise self._failure(
                    f"`docker run` ended with exit code {self._process.returncode}"
                )
            if _accepts(self._port) and _is_there(admin):
                return True
            if time.monotonic() > deadline:
                raise self._failure(
                    f"it did not answer within {_START_TIMEOUT:g} seconds"
                )
            if self._given_up.wait(_LOOK_AGAIN):
                raise BrokerUnavailableError(
                    "LocalRedpandaBroker: the start was cancelled.",
                    bootstrap_servers=self._address,
                )

    def _failure(self, what: str) -> BrokerUnavailableError:
        return BrokerUnavailableError(
            f"LocalRedpandaBroker: {what}. The end of its output:\n"
            f"{self._end_of_log()}",
            bootstrap_servers=self._address,
        )

    def _end_of_log(self) -> str:
        assert self._log is not None
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-_LAST_LINES:])


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


def _last_line(output: str) -> str:
    return next((line for line in reversed(output.splitlines()) if line.strip()), "")


def _accepts(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False


def _is_there(admin: AdminClient) -> bool:
    try:
        return bool(admin.list_topics(timeout=1).brokers)
    except KafkaException:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
