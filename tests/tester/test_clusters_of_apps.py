"""`Tester`: several clusters, and other brokers than the one in memory."""

from __future__ import annotations

from typing import Any

import pytest

from fastkafka import FastKafka
from fastkafka.testing import EmbeddedBroker, InMemoryBroker, Tester
from fastkafka.transport.memory import MemoryBroker
from tests.tester.shop import Invoice, Order, refused, shop


def forwarder() -> Any:
    """An app that reads a topic on one cluster and writes it on another."""
    one = {"server": {"url": "one", "port": 9092}}
    two = {"server": {"url": "two", "port": 9092}}
    app = FastKafka(title="Mirror", kafka_brokers=one, bootstrap_servers_id="server")

    @app.consumes(topic="signals")
    async def on_signals_one(order: Order) -> None:
        await to_signals_two(order)

    @app.produces(topic="signals", brokers=two)
    async def to_signals_two(order: Order) -> Order:
        return order

    @app.consumes(topic="signals", brokers=two)
    async def on_signals_two(order: Order) -> None: ...

    return app


async def test_each_cluster_is_a_broker_of_its_own() -> None:
    app = forwarder()

    async with Tester(app) as tester:
        await tester.mirrors[app.on_signals_one](Order(id=1))
        await tester.mirrors[app.to_signals_two].assert_called_with(
            Order(id=1), timeout=5
        )
        await app.awaited_mocks.on_signals_two.assert_called_with(Order(id=1))
        await tester.idle()

        assert tester.broker is tester.broker_of(app.on_signals_one)
        assert tester.broker is not tester.broker_of(app.on_signals_two)
        assert tester.committed(app.on_signals_one) == {0: 1}
        assert tester.committed(app.on_signals_two) == {0: 1}
        assert len(tester.messages(app.to_signals_two)) == 1
        with refused(
            "Tester: 'signals' is on 2 clusters, for the functions 'on_signals_one' "
            "and 'on_signals_two' and 'to_signals_two' and 'on_signals'. "
            "Give the function instead of the topic."
        ):
            tester.messages("signals")


async def test_a_topic_on_two_clusters_is_ambiguous() -> None:
    sentence = (
        "Ambiguous topic: signals, for functions: ['on_signals_one', "
        "'on_signals_two']\nUse Tester.mirrors[app.function] to resolve ambiguity"
    )
    async with Tester(forwarder()) as tester:
        with refused(sentence, RuntimeError):
            await tester.to_signals(Order(id=1))
        with refused(sentence, RuntimeError):
            _ = tester.to_signals.anything
        await tester.on_signals.assert_not_called()  # it is sent on one only


async def test_one_broker_is_not_enough_for_two_clusters() -> None:
    tester = Tester(forwarder(), broker=MemoryBroker())
    with refused(
        "Tester: the apps use 2 clusters, 'one:9092' and 'two:9092', but `broker` is "
        "one. Leave `broker` out: every cluster gets a broker of its own."
    ):
        await tester.__aenter__()


CLUSTERS = {
    "localhost": {"url": "localhost", "port": 9092},
    "production": {"url": "kafka.example.com", "port": 9092},
}


async def test_a_cluster_that_an_app_does_not_have_is_refused_in_a_test_too() -> None:
    app = shop(bootstrap_servers_id="prodution")

    with refused(
        "Given kafka_broker_name 'prodution' is not found in kafka_brokers, available "
        "options are dict_keys(['localhost'])."
    ):
        async with Tester(app):
            pass


async def test_the_only_cluster_is_taken_whatever_its_name() -> None:
    app: Any = shop(kafka_brokers={"demo_broker": {"url": "<url>", "port": "<port>"}})

    async with Tester(app) as tester:
        assert app._kafka_config["bootstrap_servers_id"] == "demo_broker"
        await tester.to_orders(Order(id=1))
        await tester.on_invoices.assert_called(timeout=5)
    assert app._kafka_config["bootstrap_servers_id"] == "localhost"


async def test_the_chosen_cluster_stays_chosen() -> None:
    app: Any = shop(kafka_brokers=CLUSTERS)
    app.set_kafka_broker("production")

    async with Tester(app) as tester:
        assert app._kafka_config["bootstrap_servers_id"] == "production"
        await tester.to_orders(Order(id=1))
        await tester.on_invoices.assert_called(timeout=5)


async def test_a_cluster_is_chosen_for_one_block() -> None:
    app: Any = shop(kafka_brokers=CLUSTERS)
    tester = Tester(app)

    async with tester.using_inmemory_broker(bootstrap_servers_id="production"):
        assert app._kafka_config["bootstrap_servers_id"] == "production"
        assert tester._kafka_config["bootstrap_servers_id"] == "production"
        await tester.to_orders(Order(id=1))
        await tester.on_invoices.assert_called(timeout=5)
    assert app._kafka_config["bootstrap_servers_id"] == "localhost"
    async with tester:
        assert app._kafka_config["bootstrap_servers_id"] == "localhost"


@pytest.mark.parametrize("use", ["using_inmemory_broker", "using_external_broker"])
def test_an_unknown_cluster_is_refused(use: str) -> None:
    tester = Tester(shop(kafka_brokers=CLUSTERS))
    with refused(
        "Given kafka_broker_name 'prodution' is not found in kafka_brokers, available "
        "options are dict_keys(['localhost', 'production']). Did you mean 'production'?"
    ):
        getattr(tester, use)("prodution")


# Other brokers.


async def test_an_external_broker_is_used_as_it_is() -> None:
    with EmbeddedBroker({"orders": 1, "invoices": 1}) as servers:
        brokers = {"localhost": {"url": "localhost"}, "embedded": {"url": servers}}
        app: Any = shop(kafka_brokers=brokers)
        tester = Tester(app, use_in_memory_broker=False)

        async with tester.using_external_broker(bootstrap_servers_id="embedded"):
            await tester.to_orders(Order(id=1))
            await tester.on_invoices.assert_called_with(Invoice(order=1), timeout=20)
            with refused(
                "Tester: there is no broker in memory to look into. Use this in "
                "`async with tester:`, and not with an external or a started broker."
            ):
                await tester.idle()
    assert app._kafka_config["bootstrap_servers_id"] == "localhost"


@pytest.mark.parametrize("started", [False, True])
async def test_a_broker_is_started_unless_it_runs(started: bool) -> None:
    app = shop(security_protocol="SASL_SSL", sasl_plain_username="u")
    broker = EmbeddedBroker({"orders": 1})
    if started:
        broker.start()

    async with Tester(app, broker=broker) as tester:
        await tester.to_orders(Order(id=1))
        await tester.on_invoices.assert_called_with(Invoice(order=1), timeout=20)

    assert broker.is_started is started
    broker.stop()


async def test_inside_an_in_memory_broker_a_tester_uses_it() -> None:
    with InMemoryBroker():
        async with Tester(shop()) as tester:
            await tester.to_orders(Order(id=1))
            await tester.on_invoices.assert_called_with(Invoice(order=1), timeout=5)
            await tester.idle()
            assert tester.committed("orders") == {0: 1}
            assert tester.lag() == 0
            assert len(tester.messages("invoices")) == 1
