"""The embedded broker, seen by clients of this process and of others."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from fastkafka.errors import ConfigError
from fastkafka.testing import ApiKey, EmbeddedBroker
from fastkafka.testing.mock_cluster import open_cluster
from tests.ports import unused_port

PROTOCOLS = pytest.mark.parametrize("protocol", ["classic", "consumer"])


def consumer(servers: str, protocol: str = "consumer") -> Consumer:
    settings: dict[str, Any] = {}
    if protocol == "classic":
        # There each rebalance but a group's first takes a second less than this.
        settings = {"session.timeout.ms": 1500, "heartbeat.interval.ms": 500}
    return Consumer(
        {
            **settings,
            "bootstrap.servers": servers,
            "group.id": "readers",
            "group.protocol": protocol,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 10,
            "log_level": 0,
        }
    )


def producer(servers: str, **settings: Any) -> Producer:
    return Producer(
        {
            "bootstrap.servers": servers,
            "reconnect.backoff.max.ms": 200,
            "log_level": 0,
            **settings,
        }
    )


def send(client: Producer, topic: str, *values: bytes) -> list[KafkaError | None]:
    """Return what each record's delivery came to."""
    outcomes: list[KafkaError | None] = []
    for value in values:
        client.produce(
            topic,
            value,
            partition=0,
            on_delivery=lambda error, _: outcomes.append(error),
        )
    client.flush()
    return outcomes


def read(client: Consumer, count: int) -> list[Message]:
    messages: list[Message] = []
    while len(messages) < count:
        message = client.poll(0.1)
        if message is not None:
            assert message.error() is None
            messages.append(message)
    return messages


def partitions(servers: str, topic: str) -> int:
    return len(
        producer(servers).list_topics(topic, timeout=10).topics[topic].partitions
    )


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("fixed", [False, True])
def test_another_process_reads_what_this_one_wrote(fixed: bool) -> None:
    reader = """
import sys
from confluent_kafka import Consumer
c = Consumer({"bootstrap.servers": sys.argv[1], "group.id": "g",
              "auto.offset.reset": "earliest", "fetch.wait.max.ms": 10})
c.subscribe(["orders"])
while (m := c.poll(1)) is None: pass
print(m.topic(), m.partition(), m.offset(), m.value())
c.close()
"""
    with EmbeddedBroker(
        {"orders": 2}, port=unused_port() if fixed else None
    ) as servers:
        assert send(producer(servers), "orders", b"one") == [None]
        other = run_python(reader, servers)
    assert (other.stdout, other.stderr) == ("orders 0 0 b'one'\n", "")


def test_topics_have_the_partitions_that_were_asked_for() -> None:
    with EmbeddedBroker({"orders": 6, "payments": 1}) as servers:
        assert partitions(servers, "orders") == 6
        assert partitions(servers, "payments") == 1


def test_topics_in_a_list_have_four_partitions() -> None:
    with EmbeddedBroker(["orders"]) as servers:
        assert partitions(servers, "orders") == 4


def test_a_topic_that_a_producer_asks_for_appears_with_four_partitions(
    embedded: EmbeddedBroker,
) -> None:
    assert partitions(embedded.bootstrap_servers, "orders") == 4


def test_a_topic_can_be_created_while_it_runs(embedded: EmbeddedBroker) -> None:
    embedded.create_topic("orders", 3)
    assert partitions(embedded.bootstrap_servers, "orders") == 3
    with pytest.raises(ConfigError) as error:
        embedded.create_topic("orders", 3)
    assert str(error.value) == (
        "EmbeddedBroker: topic 'orders' cannot be created. "
        "Broker: Topic already exists."
    )


@PROTOCOLS
def test_a_group_resumes_after_its_commit(
    embedded: EmbeddedBroker, protocol: str
) -> None:
    embedded.create_topic("orders", 1)
    send(producer(embedded.bootstrap_servers), "orders", b"one", b"two")
    first = consumer(embedded.bootstrap_servers, protocol)
    first.subscribe(["orders"])
    [one, _] = read(first, 2)
    first.commit(message=one, asynchronous=False)
    first.close()

    second = consumer(embedded.bootstrap_servers, protocol)
    second.subscribe(["orders"])
    [two] = read(second, 1)
    assert two.value() == b"two"
    second.close()


