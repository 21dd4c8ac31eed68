"""The consumer's poll thread.

It polls whatever handlers do, so a slow handler never leaves the group. Intake is
bounded for each partition (backpressure.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Collection, Mapping
from itertools import groupby
from typing import Any, cast

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, Message

from fastkafka.errors import ClientError, FastKafkaError
from fastkafka.observe.events import Event, Measure
from fastkafka.policies import SUFFIX, leaves_out_dead_letters
from fastkafka.transport.base import (
    ConsumerListener,
    ConsumerState,
    Record,
    Run,
    TopicPartition,
)
from fastkafka.transport.intake import HIGH_RECORDS as HIGH_RECORDS
from fastkafka.transport.intake import POLL_RECORDS as POLL_RECORDS
from fastkafka.transport.intake import Intake
from fastkafka.transport.librdkafka.assignments import (
    NEW_PARTITIONS_SECONDS,
    Assignments,
)
from fastkafka.transport.librdkafka.backpressure import PATIENCE_SECONDS, BackPressure
from fastkafka.transport.librdkafka.commits import Commits
from fastkafka.transport.librdkafka.connection import (
    Connection,
    client_error,
    is_embedded,
    is_refusal,
    logger,
    make_client,
    missing_topics,
)
from fastkafka.transport.librdkafka.gaps import Gaps
from fastkafka.transport.librdkafka.seeks import Seek, Seeks
from fastkafka.transport.librdkafka.starts import Starts
from fastkafka.transport.librdkafka.topic_watch import TopicWatch
from fastkafka.transport.operations import polled
from fastkafka.transport.wording import not_assigned

POLL_SECONDS = 0.1
_HURRIED_POLL_SECONDS = 0.002
"""While somebody waits for a commit, which the thread cannot be woken for."""
_LOOK_SECONDS = 1.0

_EMBEDDED = {
    "group.protocol": "consumer",  # joins in milliseconds there, "classic" in seconds
    "fetch.wait.max.ms": 10,  # its fetches wait this long even when data arrives
    "allow.auto.create.topics": True,  # it cannot create them otherwise
}
_NOT_WITH_KIP_848 = (
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "partition.assignment.strategy",
)


class LibrdkafkaConsumer:
    """See `Consumer` and `Transport.consumer`."""

    settles = 3.0

    def __init__(
        self,
        config: Mapping[str, Any],
        topics: Collection[str],
        listener: ConsumerListener,
        *,
        start_at: Mapping[str, str],
        on_gap: Mapping[str, str],
        revoke_timeout: float,
    ) -> None:
        self._config = dict(config)
        self._topics = sorted(topics)
        self._names = [t for t in self._topics if not t.startswith("^")]
        self._listener = listener
        self._watch = TopicWatch(config)
        self._start_at = start_at
        self._on_gap = on_gap
        self._revoke_timeout = revoke_timeout
        self._in_group = "group.id" in config
        self._connection = Connection(str(config.get("bootstrap.servers", "")))
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop
        self._ready: asyncio.Future[Collection[str]]
        self._ended: asyncio.Future[None]
        self._partitions: dict[tuple[str, int], TopicPartition] = {}
        self._pressure = BackPressure()
        self._seeks = Seeks()
        self._commits: Commits
        self._starts: Starts
        self._gaps: Gaps
        self._assignments: Assignments
        self._ends: dict[TopicPartition, int] = {}
        self._looked_at = 0.0
        self._caught_up = threading.Event()
        self._closing = False
        self._unknown: set[str] = set()
        self._missing: Collection[str] = ()
        self._look_for_missing = 0.0
        self._polled = self._poll_seconds = 0.0
        self._measure: Measure | None = None

    # What the engine calls, on the event loop.

    def measure(self, tell: Measure) -> None:
        """See `Consumer`."""
        self._measure = tell

    async def start(self) -> Collection[str]:
        """See `Consumer`."""
        self._loop = asyncio.get_running_loop()
        self._ready = self._loop.create_future()
        self._ended = self._loop.create_future()
        interval = int(self._config.get("auto.commit.interval.ms", 5000)) / 1000
        self._commits = Commits(interval, self._loop, self._watch.ours, self._measure)
        self._starts = Starts(
            self._start_at, self._on_gap, self._watch, self._commits.last
        )
        threading.Thread(
            target=self._run, name="fastkafka-consumer", daemon=True
        ).start()
        return await self._ready

    def finished(self, partition: TopicPartition, offset: int) -> None:
        """See `Consumer`."""
        self._commits.finished(partition, offset)

    def note(self, partition: TopicPartition, metadata: str) -> None:
        """See `Consumer`."""
        if self._in_group:
            self._commits.note(partition, metadata)

    async def commit(
        self, partition: TopicPartition, offset: int, metadata: str
    ) -> None:
        """See `Consumer`."""
        if self._in_group:
            await self._commits.commit(partition, offset, metadata)

    def taken(self, partition: TopicPartition, records: int, size: int) -> None:
        """See `Consumer`."""
        self._pressure.taken(partition, records, size)

    async def seek(self, partition: TopicPartition, offset: int) -> bool:
        """See `Consumer`."""
        intake = self._pressure.intake.get(partition)
        return await self._seeks.ask(partition, offset, intake)

    def intake(self) -> Collection[Intake]:
        """What each assigned partition has in the engine, for those who watch."""
        return list(self._pressure.intake.values())

    def pause(self) -> None:
        """See `Consumer`."""
        self._pressure.stop()

    def state(self) -> ConsumerState:
        """See `Consumer`."""
        return ConsumerState(
            connected=self._connection.up,
            polled=self._polled,
            commits=self._commits.succeeded,
            commit_failures=self._commits.failed,
            commit_seconds=self._commits.seconds,
            poll_seconds=self._poll_seconds,
            failing_since=self._commits.failing_since,
            missing=sorted(self._missing),
            paused=set(self._pressure.paused),
            ends=dict(self._ends),
        )

    async def stop(self, timeout: float) -> None:
        """See `Consumer`."""
        self._closing = True
        self._pressure.stop()
        if self._client is None:
            return
        _, late = await asyncio.wait([self._ended], timeout=max(0.1, timeout))
        if late:
            logger.error(
                "The consumer did not close in %.0f s and is abandoned. "
                "What it could not commit will be read again.",
                timeout,
            )

    # The thread.

    def _run(self) -> None:
        try:
            missing = self._connect()
        except FastKafkaError as error:
            self._tell(_set_exception, self._ready, error)
            return
        self._tell(_set_result, self._ready, missing)
        try:
            while not self._closing:
                self._poll()
        except KafkaException as error:
            self._fail(client_error(error.args[0], doing="consume"))
        except ClientError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - a thread that dies silently stalls
            logger.exception("The poll thread failed.")
            self._fail(
                ClientError(
                    f"The poll thread failed: {error!r}.", code="_FAIL", fatal=True
                )
            )
        finally:
            self._close()
            self._tell(_set_result, self._ended, None)

    def _connect(self) -> Collection[str]:
        """Connect and subscribe; return the topics that do not exist."""
        client = self._make_client()
        try:
            metadata = self._connection.wait_for_broker(client, self._names)
            if is_embedded(metadata):
                self._watch.off()
                client = self._make_embedded_client(client)
            missing = missing_topics(client, self._names, doing="read")
            self._starts.look(client, missing)
        except KafkaException as failed:
            client.close()
            raise client_error(failed.args[0], doing="start") from failed
        except FastKafkaError:
            client.close()
            raise
        self._connection.found()
        self._unknown.update(missing)
        self._missing = frozenset(missing)
        self._client = client
        self._watch.look(self._names)  # its first answer takes longest
        self._gaps = Gaps(
            self._starts,
            self._watch,
            self._commits,
            self._pressure,
            in_group=self._in_group,
            incremental=self._incremental,
            tell=lambda gap: self._tell(self._say_gap, gap),
            fail=self._fail,
        )
        self._assignments = Assignments(
            self._topics,
            self._listener,
            self._loop,
            self._tell,
            starts=self._starts,
            commits=self._commits,
            gaps=self._gaps,
            pressure=self._pressure,
            connection=self._connection,
            incremental=self._incremental,
            revoke_timeout=self._revoke_timeout,
        )
        if self._in_group:
            self._assignments.subscribe(client)
        return missing

    @property
    def _incremental(self) -> bool:
        strategy = str(self._config.get("partition.assignment.strategy", ""))
        return (
            self._config.get("group.protocol") == "consumer"
            or strategy == "cooperative-sticky"
        )

    def _make_embedded_client(self, client: Any) -> Any:
        """Return a client with what suits the embedded broker."""
        if "group.protocol" not in self._config:
            return client
        client.close()
        self._config.update(_EMBEDDED)
        for name in _NOT_WITH_KIP_848:
            self._config.pop(name, None)
        return self._make_client()

    def _make_client(self) -> Any:
        config = dict(self._config)
        config["error_cb"] = self._on_error
        if len(self._names) < len(self._topics) and all(
            leaves_out_dead_letters(topic) for topic in self._topics
        ):
            config.setdefault("topic.blacklist", f"^.*{SUFFIX}$")
        if self._in_group:
            config["on_commit"] = self._commits.on_commit
        else:
            # The client wants a name, but never joins: partitions are assigned by hand.
            config["group.id"] = "fastkafka-no-group"
        return make_client(confluent_kafka.Consumer, config)

    def _poll(self) -> None:
        """One turn: take in what is there, commit what is finished."""
        client = self._client
        began = time.monotonic()
        hurry = self._commits.hurry > began
        first = client.poll(_HURRIED_POLL_SECONDS if hurry else POLL_SECONDS)
        # poll() answers at once, consume() would wait for a full house.
        rest = client.consume(POLL_RECORDS - 1, 0) if first is not None else []
        took = time.monotonic() - began
        self._poll_seconds += took
        if first is not None:
            self._take_in([first, *rest], took)
        while self._seeks.waiting:
            self._seek(self._seeks.waiting.popleft())
        if self._commits.waiting:
            self._commit(client)
        self._pressure.apply(client)
        if not self._in_group:
            self._assignments.by_hand(client)
        self._connection.probe(client, self._names)
        self._look(client)

    def _take_in(self, messages: list[Message], took: float) -> None:
        if any(map(Message.error, messages)):
            messages = self._without_errors(messages)
        if not messages:
            return
        by: Callable[[Message], Any] = (
            Message.partition
            if len(self._topics) == len(self._names) == 1
            else _topic_and_partition
        )
        runs = []
        for _, group in groupby(messages, by):
            records = list(group)
            size = sum(map(len, records))
            partition = self._partition(records[0])
            if self._pressure.let_in(partition, len(records), size):
                runs.append(Run(partition, cast("list[Record]", records), size))
        self._connection.found()
        self._caught_up.clear()
        if self._measure is not None:
            for poll in polled(runs, took):
                self._tell(self._measure, poll)
        self._tell(self._deliver, runs)
        # A loop that is busy gains nothing from more records, but pays for keeping
        # them: let it have its turn with these. One that is waiting answers at once.
        self._caught_up.wait(PATIENCE_SECONDS)
        self._pressure.hold_back(self._client, runs)

    def _deliver(self, runs: list[Run]) -> None:
        """On the loop: hand runs to the engine, and say when its lanes had a turn."""
        self._listener.on_records(runs)
        self._loop.call_soon(self._caught_up.set)

    def _say_gap(self, gap: Event) -> None:
        """On the loop: from now on, what the engine finishes counts again."""
        self._listener.on_event(gap)
        self._commits.reopen(self._partition_of(gap.topic, gap.partition))

    def _commit(self, client: Any) -> None:
        """Commit what is finished, in the interval, and what somebody waits for."""
        if self._in_group:
            self._commits.send(client, self._pressure.intake)

    def _look(self, client: Any) -> None:
        """Once a second, look where the partitions end, for those who watch."""
        self._polled = now = time.monotonic()
        if now < self._looked_at + _LOOK_SECONDS:
            return
        self._looked_at = now
        ends = {}
        for partition in self._pressure.intake:
            _, end = client.get_watermark_offsets(_plain(partition), cached=True)
            if end >= 0:
                ends[partition] = end
        self._ends = ends
        self._gaps.look(client)
        if self._missing and self._connection.up and now > self._look_for_missing:
            self._look_for_missing = now + NEW_PARTITIONS_SECONDS
            with contextlib.suppress(ClientError):  # no broker says; the next time
                missing = missing_topics(client, self._missing, doing="read")
                self._missing = frozenset(missing)

    def _close(self) -> None:
        try:
            self._commit(self._client)
            self._client.close()
        except (KafkaException, RuntimeError) as error:
            logger.error("The consumer did not close cleanly: %s", error)
        self._watch.close()

    # The client's news, in the thread, inside poll, consume and close.

    def _on_error(self, error: KafkaError) -> None:
        self._connection.on_error(error)
        if error.fatal():
            self._fail(client_error(error, doing="go on"))

    def _without_errors(self, messages: list[Message]) -> list[Message]:
        records, came = [], time.monotonic()
        for message in messages:
            error = message.error()
            if error is None:
                records.append(message)
            elif error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                self._topic_unknown(error)
                self._gaps.hint()
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                partition, position = self._partition(message), message.offset() or 0
                self._gaps.cross(self._client, partition, error, position, came)
            elif (
                error.fatal() or error.code() == KafkaError._FATAL or is_refusal(error)
            ):
                self._fail(client_error(error, doing="consume"))
            elif error.code() != KafkaError._PARTITION_EOF:
                logger.warning("%s", client_error(error, doing="consume"))
        return records

    def _seek(self, seek: Seek) -> None:
        """Do what was asked for by `seek`; its commit follows in the same turn."""
        partition, offset = seek.partition, seek.offset
        intake = self._pressure.intake.get(partition)
        if intake is None or intake is not seek.intake:
            self._tell(_set_exception, seek.moved, not_assigned(partition))
            return
        self._commits.rewind(partition)
        try:
            there = confluent_kafka.TopicPartition(*partition, offset)
            self._client.seek(there)
        except KafkaException:  # it has not begun to fetch
            self._gaps.go_on_at(self._client, partition, offset)
        self._pressure.begin_again(self._client, partition)
        self._tell(self._listener.on_sought, partition, offset)
        self._tell(_set_result, seek.moved, None)
        if self._in_group:
            self._commits.want(partition, offset, "", seek.committed)
        else:
            self._tell(_set_result, seek.committed, None)

    def _topic_unknown(self, error: KafkaError) -> None:
        text = error.str()
        if text not in self._unknown and not any(t in text for t in self._unknown):
            self._unknown.add(text)
            logger.warning("%s", client_error(error, doing="consume"))

    # Small things.

    def _partition(self, message: Message) -> TopicPartition:
        return self._partition_of(message.topic(), message.partition())

    def _partition_of(self, topic: Any, number: Any) -> TopicPartition:
        partition = self._partitions.get((topic, number))
        if partition is None:
            partition = TopicPartition(topic, number)
            self._partitions[topic, number] = partition
        return partition

    def _fail(self, error: ClientError) -> None:
        error.fatal = True
        self._tell(self._listener.on_error, error)

    def _tell(self, function: Callable[..., None], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # the loop is closed: the program ended without a stop
            self._closing = True


def _topic_and_partition(message: Message) -> tuple[Any, Any]:
    return message.topic(), message.partition()


def _plain(partition: TopicPartition) -> Any:
    return confluent_kafka.TopicPartition(partition.topic, partition.partition)


def _set_result(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _set_exception(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
