"""An app to its AsyncAPI document, validated with the official JSON Schemas."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
import pytest
from pydantic import BaseModel, Field, NonNegativeFloat, computed_field
from typing_extensions import TypedDict

from fastkafka import FastKafka, KafkaEvent
from fastkafka.asyncapi import Version
from fastkafka.asyncapi.messages import messages_of
from fastkafka.asyncapi.operations import Operation
from fastkafka.brokers import BrokersSpec
from fastkafka.errors import ConfigError
from fastkafka.messages import Depends, EventMetadata, Header, Key
from tests.asyncapi_schemas import valid_document

VERSIONS: list[Version] = ["3.0", "2.6"]
T = TypeVar("T")


class Order(BaseModel):
    """What the shop sends."""

    id: int = Field(examples=[7], description="Unique for ever.")
    paid: bool = False


class Item(BaseModel):
    sku: str


class Basket(BaseModel):
    items: list[Item]


class Invoice(msgspec.Struct):
    order: int
    lines: list[Line]


class Line(msgspec.Struct):
    text: str


@dataclass
class Shipment:
    order: int
    carrier: str = "post"


class Alert(TypedDict):
    sku: str


class Page(BaseModel, Generic[T]):
    of: list[T]


class Node(BaseModel):
    children: list[Node] = []


class Card(BaseModel):
    kind: Literal["card"]


class Transfer(BaseModel):
    kind: Literal["transfer"]


class Colour(StrEnum):
    RED = "red"


def tenant(name: Annotated[str, Header("tenant")], key: Annotated[int, Key()]) -> str:
    return name


def payload(document: dict[str, Any], operation: str) -> Any:
    """Return the payload's schema of an operation, followed to its definition."""
    schema = message(document, operation)["payload"]
    if set(schema) == {"$ref"}:
        return document["components"]["schemas"][last(schema)]
    return schema


def message(document: dict[str, Any], operation: str) -> Any:
    """Return the only message of an operation."""
    (reference,) = document["operations"][operation]["messages"]
    channel = document["channels"][reference["$ref"].split("/")[2]]
    return document["components"]["messages"][
        last(channel["messages"][last(reference)])
    ]


