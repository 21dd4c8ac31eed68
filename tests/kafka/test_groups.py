"""What only a real group coordinator shows."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Literal

import pytest
from pydantic import BaseModel

from fastkafka import FastKafka, KafkaEvent, ProduceError, Retry
from fastkafka.testing import ApacheKafkaBroker
from tests.clients import committed, in_thread, produce, read, until

pytestmark = pytest.mark.kafka


class Order(BaseModel):
    id: int


def orders(*ids: int) -> list[bytes]:
    return [b'{"id": %d}' % i for i in ids]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("sync", [False, True])
async def test_i4_a_handler_slower_than_the_poll_interval_stays_in_the_group(
    apache_kafka: str,
    topic: Callable[..., str],
    caplog: pytest.LogCaptureFixture,
    sync: bool,
) -> None:
    name = topic(1)
    app = FastKafka(
        title=f"group-{name}",
        bootstrap_servers=apache_kafka,
        max_poll_interval_ms=6_000,
        session_timeout_ms=6_000,
    )
    calls: list[int] = []

    async def handle(order: Order) -> None:
        calls.append(order.id)
        if order.id == 0:
            await asyncio.sleep(9)

    def handle_sync(order: Order) -> None:
        calls.append(order.id)
        if order.id == 0:
            time.sleep(9)

    app.consumes(topic=name)(handle_sync if sync else handle)
    await in_thread(produce, apache_kafka, name, orders(0, 1))
    with caplog.at_level(logging.INFO):
        async with app:
            await until(lambda: calls == [0, 1])

    assert calls == [0, 1], "it is not evicted, so nothing is repeated"
    assert caplog.text.count("Assigned") == 1
    assert "Lost" not in caplog.text
    offsets = await in_thread(committed, apache_kafka, f"group-{name}", name)
    assert offsets == {0: 2}


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
async def test_i3_partitions_move_between_members_and_nothing_is_repeated(
    apache_kafka: str,
    topic: Callable[..., str],
    protocol: Literal["classic", "consumer"],
) -> None:
    name = topic(4)
    handled: list[int] = []

    def build() -> FastKafka:
        app = FastKafka(
            title=f"group-{name}",
            bootstrap_servers=apache_kafka,
            group_protocol=protocol,
        )

        @app.consumes(topic=name)
        async def handle(order: Order) -> None:
            handled.append(order.id)
            await asyncio.sleep(0.001)

        return app

    await in_thread(produce, apache_kafka, name, orders(*range(1000)))
    async with build():
        await until(lambda: len(handled) > 50)
        async with build():
            await until(lambda: len(handled) > 300)
        await until(lambda: len(handled) >= 1000)

    assert sorted(handled) == list(range(1000))
    offsets = await in_thread(committed, apache_kafka, f"group-{name}", name)
    assert sum(offsets.values()) == 1000


async def test_a_topic_that_does_not_exist_is_a_warning_and_read_once_it_does(
    apache_kafka: str, topic: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    name = topic(1)
    app = FastKafka(title=f"group-{name}", bootstrap_servers=apache_kafka)

    @app.consumes(topic=f"{name}-missing")
    async def handle(order: Order) -> None: ...

    async with app:
        pass

    assert (
        f"Topic '{name}-missing' does not exist at {apache_kafka}. Create it: "
        f"kafka-topics.sh --bootstrap-server {apache_kafka} --create --topic "
        f"{name}-missing"
    ) in caplog.text


async def test_a_value_above_the_topics_limit_is_refused_alone(
    apache_kafka: str, topic: Callable[..., str]
) -> None:
    name = topic(1)
    app = FastKafka(title=f"group-{name}", bootstrap_servers=apache_kafka)

    @app.produces(topic=name)
    async def send(value: bytes) -> bytes:
        return value

    async with app:
        results = await asyncio.gather(
            send(b"a"), send(b"x" * 1_500_000), send(b"b"), return_exceptions=True
        )

    assert isinstance(results[1], ProduceError)
    assert results[1].code == "MSG_SIZE_TOO_LARGE"
    records = await in_thread(read, apache_kafka, name, 2)
    assert [r.value() for r in records] == [b"a", b"b"]


async def test_two_clients_of_a_static_member_do_not_throw_each_other_out(
    apache_kafka: str, topic: Callable[..., str]
) -> None:
    one, other = topic(1), topic(1)
    app = FastKafka(
        title=f"group-{one}", bootstrap_servers=apache_kafka, group_instance_id="shop"
    )
    handled: list[str] = []

    @app.consumes(topic=one)
    async def on_one(number: int) -> None:
        handled.append("one")

    @app.consumes(topic=other, max_poll_interval_ms=600_000)
    async def on_other(number: int) -> None:
        handled.append("other")

    await in_thread(produce, apache_kafka, one, [b"1"])
    await in_thread(produce, apache_kafka, other, [b"1"])
    async with app:
        await until(lambda: len(handled) == 2)

    assert sorted(handled) == ["one", "other"]


async def test_one_record_above_the_topics_limit_costs_no_other_of_its_batch(
    apache_kafka: str, apache_kafka_broker: ApacheKafkaBroker, topic: Callable[..., str]
) -> None:
    source = topic(1)
    target = f"{source}-small"
    apache_kafka_broker.create_topic(target, 1, config={"max.message.bytes": "20000"})
    group = f"group-{source}"
    app = FastKafka(
        title=group,
        bootstrap_servers=apache_kafka,
        retry=Retry(attempts=1),
        linger_ms=200,
    )

    @app.consumes(topic=source)
    async def on_number(number: int) -> None:
        await to_target(number)

    @app.produces(topic=target)
    async def to_target(number: int) -> KafkaEvent[bytes]:
        value = b"%d" % number + b"x" * (30_000 if number == 150 else 200)
        return KafkaEvent(value, key=b"k%d" % number, headers=[("n", b"%d" % number)])

    await in_thread(produce, apache_kafka, source, [b"%d" % n for n in range(300)])
    async with app:
        written = await in_thread(read, apache_kafka, target, 299)
        await until(lambda: bool(app.snapshot().functions[0].parked))
    parked = await in_thread(read, apache_kafka, f"{source}-dlt", 1)

    assert [r.value() for r in parked] == [b"150"]
    assert {r.key() for r in written} == {b"k%d" % n for n in range(300) if n != 150}
    assert all(r.headers() == [("n", (r.key() or b"k")[1:])] for r in written)
    assert len(written) == 299, "each exactly once"


async def test_latest_is_pinned_and_partitions_without_commits_count_from_there(
    apache_kafka: str, topic: Callable[..., str]
) -> None:
    name = topic(2)
    handled: list[int] = []

    def build() -> FastKafka:
        app = FastKafka(title=f"group-{name}", bootstrap_servers=apache_kafka)

        @app.consumes(topic=name, auto_offset_reset="latest")
        async def handle(order: Order) -> None:
            handled.append(order.id)

        return app

    await in_thread(produce, apache_kafka, name, orders(1), partition=0)
    async with build():
        pass
    await in_thread(produce, apache_kafka, name, orders(2), partition=0)
    await in_thread(produce, apache_kafka, name, orders(3), partition=1)
    async with build():
        await until(lambda: len(handled) == 2)

    assert sorted(handled) == [2, 3]
