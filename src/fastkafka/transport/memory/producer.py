"""The producer of the broker in memory."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from fastkafka.errors import ProduceError
from fastkafka.transport.base import (
    Delivered,
    Headers,
    ProducerState,
    TopicPartition,
)
from fastkafka.transport.memory.clock import Timer, done_within
from fastkafka.transport.memory.cluster import Cluster
from fastkafka.transport.memory.faults import Refusal
from fastkafka.transport.memory.log import MemoryRecord


class _Unsent(NamedTuple):
    record: MemoryRecord
    partition: int
    delivered: Delivered
    deadline: float


class MemoryProducer:
    """See `Producer`.

    Records wait in one queue until they are written. As many as librdkafka's queue
    would take may be unacknowledged at once; what is above that makes the producer
    `full`, and stays in the queue.

    A lock guards the queue and the counts, because records may come from any thread.
    Everything else happens in turns on the event loop that started it.
    """

    def __init__(
        self, cluster: Cluster, config: Mapping[str, Any], topics: Collection[str]
    ) -> None:
        self.id = cluster.name(str(config.get("client.id", "producer")))
        self._cluster = cluster
        self._topics = sorted(topics)
        self._servers = str(config.get("bootstrap.servers", ""))
        self._largest = int(config.get("message.max.bytes", 1_000_000))
        self._most = int(config.get("queue.buffering.max.messages", 100_000))
        self._most_bytes = int(config.get("queue.buffering.max.kbytes", 1 << 20)) << 10
        self._patience = int(config.get("message.timeout.ms", 300_000)) / 1000
        self._loop: asyncio.AbstractEventLoop
        self._running = self._awake = False
        self._queue: deque[_Unsent] = deque()
        self._unacknowledged = 0
        self._bytes = 0
        self._lock = threading.Condition()
        self._waiting: list[asyncio.Future[None]] = []
        self._flushed: asyncio.Future[None] | None = None
        self._late: dict[TopicPartition, float] = {}
        self._give_up: Timer | None = None
        self._refused: Counter[str] = Counter()

    async def start(self) -> Collection[str]:
        """See `Producer`."""
        self._loop = asyncio.get_running_loop()
        await self._cluster.connect(self._servers)
        missing = self._cluster.missing(self._topics)
        self._running = True
        self._cluster.clients.append(self)
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
        clock = self._cluster.clock
        sent_at = clock.time()
        timestamp = timestamp or int(sent_at * 1000)
        record = MemoryRecord(topic, value, key, headers, timestamp)
        size = len(record) + len(key or b"")
        if size > self._largest:
            raise self.explain(Refusal("MSG_SIZE_TOO_LARGE"), record)
        known = self._cluster.topics.get(topic)
        if known is not None and partition >= len(known.partitions):
            raise self.explain(Refusal("_UNKNOWN_PARTITION"), record)
        with self._lock:
            self._queue.append(
                _Unsent(record, partition, delivered, sent_at + self._patience)
            )
            self._unacknowledged += 1
            self._bytes += size
            woken, self._awake = self._awake, True
        if not woken:
            self._loop.call_soon_threadsafe(self._turn)
        return self.full

    async def partitions(self, topic: str) -> int | None:
        """See `Producer`."""
        found = self._cluster.topics.get(topic)
        return None if found is None else len(found.partitions)

    async def create_topic(self, topic: str, *, like: str) -> int:
        """See `Producer`."""
        partitions = await self.partitions(like) or 1
        self._cluster.create_topic(topic, partitions)
        return partitions

    @property
    def full(self) -> bool:
        """See `Producer`."""
        return self._unacknowledged > self._most or self._bytes > self._most_bytes

    async def room(self) -> None:
        """See `Producer`."""
        while self.full and self._running:
            waiting = self._loop.create_future()
            self._waiting.append(waiting)
            await waiting

    def wait_for_room(self) -> None:
        """See `Producer`."""
        with self._lock:
            while self.full and self._running:
                self._lock.wait()

    def explain(self, error: Any, record: Any) -> ProduceError:
        """See `Producer`."""
        topic, key = record.topic(), record.key()
        self._refused[topic] += 1
        if error.code == "MSG_SIZE_TOO_LARGE":
            size = len(record.value() or b"") + len(key or b"")
            why = (
                f"the record has {size:,} bytes, which is above the limit. Raise the "
                "topic's max.message.bytes and `max_request_size`, or send less"
            )
        elif error.code == "_UNKNOWN_TOPIC":
            why = (
                f"the topic does not exist at {self._servers}. "
                f"Create it: kafka-topics.sh --create --topic {topic}"
            )
        else:
            why = f"{error.text} ({error.code})"
        return ProduceError(
            f"A record for '{topic}' was not acknowledged: {why}.",
            code=error.code,
            topic=topic,
            key=key,
            retriable=error.retriable,
            fatal=error.fatal,
        )

    def once_more(self, error: Any, record: Any, delivered: Delivered) -> bool:
        """See `Producer`; here every record is written by itself."""
        return False

    def state(self) -> ProducerState:
        """See `Producer`."""
        return ProducerState(
            self._cluster.up.is_set(), self._unacknowledged, dict(self._refused)
        )

    async def stop(self, timeout: float) -> int:
        """See `Producer`."""
        if not self._running:
            return 0
        if self._unacknowledged:
            self._flushed = self._loop.create_future()
            await done_within(self._cluster.clock, timeout, self._flushed)
        left = self._unacknowledged
        self.vanish()
        return left

    def vanish(self) -> None:
        """Be gone, as a process that was killed: what was not written never is."""
        self._running = False
        if self._give_up is not None:
            self._give_up.cancel()
        if self in self._cluster.clients:
            self._cluster.clients.remove(self)
        with self._lock:
            self._queue.clear()
        self._make_room()
        self._cluster.changed()

    # Turns.

    @property
    def busy(self) -> bool:
        """See `cluster.Client`."""
        return self._unacknowledged > 0

    def wake(self) -> None:
        """See `cluster.Client`; new records wake it by themselves."""
        if self._queue and not self._awake:
            self._awake = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Write what may be written."""
        self._awake = False
        if not self._running:
            return
        if not self._cluster.up.is_set():
            self._wait_for_broker()
            return
        while self._queue and self._unacknowledged - len(self._queue) < self._most:
            with self._lock:
                unsent = self._queue.popleft()
            refusal = self._cluster.write(unsent.record, unsent.partition)
            self._acknowledge_later(unsent, refusal)

    def _acknowledge_later(self, unsent: _Unsent, refusal: Refusal | None) -> None:
        """Acknowledge in the next turn, or when a test says; a partition in order."""
        where, late = unsent.record.where, self._late
        delay = self._cluster.faults.delay("produce", where)
        if not delay and where not in late:
            self._loop.call_soon(self._acknowledge, unsent, refusal)
            return
        clock = self._cluster.clock
        due = late[where] = max(clock.time() + delay, late.get(where, 0.0))

        def acknowledge() -> None:
            if late.get(where) == due:
                del late[where]
            self._acknowledge(unsent, refusal)

        clock.call_at(due, acknowledge)

    def _acknowledge(self, unsent: _Unsent, refusal: Refusal | None) -> None:
        if not self._running:
            return
        record = unsent.record
        with self._lock:
            self._unacknowledged -= 1
            self._bytes -= len(record) + len(record.key() or b"")
        unsent.delivered(refusal, record)
        if not self.full:
            self._make_room()
        if not self._unacknowledged and self._flushed and not self._flushed.done():
            self._flushed.set_result(None)
        self.wake()
        self._cluster.changed()

    def _make_room(self) -> None:
        with self._lock:
            self._lock.notify_all()
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _wait_for_broker(self) -> None:
        """Give records up that have waited for too long."""
        clock = self._cluster.clock
        while self._queue and self._queue[0].deadline <= clock.time():
            with self._lock:
                unsent = self._queue.popleft()
            self._acknowledge_later(unsent, Refusal("_MSG_TIMED_OUT"))
        if self._give_up is not None:
            self._give_up.cancel()
        if self._queue:
            self._give_up = clock.call_at(self._queue[0].deadline, self.wake)
