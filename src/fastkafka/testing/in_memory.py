"""`InMemoryBroker`: a broker in memory for every app of this process.

A `MemoryBroker` belongs to one event loop. Here it has one of its own, in a thread, and
apps talk to it from theirs: as with a real broker it does not matter who runs where.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from functools import partial, wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from fastkafka import app as apps
from fastkafka.engine.delivery import call_soon
from fastkafka.errors import ClientError, ProduceError
from fastkafka.observe.events import Event, Measure
from fastkafka.testing.clusters import Clusters
from fastkafka.transport.base import (
    Committed,
    Consumer,
    ConsumerListener,
    ConsumerState,
    Delivered,
    Headers,
    Producer,
    ProducerState,
    Run,
    TopicPartition,
    Transport,
)
from fastkafka.transport.memory import LoopClock, MemoryBroker

P = ParamSpec("P")
R = TypeVar("R")


class InMemoryBroker:
    """Within it, apps that start anywhere in this process use a broker in memory.

    That holds for apps in other threads, too, such as those that FastAPI's `TestClient`
    runs. Apps that were given a `transport` keep it. It can be nested; the innermost
    one counts. A `Tester` inside uses it, and needs none by itself::

        with InMemoryBroker(), TestClient(fastapi_app) as client: ...

    Args:
        num_partitions: Of topics that appear because an app asks for them.
    """

    def __init__(self, num_partitions: int = 1) -> None:
        self._num_partitions = num_partitions
        self._thread: LoopThread | None = None
        self._before: Callable[[], Transport] | None = None

    def __enter__(self) -> InMemoryBroker:
        if self._thread is not None:
            raise RuntimeError(
                "InMemoryBroker: it runs already. Nest another one: "
                "`with InMemoryBroker():`."
            )
        self._thread = thread = LoopThread()
        clusters = Clusters(partial(SharedBroker, thread, self._num_partitions))
        self._before = apps.default_transport
        apps.default_transport = lambda: clusters
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._thread is not None
        assert self._before is not None
        apps.default_transport = self._before
        self._thread.stop()
        self._thread = None


def active_clusters() -> Clusters[SharedBroker] | None:
    """Return the clusters of the innermost `InMemoryBroker`, if there is one."""
    transport = apps.default_transport()
    return transport if isinstance(transport, Clusters) else None


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._run, name="fastkafka-in-memory-broker", daemon=True
        )
        self._thread.start()

    def call(self, function: Callable[[], R]) -> R:
        """Call a function on the loop, and return what it returns.

        The caller is blocked for as long; the loop never waits for the caller's.
        """

        async def called() -> R:
            return function()

        return asyncio.run_coroutine_threadsafe(called(), self.loop).result()

    async def await_(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine on the loop, and wait for it on the caller's."""
        return await asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        )

    def stop(self) -> None:
        """End the loop and the thread."""
        call_soon(self.loop, self.loop.stop)
        self._thread.join()

    def _run(self) -> None:
        self.loop.run_forever()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()


