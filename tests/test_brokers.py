"""`kafka_brokers` in every shape that apps write, and what is wrong with others."""

from __future__ import annotations

from typing import Any

import pytest

from fastkafka.brokers import (
    KafkaBroker,
    KafkaBrokers,
    SecuritySchema,
    bootstrap_servers,
    parse_brokers,
)
from fastkafka.errors import ConfigError


def address(entry: Any) -> str:
    """Return the address of the only cluster of a dictionary."""
    return bootstrap_servers(
        "localhost", parse_brokers({"localhost": entry})["localhost"]
    )


def refused(spec: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_brokers(spec)
    return str(caught.value)


def unreachable(entry: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        address(entry)
    return str(caught.value)


def test_without_brokers_there_is_one_on_localhost() -> None:
    brokers = parse_brokers(None)
    assert list(brokers) == ["localhost"]
    assert bootstrap_servers("localhost", brokers["localhost"]) == "localhost:9092"
    assert brokers["localhost"][0].description == "local kafka broker"


def test_a_broker_has_the_originals_defaults() -> None:
    (broker,) = parse_brokers({"demo": {"url": "kafka"}})["demo"]
    assert broker == KafkaBroker(
        url="kafka", description="Kafka broker", port="9092", protocol="kafka"
    )
    assert broker.security is None


@pytest.mark.parametrize("port", [9093, "9093"])
def test_a_port_is_kept_as_it_was_written(port: int | str) -> None:
    (broker,) = parse_brokers({"demo": {"url": "kafka", "port": port}})["demo"]
    assert broker.port == port
    assert type(broker.port) is type(port)


def test_a_broker_object_keeps_its_port() -> None:
    assert address(KafkaBroker(url="kafka", port=9093)) == "kafka:9093"


def test_a_list_names_several_servers_of_one_cluster() -> None:
    entry = [{"url": "one", "port": 1}, KafkaBroker(url="two", port="2")]
    assert address(entry) == "one:1,two:2"


def test_a_brokers_object_is_taken_as_it_is() -> None:
    one, two = KafkaBroker(url="one"), KafkaBroker(url="two", port=9093)
    spec = KafkaBrokers(brokers={"single": one, "double": [one, two]})
    assert parse_brokers(spec) == {"single": [one], "double": [one, two]}


def test_a_brokers_object_may_be_made_of_dictionaries() -> None:
    spec = KafkaBrokers.model_validate({"brokers": {"a": {"url": "x", "port": 1}}})
    assert parse_brokers(spec) == {"a": [KafkaBroker(url="x", port=1)]}


def test_keys_that_nobody_knows_are_passed_over() -> None:
    entry = {"url": "kafka", "name": "development", "grouping": "test"}
    assert address(entry) == "kafka:9092"


def test_security_is_read_for_the_documentation() -> None:
    security = {"type": "scramSha256", "in": "user", "description": "ask us"}
    (broker,) = parse_brokers({"a": {"url": "x", "security": security}})["a"]
    assert broker.security == SecuritySchema(
        security_type="scramSha256", api_key_loc="user", description="ask us"
    )


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("kafka", "kafka:9092"),
        (" kafka ", "kafka:9092"),
        ("kafka:9093", "kafka:9093"),
        ("::1", "[::1]:9092"),
        ("[::1]", "[::1]:9092"),
        ("[::1]:9093", "[::1]:9093"),
        ("one,two:9093, three", "one:9092,two:9093,three:9092"),
    ],
)
def test_an_address_has_a_host_and_a_port(url: str, expected: str) -> None:
    assert address({"url": url}) == expected


def test_a_port_may_be_said_twice_when_it_is_the_same() -> None:
    assert address({"url": "kafka:9093", "port": 9093}) == "kafka:9093"


