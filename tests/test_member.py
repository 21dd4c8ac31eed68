"""`GroupMember` alone, told by hand what a transport would tell it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastkafka import codecs
from fastkafka.engine.consumer import GroupMember
from fastkafka.engine.deadletters import DeadLetters
from fastkafka.errors import ClientError
from fastkafka.observe.events import Measure
from fastkafka.params import plan_handler
from fastkafka.router import Router
from fastkafka.routing import ConsumerRoute, Handler
from fastkafka.transport.base import ConsumerState, Producer, Run, TopicPartition
from tests.clients import until

PARTITION = TopicPartition("numbers", 0)


class NumberRecord:
    """A record whose value is its offset."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def topic(self) -> str:
        return PARTITION.topic

    def partition(self) -> int:
        return PARTITION.partition

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return None

    def value(self) -> bytes | None:
        return b"%d" % self._offset

    def headers(self) -> Sequence[tuple[str, bytes]] | None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 1, 0


class RecordingConsumer:
    """Stands for the transport; notes what the engine tells it."""

    settles = 0.0

    def __init__(self) -> None:
        self.committable: list[int] = []
        self.room: list[tuple[int, int]] = []
        self.notes: list[str] = []
        self.marks: list[tuple[int, str]] = []
        self.paused = False
        self.refuses: BaseException | None = None
        """What a commit raises."""

    def measure(self, tell: Measure) -> None: ...

    async def start(self) -> Collection[str]:
        return ()

    def finished(self, partition: TopicPartition, offset: int) -> None:
        self.committable.append(offset)

    def taken(self, partition: TopicPartition, records: int, size: int) -> None:
        self.room.append((records, size))

    def note(self, partition: TopicPartition, metadata: str) -> None:
        self.notes.append(metadata)

    async def commit(
        self, partition: TopicPartition, offset: int, metadata: str
    ) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.marks.append((offset, metadata))

    async def seek(self, partition: TopicPartition, offset: int) -> bool:
        return True

    def pause(self) -> None:
        self.paused = True

    def state(self) -> ConsumerState:
        return ConsumerState()

    async def stop(self, timeout: float) -> None: ...


@asynccontextmanager
async def member_of(
    *functions: Any, failures: list[BaseException] | None = None
) -> AsyncIterator[tuple[GroupMember, RecordingConsumer]]:
    failed = [] if failures is None else failures
    handlers = [
        Handler(
            ConsumerRoute(
                function=function,
                topics=("numbers",),
                plan=(plan := plan_handler(function, Router)),
                decode=codecs.for_decoding("json", plan.message),
            ),
            function.__name__,
            start_at="earliest",
            order="partition",
            concurrency=4,
            max_batch=100,
        )
        for function in functions
    ]

    async def no_producer() -> Producer:
        raise AssertionError("no dead letter is expected")

    member = GroupMember(
        handlers,
        group="group",
        servers="memory:9092",
        app=None,
        one_by_one=asyncio.Lock(),
        tell=lambda event: None,
        dead_letters=DeadLetters("group", no_producer),
        given_up=failed.append,
        failed=failed.append,
    )
    consumer = RecordingConsumer()
    await member.start(consumer)
    try:
        yield member, consumer
    finally:
        await member.close(1.0)
        if failures is None:
            assert failed == []


def run(*offsets: int) -> list[Run]:
    records = [NumberRecord(offset) for offset in offsets]
    return [Run(PARTITION, records, size=10 * len(records))]


async def test_i3_what_ends_after_the_partition_was_lost_is_not_committed() -> None:
    go_on = asyncio.Event()
    handled: list[int] = []

    async def on_numbers(number: int) -> None:
        await go_on.wait()
        handled.append(number)

    async with member_of(on_numbers) as (member, consumer):
        member.on_assigned({PARTITION: None})
        member.on_records(run(0, 1, 2))
        await asyncio.sleep(0.01)
        member.on_lost([PARTITION])
        go_on.set()
        await until(lambda: bool(handled))
        await asyncio.sleep(0.01)

    assert handled == [0], "what was queued of it is dropped"
    assert consumer.committable == []


async def test_i3_records_of_a_partition_that_is_not_ours_are_dropped() -> None:
    handled: list[int] = []

    async def on_numbers(number: int) -> None:
        handled.append(number)

    async with member_of(on_numbers) as (member, consumer):
        member.on_records(run(0))
        member.on_assigned({PARTITION: None})
        await member.on_revoked([PARTITION])
        member.on_records(run(1))
        await asyncio.sleep(0.01)

    assert handled == []
    assert consumer.committable == []


async def test_i8_a_partition_whose_door_is_cancelled_does_not_stall_silently() -> None:
    async def on_numbers(number: int) -> None: ...

    failures: list[BaseException] = []
    async with member_of(on_numbers, failures=failures) as (member, consumer):
        consumer.refuses = asyncio.CancelledError()
        member.on_assigned({PARTITION: None})
        member.on_records(run(0))
        await until(lambda: bool(failures))

    assert [str(error) for error in failures] == ["numbers[0]: its door was cancelled."]


async def test_a_mark_that_is_given_up_keeps_no_record_waiting() -> None:
    handled: list[int] = []

    async def on_numbers(number: int) -> None:
        handled.append(number)

    async with member_of(on_numbers) as (member, consumer):
        consumer.refuses = ClientError("numbers[0]: not committed.", code="_STATE")
        member.on_assigned({PARTITION: None})
        member.on_records(run(0))
        await until(lambda: handled == [0])


async def test_i5_room_is_given_back_when_the_slowest_function_is_done() -> None:
    go_on = asyncio.Event()
    handled: list[int] = []

    async def fast(number: int) -> None: ...

    async def slow(number: int) -> None:
        await go_on.wait()
        handled.append(number)

    async with member_of(fast, slow) as (member, consumer):
        member.on_assigned({PARTITION: None})
        member.on_records(run(0, 1, 2))
        member.on_records(run(3, 4))
        await asyncio.sleep(0.05)
        assert sum(records for records, _ in consumer.room) == 0
        go_on.set()
        await until(lambda: len(handled) == 5)
        await until(lambda: sum(records for records, _ in consumer.room) == 5)

    assert sum(size for _, size in consumer.room) == 50


async def test_i1_a_long_slice_is_cut_so_that_what_is_done_gets_finished() -> None:
    """Slices grow while handling is fast; then one record takes its time."""
    go_on = asyncio.Event()

    async def on_numbers(number: int) -> None:
        if number == 3_000:
            await asyncio.sleep(0.8)
        if number == 3_001:
            await go_on.wait()

    async with member_of(on_numbers) as (member, consumer):
        member.on_assigned({PARTITION: None})
        member.on_records(run(*range(4_000)))
        await until(lambda: 3_001 in consumer.committable)
        go_on.set()
        await until(lambda: consumer.committable[-1] == 4_000)
