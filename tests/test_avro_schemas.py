"""Avro schemas from models, and what has none."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, NewType
from uuid import UUID, uuid4

import fastavro
import pytest
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    HttpUrl,
    NaiveDatetime,
    NonNegativeFloat,
    PlainSerializer,
    RootModel,
    field_serializer,
    model_serializer,
)

from fastkafka.codecs.avro import (
    AvroBase,
    AvroCodec,
    avro_decoder,
    avro_encoder,
)
from fastkafka.errors import ConfigError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Cat(BaseModel):
    name: str


class Names(RootModel[list[str]]):
    pass


class Iris(AvroBase):
    sepal_length: NonNegativeFloat = Field(
        ..., examples=[0.5], description="Sepal length in cm"
    )
    species: str | None = None


IRIS = {
    "type": "record",
    "namespace": "Iris",
    "name": "Iris",
    "fields": [
        {"name": "sepal_length", "type": "double", "doc": "Sepal length in cm"},
        {"name": "species", "type": ["null", "string"], "default": None},
    ],
}


def test_a_schema_has_the_form_of_the_original() -> None:
    iris = Iris(sepal_length=0.5)

    assert Iris.avro_schema() == IRIS
    assert AvroBase.avro_schema_for_pydantic_class(Iris) == IRIS
    assert AvroBase.avro_schema_for_pydantic_object(iris) == IRIS
    assert AvroBase.avro_schema_for_pydantic(Iris) == IRIS
    assert AvroBase.avro_schema_for_pydantic(iris) == IRIS


def test_every_pydantic_model_has_a_schema() -> None:
    assert AvroBase.avro_schema_for_pydantic_class(Cat)["fields"] == [
        {"name": "name", "type": "string"}
    ]


def test_a_namespace_can_be_given() -> None:
    assert Iris.avro_schema(namespace="org.flowers")["namespace"] == "org.flowers"


class Named(AvroBase):
    model_config = ConfigDict(title="A title")

    first_name: str = Field(alias="firstName")
    home: str = Field(alias="home-town")


def test_a_field_has_its_alias_where_avro_allows_it() -> None:
    def names(schema: dict[str, Any]) -> list[str]:
        return [field["name"] for field in schema["fields"]]

    assert names(Named.avro_schema()) == ["firstName", "home"]
    assert names(Named.avro_schema(by_alias=False)) == ["first_name", "home"]
    assert Named.avro_schema()["name"] == "A_title"


class Defaults(AvroBase):
    none: int | None = None
    first: int | str | None = "five"
    day: date = date(2020, 1, 2)
    hour: time = time(0, 0, 1)
    when: datetime = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    local: NaiveDatetime = datetime(1970, 1, 1, 0, 0, 1)
    raw: bytes = b"\xff"
    price: Annotated[Decimal, Field(max_digits=5, decimal_places=2)] = Decimal("-1.5")
    token: UUID = UUID(int=1)
    colour: Colour = Colour.BLUE
    cat: Cat = Cat(name="Tom")
    many: dict[str, list[int]] = {"a": [1]}  # noqa: RUF012 - pydantic copies it
    unfit: int = None  # type: ignore[assignment]
    made: list[int] = Field(default_factory=list)
    here: datetime = datetime(2020, 1, 1)


def test_defaults_are_written_as_avro_writes_them() -> None:
    schema = Defaults.avro_schema()

    fastavro.parse_schema(schema)
    defaults = {f["name"]: f["default"] for f in schema["fields"] if "default" in f}
    assert defaults == {
        "none": None,
        "first": "five",
        "day": 18263,
        "hour": 1_000_000,
        "when": 1_000_000,
        "local": 1_000_000,
        "raw": "ÿ",
        "price": "ÿj",  # -150 in two bytes
        "token": "00000000-0000-0000-0000-000000000001",
        "colour": "blue",
        "cat": {"name": "Tom"},
        "many": {"a": [1]},
        "unfit": None,
        "made": None,
    }
    first = next(f for f in schema["fields"] if f["name"] == "first")
    assert first["type"] == ["string", "null", "long"]


def test_null_for_a_made_default_makes_it_again() -> None:
    codec = AvroCodec(Defaults)
    stream = io.BytesIO()
    fastavro.schemaless_writer(
        stream,
        codec.schema,
        {"raw": b"", "price": b"\0", "here": datetime(2020, 1, 1, tzinfo=UTC)},
    )

    decoded = codec.decode(stream.getvalue())

    assert decoded.made == []
    assert decoded.unfit is None


Sku = NewType("Sku", str)


class Root(RootModel[int]):
    pass


class Spelled(AvroBase):
    model_config = ConfigDict(use_enum_values=True)

    sku: Sku
    bare_list: list  # type: ignore[type-arg]
    bare_dict: dict  # type: ignore[type-arg]
    sequence: Sequence[int]
    number: Literal[1, 2]
    several: Literal["a", 1, None]
    chosen: int = Field(validation_alias=AliasChoices("first", "second"))
    single: int = Field(validation_alias="incoming", serialization_alias="outgoing")
    root: Root = Field(default_factory=lambda: Root(1))
    colour: Colour
    by_day: dict[date, int]
    masked: Annotated[str | None, PlainSerializer(lambda text: text)] = "x"
    size: ByteSize = ByteSize(1)
    unlike: int | Colour = "no colour"  # type: ignore[assignment]


def test_every_spelling_of_a_type_is_understood() -> None:
    message = Spelled.model_validate(
        {
            "sku": "s",
            "bare_list": ["a"],
            "bare_dict": {"a": "b"},
            "sequence": (1, 2),
            "number": 2,
            "several": "a",
            "second": 3,
            "incoming": 4,
            "colour": "red",
            "by_day": {date(2020, 1, 2): 1},
            "unlike": 5,
        }
    )

    decoded = avro_decoder(avro_encoder(message), Spelled)

    assert decoded.model_dump() == {**message.model_dump(), "sequence": [1, 2]}
    types = {f["name"]: f["type"] for f in Spelled.avro_schema()["fields"]}
    assert types["bare_list"] == {"type": "array", "items": "string"}
    assert types["bare_dict"] == {"type": "map", "values": "string"}
    assert types["number"] == "long"
    assert types["several"] == ["null", "string", "long"]
    assert types["outgoing"] == "long"
    assert types["root"] == ["null", "long"]
    assert types["masked"] == ["string", "null"]
    assert types["size"] == "long"


def test_two_models_of_one_name_get_different_names() -> None:
    def pets() -> type[BaseModel]:
        class Pet(BaseModel):
            age: int

        return Pet

    Pet = pets()
    Other = pets()

    class Owner(AvroBase):
        first: Pet  # type: ignore[valid-type]
        second: Other  # type: ignore[valid-type]

    Owner.model_rebuild(_types_namespace={"Pet": Pet, "Other": Other})
    first, second = Owner.avro_schema()["fields"]

    assert first["type"]["name"] == "Pet"
    assert second["type"]["name"] == "Pet_2"


def test_a_serializer_of_the_users_is_obeyed() -> None:
    class Masked(BaseModel):
        card: Annotated[str, PlainSerializer(lambda card: "*" * len(card))]
        pin: str
        name: str

        @field_serializer("pin")
        def mask(self, pin: str) -> str:
            return "****"

    message = Masked(card="1234", pin="99", name="Ann")

    assert avro_decoder(avro_encoder(message), Masked) == Masked(
        card="****", pin="****", name="Ann"
    )


def test_an_excluded_field_is_not_written() -> None:
    class Partly(AvroBase):
        shown: int
        hidden: str = Field("secret", exclude=True)

    assert [f["name"] for f in Partly.avro_schema()["fields"]] == ["shown"]
    raw = avro_encoder(Partly(shown=1, hidden="x"))
    assert avro_decoder(raw, Partly) == Partly(shown=1)


def test_a_class_of_text_is_written_as_text() -> None:
    class Linked(BaseModel):
        link: HttpUrl
        any_of: HttpUrl | UUID | None = None

    message = Linked(link=HttpUrl("http://a.b/c"), any_of=uuid4())

    decoded = avro_decoder(avro_encoder(message), Linked)
    assert decoded.link == message.link
    assert decoded.any_of == message.any_of


def test_a_schema_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Once(BaseModel):
        number: int

    compiled = []
    parse = fastavro.parse_schema

    def counting(schema: Any) -> Any:
        compiled.append(schema)
        return parse(schema)

    monkeypatch.setattr(fastavro, "parse_schema", counting)
    for number in range(3):
        assert avro_decoder(avro_encoder(Once(number=number)), Once).number == number

    assert len(compiled) == 1


# what has no Avro type


class Unknown(BaseModel):
    field: Any


class Either(RootModel[int | str]):
    pass


class Doubled(BaseModel):
    field: Either | None = None


class Mapped(BaseModel):
    field: dict[str, int] | dict[str, str]


class Moments(BaseModel):
    field: datetime | int


@dataclass
class Point:
    x: int


class Plain(BaseModel):
    field: Point


class Mixed(BaseModel):
    field: tuple[int, str]


class Umlaut(BaseModel):
    größe: int


class Pathed(BaseModel):
    field: int = Field(validation_alias=AliasPath("a", 0))


class Whole(BaseModel):
    field: int

    @model_serializer
    def whole(self) -> dict[str, int]:
        return {"other": self.field}


class Missing(BaseModel):
    field: NotThere  # type: ignore[name-defined] # noqa: F821


WANTED = (
    "Use a pydantic model, an enum, a list, a dictionary, a scalar or a union of these."
)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (Unknown, f"`Unknown.field` has no Avro type: `Any`. {WANTED}"),
        (Plain, f"`Plain.field` has no Avro type: `Point`. {WANTED}"),
        (Mixed, f"`Mixed.field` has no Avro type: `tuple[int, str]`. {WANTED}"),
        (
            Moments,
            "`Moments.field`: Avro cannot tell the members of "
            "`datetime.datetime | int` apart: two of them are `long`. "
            "Put one into a model of its own.",
        ),
        (
            Doubled,
            "`Doubled.field` has a union inside a union, which Avro has not: "
            f"`{__name__}.Either | None`. Write the types of the inner one here.",
        ),
        (
            Mapped,
            "`Mapped.field`: Avro cannot tell the members of "
            "`dict[str, int] | dict[str, str]` apart: "
            "two of them are `map`. Put one into a model of its own.",
        ),
        (
            Umlaut,
            "`Umlaut.größe`: 'größe' cannot be an Avro name, which has only the "
            "letters A to Z, digits and `_`. Give the field an alias.",
        ),
        (
            Pathed,
            "`Pathed.field` is validated from a path, and Avro's fields have names. "
            "Set `populate_by_name=True` in the model's config.",
        ),
        (
            Whole,
            "`Whole` has a `model_serializer`, but an Avro record is written field by "
            "field. Use `field_serializer`, or your own encoder.",
        ),
        (
            Missing,
            "`Missing` is not complete: an annotation names what is not defined. "
            "Define it and call `Missing.model_rebuild()`.",
        ),
        (
            Names,
            "`Names` is no Avro record but `array`. "
            "Give the model fields instead of a root.",
        ),
    ],
)
def test_a_model_without_an_avro_type_is_refused(
    model: type[BaseModel], sentence: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        AvroBase.avro_schema_for_pydantic_class(model)
    assert str(raised.value) == sentence


def test_only_models_are_encoded_by_hand() -> None:
    with pytest.raises(TypeError) as raised:
        avro_encoder({"a": 1})  # type: ignore[arg-type]
    assert str(raised.value) == (
        "Avro's schema comes from a pydantic model, and a `dict` is none. "
        "Write a model for it."
    )


@pytest.mark.skipif(sys.version_info < (3, 12), reason="`type` is a statement of 3.12")
def test_an_alias_that_contains_itself_is_refused() -> None:
    namespace: dict[str, Any] = {}
    exec("type Nested = list[Nested] | int", namespace)

    with pytest.raises(ConfigError) as raised:
        AvroCodec(namespace["Nested"])
    assert str(raised.value) == (
        "`Nested`: `Nested` contains itself, and only a record can. "
        "Write a model for it."
    )
