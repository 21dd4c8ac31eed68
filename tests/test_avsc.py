"""Models from ``.avsc`` files."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import uuid4

import fastavro
import pytest
from fastavro.schema import to_parsing_canonical_form
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from fastkafka.codecs.avro import (
    AvroBase,
    avro_decoder,
    avro_encoder,
    avsc_to_pydantic,
)
from fastkafka.errors import ConfigError

longs = st.integers(-(2**63), 2**63 - 1)


IRIS_INPUT = {
    "type": "record",
    "namespace": "IrisInput",
    "name": "IrisInput",
    "fields": [
        {"name": name, "type": "double", "doc": f"{name} in cm"}
        for name in ("sepal_length", "sepal_width", "petal_length", "petal_width")
    ],
}
IRIS_OUTPUT = {
    "type": "record",
    "namespace": "IrisOutput",
    "name": "IrisOutput",
    "fields": [{"name": "species", "type": "string", "doc": "The predicted species"}],
}
ORDER = {
    "type": "record",
    "name": "com.shop.Order",
    "doc": "What a customer wants.",
    "fields": [
        {"name": "_id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "class", "type": "int", "default": 3},
        {"name": "copy", "type": "boolean", "default": True},
        {"name": "model_dump", "type": "long", "default": 7},
        {"name": "price", "type": "float", "doc": "in euro"},
        {"name": "note", "type": ["string", "null"], "default": "none"},
        {"name": "gift", "type": ["null", "string"]},
        {
            "name": "status",
            "type": {
                "type": "enum",
                "name": "Status",
                "namespace": "com.shop.states",
                "symbols": ["NEW", "mro", "value", "_x", "title"],
                "default": "NEW",
            },
            "default": "NEW",
        },
        {"name": "before", "type": "com.shop.states.Status"},
        {
            "name": "hash",
            "type": {"type": "fixed", "name": "Md5", "size": 4},
            "default": "\u00ff\u0000ab",
        },
        {
            "name": "amount",
            "type": {
                "type": "bytes",
                "logicalType": "decimal",
                "precision": 9,
                "scale": 2,
            },
            "default": "\u0001",
        },
        {
            "name": "total",
            "type": {
                "type": "fixed",
                "name": "Money",
                "size": 6,
                "logicalType": "decimal",
                "precision": 9,
                "scale": 2,
            },
        },
        {
            "name": "at_millis",
            "type": {"type": "int", "logicalType": "time-millis"},
            "default": 1000,
        },
        {"name": "at_micros", "type": {"type": "long", "logicalType": "time-micros"}},
        {
            "name": "created",
            "type": {"type": "long", "logicalType": "timestamp-millis"},
            "default": 1000,
        },
        {"name": "sent", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {
            "name": "local",
            "type": {"type": "long", "logicalType": "local-timestamp-millis"},
        },
        {
            "name": "day",
            "type": {"type": "int", "logicalType": "date"},
            "default": 18263,
        },
        {
            "name": "lines",
            "type": {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "Line",
                    "fields": [
                        {"name": "sku", "type": "string"},
                        {"name": "parent", "type": ["null", "Order"], "default": None},
                    ],
                },
            },
        },
        {"name": "more", "type": {"type": "map", "values": ["null", "Line", "long"]}},
        {"name": "single", "type": ["long"]},
        {
            "name": "place",
            "type": {
                "type": "record",
                "name": "Place",
                "fields": [
                    {"name": "x", "type": "double"},
                    {"name": "y", "type": {"type": "int"}, "default": 1},
                ],
            },
            "default": {"x": 1},
        },
        {"name": "odd", "type": {"type": "string", "logicalType": "of-the-future"}},
    ],
}


PARSED_ORDER = fastavro.parse_schema(ORDER)
ORDER_MODEL: Any = avsc_to_pydantic(ORDER)


def order(model: type[BaseModel]) -> Any:
    line = model.model_fields["lines"].annotation.__args__[0]  # type: ignore[union-attr]
    return model(
        _id=uuid4(),
        price=1.5,
        gift=None,
        before="value",
        total=Decimal("1.50"),
        at_micros=time(1, 2, 3, 4),
        sent=datetime(2020, 1, 1, tzinfo=UTC),
        local=datetime(2020, 1, 1),
        lines=[line(sku="a")],
        more={"a": 1, "b": None, "c": line(sku="b")},
        single=4,
        odd="x",
    )


def test_the_guides_schemas_become_models() -> None:
    iris_input: Any = avsc_to_pydantic(IRIS_INPUT)
    iris_output: Any = avsc_to_pydantic(IRIS_OUTPUT)

    message = iris_input(
        sepal_length=0.1, sepal_width=0.2, petal_length=0.3, petal_width=0.4
    )

    assert len(avro_encoder(message)) == 32
    assert avro_decoder(avro_encoder(message), iris_input) == message
    assert avro_encoder(iris_output(species="setosa")) == b"\x0csetosa"
    assert iris_input.avro_schema() == IRIS_INPUT
    assert iris_input.model_fields["sepal_width"].description == "sepal_width in cm"


def test_a_model_from_a_schema_has_its_defaults() -> None:
    message = order(avsc_to_pydantic(ORDER))

    assert message.class_ == 3
    assert message.copy is True
    assert message.model_dump_ == 7
    assert message.note == "none"
    assert (message.status.value, message.before.value) == ("NEW", "value")
    assert message.hash == b"\xff\0ab"
    assert message.amount == Decimal("0.01")
    assert message.at_millis == time(0, 0, 1)
    assert message.created == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert message.day == date(2020, 1, 2)
    assert (message.place.x, message.place.y) == (1, 1)


def test_a_model_from_a_schema_gives_the_schema_back() -> None:
    model: Any = avsc_to_pydantic(ORDER)

    assert to_parsing_canonical_form(model.avro_schema()) == to_parsing_canonical_form(
        ORDER
    )
    assert model.__doc__ == "What a customer wants."


def test_a_model_from_a_schema_refers_to_itself() -> None:
    model = avsc_to_pydantic(ORDER)
    message, parent = order(model), order(model)
    message.lines[0].parent = parent

    assert avro_decoder(avro_encoder(message), model) == message


WRITTEN = st.fixed_dictionaries(
    {
        "_id": st.uuids(),
        "class": st.integers(-(2**31), 2**31 - 1),
        "copy": st.booleans(),
        "price": st.floats(width=32, allow_nan=False),
        "note": st.none() | st.text(max_size=3),
        "gift": st.none() | st.text(max_size=3),
        "status": st.sampled_from(["NEW", "mro", "value", "_x", "title"]),
        "before": st.sampled_from(["NEW", "mro", "value", "_x", "title"]),
        "hash": st.binary(min_size=4, max_size=4),
        "amount": st.decimals(-9_999_999, 9_999_999, places=2),
        "total": st.decimals(-9_999_999, 9_999_999, places=2),
        "at_millis": st.times(),
        "at_micros": st.times(),
        "created": st.datetimes(timezones=st.just(UTC)),
        "sent": st.datetimes(timezones=st.just(UTC)),
        "local": st.datetimes(),
        "day": st.dates(),
        "lines": st.lists(st.fixed_dictionaries({"sku": st.text(max_size=3)})),
        "more": st.dictionaries(st.text(max_size=3), st.none() | longs, max_size=1),
        "single": longs,
        "odd": st.text(max_size=3),
    }
)


@given(WRITTEN)
@settings(deadline=None, max_examples=50)
def test_a_model_from_a_schema_writes_what_fastavro_writes(value: Any) -> None:
    """A float has four bytes, a union keeps its order."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, PARSED_ORDER, value)

    message = avro_decoder(stream.getvalue(), ORDER_MODEL)

    assert avro_encoder(message) == stream.getvalue()


