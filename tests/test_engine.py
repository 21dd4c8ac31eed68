"""The way of a record on the real protocol: what is handled, committed and sent.

The invariants of DESIGN.md are named in the tests that fail when one is broken.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

from fastkafka import (
    DecodingError,
    EventMetadata,
    FastKafka,
    HandlerError,
    KafkaEvent,
    ProduceError,
    Retry,
)
from fastkafka.testing import EmbeddedBroker
from tests.clients import committed, ends, in_thread, produce, read, until

GROUP = "shop"


class Order(BaseModel):
    id: int


class Invoice(BaseModel):
    order: int


class Struct(msgspec.Struct):
    id: int


@dataclass
class Parcel:
    id: int


class Dict(TypedDict):
    id: int


def orders(*ids: int) -> list[bytes]:
    return [b'{"id": %d}' % i for i in ids]


def shop(embedded: EmbeddedBroker, **settings: Any) -> FastKafka:
    """Return an app that stops at the first failure, so that the tests see it."""
    settings = {"on_failure": "stop", "retry": Retry(attempts=1), **settings}
    return FastKafka(
        title="Shop", bootstrap_servers=embedded.bootstrap_servers, **settings
    )


async def test_a_message_is_handled_and_its_output_sent_and_its_offset_committed(
    embedded: EmbeddedBroker,
) -> None:
    servers = embedded.bootstrap_servers
    embedded.create_topic("orders", 1)
    embedded.create_topic("invoices", 1)
    app = shop(embedded)
    handled: list[int] = []

    @app.consumes(topic="orders")
    async def on_orders(order: Order) -> None:
        handled.append(order.id)
        to_invoices(order)

    @app.produces(topic="invoices")
    def to_invoices(order: Order) -> Invoice:
        return Invoice(order=order.id)

    await in_thread(produce, servers, "orders", orders(1, 2, 3))
    async with app:
        await until(lambda: len(handled) == 3)

    assert handled == [1, 2, 3]
    assert await in_thread(committed, servers, GROUP, "orders") == {0: 3}
    records = await in_thread(read, servers, "invoices", 3)
    assert [r.value() for r in records] == [b'{"order":%d}' % i for i in (1, 2, 3)]


@pytest.mark.parametrize("kind", [Order, Struct, Parcel, Dict, dict[str, int]])
async def test_every_kind_of_message_arrives(
    embedded: EmbeddedBroker, kind: Any
) -> None:
    app = shop(embedded)
    handled: list[Any] = []

    async def on_orders(message: Any) -> None:
        handled.append(message)

    on_orders.__annotations__["message"] = kind
    app.consumes()(on_orders)
    await in_thread(produce, embedded.bootstrap_servers, "orders", orders(7))
    async with app:
        await until(lambda: bool(handled))

    message = handled[0]
    assert (message["id"] if isinstance(message, dict) else message.id) == 7


async def test_bytes_are_untouched_and_tombstones_reach_who_wants_them(
    embedded: EmbeddedBroker,
) -> None:
    app = shop(embedded)
    handled: list[object] = []

    @app.consumes(topic="raw")
    async def on_raw(message: bytes) -> None:
        handled.append(message)

    @app.consumes(topic="orders")
    async def on_orders(message: Order | None, meta: EventMetadata) -> None:
        handled.append((message, meta.key))

    servers = embedded.bootstrap_servers
    await in_thread(produce, servers, "raw", [b"\x00\xff"])
    await in_thread(produce, servers, "orders", [None], key=b"k")
    async with app:
        await until(lambda: len(handled) == 2)

    assert b"\x00\xff" in handled
    assert (None, b"k") in handled


async def test_metadata_says_where_a_message_came_from(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 3)
    app = shop(embedded)
    seen: list[EventMetadata] = []
    apps: list[FastKafka] = []

    @app.consumes()
    async def on_orders(meta: EventMetadata, order: Order, *, me: FastKafka) -> None:
        seen.append(meta)
        apps.append(me)

    @app.produces()
    async def to_orders() -> KafkaEvent[Order]:
        return KafkaEvent(
            Order(id=1), key=b"k", headers=[("h", b"v")], partition=2, timestamp=1234
        )

    async with app:
        await to_orders()
        await until(lambda: bool(seen))

    assert seen == [
        EventMetadata(
            topic="orders",
            partition=2,
            offset=0,
            timestamp=1234,
            timestamp_type=0,
            key=b"k",
            value=b'{"id":1}',
            checksum=None,
            serialized_key_size=1,
            serialized_value_size=8,
            headers=(("h", b"v"),),
        )
    ]
    assert apps == [app]


async def test_a_batch_holds_records_of_one_partition_with_their_metadata(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 2)
    app = shop(embedded)
    batches: list[tuple[list[int], set[int]]] = []

    @app.consumes(max_batch=10)
    async def on_orders(batch: list[Order], metas: list[EventMetadata]) -> None:
        batches.append(([o.id for o in batch], {m.partition for m in metas}))
        assert len(batch) == len(metas)

    servers = embedded.bootstrap_servers
    for partition in (0, 1):
        await in_thread(
            produce, servers, "orders", orders(*range(25)), partition=partition
        )
    async with app:
        await until(lambda: sum(len(ids) for ids, _ in batches) == 50)

    assert all(len(partitions) == 1 for _, partitions in batches)
    assert max(len(ids) for ids, _ in batches) == 10
    assert await in_thread(committed, servers, GROUP, "orders") == {0: 25, 1: 25}


async def test_a_sync_handler_runs_in_a_thread_and_its_outputs_are_waited_for(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 1)
    app = shop(embedded)
    threads: set[str] = set()
    handled: list[int] = []

    @app.consumes()
    def on_orders(order: Order) -> None:
        threads.add(threading.current_thread().name)
        to_invoices(order)
        handled.append(order.id)

    @app.produces()
    def to_invoices(order: Order) -> Invoice:
        return Invoice(order=order.id)

    servers = embedded.bootstrap_servers
    await in_thread(produce, servers, "orders", orders(*range(50)))
    async with app:
        await until(lambda: len(handled) == 50)

    assert handled == list(range(50))
    assert all(name.startswith("fastkafka-handler") for name in threads)
    assert await in_thread(committed, servers, GROUP, "orders") == {0: 50}
    assert len(await in_thread(read, servers, "invoices", 50)) == 50


async def test_two_functions_on_a_topic_both_get_every_record(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 1)
    app = shop(embedded)
    first: list[int] = []
    second: list[int] = []
    go_on = asyncio.Event()

    @app.consumes(topic="orders")
    async def on_orders(order: Order) -> None:
        first.append(order.id)

    @app.consumes(topic="orders")
    async def audit(order: Order) -> None:
        await go_on.wait()
        second.append(order.id)

    servers = embedded.bootstrap_servers
    await in_thread(produce, servers, "orders", orders(1, 2, 3))
    async with app:
        await until(lambda: len(first) == 3)
        await asyncio.sleep(0)
        assert await in_thread(committed, servers, GROUP, "orders") == {0: 0}
        go_on.set()
        await until(lambda: len(second) == 3)

    assert await in_thread(committed, servers, GROUP, "orders") == {0: 3}


# I1: a committed offset never passes a record that is not finished.


async def test_i1_a_failing_record_is_not_committed_and_read_again(
    embedded: EmbeddedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    embedded.create_topic("orders", 1)
    servers = embedded.bootstrap_servers
    await in_thread(produce, servers, "orders", orders(*range(10)))
    handled: list[int] = []

    def build(*, fails_at: int) -> FastKafka:
        app = shop(embedded)

        @app.consumes()
        async def on_orders(order: Order) -> None:
            if order.id == fails_at:
                raise RuntimeError("no stock")
            handled.append(order.id)

        return app

    app = build(fails_at=6)
    with pytest.raises(HandlerError) as failure:
        async with app:
            await app.wait_stopped()

    sentence = "orders[0]@6: `on_orders` failed: RuntimeError('no stock')"
    assert str(failure.value) == sentence
    assert failure.value.offset == 6
    assert handled == list(range(6))
    assert await in_thread(committed, servers, GROUP, "orders") == {0: 6}
    [record] = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert record.getMessage() == (
        f"{sentence}. The app stops. Nothing after the last committed offset is lost: "
        "it is read again at the next start."
    )
    assert record.exc_info is not None
    assert "raise RuntimeError" in (caplog.text)

    async with build(fails_at=-1):
        await until(lambda: len(handled) == 10)
    assert handled == list(range(10))


@pytest.mark.parametrize(
    ("poison", "why"),
    [
        (b"not json", "invalid JSON: expected ident at line 1 column 2"),
        (b'{"id": "x"}', "input should be a valid integer, unable to parse string as "
         "an integer - at `$.id`"),
        (None, "expected a message, got null (a tombstone). Declare the message as "
         "`Model | None` to receive tombstones"),
    ],
)  # fmt: skip
async def test_i1_a_record_that_cannot_be_decoded_stops_the_app_before_it(
    embedded: EmbeddedBroker, poison: bytes | None, why: str
) -> None:
    embedded.create_topic("orders", 1)
    servers = embedded.bootstrap_servers
    values = [*orders(0, 1), poison, *orders(3)]
    await in_thread(produce, servers, "orders", values)
    app = shop(embedded)
    handled: list[int] = []

    @app.consumes()
    async def on_orders(order: Order) -> None:
        handled.append(order.id)

    sentence = f"^{re.escape(f'orders[0]@2: {why}')}$"
    with pytest.raises(DecodingError, match=sentence):
        async with app:
            await app.wait_stopped()

    assert handled == [0, 1]
    assert await in_thread(committed, servers, GROUP, "orders") == {0: 2}


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), BaseException()])
async def test_i1_even_an_exit_in_a_handler_is_its_failure(
    embedded: EmbeddedBroker, error: BaseException
) -> None:
    embedded.create_topic("orders", 1)
    servers = embedded.bootstrap_servers
    await in_thread(produce, servers, "orders", orders(0, 1))
    app = shop(embedded)

    @app.consumes()
    async def on_orders(order: Order) -> None:
        if order.id == 1:
            raise error

    with pytest.raises(HandlerError):
        async with app:
            await app.wait_stopped()

    assert await in_thread(committed, servers, GROUP, "orders") == {0: 1}


async def test_i1_a_handler_that_raises_cancelled_is_a_failure_too(
    embedded: EmbeddedBroker,
) -> None:
    """A cancelled future that a handler awaits must not look like our own stop."""
    embedded.create_topic("orders", 1)
    await in_thread(produce, embedded.bootstrap_servers, "orders", orders(0))
    app = shop(embedded)

    @app.consumes()
    async def on_orders(order: Order) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    with pytest.raises(HandlerError):
        async with app:
            await app.wait_stopped()


async def test_i1_nothing_is_committed_before_its_output_is_acknowledged(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 1)
    embedded.create_topic("invoices", 1)
    servers = embedded.bootstrap_servers
    app = shop(embedded, auto_commit_interval_ms=50, shutdown_timeout=2.0)
    handled: list[int] = []

    @app.consumes()
    async def on_orders(order: Order) -> None:
        to_invoices(order)
        handled.append(order.id)

    # An acknowledgement that takes its time: the batch waits in the client's queue.
    @app.produces(linger_ms=3_000)
    def to_invoices(order: Order) -> Invoice:
        return Invoice(order=order.id)

    await in_thread(produce, servers, "orders", orders(1, 2, 3))
    async with app:
        await until(lambda: len(handled) == 3)
        for _ in range(5):
            assert await in_thread(committed, servers, GROUP, "orders") == {0: 0}
            await asyncio.sleep(0.1)
    # The stop flushes what was queued; then it may be committed.
    assert await in_thread(committed, servers, GROUP, "orders") == {0: 3}
    assert len(await in_thread(read, servers, "invoices", 3)) == 3


async def test_i1_a_refused_output_is_the_failure_of_the_handler_that_sent_it(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 1)
    embedded.create_topic("invoices", 1)
    servers = embedded.bootstrap_servers
    await in_thread(produce, servers, "orders", orders(0, 1, 2, 3))
    app = shop(embedded)

    @app.consumes()
    async def on_orders(order: Order) -> None:
        to_invoices(b"x" * (2_000_000 if order.id == 2 else 10))

    @app.produces()
    def to_invoices(value: bytes) -> bytes:
        return value

    with pytest.raises(HandlerError) as failure:
        async with app:
            await app.wait_stopped()

    assert failure.value.offset == 2
    assert isinstance(failure.value.__cause__, ProduceError)
    assert str(failure.value.__cause__) == (
        "A record for 'invoices' was not acknowledged: the record has 2,000,000 bytes, "
        "which is above the limit. Raise the topic's max.message.bytes and "
        "`max_request_size`, or send less."
    )
    assert await in_thread(committed, servers, GROUP, "orders") == {0: 2}
    assert len(await in_thread(read, servers, "invoices", 2)) == 2


async def test_a_group_resumes_after_its_commit(embedded: EmbeddedBroker) -> None:
    embedded.create_topic("orders", 4)
    servers = embedded.bootstrap_servers
    counts: defaultdict[int, int] = defaultdict(int)

    def build() -> FastKafka:
        app = shop(embedded)

        @app.consumes()
        async def on_orders(order: Order) -> None:
            counts[order.id] += 1

        return app

    for turn in range(3):
        ids = range(turn * 100, turn * 100 + 100)
        await in_thread(produce, servers, "orders", orders(*ids))
        async with build():
            await until(lambda t=turn: len(counts) == 100 * (t + 1))  # type: ignore[misc]

    assert set(counts.values()) == {1}
    offsets = await in_thread(committed, servers, GROUP, "orders")
    assert offsets == await in_thread(ends, servers, "orders")


# I2: handlers of one partition never overlap.


@pytest.mark.parametrize("sync", [False, True])
async def test_i2_handlers_of_a_partition_run_one_after_another_in_order(
    embedded: EmbeddedBroker, sync: bool
) -> None:
    embedded.create_topic("orders", 3)
    servers = embedded.bootstrap_servers
    for partition in range(3):
        ids = range(partition * 100, partition * 100 + 40)
        await in_thread(produce, servers, "orders", orders(*ids), partition=partition)
    app = shop(embedded)
    running: defaultdict[int, int] = defaultdict(int)
    most: defaultdict[int, int] = defaultdict(int)
    at_once = 0
    seen: defaultdict[int, list[int]] = defaultdict(list)

    def enter(order: Order) -> int:
        nonlocal at_once
        partition = order.id // 100
        running[partition] += 1
        most[partition] = max(most[partition], running[partition])
        at_once = max(at_once, sum(running.values()))
        seen[partition].append(order.id)
        return partition

    async def on_orders(order: Order) -> None:
        partition = enter(order)
        await asyncio.sleep(0.001)
        running[partition] -= 1

    def on_orders_sync(order: Order) -> None:
        partition = enter(order)
        time.sleep(0.001)
        running[partition] -= 1

    app.consumes(topic="orders")(on_orders_sync if sync else on_orders)
    async with app:
        await until(lambda: sum(map(len, seen.values())) == 120)

    assert dict(most) == {0: 1, 1: 1, 2: 1}
    assert at_once > 1, "partitions run side by side"
    for partition, handled in seen.items():
        assert handled == list(range(partition * 100, partition * 100 + 40))


# Where a new group starts.


async def test_latest_skips_what_was_there_but_nothing_after(
    embedded: EmbeddedBroker,
) -> None:
    """The start is committed at once: what arrives while the app is down is read."""
    embedded.create_topic("orders", 2)
    servers = embedded.bootstrap_servers
    handled: list[int] = []

    def build() -> FastKafka:
        app = shop(embedded)

        @app.consumes(auto_offset_reset="latest")
        async def on_orders(order: Order) -> None:
            handled.append(order.id)

        return app

    await in_thread(produce, servers, "orders", orders(1), partition=0)
    async with build():
        offsets = await in_thread(committed, servers, GROUP, "orders")
        assert offsets == {0: 1, 1: 0}
    await in_thread(produce, servers, "orders", orders(2), partition=1)
    async with build():
        await until(lambda: bool(handled))

    assert handled == [2]


async def test_without_a_group_everything_is_read_and_nothing_committed(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 2)
    servers = embedded.bootstrap_servers
    await in_thread(produce, servers, "orders", orders(1, 2, 3))
    handled: list[int] = []
    apps = []
    for _ in range(2):
        app = shop(embedded, group_id=None)

        @app.consumes()
        async def on_orders(order: Order) -> None:
            handled.append(order.id)

        apps.append(app)

    async with apps[0], apps[1]:
        await until(lambda: len(handled) == 6)

    assert sorted(handled) == [1, 1, 2, 2, 3, 3]
    assert await in_thread(committed, servers, GROUP, "orders") == {}


# Producing outside handlers.


async def test_a_producer_outside_a_handler_waits_for_the_acknowledgement(
    embedded: EmbeddedBroker,
) -> None:
    app = shop(embedded)

    @app.produces()
    async def to_orders(order: Order) -> Order:
        return order

    async with app:
        assert await to_orders(Order(id=1)) == Order(id=1)
        assert await in_thread(ends, embedded.bootstrap_servers, "orders") != {}


async def test_a_refused_record_is_raised_where_it_was_awaited(
    embedded: EmbeddedBroker,
) -> None:
    app = shop(embedded)

    @app.produces()
    async def to_orders(value: bytes) -> bytes:
        return value

    async with app:
        with pytest.raises(ProduceError) as refused:
            await to_orders(b"x" * 2_000_000)
        await to_orders(b"small")

    assert refused.value.topic == "orders"
    assert refused.value.code == "MSG_SIZE_TOO_LARGE"


async def test_a_producer_that_returns_another_type_is_validated(
    embedded: EmbeddedBroker,
) -> None:
    app = shop(embedded)

    @app.produces()
    async def to_orders(value: Any) -> Order:
        return value  # type: ignore[no-any-return]

    async with app:
        await to_orders({"id": 1})
        with pytest.raises(ProduceError) as refused:
            await to_orders({"id": "four"})

    assert str(refused.value) == (
        "`to_orders` returned a `dict` that is not the message `Order` of 'orders': "
        "input should be a valid integer, unable to parse string as an integer "
        "- at `$.id`."
    )


async def test_lists_generators_events_and_none_become_the_right_records(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 1)
    app = shop(embedded)

    @app.produces()
    async def to_orders(value: Any) -> Any:
        return value

    async with app:
        await to_orders([Order(id=1), KafkaEvent(Order(id=2), key=b"a")])
        await to_orders(KafkaEvent([Order(id=3), Order(id=4)], key=b"b"))
        await to_orders(Order(id=i) for i in (5, 6))
        await to_orders(KafkaEvent(None, key=b"c"))
        await to_orders(None)
        await to_orders([])
        with pytest.raises(ProduceError, match="returned a tombstone without a key"):
            await to_orders(KafkaEvent(None))

    records = await in_thread(read, embedded.bootstrap_servers, "orders", 7)
    assert [(r.key(), r.value()) for r in records] == [
        (None, b'{"id":1}'),
        (b"a", b'{"id":2}'),
        (b"b", b'{"id":3}'),
        (b"b", b'{"id":4}'),
        (None, b'{"id":5}'),
        (None, b'{"id":6}'),
        (b"c", None),
    ]


async def test_a_producer_called_while_the_app_does_not_run_says_so() -> None:
    app = FastKafka()

    @app.produces()
    def to_orders(order: Order) -> Order:
        return order

    with pytest.raises(RuntimeError) as error:
        to_orders(Order(id=1))

    assert str(error.value) == (
        "`to_orders` was called before the app has started or after it has stopped. "
        "Call it in `async with app:`, in a handler, or in a background task."
    )


async def test_a_full_queue_makes_callers_wait_and_loses_nothing(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 1)
    embedded.create_topic("invoices", 1)
    servers = embedded.bootstrap_servers
    await in_thread(produce, servers, "orders", orders(*range(300)))
    app = shop(embedded)
    handled: list[int] = []

    @app.consumes()
    async def on_orders(order: Order) -> None:
        handled.append(order.id)
        for _ in range(5):
            to_invoices(order)

    @app.produces(librdkafka={"queue.buffering.max.messages": 10})
    def to_invoices(order: Order) -> Invoice:
        return Invoice(order=order.id)

    async with app:
        await until(lambda: len(handled) == 300)

    assert handled == list(range(300)), "nothing is handled twice"
    records = await in_thread(read, servers, "invoices", 1500)
    sent = [int(r.value()[9:-1]) for r in records]
    assert sent == [i for i in range(300) for _ in range(5)], "in order"
    assert await in_thread(committed, servers, GROUP, "orders") == {0: 300}
