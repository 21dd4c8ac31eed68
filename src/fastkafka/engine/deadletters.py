"""Dead letters: a record that failed for good, parked where people and tools find it.

Topic `<topic>-dlt`, the original bytes, and the headers of Spring Kafka, which is what
most tools read. The record counts as done only when the dead letter is acknowledged;
until then its partition (or key) waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from collections.abc import Awaitable, Callable, Sequence

from fastkafka.engine.delivery import DeliveryScope, Failure
from fastkafka.errors import FastKafkaError, ProduceError, RecordError
from fastkafka.messages import Record
from fastkafka.policies import SUFFIX
from fastkafka.tracebacks import format_error
from fastkafka.transport.base import Producer

logger = logging.getLogger(__name__)

PREFIX = "kafka_dlt-"

FIRST_DELAY, LONGEST_DELAY = 1.0, 30.0
"""Seconds between tries to write a dead letter."""

LONGEST_TRACE = 16_384
"""Bytes of a stack trace in a header; its last frames are kept."""

_TIMESTAMP_TYPES = {1: b"CreateTime", 2: b"LogAppendTime"}

RawHeaders = list[tuple[str, bytes]]


def headers_of(
    record: Record,
    error: RecordError,
    *,
    group: str | None,
    attempts: int,
    longest_trace: int = LONGEST_TRACE,
) -> RawHeaders:
    """Return a dead letter's headers: the record's own, and why it is there.

    A record that was a dead letter before keeps where it first came from; what went
    wrong is always the last error.

    Args:
        record: The record.
        error: Why.
        group: The group that could not handle it.
        attempts: How often its handler was called; 0 when it could not be decoded.
        longest_trace: The most bytes of the stack trace.
    """
    own = list(record.headers() or ())
    parked_before = any(name == f"{PREFIX}original-topic" for name, _ in own)
    kept = [
        (name, value)
        for name, value in own
        if name != "kafka_deliveryAttempt"
        and not name.startswith((f"{PREFIX}exception-", f"{PREFIX}key-exception-"))
    ]
    original = [] if parked_before else _original(record, group)
    cause = error.__cause__ or error
    root = cause
    while root.__cause__ is not None:
        root = root.__cause__
    why = [
        (f"{PREFIX}exception-fqcn", _name(cause)),
        (f"{PREFIX}exception-cause-fqcn", _name(root)),
        (f"{PREFIX}exception-message", _cut(str(error), longest_trace)),
        (f"{PREFIX}exception-stacktrace", _trace(cause, longest_trace)),
        ("kafka_deliveryAttempt", struct.pack(">i", attempts)),
    ]
    return [*kept, *original, *why]


def _original(record: Record, group: str | None) -> RawHeaders:
    kind, timestamp = record.timestamp()
    return [
        (f"{PREFIX}original-topic", record.topic().encode()),
        (f"{PREFIX}original-partition", struct.pack(">i", record.partition())),
        (f"{PREFIX}original-offset", struct.pack(">q", record.offset())),
        (f"{PREFIX}original-timestamp", struct.pack(">q", timestamp)),
        (
            f"{PREFIX}original-timestamp-type",
            _TIMESTAMP_TYPES.get(kind, b"CreateTime"),
        ),
        (f"{PREFIX}original-consumer-group", (group or "").encode()),
    ]


class DeadLetters:
    """Writes dead letters of one group.

    Args:
        group: The group, for the headers.
        producer: Returns what writes them; made when the first is to be written.
    """

    def __init__(
        self, group: str | None, producer: Callable[[], Awaitable[Producer]]
    ) -> None:
        self.blocked: dict[str, str] = {}
        """Dead-letter topics that cannot be written now, and why."""
        self._group = group
        self._producer = producer
        self._partitions: dict[str, int] = {}
        self._in_turn = asyncio.Lock()

    async def park(
        self, record: Record, error: RecordError, attempts: int, stop: asyncio.Event
    ) -> bool:
        """Write a dead letter, trying until it is acknowledged.

        Args:
            record: The record.
            error: Why it failed.
            attempts: How often its handler was called.
            stop: Set when there is no sense in trying any longer.

        Returns:
            Whether it is acknowledged; False when *stop* was set before.
        """
        topic = record.topic() + SUFFIX
        delay, longest_trace, waiting = FIRST_DELAY, LONGEST_TRACE, False
        while not stop.is_set():
            headers = headers_of(
                record,
                error,
                group=self._group,
                attempts=attempts,
                longest_trace=longest_trace,
            )
            try:
                await self._write(topic, record, headers)
            except ProduceError as refused:
                if refused.code == "MSG_SIZE_TOO_LARGE" and longest_trace:
                    longest_trace = longest_trace // 8 if longest_trace > 64 else 0
                    continue
                problem: FastKafkaError = refused
            except FastKafkaError as unavailable:
                problem = unavailable
            else:
                if waiting and self.blocked.pop(topic, None) is not None:
                    logger.warning("Dead letters of '%s' are written again.", topic)
                return True
            waiting, said = True, topic in self.blocked
            self.blocked[topic] = str(problem)
            self._partitions.pop(topic, None)  # it may be another topic by now
            if not said:
                logger.error(
                    "%s[%d]@%d cannot be parked in '%s' and waits, and with it what "
                    "must follow it: %s",
                    *(record.topic(), record.partition(), record.offset(), topic),
                    problem,
                    extra={
                        "topic": record.topic(),
                        "partition": record.partition(),
                        "offset": record.offset(),
                        "key": record.key(),
                    },
                )
            await paused(delay, stop)
            delay = min(delay * 2, LONGEST_DELAY)
        self.blocked.pop(topic, None)
        return False

    async def _write(self, topic: str, record: Record, headers: RawHeaders) -> None:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Sequence[Failure]] = loop.create_future()

        def settled(failures: Sequence[Failure]) -> None:
            if not done.done():
                done.set_result(failures)

        async with self._in_turn:  # they keep the order of their records
            producer, partitions = await self._target(topic, record.topic())
            same = record.partition()
            scope = DeliveryScope(loop)
            delivered = scope.expect(0, producer)
            producer.send(
                topic,
                record.value(),
                record.key(),
                headers,
                same if same < partitions else -1,
                0,
                delivered,
            )
            scope.close(settled)
        for _, error, report, refusing in await done:
            raise refusing.explain(error, report)

    async def _target(self, topic: str, source: str) -> tuple[Producer, int]:
        """Return what writes to a topic, and how many partitions that has."""
        producer = await self._producer()
        partitions = self._partitions.get(topic)
        if partitions is None:
            partitions = await producer.partitions(topic)
            if partitions is None:
                partitions = await producer.create_topic(topic, like=source)
            self._partitions[topic] = partitions
        return producer, partitions


async def paused(seconds: float, stop: asyncio.Event) -> bool:
    """Wait; return whether *stop* was not set meanwhile."""
    if seconds <= 0:
        await asyncio.sleep(0)
        return not stop.is_set()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return not stop.is_set()  # the two may come at once


def _name(error: BaseException) -> bytes:
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}".encode()


def _trace(error: BaseException, longest: int) -> bytes:
    lines = format_error(error).encode()
    return lines[-longest:] if longest else b""


def _cut(text: str, longest: int) -> bytes:
    return text.encode()[: max(longest, 256)]