def last(reference: dict[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]


def receiving(annotation: Any) -> FastKafka:
    """Return an app with `on_it`, which gets messages of a type."""
    app = FastKafka(title="Shop")

    async def on_it(message: Any) -> None: ...

    on_it.__annotations__["message"] = annotation
    app.consumes()(on_it)
    return app


def sending(annotation: Any) -> FastKafka:
    """Return an app with `to_it`, which returns a type."""
    app = FastKafka(title="Shop")

    async def to_it() -> Any: ...

    to_it.__annotations__["return"] = annotation
    app.produces()(to_it)
    return app


# The whole


def test_a_small_app_is_described_like_this() -> None:
    app = FastKafka(title="Shop", version="1.2", description="  Sells.\n  Things.")

    @app.consumes(topic="orders")
    async def on_orders(order: Order) -> None:
        """Takes an order.

        And ships it.
        """

    @app.produces(topic="numbers", description="One a second.")
    async def to_numbers() -> int:
        return 1

    assert valid_document(app) == {
        "asyncapi": "3.0.0",
        "info": {"title": "Shop", "version": "1.2", "description": "Sells.\nThings."},
        "defaultContentType": "application/json",
        "servers": {
            "localhost": {
                "host": "localhost:{port}",
                "protocol": "kafka",
                "description": "local kafka broker",
                "variables": {"port": {"default": "9092"}},
            }
        },
        "channels": {
            "orders": {
                "address": "orders",
                "messages": {"Order": {"$ref": "#/components/messages/Order"}},
                "bindings": {"kafka": {"topic": "orders", "bindingVersion": "0.5.0"}},
            },
            "numbers": {
                "address": "numbers",
                "messages": {"numbers": {"$ref": "#/components/messages/numbers"}},
                "bindings": {"kafka": {"topic": "numbers", "bindingVersion": "0.5.0"}},
            },
        },
        "operations": {
            "on_orders": {
                "action": "receive",
                "channel": {"$ref": "#/channels/orders"},
                "messages": [{"$ref": "#/channels/orders/messages/Order"}],
                "description": "Takes an order.\n\nAnd ships it.",
                "bindings": {
                    "kafka": {
                        "groupId": {"type": "string", "enum": ["shop"]},
                        "bindingVersion": "0.5.0",
                    }
                },
            },
            "to_numbers": {
                "action": "send",
                "channel": {"$ref": "#/channels/numbers"},
                "messages": [{"$ref": "#/channels/numbers/messages/numbers"}],
                "description": "One a second.",
            },
        },
        "components": {
            "schemas": {
                "Order": {
                    "type": "object",
                    "title": "Order",
                    "description": "What the shop sends.",
                    "properties": {
                        "id": {
                            "type": "integer",
                            "title": "Id",
                            "description": "Unique for ever.",
                            "examples": [7],
                        },
                        "paid": {"type": "boolean", "title": "Paid", "default": False},
                    },
                    "required": ["id"],
                }
            },
            "messages": {
                "Order": {
                    "name": "Order",
                    "contentType": "application/json",
                    "payload": {"$ref": "#/components/schemas/Order"},
                    "examples": [{"payload": {"id": 7, "paid": False}}],
                },
                "numbers": {
                    "name": "numbers",
                    "contentType": "application/json",
                    "payload": {"type": "integer"},
                },
            },
        },
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_an_app_without_anything_has_a_document(version: Version) -> None:
    document = valid_document(FastKafka(), version)

    assert document["info"]["version"] == ""
    assert document["channels"] == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_an_app_with_everything_has_a_valid_document(version: Version) -> None:
    several = [{"url": "b"}, {"url": "c"}]
    clusters: BrokersSpec = {"main": {"url": "a"}, "other": several}
    app = FastKafka(
        title="Shop",
        contact={"name": "Us", "url": "https://example.com", "email": "us@example.com"},
        kafka_brokers=clusters,
    )

    @app.consumes(topic=["orders", "returns"])
    async def on_orders(order: Order | None, key: Annotated[str, Key()]) -> None: ...

    @app.consumes(topic=re.compile("stock\\..*"))
    async def on_stock(levels: dict[str, int]) -> None: ...

    @app.consumes(topic=re.compile("rest\\..*"), group_id=None)
    async def on_rest(raw: list[bytes], meta: list[EventMetadata]) -> None: ...

    @app.consumes(topic="payments", brokers={"main": {"url": "d"}, "other": several})
    async def on_payments(
        payment: Annotated[Card | Transfer, Field(discriminator="kind")],
        tenant: Annotated[int, Header("tenant")],
    ) -> None: ...

    @app.produces(topic="orders")
    async def to_orders() -> KafkaEvent[Order]: ...  # type: ignore[empty-body]

    @app.produces(topic="nodes")
    async def to_nodes() -> Page[Node]: ...  # type: ignore[empty-body]

    valid_document(app, version)


# Operations and channels


def test_functions_on_a_topic_share_its_channel_and_its_message() -> None:
    app = FastKafka(title="Shop")

    @app.consumes(topic="orders")
    async def on_orders(order: Order, key: Annotated[str, Key()]) -> None: ...

    @app.consumes(topic="orders", group_id="audit")
    async def on_orders_audit(
        orders: list[Order], tenants: Annotated[list[str], Header("tenant")]
    ) -> None: ...

    @app.produces(topic="orders")
    async def to_orders() -> KafkaEvent[Order]: ...  # type: ignore[empty-body]

    document = valid_document(app)

    assert list(document["channels"]) == ["orders"]
    assert list(document["operations"]) == ["on_orders", "on_orders_audit", "to_orders"]
    assert list(document["components"]["messages"]) == ["Order"]
    assert message(document, "to_orders")["bindings"]["kafka"]["key"] == {
        "type": "string"
    }
    assert message(document, "to_orders")["headers"]["required"] == ["tenant"]


def test_a_model_with_two_kinds_of_keys_is_two_messages() -> None:
    app = FastKafka(title="Shop")

    @app.consumes(topic="orders")
    async def on_orders(order: Order, key: Annotated[str, Key()]) -> None: ...

    @app.consumes(topic="returns")
    async def on_returns(order: Order, key: Annotated[int, Key()]) -> None: ...

    document = valid_document(app)

    assert list(document["components"]["messages"]) == ["Order", "Order-returns"]
    assert list(document["components"]["schemas"]) == ["Order"]


def test_each_topic_of_a_list_is_an_operation() -> None:
    app = FastKafka(title="Shop")

    @app.consumes(topic=["orders", "returns"])
    async def on_orders(order: Order) -> None: ...

    document = valid_document(app)

    assert {
        name: (operation["title"], last(operation["channel"]))
        for name, operation in document["operations"].items()
    } == {
        "on_orders-orders": ("on_orders", "orders"),
        "on_orders-returns": ("on_orders", "returns"),
    }


def test_a_pattern_is_a_channel_with_a_parameter() -> None:
    app = FastKafka(title="Shop")

    @app.consumes(topic=re.compile(r"stock\..*"))
    async def on_stock(level: int) -> None: ...

    @app.consumes(topic=re.compile(r"stock\.(a|b)"))
    async def on_some_stock(level: int) -> None: ...

    channels = valid_document(app)["channels"]

    assert list(channels) == ["stock-pattern", "stock-.-a-b-pattern"]
    assert channels["stock-pattern"]["address"] == "{topic}"
    assert channels["stock-pattern"]["title"] == r"Topics that match ^stock\..*$"
    assert set(valid_document(app, "2.6")["channels"]) == {"{topic}", "{topic-2}"}


def test_functions_of_one_name_keep_apart() -> None:
    app = FastKafka(title="Shop")
    for topic in ("a", "b"):

        @app.consumes(topic=topic)
        async def on_it(number: int) -> None: ...

    assert list(valid_document(app)["operations"]) == ["on_it", "on_it-2"]


def test_no_group_is_not_documented() -> None:
    app = FastKafka(title="Shop", group_id=None)

    @app.consumes(topic="orders")
    async def on_orders(order: Order) -> None: ...

    assert "bindings" not in valid_document(app)["operations"]["on_orders"]


# Messages


def test_keys_and_headers_of_dependencies_are_documented() -> None:
    app = FastKafka(title="Shop")

    @app.consumes()
    async def on_orders(
        order: Order,
        trace: Annotated[str | None, Header("trace")],
        name: Annotated[str, Depends(tenant)],
        lane: Annotated[int, Header("lane")] = 0,
    ) -> None: ...

    described = message(valid_document(app), "on_orders")

    assert described["bindings"]["kafka"]["key"] == {"type": "integer"}
    assert described["headers"] == {
        "type": "object",
        "properties": {
            "trace": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "tenant": {"type": "string"},
            "lane": {"type": "integer"},
        },
        "required": ["tenant"],
    }


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (int, {"type": "integer"}),
        (str, {"type": "string"}),
        (list[list[float]], {"type": "array", "items": {"type": "number"}}),
        (dict[str, Any], {"type": "object", "additionalProperties": True}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Any, {}),
    ],
)
def test_messages_without_a_model_are_described(annotation: Any, schema: Any) -> None:
    assert payload(valid_document(receiving(annotation)), "on_it") == schema