def test_placeholders_are_no_matter_until_the_address_is_needed() -> None:
    entry = {
        "url": "<url_of_your_kafka_bootstrap_server>",
        "description": "local development kafka broker",
        "port": "<port_of_your_kafka_bootstrap_server>",
    }
    brokers = parse_brokers({"localhost": entry})
    with pytest.raises(ConfigError) as caught:
        bootstrap_servers("localhost", brokers["localhost"])
    assert str(caught.value) == (
        "Broker 'localhost': `url` is still '<url_of_your_kafka_bootstrap_server>' and "
        "`port` is still '<port_of_your_kafka_bootstrap_server>'. Write the address of "
        "a Kafka broker. To try without one: `--kafka-broker embedded`."
    )


def test_one_placeholder_is_enough() -> None:
    assert unreachable({"url": "kafka", "port": "<port>"}) == (
        "Broker 'localhost': `port` is still '<port>'. Write the address of a Kafka "
        "broker. To try without one: `--kafka-broker embedded`."
    )


@pytest.mark.parametrize("port", ["", "kafka", "0", "65536", "-1", "9092.0"])
def test_a_port_that_is_no_port_is_refused(port: str) -> None:
    assert unreachable({"url": "kafka", "port": port}) == (
        f"Broker 'localhost': the port is {port!r}. Write a number from 1 to 65535."
    )


def test_two_ports_contradict_each_other() -> None:
    assert unreachable({"url": "kafka:9093", "port": 9094}) == (
        "Broker 'localhost': `url` is 'kafka:9093', but `port` is 9094. "
        "Write the port in one place."
    )


@pytest.mark.parametrize("url", ["", "kafka://host", "user@host", "my host", "a,,b"])
def test_a_url_that_is_no_host_is_refused(url: str) -> None:
    assert unreachable({"url": url}) == (
        f"Broker 'localhost': `url` is {url!r}. "
        "Write only a host name, 'localhost', or 'localhost:9092'."
    )


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            "localhost:9092",
            "Brokers cannot be 'localhost:9092'. Write a dictionary by name: "
            "{'localhost': {'url': 'localhost', 'port': 9092}}.",
        ),
        (
            {},
            "Brokers cannot be an empty dictionary. Name at least one cluster: "
            "{'localhost': {'url': 'localhost', 'port': 9092}}.",
        ),
        (
            {1: {"url": "kafka"}},
            "Broker 1: a name is a string. Write '1'.",
        ),
        (
            {"demo": "localhost:9092"},
            "Broker 'demo' is 'localhost:9092'. "
            "Write a dictionary: {'url': 'localhost', 'port': 9092}.",
        ),
        (
            {"demo": []},
            "Broker 'demo': the list is empty. "
            "Name at least one server: [{'url': 'localhost', 'port': 9092}].",
        ),
        (
            {"demo": [{"url": "kafka"}, "localhost:9092"]},
            "Broker 'demo', number 2 is 'localhost:9092'. "
            "Write a dictionary: {'url': 'localhost', 'port': 9092}.",
        ),
        (
            {"demo": {"port": 9092}},
            "Broker 'demo': `url` is missing. Write the host name of a broker: "
            "{'url': 'localhost', 'port': 9092}.",
        ),
        (
            {"demo": {"url": None}},
            "Broker 'demo': `url` is None. Write the host name of a broker: "
            "{'url': 'localhost', 'port': 9092}.",
        ),
        (
            {"demo": {"url": "kafka", "port": None}},
            "Broker 'demo': `port` is None. Write a number from 1 to 65535: "
            "{'url': 'localhost', 'port': 9092}.",
        ),
        (
            {"demo": {"url": "kafka", "protocol": 1}},
            "Broker 'demo': `protocol` is 1. Write a string.",
        ),
        (
            {"demo": {"url": "kafka", "security": {"description": "hush"}}},
            "Broker 'demo': `security.type` does not fit. Field required.",
        ),
    ],
)
def test_a_shape_that_cannot_work_is_refused(spec: Any, sentence: str) -> None:
    assert refused(spec) == sentence