def test_members_share_the_partitions_and_take_over_from_one_that_leaves(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 4)
    members = [consumer(embedded.bootstrap_servers) for _ in range(2)]
    for member in members:
        member.subscribe(["orders"])

    def wait_for(assignment: Callable[[], bool]) -> None:
        while not assignment():
            for member in members:
                assert member.poll(0.02) is None

    wait_for(lambda: all(len(member.assignment()) == 2 for member in members))
    members.pop().close()
    wait_for(lambda: len(members[0].assignment()) == 4)
    members[0].close()


def test_a_fixed_port_is_what_brokers_tell_clients() -> None:
    port = unused_port()
    with EmbeddedBroker(["orders"], brokers=2, port=port) as servers:
        assert servers == f"127.0.0.1:{port},127.0.0.1:{port + 1}"
        brokers = producer(servers).list_topics(timeout=10).brokers
        assert {id_: (b.host, b.port) for id_, b in brokers.items()} == {
            1: ("127.0.0.1", port),
            2: ("127.0.0.1", port + 1),
        }


def test_a_port_in_use_is_one_sentence_and_leaves_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        broker = EmbeddedBroker(port=port)
        with pytest.raises(ConfigError) as error:
            broker.start()
        assert str(error.value) == (
            f"EmbeddedBroker: port {port} cannot be opened. Address already in use. "
            "Stop what listens there, or take another port."
        )
        assert not broker.is_started
    with broker as servers:
        assert servers == f"127.0.0.1:{port}"


def test_several_run_in_one_process_and_know_nothing_of_each_other() -> None:
    with EmbeddedBroker(["orders"]) as one, EmbeddedBroker(["orders"]) as other:
        send(producer(one), "orders", b"one")
        client = consumer(other)
        first = TopicPartition("orders", 0)
        assert client.get_watermark_offsets(first, timeout=10) == (0, 0)
        client.close()


@pytest.mark.parametrize("fixed", [False, True])
def test_clients_see_it_stop_and_can_go_on_when_it_starts_again(fixed: bool) -> None:
    errors: list[KafkaError] = []
    broker = EmbeddedBroker(["orders"], port=unused_port() if fixed else None)
    servers = broker.start()
    client = producer(servers, error_cb=errors.append)
    send(client, "orders", b"one")
    broker.stop()
    while not errors:
        client.poll(0.1)
    assert errors[0].code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)
    if fixed:
        with broker as again:
            assert again == servers
            assert send(client, "orders", b"two") == [None]


async def test_it_is_an_async_context_manager_too() -> None:
    broker = EmbeddedBroker(["orders"])
    async with broker as servers:
        assert broker.is_started
        assert servers == broker.bootstrap_servers
    assert not broker.is_started


def test_starting_twice_is_an_error_and_stopping_twice_is_none() -> None:
    broker = EmbeddedBroker()
    servers = broker.start()
    with pytest.raises(ConfigError) as error:
        broker.start()
    assert str(error.value) == f"EmbeddedBroker: it runs already, at {servers!r}."
    broker.stop()
    broker.stop()
    with pytest.raises(ConfigError) as error:
        broker.create_topic("orders")
    assert str(error.value) == (
        "EmbeddedBroker: it does not run. Call `start()`, or use it as a context "
        "manager."
    )


