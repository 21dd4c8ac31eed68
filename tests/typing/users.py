"""Only type-checked, never run: tests, processors, dependencies, and what is wrong."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, assert_type

import pydantic

from fastkafka import (
    Depends,
    EventMetadata,
    FastKafka,
    KafkaEvent,
    ProduceError,
    Reject,
    RetryLater,
)
from fastkafka.encoder import AvroBase, avro_encoder
from fastkafka.testing import EmbeddedBroker, InMemoryBroker, Tester


class Iris(AvroBase):
    width: float


@dataclass
class Answer:
    species: str


class Settings(pydantic.BaseModel):
    model: str = "iris"


@asynccontextmanager
async def lifespan(app: FastKafka) -> AsyncGenerator[None]:
    assert_type(app.title, str)
    yield


app = FastKafka(title="Iris", lifespan=lifespan, bootstrap_servers="localhost:9092")


async def settings() -> Settings:
    return Settings()


def connection(settings: Annotated[Settings, Depends(settings)]) -> Iterator[str]:
    yield settings.model


@app.consumes(decoder="avro", executor="DynamicTaskExecutor")
@app.benchmark(interval=1, sliding_window_size=5)
async def on_iris(msg: Iris, db: Annotated[str, Depends(connection)]) -> None:
    if not db:
        raise RetryLater(1.5)
    if msg.width < 0:
        raise Reject("a negative width")
    to_answers(msg)


@app.produces(encoder="json")
def to_answers(iris: Iris) -> Answer:
    return Answer("setosa")


@app.consumes(topic=re.compile(r"eu\..*"))
@app.produces(topic="all")
async def forward(msg: bytes, meta: EventMetadata) -> KafkaEvent[bytes] | None:
    return KafkaEvent(msg, key=meta.key, headers=[("from", b"eu")])


@app.produces()
def to_parts(count: int) -> Iterator[int]:
    yield from range(count)


@app.run_in_background()
async def feed() -> None:
    try:
        await app.produce({"a": 1}, topic="audit", key=b"k")
    except ProduceError as error:
        assert_type(error.topic, str)


handler: Callable[[Iris, str], Coroutine[Any, Any, None]] = on_iris
processor: Callable[
    [bytes, EventMetadata], Coroutine[Any, Any, KafkaEvent[bytes] | None]
] = forward
assert_type(to_answers(Iris(width=1.0)), Answer)
assert_type(to_parts(3), Iterator[int])
assert_type(avro_encoder(Iris(width=1.0)), bytes)


async def test_it() -> None:
    async with Tester(app).using_inmemory_broker() as tester:
        await tester.to_iris(Iris(width=1.0))
        await tester.mirrors[on_iris](Iris(width=1.0))
        await tester.awaited_mocks.on_answers.assert_awaited_with(
            Answer("setosa"), timeout=2
        )
        assert_type(tester.lag(), int)
        assert_type(tester.committed("iris"), dict[int, int])
    with InMemoryBroker(num_partitions=2), EmbeddedBroker({"iris": 2}) as servers:
        assert_type(servers, str)


# What is wrong is an error, or else the ignoring comment is one.

FastKafka(auto_ofset_reset="latest")  # type: ignore[call-arg]
FastKafka(on_failure="forget")  # type: ignore[arg-type]
app.consumes(order="keys")  # type: ignore[arg-type]
wrong = on_iris(Iris(width=1.0))  # type: ignore[call-arg]
to_answers(7)  # type: ignore[arg-type]
