"""What only a real Apache Kafka shows: creation, settings, transactions, expiry."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.cimpl import NewTopic

from fastkafka import FastKafka
from fastkafka.testing import ApacheKafkaBroker
from fastkafka.tools.check import check
from fastkafka.tools.lag import lags
from fastkafka.tools.parking import Parking
from fastkafka.tools.topics import Clusters
from fastkafka.transport.librdkafka.inspection import Commit
from tests.clients import in_thread, produce, read, until
from tests.tools.clients import Sent, looking, looking_at, spring
from tests.tools.commands import APP, fastkafka
from tests.tools.shop import app

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def kafka() -> Iterator[ApacheKafkaBroker]:
    broker = ApacheKafkaBroker()
    with broker:
        yield broker


@pytest.fixture(scope="module")
def servers(kafka: ApacheKafkaBroker) -> str:
    """The broker, with the shop's topics as `--create` makes them."""
    ended = fastkafka(
        *("topics", APP, "--create", "--partitions", "3", "--replication", "1"),
        *("--kafka-broker", kafka.bootstrap_servers),
    )
    assert (ended.err, ended.code) == ("", 0)
    assert len([line for line in ended.lines if line.startswith("Created")]) == 6
    return kafka.bootstrap_servers


def create(servers: str, name: str, partitions: int = 1, **settings: str) -> None:
    own = {name.replace("_", "."): value for name, value in settings.items()}
    new = NewTopic(name, partitions, 1, config=own)
    admin = AdminClient({"bootstrap.servers": servers})
    [made] = admin.create_topics([new]).values()
    made.result(30)


def test_created_topics_are_as_they_were_wanted(servers: str) -> None:
    ended = fastkafka("topics", APP, "--json", "--kafka-broker", servers)

    assert ended.code == 0
    assert {(t["partitions"], t["replicas"]) for t in ended.json} == {(3, 1)}
    again = fastkafka("topics", APP, "--create", "--kafka-broker", servers)
    assert "Created" not in again.out


def test_a_dead_letter_topic_gets_as_many_partitions_as_its_source(
    servers: str,
) -> None:
    create(servers, "tickets", 5)
    tickets = FastKafka(bootstrap_servers=servers)

    @tickets.consumes(topic="tickets")
    async def on_tickets(ticket: bytes) -> None:
        """Take a ticket."""

    import_string = "tests.tools.test_on_apache_kafka:tickets_app"
    globals()["tickets_app"] = tickets
    fastkafka("topics", import_string, "--create", "--kafka-broker", servers)

    ended = fastkafka("topics", import_string, "--json", "--kafka-broker", servers)
    assert [t["partitions"] for t in ended.json] == [5, 5]


def test_check_reads_the_settings_of_topics_and_brokers(servers: str) -> None:
    create(
        servers,
        "strict",
        min_insync_replicas="2",
        retention_ms="1000",
        max_message_bytes="3000000",
    )
    create(servers, "strict-dlt", cleanup_policy="compact", max_message_bytes="100000")
    strict = FastKafka(title="Strict", bootstrap_servers=servers)

    @strict.consumes(topic="strict")
    async def on_strict(message: bytes) -> bytes:
        """Take one and pass it on."""
        return message

    strict.produces(topic="strict")(on_strict)
    with Clusters() as clusters:
        found = check(strict, clusters)

    texts = {finding.subject: [] for finding in found}  # type: ignore[var-annotated]
    for finding in found:
        texts[finding.subject].append((finding.severity, finding.text))
    assert (
        "error",
        "It has 1 replica, but min.insync.replicas is 2, so every record with acks=all "
        "is refused. It is written by `on_strict`.",
    ) in texts["strict"]
    assert (
        "error",
        "It keeps records for 1 s (retention.ms), but `on_strict` retries one for up "
        "to 1.7 s: what waits behind it may be deleted before it is read.",
    ) in texts["strict"]
    kinds = [severity for severity, _ in texts["strict-dlt"]]
    assert kinds.count("error") == 2, "compaction, and size"


def test_a_shop_in_order_has_no_errors(servers: str) -> None:
    ended = fastkafka("check", APP, "--kafka-broker", servers, "--num-workers", "3")

    assert ended.code == 0
    assert ended.lines == ["Nothing was found."]


def test_offsets_that_are_gone_are_found(servers: str) -> None:
    create(servers, "short")
    produce(servers, "short", [b"1", b"2", b"3"])
    short = FastKafka(title="Short", bootstrap_servers=servers)

    @short.consumes(topic="short", on_failure="skip")
    async def on_short(message: bytes) -> None:
        """Take one."""

    with looking_at(short, servers, "short") as (clusters, topic):
        cluster = clusters.of(topic)
        cluster.commit("short", "short", {0: Commit(1)})
        admin = AdminClient({"bootstrap.servers": servers})
        [done] = admin.delete_records([TopicPartition("short", 0, 3)]).values()
        done.result(30)
        found = check(short, clusters)

    assert [(f.severity, f.text) for f in found if f.subject == "short"] == [
        (
            "error",
            "Group 'short' has not read 2 offsets that the topic no longer holds, in 1 "
            "partition: they were deleted before. It stops when it gets there.",
        )
    ]


