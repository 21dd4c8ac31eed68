"""What `check` finds in an app and in what a cluster says of its topics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from fastkafka import FastKafka, Retry
from fastkafka.testing import EmbeddedBroker
from fastkafka.tools.check import Checked, _of_dead_letters, _of_replicas, check
from fastkafka.tools.declarations import declaration_findings
from fastkafka.tools.findings import Finding, spoken
from fastkafka.tools.limits import retry_seconds, size_findings, time_findings
from fastkafka.tools.topics import AppTopic, Clusters, declared_topics, topic_named
from fastkafka.transport.librdkafka.inspection import (
    Commit,
    PartitionFacts,
    TopicFacts,
)
from tests.tools.clients import Sent, looking_at
from tests.tools.shop import Order, app

DAY = "86400000"


def place(name: str, of: FastKafka = app) -> AppTopic:
    of.set_bootstrap_servers("kafka:9092")
    return topic_named(declared_topics(of), name)


def checked(
    topic: AppTopic,
    replicas: int = 3,
    in_sync: int | None = None,
    brokers: int = 3,
    partitions: int = 2,
    **settings: str,
) -> Checked:
    each = PartitionFacts(
        1, list(range(replicas)), list(range(replicas if in_sync is None else in_sync))
    )
    facts = TopicFacts(topic.name, dict.fromkeys(range(partitions), each))
    own = {name.replace("_", "."): value for name, value in settings.items()}
    return Checked(topic, facts, own, brokers)


def said(findings: Sequence[Finding] | Any) -> list[tuple[str, str]]:
    return [(finding.severity, finding.text) for finding in findings]


def writing(**settings: Any) -> AppTopic:
    writes = FastKafka()

    @writes.produces(topic="out", **settings)
    async def to_out(value: bytes) -> bytes:
        return value

    return place("out", writes)


def test_replicas_fewer_than_must_be_in_sync_refuse_everything() -> None:
    assert said(_of_replicas(checked(writing(), 1, min_insync_replicas="2"))) == [
        (
            "error",
            "It has 1 replica, but min.insync.replicas is 2, so every record with "
            "acks=all is refused. It is written by `to_out`.",
        ),
        (
            "warning",
            "It has one replica, on a cluster of 3 brokers: when that broker is away "
            "nothing goes on, and when its disk is lost so are the records.",
        ),
    ]


def test_as_many_replicas_as_must_be_in_sync_is_a_warning() -> None:
    [finding] = _of_replicas(checked(writing(), 2, min_insync_replicas="2"))

    assert finding == Finding(
        "warning",
        "out",
        "It has 2 replicas and min.insync.replicas is 2: as soon as one broker is "
        "away, for an upgrade too, every record is refused.",
        "Set min.insync.replicas to 1, or add a replica.",
    )


def test_fewer_in_sync_at_this_moment_is_an_error() -> None:
    assert said(
        _of_replicas(checked(writing(), 3, in_sync=1, min_insync_replicas="2"))
    ) == [
        (
            "error",
            "Partitions 0, 1 have at this moment fewer replicas in sync than "
            "min.insync.replicas, 2: records are refused.",
        )
    ]


def test_acks_that_do_not_wait_are_not_protected() -> None:
    assert said(_of_replicas(checked(writing(acks=1), min_insync_replicas="2"))) == [
        (
            "warning",
            "`to_out` does not wait for all replicas (`acks`), so "
            "min.insync.replicas=2 does not protect what it sends.",
        )
    ]


def test_three_replicas_two_in_sync_is_how_it_should_be() -> None:
    assert said(_of_replicas(checked(writing(), 3, min_insync_replicas="2"))) == []
    assert said(_of_replicas(checked(writing(), 1, brokers=1))) == []


def test_a_compacted_dead_letter_topic_loses_dead_letters() -> None:
    source = checked(place("orders"), partitions=6)
    letters = checked(place("orders-dlt"), cleanup_policy="compact,delete")

    assert said(_of_dead_letters(letters, source)) == [
        (
            "note",
            "It has 2 partitions, 'orders' has 6: dead letters of the others go by "
            "their keys.",
        ),
        (
            "error",
            "Its cleanup.policy is 'compact,delete': a later dead letter of a key "
            "deletes the earlier one, and one without a key is refused.",
        ),
    ]


def sizes(
    topic: AppTopic, limit: int, source: int | None = None
) -> list[tuple[str, str]]:
    of_source = None if source is None else {"max.message.bytes": str(source)}
    return said(size_findings(topic, {"max.message.bytes": str(limit)}, of_source))


def test_what_is_larger_than_a_topic_takes_is_found() -> None:
    assert sizes(writing(), 1_048_588) == []
    assert sizes(writing(max_request_size=5_000_000), 1_048_588) == [
        (
            "warning",
            "It takes 1,048,588 bytes (max.message.bytes), but `to_out` may send "
            "batches of 5,000,000: a batch above the limit is refused as a whole, and "
            "its records are sent again one by one.",
        )
    ]


def test_dead_letters_need_room_for_the_largest_record() -> None:
    assert sizes(place("orders-dlt"), 1_048_588, 900_000) == []
    found = sizes(place("orders-dlt"), 500_000, 2_000_000)
    assert [severity for severity, _ in found] == ["error"]
    assert found[0][1] == (
        "It takes 500,000 bytes (max.message.bytes), but the topic whose dead letters "
        "it holds takes 2,000,000: a large record that fails cannot be parked, and its "
        "partition waits."
    )


def times(
    topic: AppTopic,
    kept: str,
    source: Mapping[str, str] | None = None,
    offsets: str | None = None,
) -> list[tuple[str, str]]:
    return said(time_findings(topic, {"retention.ms": kept}, source, offsets))


def test_records_that_vanish_while_others_are_retried_are_found() -> None:
    slow = FastKafka(retry=Retry(attempts=20, delay=3600, max_delay=3600, jitter=0))

    @slow.consumes(topic="orders")
    async def on_orders(order: bytes) -> None:
        """Take an order."""

    assert times(place("orders", slow), DAY) == []
    assert times(place("orders", slow), "3600000") == [
        (
            "error",
            "It keeps records for 1 h (retention.ms), but `on_orders` retries one for "
            "up to 19 h: what waits behind it may be deleted before it is read.",
        )
    ]


def test_dead_letters_that_are_deleted_unseen_are_found() -> None:
    letters = place("orders-dlt")
    assert times(letters, "-1", {"retention.ms": DAY}) == []
    assert times(letters, DAY, {"retention.ms": "-1"}) == [
        (
            "warning",
            "Dead letters are deleted after 1 day (retention.ms), whether anybody has "
            "looked at them or not; the topic that they came from keeps its records "
            "for ever.",
        )
    ]
    [(severity, text)] = times(letters, "-1", {"retention.ms": DAY}, "10080")
    assert severity == "note"
    assert "which the broker forgets 7 days after the last one" in text


def test_what_contradicts_itself_is_found() -> None:
    odd = FastKafka(
        handler_timeout=60,
        shutdown_timeout=30,
        max_poll_interval_ms=6000,
        session_timeout_ms=6000,
        revoke_timeout=10,
        group_instance_id="one",
        retry=Retry(attempts=10, delay=600, max_delay=600, jitter=0),
        acks=0,
        loop=None,
        api_version="auto",
    )

    @odd.consumes(topic="orders", concurrency=8)
    async def on_orders(order: bytes) -> None:
        """Take an order."""

    @odd.produces(topic="out")
    async def to_out(value: bytes) -> bytes:
        return value

    found = list(declaration_findings(odd, declared_topics(odd)))

    assert [(f.severity, f.subject, f.text.split(":")[0]) for f in found] == [
        (
            "note",
            "the app",
            "`api_version` has no meaning here. The client asks each broker what it "
            "speaks.",
        ),
        (
            "error",
            "`on_orders`",
            "`revoke_timeout` is 10 s, more than `max_poll_interval_ms`, 6 s",
        ),
        (
            "warning",
            "`on_orders`",
            "`handler_timeout` is 60 s, more than `shutdown_timeout`, 30 s",
        ),
        (
            "warning",
            "`on_orders`",
            "A record that fails is retried for up to 1 h 30 min, and with "
            "`order='partition'` its whole partition waits.",
        ),
        (
            "note",
            "`on_orders`",
            "`concurrency=8` has no effect on an async function with "
            "`order='partition'`, where a partition is one after another.",
        ),
        ("warning", "`to_out`", "`acks=0`"),
    ]
    assert all(finding.advice for finding in found)


def test_two_starts_in_one_group_are_found() -> None:
    two = FastKafka()

    @two.consumes(topic="orders")
    async def on_orders(order: bytes) -> None:
        """Take an order."""

    @two.consumes(topic="orders", auto_offset_reset="latest")
    async def on_new_orders(order: bytes) -> None:
        """Take an order."""

    with Clusters() as clusters:
        [finding] = check(two, clusters)
    assert (finding.severity, finding.subject) == ("error", "the app")
    assert finding.text.startswith("`on_orders` starts 'orders' at 'earliest' and")


def test_too_few_partitions_are_found(embedded: EmbeddedBroker) -> None:
    embedded.create_topic("orders", 2)
    app.set_bootstrap_servers(embedded.bootstrap_servers)
    with Clusters() as clusters:
        found = check(app, clusters, workers=3)

    assert (
        "warning",
        "It has 2 partitions for 3 workers, and a partition is read by one worker: 1 "
        "will stand by, idle.",
    ) in said(found)
    advice = {f.text: f.advice for f in found}
    assert any("`order='key'`" in advice[text] for text in advice)
    assert [f.severity for f in found] == sorted(
        (f.severity for f in found), key=["error", "warning", "note"].index
    )


def test_what_is_in_order_by_key_already_is_not_told_to_be(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 2)
    keyed = FastKafka(bootstrap_servers=embedded.bootstrap_servers, order="key")

    @keyed.consumes(topic="orders")
    async def on_orders(order: Order) -> None: ...

    with Clusters() as clusters:
        found = check(keyed, clusters, workers=3)
    (few,) = [f for f in found if "for 3 workers" in f.text]
    assert few.advice.endswith("For more at once in one worker: more `concurrency`.")


def test_an_app_with_all_it_needs_has_no_errors(embedded: EmbeddedBroker) -> None:
    for topic in declared_topics(app):
        embedded.create_topic(topic.name, 2)
    servers = embedded.bootstrap_servers
    Sent(servers).send("orders", b"1")
    with looking_at(app, servers, "orders") as (clusters, topic):
        clusters.of(topic).commit("shop", "orders", {0: Commit(1)})
        found = check(app, clusters, workers=2)

    assert [(f.severity, f.subject) for f in found] == [("note", servers)]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "0.25 s"),
        (6.5, "6.5 s"),
        (59, "59 s"),
        (60, "1 min"),
        (173, "2 min 53 s"),
        (3600, "1 h"),
        (86_400, "1 day"),
        (90_000, "1 day 1 h"),
        (604_800, "7 days"),
    ],
)
def test_durations_are_said_as_people_do(seconds: float, text: str) -> None:
    assert spoken(seconds) == text


def test_the_longest_retry_counts_every_wait() -> None:
    assert retry_seconds(Retry(attempts=1)) == 0
    assert retry_seconds(Retry(attempts=3, delay=1, factor=2, jitter=0)) == 3