@pytest.mark.parametrize("annotation", [bytes, list[bytes], bytes | None])
def test_bytes_are_not_json(annotation: Any) -> None:
    described = message(valid_document(receiving(annotation)), "on_it")

    assert described["contentType"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("annotation", "key"),
    [
        (KafkaEvent[list[Order]], True),
        (list[KafkaEvent[Order]], True),
        (AsyncIterator[Order], False),
        (Order | None, False),
    ],
)
def test_what_a_producer_wraps_its_messages_in_is_taken_off(
    annotation: Any, key: bool
) -> None:
    described = message(valid_document(sending(annotation)), "to_it")

    assert described["payload"] == {"$ref": "#/components/schemas/Order"}
    assert ("bindings" in described) is key
    if key:
        assert described["bindings"]["kafka"]["key"] == {
            "type": "string",
            "format": "binary",
        }


def test_a_producer_without_a_return_annotation_sends_anything() -> None:
    app = FastKafka(title="Shop")

    @app.produces()
    async def to_it():  # type: ignore[no-untyped-def]
        return 1

    assert payload(valid_document(app), "to_it") == {}


@pytest.mark.parametrize(
    ("codec", "content_type"),
    [
        ("json", "application/json"),
        ("avro", "avro/binary"),
        (lambda value: b"", "application/octet-stream"),
    ],
)
def test_the_content_type_is_the_codecs(codec: object, content_type: str) -> None:
    operation = Operation("to_it", "send", ("it",), Order, codec)

    (described,) = messages_of([(operation, "it")]).messages.values()

    assert described["contentType"] == content_type


def test_a_type_that_only_its_decoder_knows_may_be_anything() -> None:
    class Picture:
        pass

    app = FastKafka(title="Shop")

    async def on_it(picture: Any) -> None: ...

    on_it.__annotations__["picture"] = Picture
    app.consumes(decoder=lambda value, cls: Picture())(on_it)

    assert payload(valid_document(app), "on_it") == {}


