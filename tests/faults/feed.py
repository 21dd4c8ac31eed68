"""A producer that remembers what was acknowledged, and nothing else."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Message, Producer

from tests.faults.ledger import Place
from tests.faults.rules import Acknowledged

KEYS = 60


class Feed:
    """Sends records to one topic, all acknowledged by all in-sync replicas.

    Args:
        servers: Where.
        topic: To which topic.
        settings: More of the client's settings.

    Attributes:
        keys: How many different ones there are, one after another.
        acknowledged: What is safe.
        refused: What is not, and why.
        client: The producer, for transactions.
    """

    def __init__(
        self, servers: str, topic: str, settings: Mapping[str, Any] | None = None
    ) -> None:
        self.topic = topic
        self.keys = KEYS
        self.acknowledged: list[Acknowledged] = []
        self.refused: list[str] = []
        self._next = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.client = Producer(
            {
                "bootstrap.servers": servers,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 5,
                "socket.timeout.ms": 10_000,
                "message.max.bytes": 10_000_000,
                "partitioner": "murmur2_random",
                "log_level": 0,
                **(settings or {}),
            }
        )

    def send(
        self, *orders: Mapping[str, Any], key: str | None = None, partition: int = -1
    ) -> None:
        """Queue a record for each of *orders*, what the app's handler gets."""
        for order in orders:
            self.send_raw(None, key=key, partition=partition, order=order)

    def send_raw(
        self,
        value: bytes | None,
        *,
        key: str | None = None,
        partition: int = -1,
        order: Mapping[str, Any] | None = None,
    ) -> None:
        """Queue one record, whatever its bytes."""
        with self._lock:
            sequence, self._next = self._next, self._next + 1
        key = f"key-{sequence % self.keys}" if key is None else key
        if value is None:
            value = json.dumps({"sequence": sequence, **(order or {})}).encode()

        def delivered(error: Any, message: Message) -> None:
            if error is not None:
                self.refused.append(f"{sequence}: {error.str()}")
                return
            partition, offset = message.partition(), message.offset()
            if partition is None or offset is None:
                # librdkafka took "I know that sequence number" for success.
                self.refused.append(f"{sequence}: acknowledged without an offset")
                return
            place = Place(self.topic, partition, offset)
            self.acknowledged.append(Acknowledged(place, key, sequence))

        while True:
            try:
                self.client.produce(
                    self.topic, value, key, partition, on_delivery=delivered
                )
            except BufferError:
                self.client.poll(0.1)
            else:
                break
        self.client.poll(0)

    def start(self, rate: float, order: Mapping[str, Any] | None = None) -> None:
        """Send *rate* records each second until `stop`, in a thread."""

        self._stop.clear()

        def run() -> None:
            due = time.monotonic()
            while not self._stop.is_set():
                self.send(order or {})
                due += 1 / rate
                wait = due - time.monotonic()
                if wait > 0:
                    self.client.poll(min(wait, 0.05))
                    self._stop.wait(max(0.0, due - time.monotonic()))

        self._thread = threading.Thread(target=run, name="feed", daemon=True)
        self._thread.start()

    def stop(self, seconds: float = 120) -> None:
        """Send no more; wait for what is out."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(30)
            self._thread = None
        left = self.client.flush(seconds)
        if left:
            self.refused.append(f"{left} records without an answer")

    def flush(self, seconds: float = 60) -> None:
        """Wait until everything sent so far is acknowledged."""
        self.client.flush(seconds)
