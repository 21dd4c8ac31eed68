"""librdkafka's own mock cluster, reached through the library confluent-kafka brought.

confluent-kafka exposes the cluster only as a client setting, without the functions
that create topics or break brokers. They are in the same shared library, so ctypes
finds them. Start at `open_cluster`; `EmbeddedBroker` is what users see.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import socket
import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import Protocol

import confluent_kafka
import confluent_kafka.cimpl

from fastkafka.errors import ConfigError

_HEARTBEAT_MS = 300
"""KIP-848 members learn of a new assignment with a heartbeat: 5 s apart in Kafka."""

SESSION_TIMEOUT_MS = 6000
"""Kafka's smallest allowed: a killed worker's partitions move within seconds."""

_LOG_ERRORS_ONLY = 3
"""syslog's LOG_ERR: the client that carries the cluster has no servers, and says so."""

_AT_ONCE = 0.02
"""Seconds that a call to the cluster may take before we help it along."""

_AUTOMATIC_PARTITIONS = 4
"""What a topic gets that appears because a client asked for it."""

_POINTER = ctypes.c_void_p
_INT = ctypes.c_int
_STRING = ctypes.c_char_p
_SIGNATURES = {
    "rd_kafka_conf_new": (_POINTER, ()),
    "rd_kafka_conf_set": (_INT, (_POINTER, _STRING, _STRING, _STRING, ctypes.c_size_t)),
    "rd_kafka_conf_destroy": (None, (_POINTER,)),
    "rd_kafka_new": (_POINTER, (_INT, _POINTER, _STRING, ctypes.c_size_t)),
    "rd_kafka_destroy": (None, (_POINTER,)),
    "rd_kafka_mock_cluster_new": (_POINTER, (_POINTER, _INT)),
    "rd_kafka_mock_cluster_destroy": (None, (_POINTER,)),
    "rd_kafka_mock_cluster_bootstraps": (_STRING, (_POINTER,)),
    "rd_kafka_mock_topic_create": (_INT, (_POINTER, _STRING, _INT, _INT)),
    "rd_kafka_mock_group_initial_rebalance_delay_ms": (
        None,
        (_POINTER, ctypes.c_int32),
    ),
    "rd_kafka_mock_set_group_consumer_heartbeat_interval_ms": (None, (_POINTER, _INT)),
    "rd_kafka_mock_set_group_consumer_session_timeout_ms": (None, (_POINTER, _INT)),
    "rd_kafka_mock_broker_set_host_port": (
        None,
        (_POINTER, ctypes.c_int32, _STRING, _INT),
    ),
    "rd_kafka_mock_broker_set_down": (_INT, (_POINTER, ctypes.c_int32)),
    "rd_kafka_mock_broker_set_up": (_INT, (_POINTER, ctypes.c_int32)),
    "rd_kafka_mock_broker_set_rtt": (_INT, (_POINTER, ctypes.c_int32, _INT)),
    "rd_kafka_mock_push_request_errors_array": (
        None,
        (_POINTER, ctypes.c_int16, ctypes.c_size_t, ctypes.POINTER(_INT)),
    ),
}


class Cluster(Protocol):
    """What `EmbeddedBroker` needs of a mock cluster; broker ids count from 1."""

    @property
    def ports(self) -> list[int]:
        """The loopback port of each broker."""

    def advertise(self, broker_id: int, port: int) -> None:
        """Tell clients that this broker is at *port* of 127.0.0.1."""

    def create_topic(self, name: str, partitions: int) -> None:
        """Create a topic; raise ConfigError if it exists."""

    def set_up(self, broker_id: int, up: bool) -> None:
        """Accept connections, or close them and refuse new ones."""

    def set_round_trip_time(self, broker_id: int, milliseconds: int) -> None:
        """Delay each response of the broker."""

    def push_errors(self, api_key: int, error_code: int, times: int) -> None:
        """Answer the next requests of this kind with an error."""

    def close(self) -> object:
        """Close every connection and free the cluster; again is no error."""


@functools.cache
def load_library() -> ctypes.CDLL | None:
    """Load the librdkafka that confluent-kafka itself uses.

    The symbols are looked up through confluent-kafka's extension module, because
    every loader also searches what a module was linked to. So one path serves the
    wheels of Linux and macOS and builds against a system's librdkafka.

    Returns:
        The library, or None where one of the functions cannot be found: librdkafka
        calls this interface experimental.
    """
    try:
        library = ctypes.CDLL(confluent_kafka.cimpl.__file__)
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype = result
            function.argtypes = arguments
    except (OSError, AttributeError):
        return None
    return library


def open_cluster(brokers: int, library: ctypes.CDLL | None) -> Cluster:
    """Start a mock cluster, with all its functions if there is a *library*."""
    if library is None:
        return _ClientsCluster(brokers)
    return _LibrarysCluster(brokers, library)


