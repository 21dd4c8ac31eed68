"""`fastkafka topics`."""

from __future__ import annotations

from fastkafka.testing import EmbeddedBroker
from tests.tools.clients import Sent
from tests.tools.commands import APP, fastkafka

MISSING = (
    "Missing: 'blobs', 'refunds', 'invoices'. Create what is missing: "
    "`fastkafka topics tests.tools.shop:app --create`.\n"
)


def shop(embedded: EmbeddedBroker) -> str:
    embedded.create_topic("orders", 4)
    embedded.create_topic("payments", 2)
    Sent(embedded.bootstrap_servers).send("orders", b"1")
    return embedded.bootstrap_servers


def test_it_shows_who_uses_what_and_what_is_missing(embedded: EmbeddedBroker) -> None:
    ended = fastkafka("topics", APP, "--kafka-broker", shop(embedded))

    assert ended.lines == [
        "Topic       Role          Functions    Message        Partitions  Replicas"
        "  Records",
        "orders      read          on_orders    Order                   4         1"
        "        1",
        "orders-dlt  dead letters               Order             not yet",
        "payments    read          on_payments  Payment                 2         1"
        "        0",
        "blobs       read          on_blobs     bytes             missing",
        "refunds     read          on_refunds   Refund | None     missing",
        "invoices    written       to_invoices  Order             missing",
    ]
    assert (ended.err, ended.code) == (MISSING, 1)


def test_json_is_one_object_in_each_line(embedded: EmbeddedBroker) -> None:
    servers = shop(embedded)
    ended = fastkafka("topics", APP, "--json", "--kafka-broker", servers)

    assert ended.json[0] == {
        "topic": "orders",
        "cluster": servers,
        "exists": True,
        "role": "read",
        "functions": ["on_orders"],
        "groups": ["shop"],
        "message": "Order",
        "partitions": 4,
        "replicas": 1,
        "records": 1,
    }
    assert [each["exists"] for each in ended.json[1:]] == [
        *(False, True, False, False, False)
    ]
    assert ended.code == 1


def test_what_is_missing_is_created(embedded: EmbeddedBroker) -> None:
    servers = shop(embedded)
    ended = fastkafka("topics", APP, "--create", "--kafka-broker", servers)

    assert (
        ended.lines[:4]
        == [
            f"Created topic '{name}' at {servers}."
            for name in ("orders-dlt", "blobs", "refunds", "invoices")
        ]
        or ended.lines[:2]
    )
    assert "missing" not in ended.out
    assert (ended.err, ended.code) == ("", 0)


def test_what_cannot_be_created_is_one_line(embedded: EmbeddedBroker) -> None:
    ended = fastkafka(
        *("topics", APP, "--create", "--partitions", "6"),
        *("--kafka-broker", embedded.bootstrap_servers),
    )

    assert ended.err == (
        "The embedded broker makes a topic with 4 partitions and one replica when it "
        "is asked for it. For others start it with them: "
        "`fastkafka broker --topic orders:6`.\n"
    )
    assert (ended.out, ended.code) == ("", 2)


def test_a_wrong_app_broker_or_name_is_one_line() -> None:
    wrong = {
        ("shop",): (
            'Import string "shop" must be in format "<module>:<attribute>". '
            "Write `shop:app` if the app is called `app`."
        ),
        ("tests.tools.shop:apps",): (
            'Attribute "apps" not found in module "tests.tools.shop". Write '
            "`tests.tools.shop:app` or `tests.tools.shop:patterns`."
        ),
        (APP, "--kafka-broker=embedded"): (
            "`--kafka-broker embedded` would start a broker that is empty. Give the "
            "address that `fastkafka run` has printed: `--kafka-broker "
            "127.0.0.1:PORT`."
        ),
        (APP, "--kafka-broker=other"): (
            "Given kafka_broker_name 'other' is not found in kafka_brokers, available "
            "options are dict_keys(['localhost'])."
        ),
    }
    for arguments, line in wrong.items():
        ended = fastkafka("topics", *arguments)
        assert (ended.err, ended.out, ended.code) == (f"{line}\n", "", 2)