# Schemas


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("annotation", "names"),
    [
        (Basket, {"Basket", "Item"}),
        (Invoice, {"Invoice", "Line"}),
        (Shipment, {"Shipment"}),
        (Alert, {"Alert"}),
        (Page[Item], {"Page_Item_", "Item"}),
        (Node, {"Node"}),
        (Annotated[Card | Transfer, Field(discriminator="kind")], {"Card", "Transfer"}),
        (Colour, {"Colour"}),
    ],
)
def test_models_are_defined_with_all_that_they_hold(
    annotation: Any, names: set[str], version: Version
) -> None:
    document = valid_document(receiving(annotation), version)

    assert set(document["components"]["schemas"]) == names


def test_models_of_one_name_get_two() -> None:
    app = FastKafka(title="Shop")

    def declare(topic: str, of: Any) -> None:
        class Thing(BaseModel):
            value: of

        async def on_it(thing: Any) -> None: ...

        on_it.__annotations__["thing"] = Thing
        app.consumes(topic=topic)(on_it)

    declare("a", int)
    declare("b", str)
    document = valid_document(app)

    kinds = [
        payload(document, operation)["properties"]["value"]["type"]
        for operation in ("on_it", "on_it-2")
    ]
    assert kinds == ["integer", "string"]


def test_a_struct_and_a_model_of_one_name_get_two() -> None:
    class Order(msgspec.Struct):
        number: int

    app = receiving(Order)

    @app.produces(topic="orders")
    async def to_orders() -> Any: ...

    to_orders.__annotations__["return"] = globals()["Order"]
    app.produces(topic="orders")(to_orders)
    document = valid_document(app)

    assert set(document["components"]["schemas"]) == {"Order", "Order.struct"}
    assert set(payload(document, "on_it")["properties"]) == {"number"}


def test_a_model_that_writes_other_than_it_reads_is_two() -> None:
    class Priced(BaseModel):
        price: Decimal

        @computed_field
        def double(self) -> int:
            return 2

    app = receiving(Priced)

    async def to_it() -> Any: ...

    to_it.__annotations__["return"] = Priced
    app.produces()(to_it)
    document = valid_document(app)

    assert "double" not in payload(document, "on_it")["properties"]
    assert "double" in payload(document, "to_it")["required"]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_draft_07_does_not_know_is_said_otherwise(version: Version) -> None:
    class Model(BaseModel):
        pair: tuple[int, str]
        rest: Item = Field(description="Beside a reference.")
        pet: Card | Transfer = Field(discriminator="kind")
        limit: float = float("inf")

    document = valid_document(receiving(Model), version)

    assert document["components"]["schemas"]["Model"]["properties"] == {
        "pair": {
            "title": "Pair",
            "type": "array",
            "items": [{"type": "integer"}, {"type": "string"}],
            "minItems": 2,
            "maxItems": 2,
        },
        "rest": {
            "allOf": [{"$ref": "#/components/schemas/Item"}],
            "description": "Beside a reference.",
        },
        "pet": {
            "title": "Pet",
            "oneOf": [
                {"$ref": "#/components/schemas/Card"},
                {"$ref": "#/components/schemas/Transfer"},
            ],
            "discriminator": "kind",
        },
        "limit": {"title": "Limit", "type": "number", "default": "Infinity"},
    }


def test_fields_may_be_called_like_keywords() -> None:
    fields: dict[str, Any] = {
        name: (int, Field(examples=[1]))
        for name in ("discriminator", "prefixItems", "example", "$ref", "properties")
    }
    model = type(
        "Odd",
        (BaseModel,),
        {
            "__annotations__": {f"f{i}": int for i in range(len(fields))},
            **{f"f{i}": Field(alias=name) for i, name in enumerate(fields)},
        },
    )

    schema = payload(valid_document(receiving(model)), "on_it")

    assert set(schema["properties"]) == set(fields)
    assert schema["properties"]["prefixItems"]["type"] == "integer"


# Examples


def examples(annotation: Any) -> list[Any]:
    described = message(valid_document(receiving(annotation)), "on_it")
    return [example["payload"] for example in described.get("examples", [])]