def test_dead_letters_are_replayed_and_remembered(servers: str) -> None:
    sent = Sent(servers)
    for number in range(4):
        headers = [("own", b"x"), *spring(partition=2, offset=number)]
        sent.send("orders-dlt", b"%d" % number, b"k", headers, number % 2)

    ended = fastkafka(
        *("dlt", "replay", APP, "--record", "0:1", "--record", "1:0", "orders"),
        *("--yes", "--kafka-broker", servers),
    )

    assert (ended.lines[-1], ended.err, ended.code) == (
        "Replayed 2 dead letters.",
        "",
        0,
    )
    records = read(servers, "orders", 2)
    assert {(r.value(), r.partition(), tuple(r.headers() or ())) for r in records} == {
        (b"1", 2, (("own", b"x"),)),
        (b"2", 2, (("own", b"x"),)),
    }
    with (
        looking_at(app, servers, "orders-dlt") as (clusters, topic),
        Parking(topic, clusters) as parking,
    ):
        assert parking.counts() == {0: 1, 1: 1, 2: 0}
        left = {letter.record.value() for letter in parking.read().letters}
        assert left == {b"0", b"3"}
    listed = fastkafka("dlt", "list", APP, "--json", "--kafka-broker", servers)
    assert [group["records"] for group in listed.json] == [2]


def test_the_marks_of_transactions_are_not_parked(servers: str) -> None:
    create(servers, "moves")
    create(servers, "moves-dlt")
    moves = FastKafka(title="Moves", bootstrap_servers=servers)

    @moves.consumes(topic="moves")
    async def on_moves(move: bytes) -> None:
        """Take a move."""

    producer = Producer({"bootstrap.servers": servers, "transactional.id": "moves"})
    producer.init_transactions(30)
    for number in range(3):
        producer.begin_transaction()
        producer.produce("moves-dlt", b"%d" % number)
        producer.produce("moves", b"%d" % number)
        producer.commit_transaction(30)

    with looking(moves, servers) as (clusters, topics):
        [letters] = [topic for topic in topics if topic.source is not None]
        with Parking(letters, clusters) as parking:
            found = parking.read().letters
            assert [letter.record.offset() for letter in found] == [0, 2, 4]
            parking.finish([found[2], found[0]])
            assert [le.record.offset() for le in parking.read().letters] == [2]
            parking.finish([found[1]])
            assert parking.count() == 0
        cluster = clusters.of(letters)
        assert cluster.committed("moves-dlt", "moves-dlt", [0])[0].offset == 6
        [lag] = lags(topics, clusters)
        assert lag.records == 6
        cluster.commit("moves", "moves", {0: Commit(5)})
        [lag] = lags(topics, clusters)
        assert (lag.records, lag.seconds) == (1, 0.0), "only a mark is left"


async def test_what_the_user_may_not_do_is_found() -> None:
    guarded = ApacheKafkaBroker(
        ["orders", "orders-dlt", "invoices", "payments", "blobs", "refunds"],
        properties={
            "authorizer.class.name": (
                "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
            ),
            "allow.everyone.if.no.acl.found": "true",
        },
    )
    # A resource with an ACL allows nothing that no ACL allows.
    rights = [
        (ResourceType.TOPIC, "orders", AclOperation.WRITE),
        (ResourceType.TOPIC, "invoices", AclOperation.READ),
        (ResourceType.TOPIC, "blobs", AclOperation.ALTER_CONFIGS),
        (ResourceType.GROUP, "shop", AclOperation.DESCRIBE),
    ]
    with guarded as servers:
        with looking_at(app, servers, "orders") as (clusters, topic):
            # Of a group that is not there, the broker does not tell.
            clusters.of(topic).commit("shop", "orders", {0: Commit(0)})
        admin = AdminClient({"bootstrap.servers": servers})
        acls = [
            AclBinding(
                *(kind, name, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*"),
                *(operation, AclPermissionType.ALLOW),
            )
            for kind, name, operation in rights
        ]
        for made in admin.create_acls(acls).values():
            made.result(30)
        await until(lambda: "blobs" not in admin.list_topics(timeout=10).topics)
        ended = await in_thread(
            fastkafka, "check", APP, "--json", "--kafka-broker", servers
        )

    errors = {f["subject"]: f["text"] for f in ended.json if f["severity"] == "error"}
    assert errors == {
        "orders": "This user has no right to READ it, but `on_orders` reads it.",
        "invoices": "This user has no right to WRITE it, but `to_invoices` writes it.",
        "blobs": "This user has no right to READ it, but `on_blobs` reads it.",
        "shop": (
            "This user has no right to READ this consumer group, so it cannot join it."
        ),
    }
    assert ended.code == 1
