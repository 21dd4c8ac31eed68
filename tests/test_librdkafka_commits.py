"""`Commits`: what a consumer of librdkafka's has still to commit."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaError

from fastkafka.errors import ClientError
from fastkafka.transport.base import TopicPartition
from fastkafka.transport.librdkafka.commits import Commits

PARTITION = TopicPartition("orders", 0)
TOPIC_ID = "1T7foobxR+KRGkwxPtBFIQ"


class RecordingClient:
    """Stands for confluent-kafka's consumer; notes what it is to store and commit."""

    def __init__(self) -> None:
        self.stored: list[tuple[int, str]] = []
        self.committed: list[tuple[int, str]] = []

    def store_offsets(self, offsets: list[Any]) -> None:
        self.stored += [(p.offset, p.metadata or "") for p in offsets]

    def commit(self, offsets: list[Any], asynchronous: bool) -> list[Any]:
        self.committed += [(p.offset, p.metadata or "") for p in offsets]
        return offsets


def commits(topic_ids: dict[TopicPartition, str] | None = None) -> Commits:
    return Commits(1.0, asyncio.get_running_loop(), topic_ids or {})


async def test_who_waits_for_a_commit_hears_that_the_partition_was_given_up() -> None:
    """It was cancelled, which looked as if the one who waited was to end."""
    some, client = commits(), RecordingClient()
    waiting = asyncio.ensure_future(some.commit(PARTITION, 3, "opened"))
    await asyncio.sleep(0)
    some.store(client, {PARTITION})
    assert client.committed == [(3, "opened")]

    some.forget(PARTITION)

    with pytest.raises(ClientError) as caught:
        await waiting
    assert str(caught.value) == "orders[0]: not committed, the partition was given up."


async def test_nobody_waits_for_the_commit_of_a_partition_that_is_not_ours() -> None:
    some = commits()
    waiting = asyncio.ensure_future(some.commit(PARTITION, 3, "opened"))
    await asyncio.sleep(0)

    some.store(RecordingClient(), ())

    with pytest.raises(ClientError, match="given up"):
        await waiting


async def test_every_commit_says_for_which_topic_it_is() -> None:
    some, client = commits({PARTITION: TOPIC_ID}), RecordingClient()
    waiting = asyncio.ensure_future(some.commit(PARTITION, 3, "opened"))
    await asyncio.sleep(0)
    some.store(client, {PARTITION})
    some.finished(PARTITION, 5)
    some.store(client, {PARTITION})
    some.note(PARTITION, "noted")
    some.commit_now(client, {PARTITION})
    waiting.cancel()

    signature = f"topic={TOPIC_ID};"
    assert client.stored == [
        (3, f"{signature}opened"),
        (5, f"{signature}opened"),
        (5, f"{signature}opened"),
    ]
    assert client.committed == [(3, f"{signature}opened"), (5, f"{signature}opened")]


async def test_what_is_dropped_is_not_committed_by_the_client_either() -> None:
    """It commits what is stored, when the partition goes, by itself."""
    some, client = commits(), RecordingClient()
    some.finished(PARTITION, 5)
    some.store(client, {PARTITION})

    some.drop(client, PARTITION)
    some.commit_now(client, {PARTITION})

    assert client.stored == [(5, ""), (OFFSET_INVALID, "")]
    assert client.committed == []


async def test_what_is_finished_before_the_engine_has_heard_of_another_log_is_not() -> (
    None
):
    some, client = commits(), RecordingClient()
    some.finished(PARTITION, 3)
    some.store(client, {PARTITION})
    some.begin_anew(client, PARTITION)
    some.pin(client, PARTITION, 0)

    some.finished(PARTITION, 5)
    some.note(PARTITION, "of the old one")
    with pytest.raises(ClientError, match="given up"):
        await some.commit(PARTITION, 5, "of the old one")
    some.store(client, {PARTITION})
    assert client.committed == [(0, "")]

    some.reopen(PARTITION)
    some.finished(PARTITION, 1)
    some.store(client, {PARTITION})
    assert client.stored[-1] == (1, "")


@pytest.mark.parametrize(
    ("code", "then"),
    [
        (KafkaError.NOT_COORDINATOR, "The offsets go with the next commit."),
        (
            KafkaError.UNKNOWN_TOPIC_OR_PART,
            "The topic is not there, so nobody keeps these offsets. If it is made "
            "again, `on_gap` decides where the group goes on.",
        ),
    ],
)
async def test_a_failed_commit_says_what_becomes_of_the_offsets(
    code: int, then: str, caplog: pytest.LogCaptureFixture
) -> None:
    commits().on_failure(KafkaError(code))
    [said] = caplog.messages
    assert said.endswith(then)
