"""Avro bytes from models, models from Avro bytes."""

from __future__ import annotations

import contextlib
import io
import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import fastavro
import fastavro.utils
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    Field,
    NaiveDatetime,
    NonNegativeFloat,
    RootModel,
    ValidationError,
)

from fastkafka.codecs import avro
from fastkafka.codecs.avro import (
    AvroBase,
    avro_decoder,
    avro_encoder,
)

Item = TypeVar("Item")


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Cat(BaseModel):
    name: str


class Dog(BaseModel):
    name: str


class Tree(BaseModel):
    value: int = 0
    children: list[Tree] = []
    other: Tree | None = None


class Page(BaseModel, Generic[Item]):
    items: list[Item]


class Names(RootModel[list[str]]):
    pass


class Everything(AvroBase):
    text: str
    number: int
    ratio: float
    flag: bool
    raw: bytes
    when: datetime
    local: NaiveDatetime
    day: date
    hour: time
    token: UUID
    price: Annotated[Decimal, Field(max_digits=9, decimal_places=2)]
    anything: Decimal
    took: timedelta
    colour: Colour
    level: Level
    pet: Cat | Dog
    pets: list[Cat | Dog | None]
    by_name: dict[str, Cat]
    by_level: dict[Level, int]
    by_number: dict[int, float]
    tags: set[str]
    pair: tuple[int, int]
    choice: int | float | str | bool | bytes | Colour | list[Cat] | None
    mapped: dict[str, Dog] | Dog | None
    names: Names
    kind: Literal["a", "b"] = "a"
    nullable: int | None
    optional: Cat | None = None
    made: list[int] = Field(default_factory=lambda: [1])
    renamed: int = Field(alias="re-named", default=1)
    tree: Tree | None = None
    page: Page[Cat] = Page(items=[])


cats = st.builds(Cat, name=st.text(max_size=5))
dogs = st.builds(Dog, name=st.text(max_size=5))
longs = st.integers(-(2**63), 2**63 - 1)
doubles = st.floats(allow_nan=False)
trees = st.recursive(
    st.builds(Tree, value=longs),
    lambda inner: st.builds(
        Tree, value=longs, children=st.lists(inner, max_size=2), other=inner
    ),
    max_leaves=6,
)
everything = st.builds(
    Everything,
    text=st.text(max_size=20),
    number=longs,
    ratio=doubles,
    when=st.datetimes(timezones=st.just(UTC)),
    local=st.datetimes(),
    hour=st.times(),
    anything=st.decimals(allow_nan=False, allow_infinity=False),
    price=st.decimals(-9_999_999, 9_999_999, places=2),
    took=st.timedeltas(timedelta(-1000), timedelta(1000)),
    pet=cats | dogs,
    pets=st.lists(cats | dogs | st.none(), max_size=3),
    by_name=st.dictionaries(st.text(max_size=3), cats, max_size=2),
    by_level=st.dictionaries(st.sampled_from(Level), longs, max_size=2),
    by_number=st.dictionaries(longs, doubles, max_size=2),
    pair=st.tuples(longs, longs),
    choice=st.one_of(
        longs,
        doubles,
        st.text(max_size=5).filter(lambda text: text not in ("red", "blue")),
        st.booleans(),
        st.sampled_from(Colour),
        st.lists(cats, max_size=2),
        st.none(),
    ),
    mapped=st.dictionaries(st.text(max_size=3), dogs, max_size=2) | dogs | st.none(),
    names=st.builds(Names, st.lists(st.text(max_size=3), max_size=2)),
    nullable=st.none() | longs,
    optional=st.none() | cats,
    made=st.lists(longs, max_size=2),
    tree=st.none() | trees,
    page=st.builds(Page[Cat], items=st.lists(cats, max_size=2)),
)


@given(everything)
@settings(deadline=None, max_examples=75)
def test_what_is_encoded_is_decoded_again(message: Everything) -> None:
    decoded = avro_decoder(avro_encoder(message), Everything)

    assert decoded == message
    assert type(decoded.choice) is type(message.choice)


@given(everything)
@settings(deadline=None, max_examples=50)
def test_fastavro_reads_the_bytes_with_the_schema(message: Everything) -> None:
    raw = avro_encoder(message)
    schema = fastavro.parse_schema(json.loads(json.dumps(Everything.avro_schema())))

    stream = io.BytesIO(raw)
    fastavro.schemaless_reader(stream, schema, None)

    assert stream.read() == b""


@given(everything, st.data())
@settings(deadline=None, max_examples=50)
def test_bytes_cut_off_anywhere_are_an_error(
    message: Everything, data: st.DataObject
) -> None:
    raw = avro_encoder(message)
    end = data.draw(st.integers(0, len(raw) - 1))

    with pytest.raises(ValueError, match="`Everything`"):
        avro_decoder(raw[:end], Everything)


