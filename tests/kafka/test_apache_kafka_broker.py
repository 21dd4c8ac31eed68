"""A real Apache Kafka, and what is done to it."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from fastkafka.errors import BrokerUnavailableError, ConfigError
from fastkafka.testing import ApacheKafkaBroker, apache

pytestmark = pytest.mark.kafka


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where brokers of this test keep their data."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def three() -> Iterator[ApacheKafkaBroker]:
    # A killed broker may not come back before its session has ended: 9 s in Kafka.
    session = {
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
    }
    broker = ApacheKafkaBroker({"orders": 3}, brokers=3, properties=session)
    with broker:
        yield broker


def admin(servers: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": servers, "log_level": 0})


def send(servers: str, topic: str) -> None:
    """Write a record to each partition; return when every in-sync replica has it."""
    client = Producer({"bootstrap.servers": servers, "acks": "all", "log_level": 0})
    for partition in client.list_topics(topic, timeout=10).topics[topic].partitions:
        client.produce(topic, b"one", partition=partition)
    assert client.flush() == 0


def test_its_settings_can_be_read(three: ApacheKafkaBroker) -> None:
    text = three.get_service_config_string("kafka", data_dir=Path("/srv/data"))

    settings = dict(line.split("=", 1) for line in text.splitlines())
    first = three.bootstrap_servers.partition(",")[0]
    assert settings["advertised.listeners"] == f"PLAINTEXT://{first}"
    assert settings["log.dirs"] == "/srv/data"
    assert settings["broker.session.timeout.ms"] == "3000"
    with pytest.raises(
        ConfigError,
        match=r"^ApacheKafkaBroker: there is no service 'zookeeper'\. Ask for 'kafka', "
        r"which needs no other since version 4\.$",
    ):
        three.get_service_config_string("zookeeper", data_dir=Path("/srv/data"))


def test_a_topic_has_the_partitions_that_were_asked_for(
    apache_kafka: str, topic: Callable[..., str]
) -> None:
    name = topic(3)
    metadata = admin(apache_kafka).list_topics(name, timeout=10)
    assert len(metadata.topics[name].partitions) == 3


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_group_reads_what_was_written(
    apache_kafka: str, topic: Callable[..., str], protocol: str
) -> None:
    name = topic()
    send(apache_kafka, name)
    client = Consumer(
        {
            "bootstrap.servers": apache_kafka,
            "group.id": name,
            "group.protocol": protocol,
            "auto.offset.reset": "earliest",
        }
    )
    client.subscribe([name])
    while (message := client.poll(0.1)) is None:
        pass
    assert message.value() == b"one"
    client.close()


def test_a_topic_that_exists_is_refused_in_kafkas_words(
    apache_kafka_broker: ApacheKafkaBroker, topic: Callable[..., str]
) -> None:
    name = topic()
    with pytest.raises(ConfigError) as error:
        apache_kafka_broker.create_topic(name)
    assert str(error.value) == (
        f"ApacheKafkaBroker: topic {name!r} cannot be created. "
        f"Topic '{name}' already exists."
    )


def test_each_partition_is_on_three_brokers(three: ApacheKafkaBroker) -> None:
    metadata = admin(three.bootstrap_servers).list_topics("orders", timeout=10)
    assert sorted(metadata.brokers) == [1, 2, 3]
    for partition in metadata.topics["orders"].partitions.values():
        assert sorted(partition.replicas) == [1, 2, 3]


def test_two_of_three_carry_on_and_the_third_comes_back(
    three: ApacheKafkaBroker,
) -> None:
    three.kill(1)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port_of(three, 1)))
    send(three.bootstrap_servers, "orders")
    three.restart(1)
    alone = admin(three.bootstrap_servers.split(",")[0])
    assert 1 in alone.list_topics(timeout=10).brokers


def test_a_suspended_broker_answers_when_it_is_resumed(
    three: ApacheKafkaBroker,
) -> None:
    alone = admin(three.bootstrap_servers.split(",")[1])
    three.suspend(2)
    with pytest.raises(KafkaException):
        alone.list_topics(timeout=0.5)
    three.resume(2)
    assert alone.list_topics(timeout=10).brokers


def test_a_broker_id_that_is_none_is_said(three: ApacheKafkaBroker) -> None:
    with pytest.raises(ConfigError) as error:
        three.kill(4)
    assert str(error.value) == (
        "ApacheKafkaBroker: there is no broker 4. Ids go from 1 to 3."
    )


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def port_of(broker: ApacheKafkaBroker, broker_id: int) -> int:
    address = broker.bootstrap_servers.split(",")[broker_id - 1]
    return int(address.rpartition(":")[2])


async def test_an_async_one_takes_another_port_and_leaves_nothing(
    temporary: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        broker = ApacheKafkaBroker(["orders"], listener_port=port)
        async with broker as servers:
            assert servers != f"127.0.0.1:{port}"
            assert servers == broker.bootstrap_servers
            assert broker.is_started
            assert "orders" in admin(servers).list_topics(timeout=10).topics
            assert len(left_in(temporary)) == 1
    assert f"port {port} is in use, taking another" in caplog.text
    assert not broker.is_started
    assert left_in(temporary) == []


def test_it_tries_again_when_a_port_was_taken_meanwhile(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free_ports = apache._free_ports
    with socket.create_server(("127.0.0.1", 0)) as taken:
        choices = [[taken.getsockname()[1]]]
        monkeypatch.setattr(
            apache,
            "_free_ports",
            lambda among, count: choices.pop() if choices else free_ports(among, count),
        )
        with ApacheKafkaBroker(retries=1) as servers:
            assert admin(servers).list_topics(timeout=10).brokers


def test_a_broker_that_cannot_start_shows_the_end_of_its_log(temporary: Path) -> None:
    broker = ApacheKafkaBroker(properties={"num.io.threads": "0"})
    with pytest.raises(BrokerUnavailableError) as error:
        broker.start()
    sentence, _, log = str(error.value).partition("\n")
    assert sentence == (
        "ApacheKafkaBroker: broker 1 could not format its data folder. "
        "The end of its log:"
    )
    assert "Invalid value 0 for configuration num.io.threads" in log
    assert not broker.is_started
    assert left_in(temporary) == []


async def test_a_start_that_is_cancelled_leaves_nothing(temporary: Path) -> None:
    broker = ApacheKafkaBroker()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await broker.astart()
    assert not broker.is_started
    assert left_in(temporary) == []


def test_a_process_that_is_killed_takes_its_brokers_with_it(tmp_path: Path) -> None:
    script = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from fastkafka.testing import ApacheKafkaBroker
print(ApacheKafkaBroker().start(), flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        servers = process.stdout.readline().strip()
        assert admin(servers).list_topics(timeout=10).brokers
        process.send_signal(signal.SIGKILL)
    port = int(servers.rpartition(":")[2])
    while answers(port) or left_in(tmp_path):
        time.sleep(0.05)  # nothing tells when a process that is not ours has ended


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_what_makes_no_sense_any_more_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    apache._say_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        ApacheKafkaBroker(apply_nest_asyncio=True, zookeeper_port=2181)
        ApacheKafkaBroker(apply_nest_asyncio=True, zookeeper_port=2181)
    assert caplog.messages == [
        "ApacheKafkaBroker: `apply_nest_asyncio` has no effect: nothing needs it any "
        "more",
        "ApacheKafkaBroker: `zookeeper_port` has no effect: Kafka 4 has no ZooKeeper",
    ]


def test_starting_twice_is_an_error(apache_kafka_broker: ApacheKafkaBroker) -> None:
    with pytest.raises(ConfigError) as error:
        apache_kafka_broker.start()
    assert str(error.value) == (
        "ApacheKafkaBroker: it runs already, at "
        f"{apache_kafka_broker.bootstrap_servers!r}."
    )


def test_what_needs_it_to_run_says_so_and_stopping_is_no_error() -> None:
    broker = ApacheKafkaBroker()
    broker.stop()
    with pytest.raises(ConfigError) as error:
        broker.kill(1)
    assert str(error.value) == (
        "ApacheKafkaBroker: it does not run. Call `start()`, or use it as a context "
        "manager."
    )