class _LibrarysCluster:
    """The mock cluster through librdkafka's C functions."""

    def __init__(self, brokers: int, library: ctypes.CDLL) -> None:
        self._library = library
        self._replicas = min(brokers, 3)
        client, self._cluster = _new_cluster(library, brokers)
        bootstraps = library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        self.ports = [int(at.rpartition(":")[2]) for at in bootstraps.split(",")]
        self.close = weakref.finalize(
            self,
            _destroy_cluster,
            library,
            client,
            self._cluster,
            self.ports,
            os.getpid(),
        )
        # At exit the operating system is quicker, and nobody is left to be told.
        self.close.atexit = False

    def advertise(self, broker_id: int, port: int) -> None:
        self._library.rd_kafka_mock_broker_set_host_port(
            self._cluster, broker_id, b"127.0.0.1", port
        )

    def create_topic(self, name: str, partitions: int) -> None:
        with _at_once(self.ports):
            code = self._library.rd_kafka_mock_topic_create(
                self._cluster, name.encode(), partitions, self._replicas
            )
        if code:
            raise ConfigError(
                f"EmbeddedBroker: topic {name!r} cannot be created. "
                f"{confluent_kafka.KafkaError(code).str()}."
            )

    def set_up(self, broker_id: int, up: bool) -> None:
        library = self._library
        with _at_once(self.ports):
            if up:
                library.rd_kafka_mock_broker_set_up(self._cluster, broker_id)
            else:
                library.rd_kafka_mock_broker_set_down(self._cluster, broker_id)

    def set_round_trip_time(self, broker_id: int, milliseconds: int) -> None:
        with _at_once(self.ports):
            self._library.rd_kafka_mock_broker_set_rtt(
                self._cluster, broker_id, milliseconds
            )

    def push_errors(self, api_key: int, error_code: int, times: int) -> None:
        errors = (_INT * times)(*[error_code] * times)
        self._library.rd_kafka_mock_push_request_errors_array(
            self._cluster, api_key, times, errors
        )


def _new_cluster(library: ctypes.CDLL, brokers: int) -> tuple[int, int]:
    """Return a cluster, behind the client that it needs for its book-keeping."""
    reason = ctypes.create_string_buffer(512)
    conf = library.rd_kafka_conf_new()
    library.rd_kafka_conf_set(
        conf, b"log_level", str(_LOG_ERRORS_ONLY).encode(), reason, len(reason)
    )
    producer = 0
    client = library.rd_kafka_new(producer, conf, reason, len(reason))
    if not client:
        library.rd_kafka_conf_destroy(conf)
        raise ConfigError(f"EmbeddedBroker: {reason.value.decode()}.")
    cluster = library.rd_kafka_mock_cluster_new(client, brokers)
    if not cluster:
        library.rd_kafka_destroy(client)
        raise ConfigError(
            f"EmbeddedBroker: {brokers} brokers cannot be started. librdkafka said "
            "why on stderr."
        )
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0)
    library.rd_kafka_mock_set_group_consumer_heartbeat_interval_ms(
        cluster, _HEARTBEAT_MS
    )
    library.rd_kafka_mock_set_group_consumer_session_timeout_ms(
        cluster, SESSION_TIMEOUT_MS
    )
    return client, cluster


def _destroy_cluster(
    library: ctypes.CDLL, client: int, cluster: int, ports: Sequence[int], owner: int
) -> None:
    if os.getpid() != owner:
        return  # a fork has the memory but none of the threads that this waits for
    with _at_once(ports):
        library.rd_kafka_mock_cluster_destroy(cluster)
    library.rd_kafka_destroy(client)


@contextlib.contextmanager
def _at_once(ports: Sequence[int]) -> Iterator[None]:
    """Knock at the brokers' ports if the cluster does not answer a call at once.

    Its thread can miss a call that follows another closely, and sleeps on for up to a
    second; a connection wakes it.
    """
    knock = threading.Timer(_AT_ONCE, _knock, [ports])
    knock.start()
    try:
        yield
    finally:
        knock.cancel()
        knock.join()


def _knock(ports: Sequence[int]) -> None:
    for port in ports:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()


class _ClientsCluster:
    """The mock cluster inside a client: brokers that clients can use, and no more."""

    def __init__(self, brokers: int) -> None:
        self._client: confluent_kafka.Producer | None = confluent_kafka.Producer(
            {"test.mock.num.brokers": brokers, "log_level": _LOG_ERRORS_ONLY}
        )
        metadata = self._client.list_topics(timeout=10)
        self.ports = [metadata.brokers[id_].port for id_ in sorted(metadata.brokers)]

    def advertise(self, broker_id: int, port: int) -> None:
        """Do nothing: clients go on to the address that the broker chose itself."""

    def create_topic(self, name: str, partitions: int) -> None:
        if partitions != _AUTOMATIC_PARTITIONS:
            raise _needs_library(
                f"a topic with {partitions} partitions instead of "
                f"{_AUTOMATIC_PARTITIONS}"
            )
        if self._client is not None:
            self._client.list_topics(name, timeout=10)

    def set_up(self, broker_id: int, up: bool) -> None:
        raise _needs_library("a broker that goes down")

    def set_round_trip_time(self, broker_id: int, milliseconds: int) -> None:
        raise _needs_library("a round trip time")

    def push_errors(self, api_key: int, error_code: int, times: int) -> None:
        raise _needs_library("requests that fail")

    def close(self) -> None:
        self._client = None


def _needs_library(what: str) -> ConfigError:
    return ConfigError(
        f"EmbeddedBroker: {what} is not possible here. The functions of librdkafka's "
        "mock cluster were not found in this build of confluent-kafka. Install its "
        "wheel: `pip install --force-reinstall --only-binary=:all: confluent-kafka`."
    )
