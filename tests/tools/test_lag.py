"""How far groups are behind."""

from __future__ import annotations

import time

from fastkafka import FastKafka
from fastkafka.testing import EmbeddedBroker
from fastkafka.tools.lag import Lag, lags
from fastkafka.transport.librdkafka.inspection import Commit
from tests.tools.clients import Sent, looking
from tests.tools.shop import app


def found(
    of: FastKafka, servers: str, commits: dict[int, Commit] | None = None
) -> dict[int, Lag]:
    with looking(of, servers) as (clusters, topics):
        if commits:
            clusters.of(topics[0]).commit("shop", "orders", commits)
        return {
            lag.partition: lag
            for lag in lags(topics, clusters)
            if lag.topic == "orders"
        }


def test_a_lag_is_what_is_not_committed_and_how_long_it_waits(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 2)
    sent = Sent(embedded.bootstrap_servers)
    for seconds in (100, 50, 10):
        at = round((time.time() - seconds) * 1000)
        sent.send("orders", b"1", timestamp=at)

    lag = found(app, embedded.bootstrap_servers, {0: Commit(1), 1: Commit(0)})

    assert (lag[0].committed, lag[0].end, lag[0].records) == (1, 3, 2)
    assert lag[0].seconds is not None
    assert 50 <= lag[0].seconds < 90, "as old as the first that is not committed"
    assert (lag[1].records, lag[1].seconds) == (0, 0.0)
    assert (lag[0].group, lag[0].functions) == ("shop", ["on_orders"])


def test_a_group_that_has_committed_nothing_is_behind_by_all_it_would_read(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 1)
    Sent(embedded.bootstrap_servers).send("orders", b"1")
    latest = FastKafka(title="Late", auto_offset_reset="latest")

    @latest.consumes(topic="orders")
    async def on_orders(order: bytes) -> None:
        """Take an order."""

    early = found(app, embedded.bootstrap_servers)
    late = found(latest, embedded.bootstrap_servers)

    assert (early[0].committed, early[0].records) == (None, 1)
    assert (late[0].committed, late[0].records) == (None, 0)


def test_a_function_without_a_group_has_no_lag(embedded: EmbeddedBroker) -> None:
    embedded.create_topic("orders", 1)
    alone = FastKafka(group_id=None)

    @alone.consumes(topic="orders")
    async def on_orders(order: bytes) -> None:
        """Take an order."""

    assert found(alone, embedded.bootstrap_servers) == {}
