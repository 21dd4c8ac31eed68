"""`InMemoryBroker`: one broker in memory for apps on any loop, in any thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import BaseModel

from fastkafka import EventMetadata, FastKafka, KafkaEvent, ProduceError
from fastkafka.app import default_transport
from fastkafka.testing import InMemoryBroker, Tester
from fastkafka.testing.in_memory import SharedBroker, active_clusters
from fastkafka.transport.librdkafka import LibrdkafkaTransport
from fastkafka.transport.memory import MemoryBroker
from tests.clients import until


class Name(BaseModel):
    msg: str


def greeter() -> FastKafka:
    app = FastKafka(title="Greeter")

    @app.consumes()
    async def on_names(name: Name) -> None:
        await to_greetings(Name(msg=f"Hello {name.msg}"))

    @app.produces()
    async def to_greetings(greeting: Name) -> Name:
        return greeting

    return app


def client() -> tuple[FastKafka, Callable[..., Any], asyncio.Queue[str]]:
    app = FastKafka(title="Client")
    answers: asyncio.Queue[str] = asyncio.Queue()

    @app.produces()
    async def to_names(msg: str) -> Name:
        return Name(msg=msg)

    @app.consumes()
    async def on_greetings(greeting: Name) -> None:
        answers.put_nowait(greeting.msg)

    return app, to_names, answers


@contextmanager
def in_thread(app: FastKafka) -> Iterator[None]:
    """Run an app on a loop in a thread of its own, as FastAPI's test client does."""
    started, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def run() -> None:
        try:
            async with app:
                started.set()
                await stop.wait()
        finally:
            started.set()

    running = threading.Thread(target=lambda: loop.run_until_complete(run()))
    running.start()
    started.wait()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        running.join()
        loop.close()


def cluster() -> SharedBroker:
    clusters = active_clusters()
    assert clusters is not None
    return clusters.at("localhost:9092")


def test_apps_of_two_loops_talk_to_each_other() -> None:
    app, to_names, answers = client()

    async def ask() -> list[str]:
        async with app:
            for name in ("Mickey", "Minnie"):
                await to_names(name)
            return [await answers.get(), await answers.get()]

    with InMemoryBroker(), in_thread(greeter()):
        assert asyncio.run(ask()) == ["Hello Mickey", "Hello Minnie"]
        asyncio.run(cluster().idle())
        cluster().commit()
        assert cluster().lag("greeter", "names") == {0: 0}


async def test_a_tester_talks_to_an_app_of_another_loop() -> None:
    app, to_names, answers = client()

    with InMemoryBroker(), in_thread(greeter()):
        async with Tester(app) as tester:
            await to_names("Mickey")
            assert await answers.get() == "Hello Mickey"
            await tester.to_greetings(Name(msg="Hi"))
            await tester.on_names.assert_called_with(Name(msg="Mickey"), timeout=5)
            await tester.idle()
            assert tester.committed("greetings") == {0: 2}


async def test_partitions_rebalance_between_loops() -> None:
    def worker(seen: list[int]) -> FastKafka:
        app = FastKafka(title="Greeter")

        @app.consumes()
        async def on_names(name: Name, meta: EventMetadata) -> None:
            seen.append(meta.partition)

        return app

    first: list[int] = []
    second: list[int] = []
    writer = FastKafka(title="Writer")
    with InMemoryBroker(num_partitions=4):
        async with writer, worker(first):
            with in_thread(worker(second)):
                await cluster().idle()
                for partition in range(4):
                    event = KafkaEvent(Name(msg="x"), partition=partition)
                    await writer.produce(event, topic="names")
                await cluster().idle()
                members = cluster().members("greeter")
                assert [len(owned) for owned in members.values()] == [2, 2]
            for partition in range(4):
                event = KafkaEvent(Name(msg="x"), partition=partition)
                await writer.produce(event, topic="names")
            await cluster().idle()
            cluster().commit()
            assert cluster().committed("greeter", "names") == dict.fromkeys(range(4), 2)

    assert (len(first), len(second)) == (6, 2)


async def test_what_goes_wrong_is_the_same_on_every_loop() -> None:
    writer = FastKafka(title="Writer")
    with InMemoryBroker():
        async with writer:
            await writer.produce(b"1", topic="names")
            cluster().fail("produce", topic="names", error="NOT_ENOUGH_REPLICAS")
            with pytest.raises(ProduceError, match="NOT_ENOUGH_REPLICAS"):
                await writer.produce(b"2", topic="names")
            cluster().heal()
            with pytest.raises(ProduceError, match="1,000,001 bytes"):
                await writer.produce(b"x" * 1_000_001, topic="names")
            cluster().delay(3600.0)
            late = asyncio.ensure_future(writer.produce(b"3", topic="names"))
            await until(lambda: len(cluster().messages("names")) == 2)
            assert not late.done()
            cluster().advance(3600.0)
            await late
        assert [r.value() for r in cluster().messages("names")] == [b"1", b"3"]


def test_a_sync_handler_waits_for_room_in_its_own_thread() -> None:
    app = FastKafka(title="Greeter", librdkafka={"queue.buffering.max.messages": 2})
    sent = 50

    @app.consumes()
    def on_names(name: Name) -> None:
        for _ in range(sent):
            to_greetings(name)

    @app.produces()
    def to_greetings(name: Name) -> Name:
        return name

    async def run() -> None:
        async with Tester(app) as tester:
            await tester.to_names(Name(msg="x"))
            await tester.idle()
            assert len(tester.messages("greetings")) == sent

    with InMemoryBroker():
        asyncio.run(run())


async def test_every_address_is_a_cluster_and_the_innermost_broker_counts() -> None:
    one, two = FastKafka(bootstrap_servers="one"), FastKafka(bootstrap_servers="two")
    with InMemoryBroker():
        outer = active_clusters()
        assert outer is not None
        async with one, two:
            await one.produce(b"1", topic="names")
            await two.produce(b"2", topic="names")
        assert [r.value() for r in outer.at("two").messages("names")] == [b"2"]
        with InMemoryBroker():
            assert active_clusters() is not outer
            async with one:
                await one.produce(b"3", topic="names")
        assert active_clusters() is outer
        assert [r.value() for r in outer.at("one").messages("names")] == [b"1"]

    assert active_clusters() is None
    assert default_transport is LibrdkafkaTransport


async def test_an_app_keeps_the_transport_that_it_was_given() -> None:
    own = MemoryBroker()
    app = FastKafka(title="Shop", transport=own)
    with InMemoryBroker():
        async with app:
            await app.produce(b"1", topic="names")
    assert len(own.messages("names")) == 1


def test_a_broker_runs_once_at_a_time() -> None:
    broker = InMemoryBroker()
    with broker:
        with pytest.raises(RuntimeError) as error:
            broker.__enter__()
        assert str(error.value) == (
            "InMemoryBroker: it runs already. "
            "Nest another one: `with InMemoryBroker():`."
        )
    with broker:
        pass  # but again, and empty
    threads = [t.name for t in threading.enumerate()]
    assert "fastkafka-in-memory-broker" not in threads
