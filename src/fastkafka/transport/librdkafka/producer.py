"""The producer's acknowledgements, and a backlog for what its queue cannot take.

Each acknowledgement calls back into Python. The poll thread takes them as they come,
which is quickest while they are few. When many records are out it lets the event loop
take them, in between: beside a busy loop a thread would have to win the interpreter
from it again for every single one.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Collection, Mapping
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from fastkafka.errors import ProduceError
from fastkafka.transport.base import Delivered, Headers, ProducerState
from fastkafka.transport.librdkafka.again import OneByOne, keeping
from fastkafka.transport.librdkafka.connection import (
    Connection,
    create_topic,
    logger,
    make_client,
    missing_topics,
    partition_count,
)

POLL_SECONDS = 0.1
MANY_RECORDS = 100
"""So many records out, and the loop takes the acknowledgements."""

TICK_SECONDS = 0.002
"""How often it does."""

_Queued = tuple[str, bytes | None, bytes | None, int, Delivered, int, Headers | None]


class _AfterFork:
    """Stands for the client in a process that was forked: its threads are not there."""

    def produce(self, topic: str, *args: Any, **kwargs: Any) -> None:
        raise ProduceError(
            f"A record for '{topic}' cannot be sent from a forked process: the Kafka "
            "client's threads stay with its parent. Use a process that is spawned "
            '(`multiprocessing.get_context("spawn")`), or produce in the parent.',
            code="_STATE",
            topic=topic,
        )

    def poll(self, timeout: float) -> int:
        return 0

    def __len__(self) -> int:
        return 0


_producers: weakref.WeakSet[LibrdkafkaProducer] = weakref.WeakSet()


def _after_fork() -> None:
    for producer in _producers:
        producer._client = _AfterFork()


os.register_at_fork(after_in_child=_after_fork)


class LibrdkafkaProducer:
    """See `Producer`.

    librdkafka refuses a record when its queue is full. Those records wait here, in
    order, and the poll thread feeds them in as acknowledgements make room.
    """

    def __init__(self, config: Mapping[str, Any], topics: Collection[str]) -> None:
        self._config = dict(config)
        self._topics = sorted(topics)
        self._connection = Connection(str(config.get("bootstrap.servers", "")))
        self._client: Any = None
        self._backlog: deque[_Queued] = deque()
        self._room = threading.Condition()
        self._waiting: list[asyncio.Future[None]] = []
        self._loop: asyncio.AbstractEventLoop
        self._feeding = threading.Lock()
        self._handed_back = threading.Event()
        self._closing = False
        self._refused: Counter[str] = Counter()
        self._one_by_one = OneByOne(config)
        self._thread: threading.Thread | None = None

    async def start(self) -> Collection[str]:
        """See `Producer`."""
        self._loop = asyncio.get_running_loop()
        missing = await self._loop.run_in_executor(None, self._connect)
        self._thread = threading.Thread(
            target=self._run, name="fastkafka-producer", daemon=True
        )
        self._thread.start()
        return missing

    def _connect(self) -> Collection[str]:
        config = self._config | {"error_cb": self._on_error}
        client = make_client(confluent_kafka.Producer, config)
        self._connection.wait_for_broker(client, self._topics)
        missing = missing_topics(client, self._topics, doing="write to")
        self._connection.found()
        self._client = client
        _producers.add(self)
        return missing

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        headers: Headers | None,
        partition: int,
        timestamp: int,
        delivered: Delivered,
        /,
    ) -> bool:
        """See `Producer`."""
        if headers:
            delivered = keeping(headers, delivered)
        if not self._backlog:
            try:
                if headers is None and not timestamp:
                    self._client.produce(topic, value, key, partition, delivered)
                else:
                    self._client.produce(
                        *(topic, value, key, partition, delivered),
                        timestamp=timestamp,
                        headers=headers,
                    )
            except BufferError:
                pass
            except KafkaException as refused:
                raise self._error(refused.args[0], topic, key, value) from None
            else:
                return False
        self._backlog.append(
            (topic, value, key, partition, delivered, timestamp, headers)
        )
        return True

    async def partitions(self, topic: str) -> int | None:
        """See `Producer`."""
        return await self._loop.run_in_executor(
            None, partition_count, self._client, topic
        )

    async def create_topic(self, topic: str, *, like: str) -> int:
        """See `Producer`."""
        return await self._loop.run_in_executor(
            None, create_topic, self._client, self._config, topic, like
        )

    @property
    def full(self) -> bool:
        """See `Producer`."""
        return bool(self._backlog)

    def state(self) -> ProducerState:
        """See `Producer`."""
        queued = 0 if self._client is None else len(self._client)
        queued += len(self._backlog) + len(self._one_by_one)
        return ProducerState(self._connection.up, queued, dict(self._refused))

    def once_more(self, error: Any, record: Any, delivered: Delivered) -> bool:
        """See `Producer`."""
        return not self._closing and self._one_by_one.send(error, record, delivered)

    async def room(self) -> None:
        """See `Producer`."""
        while self._backlog and not self._closing:
            waiting = self._loop.create_future()
            self._waiting.append(waiting)
            if not self._backlog:  # it was emptied meanwhile; nobody will wake us
                return
            await waiting

    def wait_for_room(self) -> None:
        """See `Producer`."""
        with self._room:
            while self._backlog and not self._closing:
                self._room.wait(POLL_SECONDS)

    def explain(self, error: Any, record: Any) -> ProduceError:
        """See `Producer`."""
        return self._error(error, record.topic(), record.key(), record.value())

    async def stop(self, timeout: float) -> int:
        """See `Producer`."""
        if self._client is None:
            return 0
        left = await self._loop.run_in_executor(None, self._flush, timeout)
        self._closing = True
        self._handed_back.set()
        self._wake()
        if self._thread is not None:
            # The client must be gone when the lifespan is left.
            await self._loop.run_in_executor(None, self._thread.join, 2 * POLL_SECONDS)
        self._client = None
        return left

    def _flush(self, timeout: float) -> int:
        deadline = time.monotonic() + timeout
        while self._backlog and time.monotonic() < deadline:
            time.sleep(0.01)
        left: int = self._client.flush(max(0.0, deadline - time.monotonic()))
        left += self._one_by_one.flush(max(0.0, deadline - time.monotonic()))
        return left + len(self._backlog)

    def _run(self) -> None:
        client = self._client
        while not self._closing:
            client.poll(TICK_SECONDS if len(self._one_by_one) else POLL_SECONDS)
            self._one_by_one.poll()
            self._feed(client)
            if len(client) > MANY_RECORDS:
                self._hand_over(client)
            self._connection.probe(client, self._topics)

    def _hand_over(self, client: Any) -> None:
        """Let the loop take the acknowledgements until none is awaited."""
        self._handed_back.clear()
        try:
            self._loop.call_soon_threadsafe(self._tick)
        except RuntimeError:  # the loop is closed
            return
        while not self._handed_back.wait(POLL_SECONDS) and not self._closing:
            client.poll(0)  # the loop may be blocked
            self._one_by_one.poll()
            self._feed(client)
            self._connection.probe(client, self._topics)

    def _tick(self) -> None:
        if self._closing:
            return
        client = self._client
        client.poll(0)
        self._one_by_one.poll()
        self._feed(client)
        if len(client) or self._backlog:
            self._loop.call_later(TICK_SECONDS, self._tick)
        else:
            self._handed_back.set()

    def _feed(self, client: Any) -> None:
        """Move the backlog into the client's queue, as far as there is room."""
        if not self._backlog or not self._feeding.acquire(blocking=False):
            return
        try:
            self._feed_in_order(client)
        finally:
            self._feeding.release()

    def _feed_in_order(self, client: Any) -> None:
        while self._backlog:
            # It leaves the backlog only when it is in the queue, so nothing overtakes.
            topic, value, key, partition, delivered, timestamp, headers = self._backlog[
                0
            ]
            try:
                client.produce(
                    *(topic, value, key, partition, delivered),
                    timestamp=timestamp,
                    headers=headers,
                )
            except BufferError:
                return
            except KafkaException as refused:
                delivered(refused.args[0], _Refused(topic, key, value))
            self._backlog.popleft()
        self._wake()

    def _wake(self) -> None:
        with self._room:
            self._room.notify_all()
        try:
            self._loop.call_soon_threadsafe(self._wake_waiting)
        except RuntimeError:  # the loop is closed: nobody waits
            self._closing = True

    def _wake_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _on_error(self, error: KafkaError) -> None:
        self._connection.on_error(error)
        if error.fatal():
            logger.critical("The producer cannot go on: %s", error.str())

    def _error(
        self, error: KafkaError, topic: str, key: bytes | None, value: bytes | None
    ) -> ProduceError:
        self._refused[topic] += 1
        code = error.code()
        size = len(value or b"") + len(key or b"")
        if code in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE):
            why = (
                f"the record has {size:,} bytes, which is above the limit. Raise the "
                "topic's max.message.bytes and `max_request_size`, or send less"
            )
        elif code in (KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART):
            why = (
                f"the topic does not exist at {self._connection.bootstrap_servers}. "
                f"Create it: kafka-topics.sh --create --topic {topic}"
            )
        else:
            why = f"{error.str().rstrip('.')} ({error.name()})"
        return ProduceError(
            f"A record for '{topic}' was not acknowledged: {why}.",
            code=error.name(),
            topic=topic,
            key=key,
            retriable=error.retriable(),
            fatal=error.fatal(),
        )


class _Refused:
    """A record that never became a client's message."""

    def __init__(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        self._topic, self._key, self._value = topic, key, value

    def topic(self) -> str:
        return self._topic

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value