@given(st.binary(max_size=60))
@settings(deadline=None, max_examples=300)
def test_any_bytes_are_a_message_or_a_value_error(raw: bytes) -> None:
    for model in (Everything, Tree, Cat):
        with contextlib.suppress(ValueError):
            assert isinstance(avro_decoder(raw, model), model)


# bytes and values that do not fit


class Measured(BaseModel):
    length: NonNegativeFloat
    width: NonNegativeFloat


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (
            b"",
            "the 0 bytes end before the Avro of `Measured` does. "
            "Were they written with another schema?",
        ),
        (
            b'{"a": 1}',
            "the 8 bytes end before the Avro of `Measured` does. They look like JSON.",
        ),
        (
            b'{"length": 1.5, "width": 2.5}',
            "13 of 29 bytes are left over after the Avro of `Measured`. "
            "They look like JSON.",
        ),
        (
            b"\0\0\0\0\x07" + bytes(16),
            "5 of 21 bytes are left over after the Avro of `Measured`. "
            "Were they written with another schema? "
            "They may have the header of a schema registry.",
        ),
    ],
)
def test_bytes_that_are_not_avro_are_an_error(raw: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        avro_decoder(raw, Measured)
    assert str(raised.value) == sentence


def test_bytes_that_end_within_a_number_are_an_error() -> None:
    class Counted(BaseModel):
        count: int

    with pytest.raises(ValueError, match=r".") as raised:
        avro_decoder(avro_encoder(Counted(count=300))[:1], Counted)
    assert str(raised.value) == (
        "the 1 bytes end before the Avro of `Counted` does. "
        "Were they written with another schema?"
    )


def test_bytes_of_no_branch_are_an_error() -> None:
    class Maybe(BaseModel):
        name: str | None

    with pytest.raises(ValueError, match=r".") as raised:
        avro_decoder(b"\x08", Maybe)
    assert str(raised.value) == (
        "the bytes are not Avro of `Maybe`: list index out of range. "
        "Were they written with another schema?"
    )


def test_garbage_numbers_are_refused_by_the_model() -> None:
    negative = avro_encoder(Measured.model_construct(length=-1.0, width=1.0))

    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        avro_decoder(negative, Measured)


def test_bytes_nested_too_deep_are_an_error() -> None:
    """fastavro's compiled reader ends the whole process here."""
    with pytest.raises(ValueError, match="not Avro of `Tree`: maximum recursion"):
        avro_decoder(b"\0\2" * 30_000, Tree)


def test_a_message_nested_too_deep_is_an_error() -> None:
    tree = Tree()
    for _ in range(2000):
        tree = Tree.model_construct(children=[tree])

    with pytest.raises(ValueError, match="`Tree` does not fit its Avro schema"):
        avro_encoder(tree)


class Held(BaseModel):
    number: int = 0
    hour: time = time(1)
    colour: Colour = Colour.RED
    one_of: Cat | int = 0


def unchecked(**values: Any) -> dict[str, Any]:
    return values


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (
            Held.model_construct(hour=time(1, tzinfo=timezone(timedelta(hours=1)))),
            "`Held` does not fit its Avro schema: "
            "Avro's time of day has no zone, and 01:00:00+01:00 has one",
        ),
        (
            Held.model_construct(**unchecked(colour="green")),
            "`Held` does not fit its Avro schema: 'green' is no symbol of `Colour`",
        ),
        (
            Held.model_construct(**unchecked(one_of=Dog(name="Rex"))),
            "`Held` does not fit its Avro schema: a `Dog` is none of its union's types",
        ),
    ],
)
def test_a_value_that_avro_cannot_hold_is_an_error(
    message: BaseModel, sentence: str
) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        avro_encoder(message)
    assert str(raised.value) == sentence


def test_a_number_of_more_than_64_bits_is_an_error() -> None:
    with pytest.raises(ValueError, match="`Held` does not fit its Avro schema"):
        avro_encoder(Held(number=2**63))


# the engine's side


def test_a_tombstone_reaches_a_message_that_may_be_none() -> None:
    decode = avro.decoder(Cat | None)

    assert decode(None) is None
    assert decode(avro_encoder(Cat(name="Tom"))) == Cat(name="Tom")


def test_a_topic_can_hold_messages_of_several_models() -> None:
    encode, decode = avro.encoder(Cat | Dog), avro.decoder(Cat | Dog)

    for message in (Cat(name="Tom"), Dog(name="Rex")):
        encoded = encode(message)
        assert encoded is not None
        assert decode(encoded) == message


def test_the_order_of_a_union_counts_on_the_wire() -> None:
    assert avro.encoder(Cat | Dog)(Dog(name="")) == b"\2\0"
    assert avro.encoder(Dog | Cat)(Dog(name="")) == b"\0\0"


def test_a_producer_may_return_a_dictionary_for_its_model() -> None:
    assert avro.encoder(Cat)({"name": "Tom"}) == avro_encoder(Cat(name="Tom"))


def test_an_undeclared_model_is_written_as_itself() -> None:
    assert avro.encoder(Any)(Cat(name="Tom")) == avro_encoder(Cat(name="Tom"))