def test_an_example_is_made_of_the_fields_examples() -> None:
    with pytest.warns(DeprecationWarning, match="extra keyword arguments"):

        class Iris(BaseModel):
            sepal: NonNegativeFloat = Field(example=0.5)  # type: ignore[call-overload]
            petal: NonNegativeFloat = Field(examples=[0.25, 1])
            colour: Colour
            items: list[Order]
            note: str | None = None

    assert examples(Iris) == [
        {
            "sepal": 0.5,
            "petal": 0.25,
            "colour": "red",
            "items": [{"id": 7, "paid": False}],
            "note": None,
        }
    ]


def test_an_example_that_does_not_fit_is_left_out() -> None:
    class Wrong(BaseModel):
        size: int = Field(gt=0, json_schema_extra={"example": -1})

    class Raises(BaseModel):
        size: Annotated[int, Field(json_schema_extra={"example": 1})]

        def model_post_init(self, context: Any) -> None:
            raise RuntimeError

    assert examples(Wrong) == []
    assert examples(Raises) == []


def test_nothing_is_invented_for_a_field_without_an_example() -> None:
    assert examples(Item) == []
    assert examples(Item | None) == []
    assert examples(Node) == [{"children": []}]


def test_a_models_own_examples_come_first() -> None:
    class Model(BaseModel, json_schema_extra={"examples": [{"id": 1}, {"id": "x"}]}):
        id: int = Field(examples=[7])

    assert examples(Model) == [{"id": 1}]


def test_structs_have_examples_too() -> None:
    class Struct(msgspec.Struct):
        size: Annotated[int, msgspec.Meta(gt=0, examples=[3])]

    assert examples(Struct) == [{"size": 3}]


# Servers


def servers(**arguments: Any) -> Any:
    return valid_document(FastKafka(title="Shop", **arguments))["servers"]


def test_a_list_of_brokers_is_one_server_each() -> None:
    brokers = {"prod": [{"url": "a"}, {"url": "b", "port": 9093}]}

    described = servers(kafka_brokers=brokers)

    assert list(described) == ["prod-bootstrap-server-0", "prod-bootstrap-server-1"]
    assert described["prod-bootstrap-server-1"]["variables"] == {
        "port": {"default": "9093"}
    }


@pytest.mark.parametrize(
    ("url", "host", "variables"),
    [
        ("localhost", "localhost:{port}", True),
        ("localhost:1234", "localhost:1234", False),
        ("::1", "[::1]:{port}", True),
        ("[::1]:1234", "[::1]:1234", False),
        ("<url_of_your_broker>", "<url_of_your_broker>:{port}", True),
    ],
)
def test_an_address_is_a_host(url: str, host: str, variables: bool) -> None:
    (server,) = servers(kafka_brokers={"a": {"url": url}}).values()

    assert server["host"] == host
    assert ("variables" in server) is variables


def test_names_are_made_legal() -> None:
    described = servers(kafka_brokers={"my cluster!": {"url": "a"}, "ß": {"url": "b"}})

    assert list(described) == ["my-cluster", "kafka"]


