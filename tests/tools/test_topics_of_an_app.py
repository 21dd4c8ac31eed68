"""An app's topics: who reads and writes them, on which cluster."""

from __future__ import annotations

import pytest

from fastkafka import FastKafka
from fastkafka.errors import ConfigError
from fastkafka.testing import EmbeddedBroker
from fastkafka.tools.topics import (
    Clusters,
    app_topics,
    create_missing,
    declared_topics,
    facts_of,
    records_in,
    topic_named,
)
from tests.tools.clients import Sent, looking
from tests.tools.shop import app, patterns


def test_each_topic_has_a_role_and_its_functions() -> None:
    found = {topic.name: topic for topic in declared_topics(app)}

    assert {
        name: (topic.role, list(topic.functions), topic.model)
        for name, topic in found.items()
    } == {
        "orders": ("read", ["on_orders"], "Order"),
        "orders-dlt": ("dead letters", [], "Order"),
        "payments": ("read", ["on_payments"], "Payment"),
        "blobs": ("read", ["on_blobs"], "bytes"),
        "refunds": ("read", ["on_refunds"], "Refund | None"),
        "invoices": ("written", ["to_invoices"], "Order"),
    }
    assert found["orders"].groups == ["shop"]
    assert found["orders-dlt"].source == found["orders"]


def test_a_dead_letter_topic_that_is_read_is_both() -> None:
    both = FastKafka()

    @both.consumes(topic="orders")
    async def on_orders(order: bytes) -> None:
        """Take an order."""

    @both.consumes(topic="orders-dlt", on_failure="skip")
    async def on_parked(order: bytes) -> None:
        """Take what was parked."""

    [orders, parked] = declared_topics(both)
    assert (parked.name, parked.role) == ("orders-dlt", "dead letters")
    assert (parked.source, parked.functions) == (orders, ["on_parked"])


def test_brokers_of_a_decorator_are_another_cluster() -> None:
    two = FastKafka(kafka_brokers={"here": {"url": "a", "port": 1}})

    @two.consumes(topic="orders", on_failure="skip")
    async def on_orders(order: bytes) -> None:
        """Take an order."""

    @two.consumes(
        topic="orders",
        on_failure="skip",
        brokers={"here": {"url": "b", "port": 2}},
    )
    async def on_other_orders(order: bytes) -> None:
        """Take an order of another cluster."""

    two.set_kafka_broker("here")
    topics = declared_topics(two)
    assert [(t.name, t.servers, t.functions) for t in topics] == [
        ("orders", "a:1", ["on_orders"]),
        ("orders", "b:2", ["on_other_orders"]),
    ]
    with pytest.raises(ConfigError) as caught:
        topic_named(topics, "orders")
    assert str(caught.value) == (
        "The app has topic 'orders' on several clusters: a:1 and b:2. Choose one by "
        "its address: `--kafka-broker`."
    )


def test_a_topic_that_is_not_there_is_guessed() -> None:
    with pytest.raises(ConfigError) as caught:
        topic_named(declared_topics(app), "order")
    assert str(caught.value) == (
        "The app has no topic 'order'. Did you mean 'orders'? Its topics: 'orders', "
        "'orders-dlt', 'payments', 'blobs', 'refunds', 'invoices'."
    )


def test_a_pattern_is_the_topics_that_it_matches(embedded: EmbeddedBroker) -> None:
    for name in ("orders-de", "orders-fr", "other"):
        embedded.create_topic(name, 1)
    with looking(patterns, embedded.bootstrap_servers) as (_, topics):
        assert [(topic.name, topic.role) for topic in topics] == [
            ("orders-de", "read"),
            ("orders-de-dlt", "dead letters"),
            ("orders-fr", "read"),
            ("orders-fr-dlt", "dead letters"),
        ]


def test_a_pattern_that_matches_nothing_stays_itself(embedded: EmbeddedBroker) -> None:
    with looking(patterns, embedded.bootstrap_servers) as (clusters, topics):
        assert [(topic.name, topic.is_pattern) for topic in topics] == [
            ("^orders.*$", True)
        ]
        assert list(create_missing(topics, clusters)) == []


def test_facts_are_of_the_topics_that_exist(embedded: EmbeddedBroker) -> None:
    embedded.create_topic("orders", 3)
    servers = embedded.bootstrap_servers
    Sent(servers).send("orders", b"1")
    with looking(app, servers) as (clusters, topics):
        facts = facts_of(topics, clusters)
        orders = topic_named(topics, "orders")
        assert set(facts) == {(servers, "orders")}
        assert len(facts[servers, "orders"].partitions) == 3
        assert records_in(orders, facts[servers, "orders"], clusters) == 1


def test_what_is_missing_is_created(embedded: EmbeddedBroker) -> None:
    embedded.create_topic("orders", 3)
    with looking(app, embedded.bootstrap_servers) as (clusters, topics):
        with pytest.raises(ConfigError) as caught:
            list(create_missing(topics, clusters))
        written = [topic for topic in topics if topic.source is None]
        made = [topic.name for topic in create_missing(written, clusters)]
    assert str(caught.value) == (
        "The embedded broker makes a topic with 4 partitions and one replica when it "
        "is asked for it. For others start it with them: "
        "`fastkafka broker --topic orders-dlt:3`."
    )
    assert made == ["payments", "blobs", "refunds", "invoices"]


def test_clusters_are_opened_once_and_closed(embedded: EmbeddedBroker) -> None:
    app.set_bootstrap_servers(embedded.bootstrap_servers)
    with Clusters() as clusters:
        [first, *others] = app_topics(app, clusters)
        assert all(clusters.of(topic) is clusters.of(first) for topic in others)