def test_a_broker_that_is_down_gets_its_records_when_it_is_up(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders")
    client = producer(embedded.bootstrap_servers)
    send(client, "orders", b"one")
    embedded.broker_down(1)
    client.produce("orders", b"two", partition=0)
    assert client.flush(0.3) == 1
    embedded.broker_up(1)
    assert client.flush() == 0


def test_a_round_trip_time_delays_every_answer(embedded: EmbeddedBroker) -> None:
    client = producer(embedded.bootstrap_servers)
    client.list_topics(timeout=10)
    embedded.round_trip_time(1, 60.0)
    with pytest.raises(KafkaException, match="Failed to get metadata"):
        client.list_topics(timeout=0.2)
    embedded.round_trip_time(1, 0)
    assert client.list_topics(timeout=10)


def test_requests_fail_as_often_as_they_are_told_to(embedded: EmbeddedBroker) -> None:
    embedded.create_topic("orders")
    client = producer(embedded.bootstrap_servers, **{"enable.idempotence": False})
    embedded.fail_requests(ApiKey.PRODUCE, KafkaError.POLICY_VIOLATION, times=2)
    outcomes = [send(client, "orders", b"one")[0] for _ in range(3)]
    assert [outcome and outcome.code() for outcome in outcomes] == [
        KafkaError.POLICY_VIOLATION,
        KafkaError.POLICY_VIOLATION,
        None,
    ]


def test_a_request_that_cuts_the_connection_is_tried_again(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders")
    client = producer(embedded.bootstrap_servers)
    send(client, "orders", b"one")
    embedded.fail_requests(ApiKey.PRODUCE, KafkaError._TRANSPORT)
    assert send(client, "orders", b"two") == [None]


BAD_INPUT = {
    "EmbeddedBroker: `topics` is the string 'orders'. Write `topics=['orders']`.": {
        "topics": "orders"
    },
    "EmbeddedBroker: 'my orders' cannot be a topic's name. Kafka allows letters, "
    "digits, '.', '_' and '-', at most 249 of them.": {"topics": ["my orders"]},
    "EmbeddedBroker: topic 'orders' cannot have 0 partitions. Give 1 to 10000.": {
        "topics": {"orders": 0}
    },
    "EmbeddedBroker: `brokers` is 0. Give at least 1.": {"brokers": 0},
    "EmbeddedBroker: port 70000 does not exist. Give one from 1 to 65535.": {
        "port": 70000
    },
}


@pytest.mark.parametrize("sentence", BAD_INPUT)
def test_what_cannot_be_is_said_before_anything_starts(sentence: str) -> None:
    arguments: dict[str, Any] = BAD_INPUT[sentence]  # type: ignore[assignment]
    with pytest.raises(ConfigError) as error:
        EmbeddedBroker(**arguments)
    assert str(error.value) == sentence


def test_a_broker_id_that_is_none_is_said(embedded: EmbeddedBroker) -> None:
    with pytest.raises(ConfigError) as error:
        embedded.broker_down(0)
    assert str(error.value) == (
        "EmbeddedBroker: there is no broker 0. Ids go from 1 to 1."
    )


def test_a_process_that_forgets_to_stop_it_ends_silently_all_the_same() -> None:
    forgetful = """
from fastkafka.testing import EmbeddedBroker
broker = EmbeddedBroker(["orders"])
print(broker.start() == broker.bootstrap_servers)
"""
    done = run_python(forgetful)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts with /proc")
def test_neither_stopping_nor_forgetting_it_leaves_threads_or_files() -> None:
    """In a process of its own: in this one, what other tests left may end meanwhile."""
    careless = f"""
import gc, os, time
from fastkafka.testing import EmbeddedBroker

def use():
    with EmbeddedBroker(["orders"], brokers=2, port={unused_port()}):
        pass
    EmbeddedBroker(["orders"]).start()
    gc.collect()

def left():
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))

use()
threads, files = left()
use()
use()
# The kernel lists a thread for a moment longer than it lives.
deadline = time.monotonic() + 10
while left() > (threads, files) and time.monotonic() < deadline:
    time.sleep(0.01)
print(left()[0] <= threads and left()[1] <= files)
"""
    done = run_python(careless)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_without_librdkafkas_functions_there_is_still_a_broker() -> None:
    cluster = open_cluster(2, None)
    servers = f"127.0.0.1:{cluster.ports[0]}"
    assert len(producer(servers).list_topics(timeout=10).brokers) == 2
    cluster.create_topic("orders", 4)
    client = consumer(servers)
    [position] = client.committed([TopicPartition("orders", 0)], timeout=10)
    assert position.offset == OFFSET_INVALID
    client.close()
    with pytest.raises(ConfigError) as error:
        cluster.create_topic("payments", 3)
    assert str(error.value) == (
        "EmbeddedBroker: a topic with 3 partitions instead of 4 is not possible here. "
        "The functions of librdkafka's mock cluster were not found in this build of "
        "confluent-kafka. Install its wheel: "
        "`pip install --force-reinstall --only-binary=:all: confluent-kafka`."
    )
    with pytest.raises(ConfigError, match="a broker that goes down is not possible"):
        cluster.set_up(1, False)
    cluster.close()