def test_clusters_of_one_function_are_described_and_named_on_channels() -> None:
    main: BrokersSpec = {"dev": {"url": "dev"}, "prod": {"url": "prod"}}
    other: BrokersSpec = {"dev": {"url": "dev"}, "prod": {"url": "prod2"}}
    app = FastKafka(title="Shop", kafka_brokers=main)

    @app.consumes(topic="signals")
    async def on_signals(number: int) -> None: ...

    @app.produces(topic="signals", brokers=other)
    async def to_signals() -> int:
        return 1

    @app.produces(topic="signals", brokers=main)
    async def to_the_same() -> int:
        return 1

    document = valid_document(app)

    assert {n: s["host"] for n, s in document["servers"].items()} == {
        "dev": "dev:{port}",
        "prod": "prod:{port}",
        "prod-2": "prod2:{port}",
    }
    assert {
        name: [last(server) for server in channel["servers"]]
        for name, channel in document["channels"].items()
    } == {"signals": ["dev", "prod"], "signals-2": ["dev", "prod-2"]}
    assert last(document["operations"]["to_the_same"]["channel"]) == "signals"
    (channel,) = valid_document(app, "2.6")["channels"].values()
    assert channel["servers"] == ["dev", "prod", "prod-2"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "security",
    [
        *({"type": kind} for kind in ("plain", "userPassword", "X509", "gssapi")),
        *({"type": kind} for kind in ("scramSha256", "scramSha512")),
        *({"type": f"{a}symmetricEncryption"} for a in ("a", "")),
        {"type": "apiKey", "in": "user", "name": "ignored"},
        {"type": "httpApiKey", "in": "header", "name": "key"},
        {"type": "http", "scheme": "basic", "bearerFormat": "ignored"},
        {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        {"type": "openIdConnect", "openIdConnectUrl": "https://example.com"},
        {"type": "oauth2"},
        {
            "type": "oauth2",
            "flows": '{"clientCredentials": {"tokenUrl": "https://a.example", '
            '"scopes": {"read": "Read."}}}',
        },
    ],
)
def test_security_is_described(security: dict[str, str], version: Version) -> None:
    broker = {"url": "a", "security": {**security, "description": "Ask."}}
    app = FastKafka(title="Shop", kafka_brokers={"prod": broker})

    document = valid_document(app, version)

    (scheme,) = document["components"]["securitySchemes"].values()
    assert scheme["type"] == security["type"]
    assert scheme["description"] == "Ask."
    required: dict[Version, Any] = {
        "3.0": {"$ref": "#/components/securitySchemes/prod_default_security"},
        "2.6": {"prod_default_security": []},
    }
    assert document["servers"]["prod"]["security"] == [required[version]]


@pytest.mark.parametrize(
    ("security", "sentence"),
    [
        (
            {"type": "apiKey"},
            "Broker 'prod': `security` has no `in`, which the type 'apiKey' needs in "
            "an AsyncAPI document. Add it.",
        ),
        (
            {"type": "apiKey", "in": "query"},
            "Broker 'prod': `security.in` is 'query', but the type 'apiKey' knows only "
            "'user' and 'password'.",
        ),
        (
            {"type": "oauth2", "flows": "implicit"},
            "Broker 'prod': `security.flows` is no JSON object of OAuth flows. "
            """Write '{"clientCredentials": {"tokenUrl": ..., "scopes": {}}}'.""",
        ),
    ],
)
def test_security_that_cannot_be_described_is_refused(
    security: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        servers(kafka_brokers={"prod": {"url": "a", "security": security}})

    assert str(caught.value) == sentence


# Information


def test_only_what_is_known_of_the_contact_is_written() -> None:
    app = FastKafka(title="Shop", contact={"name": "Us", "phone": "1"})

    assert valid_document(app)["info"]["contact"] == {"name": "Us"}
    assert "contact" not in valid_document(FastKafka(title="Shop"))["info"]


@pytest.mark.parametrize(
    ("contact", "sentence"),
    [
        (
            {"url": "javascript:alert(1)"},
            "FastKafka: the contact's `url` is 'javascript:alert(1)'. "
            "Write a web address: 'https://example.com'.",
        ),
        (
            {"email": "us at home"},
            "FastKafka: the contact's `email` is 'us at home'. "
            "Write an address: 'team@example.com'.",
        ),
    ],
)
def test_a_contact_that_leads_nowhere_is_refused(
    contact: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        valid_document(FastKafka(title="Shop", contact=contact))

    assert str(caught.value) == sentence


# AsyncAPI 2.6


def test_version_2_has_the_originals_directions() -> None:
    app = FastKafka(title="Shop")

    @app.consumes()
    async def on_orders(order: Order) -> None:
        """Takes an order."""

    @app.produces(topic="orders")
    async def to_orders() -> Order: ...  # type: ignore[empty-body]

    document = valid_document(app, "2.6")

    assert document["asyncapi"] == "2.6.0"
    assert document["servers"]["localhost"]["url"] == "localhost:{port}"
    channel = document["channels"]["orders"]
    assert channel["subscribe"]["operationId"] == "on_orders"
    assert channel["subscribe"]["description"] == "Takes an order."
    assert channel["publish"] == {
        "operationId": "to_orders",
        "message": {"$ref": "#/components/messages/Order"},
    }


def test_version_2_has_one_operation_for_all_functions_of_a_direction() -> None:
    app = FastKafka(title="Shop")

    @app.consumes(topic="orders")
    async def on_orders(order: Order) -> None:
        """One."""

    @app.consumes(topic="orders", group_id="audit")
    async def on_audit(order: Order) -> None:
        """Two."""

    @app.consumes(topic="orders", group_id=None)
    async def on_raw(raw: bytes) -> None: ...

    operation = valid_document(app, "2.6")["channels"]["orders"]["subscribe"]

    assert operation["description"] == "One.\n\nTwo."
    assert operation["bindings"]["kafka"]["groupId"]["enum"] == ["shop", "audit"]
    assert operation["message"] == {
        "oneOf": [
            {"$ref": "#/components/messages/Order"},
            {"$ref": "#/components/messages/orders"},
        ]
    }
