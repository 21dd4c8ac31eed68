"""`TopicWatch`: whether a topic was made again, from what brokers tell of ids."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicCollection

from fastkafka.transport.base import TopicPartition
from fastkafka.transport.librdkafka.topic_watch import TopicWatch

PARTITION = TopicPartition("orders", 0)


class Admin:
    """Stands for confluent-kafka's; tells what it is given to tell."""

    def __init__(self, told: Mapping[int, str] | KafkaException) -> None:
        self.told = told
        self.asked = 0

    def describe_topics(
        self, topics: TopicCollection, request_timeout: float
    ) -> Mapping[str, Future[Any]]:
        self.asked += 1
        answer: Future[Any] = Future()
        if isinstance(self.told, KafkaException):
            answer.set_exception(self.told)
            return {"orders": answer}
        partitions = [SimpleNamespace(id=p, leader="a node") for p in self.told]
        [topic_id] = set(self.told.values())
        answer.set_result(SimpleNamespace(topic_id=topic_id, partitions=partitions))
        return {"orders": answer}

    def poll(self, timeout: float) -> None: ...


class Silent(Admin):
    """One that does not answer."""

    answers: list[Future[Any]]

    def describe_topics(
        self, topics: TopicCollection, request_timeout: float
    ) -> Mapping[str, Future[Any]]:
        self.asked += 1
        self.answers = [Future()]
        return {"orders": self.answers[0]}


def watch_of(told: Mapping[int, str] | KafkaException) -> tuple[TopicWatch, Admin]:
    watch, admin = TopicWatch({}), Admin(told)
    watch._admin = admin
    watch.ask(["orders"])
    return watch, admin


def tell(watch: TopicWatch, told: str) -> None:
    watch._now = {PARTITION: told}


def test_a_commit_of_another_topic_is_told_from_one_of_this_topic() -> None:
    watch, _ = watch_of({0: "new"})

    assert watch.take(PARTITION, "old")
    assert watch.ours[PARTITION] == "new"
    assert not watch.take(PARTITION, "new")


def test_an_offset_without_an_id_is_taken_for_one_of_the_topic_that_is_there() -> None:
    watch, _ = watch_of({0: "new"})

    assert not watch.take(PARTITION, None)
    assert watch.ours[PARTITION] == "new"


def test_a_broker_that_is_late_does_not_bring_the_old_topic_back() -> None:
    watch, _ = watch_of({0: "new"})
    watch.take(PARTITION, "old")

    tell(watch, "old")

    assert not watch.take(PARTITION, "new")
    assert watch.ours[PARTITION] == "new"


def test_a_commit_that_says_something_newer_than_a_late_broker_is_believed() -> None:
    watch, _ = watch_of({0: "old"})
    watch.take(PARTITION, None)

    assert not watch.take(PARTITION, "new")
    assert watch.ours[PARTITION] == "new"


def test_a_commit_of_what_is_known_to_be_gone_is_not_newer() -> None:
    watch, _ = watch_of({0: "new"})
    watch.take(PARTITION, "old")

    assert watch.take(PARTITION, "old")


def test_a_partition_that_the_new_topic_has_not_is_left_as_it_is() -> None:
    watch, _ = watch_of({1: "new"})

    assert not watch.take(PARTITION, "old")
    assert watch.ours[PARTITION] == "old"


def test_zeros_are_no_id() -> None:
    watch, _ = watch_of({0: "A" * 22})

    assert not watch.take(PARTITION, "old")


def test_a_refusal_is_said_once_and_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refusal = KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    with caplog.at_level(logging.DEBUG, "fastkafka.transport"):
        watch, admin = watch_of(refusal)
        watch.ask(["orders"])

    assert admin.asked == 2
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("The ids of topics are not told: ")
    assert not watch.take(PARTITION, "old")


def test_it_is_asked_no_more_often_than_it_is_time_unless_there_is_a_hint() -> None:
    watch, admin = watch_of({0: "new"})

    assert not watch.look(["orders"])
    assert admin.asked == 1
    watch.hint()
    assert not watch.look(["orders"])
    assert watch.look(["orders"])
    assert admin.asked == 2


def test_an_answer_from_before_a_gap_says_nothing_about_it() -> None:
    """A topic was made again within half a second of the last look at it."""
    watch, admin = watch_of({0: "old"})
    watch.take(PARTITION, None)
    admin.told = {0: "new"}

    gap = time.monotonic()
    watch.ask(["orders"], since=gap)
    assert watch.differs(PARTITION, "old")
    assert admin.asked == 2

    watch.ask(["orders"], since=gap)
    assert admin.asked == 2, "of all partitions with a gap one asks"


def test_who_has_just_not_answered_is_not_waited_for_by_every_partition() -> None:
    watch, admin = TopicWatch({}), Silent({0: "new"})
    watch._admin = admin
    for _ in range(100):
        watch.ask(["orders"])

    assert admin.asked == 1
    assert not watch.take(PARTITION, "old")

    admin.answers[0].set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
    assert watch.look(["orders"])
    watch.ask(["orders"])
    assert admin.asked == 2


def test_nobody_asks_a_broker_that_has_no_ids() -> None:
    watch, admin = TopicWatch({}), Admin({0: "new"})
    watch._admin = admin
    watch.off()

    watch.ask(["orders"])
    watch.hint()

    assert not watch.look(["orders"])
    assert admin.asked == 0