def test_a_subclass_is_written_as_the_schema_says() -> None:
    model: Any = avsc_to_pydantic(ORDER)

    class Extended(model):  # type: ignore[misc]
        extra: str = "more"

    base = order(model)
    extended = Extended(**base.model_dump(by_alias=True))

    assert avro_encoder(extended) == avro_encoder(base) + b"\x08more"
    assert avro_decoder(avro_encoder(extended), Extended) == extended


def test_a_model_from_a_schema_can_be_a_field() -> None:
    order_model: Any = avsc_to_pydantic(ORDER)
    iris_model: Any = avsc_to_pydantic(IRIS_OUTPUT)

    class Both(AvroBase):
        orders: list[order_model]
        last: order_model | iris_model | None = None

    message = Both(orders=[order(order_model)], last=iris_model(species="setosa"))

    assert avro_decoder(avro_encoder(message), Both) == message


def test_an_int_has_32_bits() -> None:
    model = avsc_to_pydantic(
        {"type": "record", "name": "A", "fields": [{"name": "n", "type": "int"}]}
    )

    with pytest.raises(ValidationError):
        model(n=2**31)


def record(*fields: Any) -> dict[str, Any]:
    return {"type": "record", "name": "Order", "fields": list(fields)}


def field(kind: Any, **more: Any) -> dict[str, Any]:
    return record({"name": "lines", "type": kind, **more})


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        (
            '{"type": "record"}',
            "An Avro schema is a dictionary, not a `str`. "
            "Read a file with `json.load`.",
        ),
        (
            {"name": "Order", "fields": []},
            "The Avro schema has no `type`, and a message is a record. "
            'Write `"type": "record"`.',
        ),
        (
            {"type": "enum", "name": "Order", "symbols": ["A"]},
            "The Avro schema has type 'enum', and a message is a record. "
            'Write `"type": "record"`.',
        ),
        (
            {"type": "record", "fields": []},
            'The Avro schema has no `name`. Add `"name": ...`.',
        ),
        (
            {"type": "record", "name": "Order"},
            'The Avro schema has no `fields`. Add `"fields": ...`.',
        ),
        (
            {"type": "record", "name": "Order", "fields": {"id": "int"}},
            "The Avro schema has the `fields` {'id': 'int'}. Avro wants `list`.",
        ),
        (
            {"type": "record", "name": "my-order", "fields": []},
            "The Avro schema: 'my-order' is no Avro name. "
            "Use the letters A to Z, digits and `_`, and no digit first.",
        ),
        (
            record({"type": "int"}),
            'A field of `Order` has no `name`. Add `"name": ...`.',
        ),
        (
            record({"name": "lines"}),
            '`Order.lines` has no `type`. Add `"type": ...`.',
        ),
        (
            field("lnog"),
            "`Order.lines` has the unknown Avro type 'lnog'. Did you mean 'long'? "
            "A type is defined before it is named.",
        ),
        (
            field({"type": "array", "items": "Line"}),
            "`Order.lines[]` has the unknown Avro type 'Line'. "
            "A type is defined before it is named.",
        ),
        (
            field({"type": "array"}),
            '`Order.lines` has no `items`. Add `"items": ...`.',
        ),
        (
            field({"type": "map", "values": 3}),
            "`Order.lines{}` has 3 where an Avro type belongs.",
        ),
        (field([]), "`Order.lines` has an empty union. Name its types."),
        (
            field(["int", "int"]),
            "`Order.lines` has the union ['int', 'int']. "
            "Avro allows one type of each kind, and no union in a union.",
        ),
        (
            record({"name": "id", "type": "int"}, {"name": "id", "type": "int"}),
            "`Order.id` is there twice. Rename one of them.",
        ),
        (
            field({"type": "record", "name": "Order", "fields": []}),
            "`Order.lines` defines 'Order' a second time. Name it: 'Order' is enough.",
        ),
        (
            field({"type": "enum", "name": "Colour"}),
            '`Order.lines` has no `symbols`. Add `"symbols": ...`.',
        ),
        (
            field({"type": "enum", "name": "Colour", "symbols": ["A", "A"]}),
            "`Order.lines` has a symbol twice: ['A', 'A']. Rename it.",
        ),
        (
            field({"type": "enum", "name": "Colour", "symbols": ["a-b"]}),
            "`Order.lines`: 'a-b' is no Avro name. "
            "Use the letters A to Z, digits and `_`, and no digit first.",
        ),
        (
            field({"type": "fixed", "name": "Md5", "size": "16"}),
            "`Order.lines` has the `size` '16'. Avro wants `int`.",
        ),
        (
            field({"type": "bytes", "logicalType": "decimal"}),
            "`Order.lines` is a decimal of precision None and scale 0. "
            "Avro needs a precision, and a scale that is not greater.",
        ),
        (
            field("int", default="three"),
            "`Order.lines` has a default that does not fit: 'three' is no `int`.",
        ),
        (
            field({"type": "enum", "name": "C", "symbols": ["A"]}, default="B"),
            "`Order.lines` has a default that does not fit: 'B' is no symbol of `C`.",
        ),
        (
            field(["null", "int"], default="B"),
            "`Order.lines` has a default that does not fit: "
            "'B' is none of its union's types.",
        ),
    ],
)
def test_a_schema_that_is_wrong_is_refused(schema: Any, sentence: str) -> None:
    with pytest.raises(ConfigError) as raised:
        avsc_to_pydantic(schema)
    assert str(raised.value) == sentence
