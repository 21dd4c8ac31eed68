"""Which topic a name means at the moment: ids tell one that was made again (KIP-516).

Only admin clients of confluent-kafka learn ids, so there is one beside a consumer: one
request every `LOOK_SECONDS`, and one for each assignment and revoke. It is a help that
nothing depends on: where ids are not told (the embedded broker, a user who may not
describe a topic) offsets are taken by the topic's name alone.
"""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Collection, Mapping
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from fastkafka.errors import ConfigError
from fastkafka.transport.base import TopicPartition
from fastkafka.transport.librdkafka.connection import (
    REQUEST_SECONDS,
    connecting,
    is_refusal,
    logger,
    make_client,
)

LOOK_SECONDS = 10.0
"""How often ids are looked at without a reason."""

WAIT_SECONDS = 0.8
"""How long the poll thread waits for ids at most; without them it goes on."""

_FRESH_SECONDS = 0.5

_NO_ID = "A" * 22
"""Zeros: what brokers say that are older than ids (2.8)."""


class TopicWatch:
    """The ids of a consumer's topics. Only the poll thread calls it.

    Args:
        config: The consumer's configuration, by librdkafka's names.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.ours: dict[TopicPartition, str] = {}
        """Which topic the offsets of a partition are of, as far as it is known."""
        self._config = connecting(config)
        self._admin: Any = None
        self._asked: Mapping[str, concurrent.futures.Future[Any]] = {}
        self._now: Mapping[TopicPartition, str] = {}
        """The last answer, of each partition that exists and has a leader."""
        self._gone: set[str] = set()
        self._sent = self._answer_of = self._next = self._silent_until = 0.0
        """When the last request was sent, and when the last that was answered."""
        self._off = self._said = False

    def off(self) -> None:
        """Ask for nothing: this broker has no ids."""
        self._off = True

    def hint(self) -> None:
        """Look soon: a topic may have been deleted, or is new here."""
        self._next = 0.0

    def ask(self, topics: Collection[str], *, since: float | None = None) -> None:
        """Look at this moment, and wait for the answer up to `WAIT_SECONDS`.

        Who has just let us wait in vain is not waited for again: hundreds of partitions
        may ask one after the other.

        Args:
            topics: Which.
            since: What was asked later than this is new enough, by `time.monotonic`;
                default: what was asked in the last `_FRESH_SECONDS`.
        """
        now = time.monotonic()
        if self._is_fresh(topics, now - _FRESH_SECONDS if since is None else since):
            return
        self._now = {}
        if now < self._silent_until:
            return
        self._send(topics)
        concurrent.futures.wait(self._asked.values(), WAIT_SECONDS)
        if self._asked and not self._take_answer():
            self._silent_until = time.monotonic() + LOOK_SECONDS

    def look(self, topics: Collection[str]) -> bool:
        """Return whether an answer came; ask for the next one when it is time."""
        if self._admin is not None:
            self._admin.poll(0)  # its log lines and callbacks
        answered = self._take_answer()
        if not self._asked and topics and time.monotonic() >= self._next:
            self._send(topics)
        return answered

    def differs(self, partition: TopicPartition, of: str | None) -> bool:
        """Whether a partition belongs to a topic that was made in another's place.

        Brokers learn of a new topic one after the other, so what is known to be gone is
        not believed, nor is what was known before a commit said something newer.

        Args:
            partition: Which one.
            of: The id of the topic that its offsets are of; None is not known.
        """
        now = self._now.get(partition)
        if now is None or of is None or now == of:
            return False
        older = now == self.ours.get(partition) and of not in self._gone
        return not (older or now in self._gone)

    def take(self, partition: TopicPartition, of: str | None) -> bool:
        """Take note which topic a partition belongs to; return whether it `differs`."""
        differs = self.differs(partition, of)
        if differs and of is not None:
            self._gone.add(of)
            of = None
        now = of or self._now.get(partition)
        if now is not None:
            self.ours[partition] = now
        return differs

    def close(self) -> None:
        """Let the client go."""
        self._off, self._admin, self._asked = True, None, {}

    def _is_fresh(self, topics: Collection[str], since: float) -> bool:
        """Whether the last answer was asked for since then, and for these topics."""
        return self._answer_of >= since and {p.topic for p in self._now}.issuperset(
            topics
        )

    def _send(self, topics: Collection[str]) -> None:
        if self._off:
            return
        self._sent = time.monotonic()
        self._next = self._sent + LOOK_SECONDS
        try:
            if self._admin is None:
                self._admin = make_client(AdminClient, self._config)
            self._asked = self._admin.describe_topics(
                TopicCollection(sorted(topics)), request_timeout=REQUEST_SECONDS
            )
        except (ConfigError, KafkaException) as refused:
            self._say_once(refused)
            self._off = True

    def _take_answer(self) -> bool:
        """Take the answer if there is one; it has not come while a part is missing."""
        if not self._asked or not all(f.done() for f in self._asked.values()):
            return False
        now = {}
        for topic, asked in self._asked.items():
            try:
                found = asked.result()
            except KafkaException as failed:
                if is_refusal(failed.args[0]):
                    self._say_once(failed)
                continue  # it is gone, or nobody says
            topic_id = str(found.topic_id)
            for partition in found.partitions:
                if partition.leader is not None and topic_id != _NO_ID:
                    now[TopicPartition(topic, partition.id)] = topic_id
        self._asked, self._now, self._answer_of = {}, now, self._sent
        self._silent_until = 0.0
        return True

    def _say_once(self, error: Exception) -> None:
        if not self._said:
            self._said = True
            logger.debug("The ids of topics are not told: %s", error)
