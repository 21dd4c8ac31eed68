"""A produced value to records, and who waits for their acknowledgement.

Inside a handler nobody waits: the record is counted in the lane's delivery scope, and
the input is committed only when it is acknowledged. Everywhere else an async producer
waits itself, and a sync one, which cannot, logs what was refused.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Iterable, Iterator
from functools import partial
from types import GeneratorType, NoneType
from typing import Any

from pydantic import ValidationError

from fastkafka import codecs
from fastkafka.engine.delivery import DeliveryScope, Failure, current_outbox
from fastkafka.errors import ProduceError
from fastkafka.messages import KafkaEvent
from fastkafka.observe.events import Delivered, Tracer
from fastkafka.observe.snapshot import Producing
from fastkafka.routing import ProducerRoute
from fastkafka.transport.base import Headers, Producer

logger = logging.getLogger(__name__)

_Sent = tuple[bytes | None, bytes | None, Headers | None, int, int]
"""Value, key, headers, partition (-1 is open) and timestamp (0 is now) of a record."""

_SEVERAL_MESSAGES = (list, GeneratorType)
_NOT_ONE_MESSAGE: frozenset[Any] = frozenset(
    (list, GeneratorType, KafkaEvent, NoneType)
)


class Sender:
    """Sends what one producing function returns.

    Args:
        route: The function, its topic and its encoder.
        producer: Through what.
        tracer: Sees the headers of each record.
        name: What its snapshot calls it; default: the function's name.
    """

    def __init__(
        self,
        route: ProducerRoute,
        producer: Producer,
        tracer: Tracer | None = None,
        *,
        name: str | None = None,
    ) -> None:
        self.route = route
        self._name = name or route.name
        self.sent = 0
        """Records handed to the producer."""
        self._tracer = tracer
        self._topic = route.topic
        self._producer = producer
        self._hand_over = producer.send
        if tracer is not None:
            self._hand_over = partial(_measured, tracer, producer)
        self._encode_message = route.encode

    def send(self, value: Any) -> None:
        """Send without waiting for the acknowledgement.

        In a worker thread it waits for room in the producer's queue. On the event loop
        it cannot; there the lane waits before it handles the next record.

        Raises:
            ProduceError: A message cannot be encoded, or is too large.
        """
        outbox = current_outbox.get()
        scope = None if outbox is None else outbox.scope
        if outbox is None or scope is None:
            self._send_unawaited(value)
            return
        if outbox.sender is not self:
            outbox.sender = self
            outbox.topics.add(self._topic)
        if value.__class__ in _NOT_ONE_MESSAGE or self._tracer is not None:
            full = self._send_counted(value, scope, outbox.index)
        else:  # the same, in fewer steps: almost every call ends here
            try:
                encoded = self._encode_message(value)
            except Exception as error:  # noqa: BLE001 - whatever an encoder raises
                raise self._unfit(value, error) from _cause(error)
            delivered = scope.expect(outbox.index, self._producer)
            try:
                full = self._hand_over(
                    self._topic, encoded, None, None, -1, 0, delivered
                )
            except BaseException:
                scope.withdraw()
                raise
            self.sent += 1
        if full:
            outbox.congested, outbox.cut = self._producer, True
            self._wait_in_thread()

    def _send_unawaited(self, value: Any) -> None:
        """Send what nobody waits for: a refusal is logged."""
        unawaited, full = partial(self._log_refused, self._producer), False
        for record in self._records(value):
            full = self._hand_over(self._topic, *record, unawaited)
            self.sent += 1
        if full:
            self._wait_in_thread()

    async def send_and_wait(self, value: Any) -> None:
        """Send, and wait for the acknowledgement where nobody else would.

        Raises:
            ProduceError: A message cannot be encoded, or the broker did not
                acknowledge it.
        """
        producer = self._producer
        if producer.full:
            await producer.room()
        confirm = self.route.confirm
        outbox = current_outbox.get()
        scope = None if outbox is None else outbox.scope
        if confirm is False or (scope is not None and not confirm):
            self.send(value)
            return
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[Failure]] = loop.create_future()

        def settled(failures: list[Failure]) -> None:
            if not done.done():
                done.set_result(failures)

        own = DeliveryScope(loop)
        try:
            self._send_counted(value, own, 0)
        finally:
            own.close(settled)
        for _, error, record, refusing in await done:
            raise refusing.explain(error, record)

    def _send_counted(self, value: Any, scope: DeliveryScope, index: int) -> bool:
        """Send, counted in a scope; return whether the producer is full now."""
        producer, topic, full = self._producer, self._topic, False
        for record in self._records(value):
            delivered = scope.expect(index, producer)
            try:
                full = self._hand_over(topic, *record, delivered)
            except BaseException:
                scope.withdraw()
                raise
            self.sent += 1
        return full

    def snapshot(self) -> Producing:
        """Return what was produced with it."""
        state = self._producer.state()
        return Producing(
            self._name,
            self._topic,
            sent=self.sent,
            failed=state.refused.get(self._topic, 0),
            queued=state.queued,
        )

    def _records(self, value: Any) -> Iterable[_Sent]:
        """Turn what the function returned into records.

        Raises:
            ProduceError: A message cannot be encoded, or a tombstone has no key.
        """
        records = self._untraced(value)
        return records if self._tracer is None else self._traced(self._tracer, records)

    def _traced(self, tracer: Tracer, records: Iterable[_Sent]) -> Iterator[_Sent]:
        for value, key, headers, partition, timestamp in records:
            own = tracer.sending(self._topic, headers)
            yield value, key, own, partition, timestamp

    def _untraced(self, value: Any) -> Iterable[_Sent]:
        if value.__class__ not in _NOT_ONE_MESSAGE:
            return ((self._encode(value), None, None, -1, 0),)
        if value is None:
            return ()
        if isinstance(value, KafkaEvent):
            if value.message.__class__ not in _SEVERAL_MESSAGES:
                return (self._event(value),)
            return self._several(value.message, value)
        return self._several(value, None)

    def _several(
        self, values: Iterable[Any], event: KafkaEvent[Any] | None
    ) -> Iterator[_Sent]:
        """Make one record of each value; what *event* says holds for each of them."""
        for value in values:
            if event is None or isinstance(value, KafkaEvent):
                yield from self._untraced(value)
            else:
                yield self._event(dataclasses.replace(event, message=value))

    def _event(self, event: KafkaEvent[Any]) -> _Sent:
        if event.message is None and event.key is None:
            raise ProduceError(
                f"`{self.route.name}` returned a tombstone without a key for "
                f"'{self._topic}'. A tombstone deletes a key: "
                "write `KafkaEvent(None, key=...)`.",
                code="_INVALID_ARG",
                topic=self._topic,
            )
        return (
            None if event.message is None else self._encode(event.message),
            event.key,
            event.headers,
            -1 if event.partition is None else event.partition,
            event.timestamp or 0,
        )

    def _encode(self, message: Any) -> bytes | None:
        try:
            return self._encode_message(message)
        except Exception as error:  # noqa: BLE001 - whatever an encoder raises
            raise self._unfit(message, error) from _cause(error)

    def _unfit(self, message: Any, error: Exception) -> ProduceError:
        return ProduceError(
            f"`{self.route.name}` returned a `{type(message).__name__}` that "
            f"{_does_not_fit(self.route.message)} of '{self.route.topic}': "
            f"{codecs.describe(error)}.",
            code="_VALUE_SERIALIZATION",
            topic=self.route.topic,
        )

    def _wait_in_thread(self) -> None:
        """Wait for room, unless this is the event loop's thread."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._producer.wait_for_room()

    def _log_refused(self, producer: Producer, error: Any, record: Any) -> None:
        if error is not None:
            logger.error("%s", producer.explain(error, record))


def _cause(error: Exception) -> Exception | None:
    """Return an encoder's error, unless the sentence about it has all that it says."""
    return None if isinstance(error, ValidationError) else error


def _does_not_fit(declared: Any) -> str:
    if declared is Any:
        return "cannot be encoded as a message"
    return f"is not the message {codecs.json.type_name(declared)}"


def _measured(
    tracer: Tracer,
    producer: Producer,
    topic: str,
    value: bytes | None,
    key: bytes | None,
    headers: Headers | None,
    partition: int,
    timestamp: int,
    delivered: Delivered,
    /,
) -> bool:
    """Hand a record over whose acknowledgement a tracer waits for, too."""
    delivered = tracer.delivering(topic, delivered)
    return producer.send(topic, value, key, headers, partition, timestamp, delivered)