def _there(
    method: Callable[Concatenate[MemoryBroker, P], R],
) -> Callable[Concatenate[SharedBroker, P], R]:
    """Do in the broker's thread what the method does."""

    @wraps(method)
    def call(self: SharedBroker, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.thread.call(lambda: method(self.broker, *args, **kwargs))

    return call


class SharedBroker:
    """A `MemoryBroker` for any thread: the same methods, and a transport.

    Args:
        thread: Where it is.
        num_partitions: Of topics that appear because a client asks for them.
    """

    def __init__(self, thread: LoopThread, num_partitions: int) -> None:
        self.thread = thread
        self.broker = MemoryBroker(
            num_partitions=num_partitions, clock=LoopClock(thread.loop)
        )

    create_topic = _there(MemoryBroker.create_topic)
    create_partitions = _there(MemoryBroker.create_partitions)
    produce = _there(MemoryBroker.produce)
    messages = _there(MemoryBroker.messages)
    delete_records = _there(MemoryBroker.delete_records)
    truncate = _there(MemoryBroker.truncate)
    committed = _there(MemoryBroker.committed)
    lag = _there(MemoryBroker.lag)
    members = _there(MemoryBroker.members)
    rebalance = _there(MemoryBroker.rebalance)
    commit = _there(MemoryBroker.commit)
    fail = _there(MemoryBroker.fail)
    delay = _there(MemoryBroker.delay)
    heal = _there(MemoryBroker.heal)
    down = _there(MemoryBroker.down)
    up = _there(MemoryBroker.up)
    crash = _there(MemoryBroker.crash)
    suspend = _there(MemoryBroker.suspend)
    resume = _there(MemoryBroker.resume)
    advance = _there(MemoryBroker.advance)

    @property
    def topics(self) -> Sequence[str]:
        """See `MemoryBroker`."""
        return self.thread.call(lambda: self.broker.topics)

    @property
    def busy(self) -> bool:
        """See `MemoryBroker`."""
        return self.thread.call(lambda: self.broker.busy)

    async def idle(self) -> None:
        """See `MemoryBroker`."""
        await self.thread.await_(self.broker.idle())

    def consumer(
        self,
        config: Mapping[str, Any],
        topics: Collection[str],
        listener: ConsumerListener,
        *,
        start_at: Mapping[str, str],
        on_gap: Mapping[str, str],
        revoke_timeout: float,
    ) -> Consumer:
        """See `Transport`."""
        there = _ListenerElsewhere(listener)
        consumer = self.thread.call(
            lambda: self.broker.consumer(
                config,
                topics,
                there,
                start_at=start_at,
                on_gap=on_gap,
                revoke_timeout=revoke_timeout,
            )
        )
        return _SharedConsumer(self.thread, consumer)

    def producer(self, config: Mapping[str, Any], topics: Collection[str]) -> Producer:
        """See `Transport`."""
        producer = self.thread.call(lambda: self.broker.producer(config, topics))
        return _SharedProducer(self.thread, producer)


class _ListenerElsewhere:
    """Tells a listener on its loop, in order, what the broker says in its thread."""

    def __init__(self, listener: ConsumerListener) -> None:
        self._listener = listener
        self._loop = asyncio.get_running_loop()

    def on_assigned(
        self, partitions: Mapping[TopicPartition, Committed | None]
    ) -> None:
        call_soon(self._loop, partial(self._listener.on_assigned, partitions))

    def on_records(self, runs: Sequence[Run]) -> None:
        call_soon(self._loop, partial(self._listener.on_records, runs))

    async def on_revoked(self, partitions: Collection[TopicPartition]) -> None:
        revoked = asyncio.run_coroutine_threadsafe(
            self._listener.on_revoked(partitions), self._loop
        )
        await asyncio.wrap_future(revoked)

    def on_lost(self, partitions: Collection[TopicPartition]) -> None:
        call_soon(self._loop, partial(self._listener.on_lost, partitions))

    def on_sought(self, partition: TopicPartition, offset: int) -> None:
        call_soon(self._loop, partial(self._listener.on_sought, partition, offset))

    def on_error(self, error: ClientError) -> None:
        call_soon(self._loop, partial(self._listener.on_error, error))

    def on_event(self, event: Event) -> None:
        call_soon(self._loop, partial(self._listener.on_event, event))


class _SharedConsumer:
    """See `Consumer`; what it is told, the broker's thread does."""

    def __init__(self, thread: LoopThread, consumer: Consumer) -> None:
        self._thread = thread
        self._consumer = consumer

    @property
    def settles(self) -> float:
        return self._consumer.settles

    def measure(self, tell: Measure) -> None:
        loop = asyncio.get_running_loop()
        self._consumer.measure(lambda it: call_soon(loop, partial(tell, it)))

    async def start(self) -> Collection[str]:
        return await self._thread.await_(self._consumer.start())

    def finished(self, partition: TopicPartition, offset: int) -> None:
        finished = partial(self._consumer.finished, partition, offset)
        call_soon(self._thread.loop, finished)

    def note(self, partition: TopicPartition, metadata: str) -> None:
        note = partial(self._consumer.note, partition, metadata)
        call_soon(self._thread.loop, note)

    async def commit(
        self, partition: TopicPartition, offset: int, metadata: str
    ) -> None:
        await self._thread.await_(self._consumer.commit(partition, offset, metadata))

    def taken(self, partition: TopicPartition, records: int, size: int) -> None:
        taken = partial(self._consumer.taken, partition, records, size)
        call_soon(self._thread.loop, taken)

    async def seek(self, partition: TopicPartition, offset: int) -> bool:
        return await self._thread.await_(self._consumer.seek(partition, offset))

    def pause(self) -> None:
        call_soon(self._thread.loop, self._consumer.pause)

    def state(self) -> ConsumerState:
        return self._thread.call(self._consumer.state)

    async def stop(self, timeout: float) -> None:
        await self._thread.await_(self._consumer.stop(timeout))


class _SharedProducer:
    """See `Producer`; most of the broker's producer may be called in any thread."""

    def __init__(self, thread: LoopThread, producer: Producer) -> None:
        self._thread = thread
        self._producer = producer

    async def start(self) -> Collection[str]:
        return await self._thread.await_(self._producer.start())

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
        return self._producer.send(
            topic, value, key, headers, partition, timestamp, delivered
        )

    async def partitions(self, topic: str) -> int | None:
        return await self._thread.await_(self._producer.partitions(topic))

    async def create_topic(self, topic: str, *, like: str) -> int:
        return await self._thread.await_(self._producer.create_topic(topic, like=like))

    @property
    def full(self) -> bool:
        return self._producer.full

    async def room(self) -> None:
        await self._thread.await_(self._producer.room())

    def wait_for_room(self) -> None:
        self._producer.wait_for_room()

    def explain(self, error: Any, record: Any) -> ProduceError:
        return self._producer.explain(error, record)

    def once_more(self, error: Any, record: Any, delivered: Delivered) -> bool:
        return self._producer.once_more(error, record, delivered)

    def state(self) -> ProducerState:
        return self._producer.state()

    async def stop(self, timeout: float) -> int:
        return await self._thread.await_(self._producer.stop(timeout))
