"""Messages that people write: checked by the app's model, then sent."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from fastkafka import FastKafka, ProduceError
from fastkafka.errors import ConfigError
from fastkafka.testing import EmbeddedBroker
from fastkafka.tools.models import schema_of
from fastkafka.tools.sending import Checker, FieldError, MessageError, TopicSender
from fastkafka.tools.topics import AppTopic, declared_topics, topic_named
from fastkafka.transport.librdkafka.inspection import Position
from tests.clients import read
from tests.tools.clients import looking_at
from tests.tools.shop import Order, app


def place(name: str, of: FastKafka = app) -> AppTopic:
    return topic_named(declared_topics(of), name)


def test_json_goes_out_as_it_was_written() -> None:
    text = ' {"id": 9007199254740993,  "status": "paid", "total": 1.10}\n'

    assert Checker(place("orders")).value(text) == text.strip().encode()


def test_what_does_not_fit_names_the_fields() -> None:
    with pytest.raises(MessageError) as caught:
        Checker(place("orders")).value('{"id": "x", "status": "paid"}')

    assert str(caught.value) == (
        "It is not the message `Order` of 'orders': input should be a valid integer, "
        "unable to parse string as an integer - at `$.id`; field required - at "
        "`$.total`."
    )
    assert [(field.path, field.message) for field in caught.value.fields] == [
        (
            "id",
            "Input should be a valid integer, unable to parse string as an integer",
        ),
        ("total", "Field required"),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'{"id":', "invalid JSON: EOF while parsing a value at line 1 column 6"),
        (b"", "invalid JSON: EOF while parsing a value at line 1 column 0"),
        (b"NaN", "NaN and Infinity are not JSON"),
    ],
)
def test_what_is_no_json_says_where(text: bytes, why: str) -> None:
    with pytest.raises(MessageError) as caught:
        Checker(place("orders")).value(text)

    assert str(caught.value) == f"It is not the message `Order` of 'orders': {why}."
    assert caught.value.fields == [FieldError((), why)]


def test_a_field_is_written_as_a_path() -> None:
    assert FieldError(("lines", 0, "price"), "").path == "lines[0].price"


def test_bytes_are_taken_as_they_are() -> None:
    assert Checker(place("blobs")).value(b"\xff no json ") == b"\xff no json "


def test_a_tombstone_goes_where_it_is_taken() -> None:
    Checker(place("refunds")).tombstone()
    with pytest.raises(MessageError) as caught:
        Checker(place("orders")).tombstone()
    assert str(caught.value).startswith(
        "It is not the message `Order` of 'orders': expected a message, got null"
    )


def test_a_message_for_avro_is_encoded_from_its_json() -> None:
    pytest.importorskip("fastavro")
    avro = FastKafka()

    @avro.consumes(topic="orders", decoder="avro")
    async def on_orders(order: Order) -> None:
        """Take an order."""

    checker = Checker(place("orders", avro))
    value = checker.value('{"id": 7, "status": "paid", "total": 1.5}')

    assert avro.consumers[0].decode(value) == Order(id=7, status="paid", total=1.5)
    with pytest.raises(MessageError):
        checker.value('{"id": 7}')


class Upside(BaseModel):
    text: str


def turn(raw: bytes, _: Any) -> Upside:
    return Upside(text=raw[::-1].decode())


def test_what_only_the_users_code_can_encode_needs_a_writer() -> None:
    custom = FastKafka()

    @custom.consumes(topic="turned", decoder=turn)
    async def on_turned(message: Upside) -> None:
        """Take what is turned round."""

    with pytest.raises(ConfigError) as caught:
        Checker(place("turned", custom))
    assert str(caught.value) == (
        "`on_turned` reads 'turned' with a decoder of its own, and no function of the "
        "app writes it, so nothing here can encode a message. Send the bytes "
        "themselves: `--raw`."
    )

    @custom.produces(encoder=lambda message: message.text[::-1].encode())
    async def to_turned(text: str) -> Upside:
        return Upside(text=text)

    assert Checker(place("turned", custom)).value('{"text": "abc"}') == b"cba"


def test_a_record_is_sent_and_acknowledged(embedded: EmbeddedBroker) -> None:
    embedded.create_topic("orders", 2)
    servers = embedded.bootstrap_servers
    with (
        looking_at(app, servers, "orders") as (clusters, topic),
        TopicSender(topic, clusters) as sender,
    ):
        assert sender.partitions == [0, 1]
        at = sender.send(b"1", key=b"k", headers=[("h", b"x")], partition=1)
        outcomes: list[Position | ProduceError] = []
        sender.queue(b"2", outcomes.append, partition=1)
        assert sender.flush(10) == 0

    assert (at, outcomes) == ((1, 0), [(1, 1)])
    [first, _] = read(servers, "orders", 2)
    assert (first.value(), first.key(), first.headers()) == (b"1", b"k", [("h", b"x")])


def test_a_record_that_is_refused_says_why(embedded: EmbeddedBroker) -> None:
    embedded.create_topic("orders", 2)
    with (
        looking_at(app, embedded.bootstrap_servers, "orders") as (clusters, topic),
        TopicSender(topic, clusters) as sender,
    ):
        with pytest.raises(ProduceError) as large:
            sender.send(b"x" * 2_000_000)
        with pytest.raises(ProduceError) as strange:
            sender.send(b"x", partition=7)

    assert str(large.value) == (
        "A record for 'orders' was not acknowledged: the record has 2,000,000 bytes, "
        "which is above the limit. Raise the topic's max.message.bytes and "
        "`max_request_size`, or send less."
    )
    assert str(strange.value) == (
        "A record for 'orders' was not acknowledged: it has no partition 7."
    )


def test_the_schema_has_its_definitions_and_an_example() -> None:
    schema = schema_of(place("orders"))

    assert schema.schema["$ref"] == "#/definitions/Order"
    assert set(schema.schema["definitions"]) == {"Order"}
    assert schema.example == {"id": 7, "status": "paid", "total": 9.5}
    assert schema_of(place("orders-dlt")) == schema
