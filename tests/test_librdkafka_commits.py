"""`Commits`: what a consumer of librdkafka's has still to commit."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from confluent_kafka import KafkaError

from fastkafka.errors import ClientError
from fastkafka.transport.base import TopicPartition
from fastkafka.transport.librdkafka import commits as module
from fastkafka.transport.librdkafka.commits import Commits

PARTITION, OTHER = TopicPartition("orders", 0), TopicPartition("orders", 1)
TOPIC_ID = "1T7foobxR+KRGkwxPtBFIQ"


class RecordingClient:
    """Stands for confluent-kafka's consumer: notes commits; `answer` answers one."""

    def __init__(self) -> None:
        self.committed: list[tuple[int, str]] = []
        self.unanswered: list[list[Any]] = []

    def commit(self, offsets: list[Any], asynchronous: bool) -> list[Any]:
        self.committed += [(p.offset, p.metadata or "") for p in offsets]
        if asynchronous:
            self.unanswered.append(offsets)
        return offsets

    def answer(self, some: Commits, error: KafkaError | None = None) -> None:
        some.on_commit(error, self.unanswered.pop(0))


def commits(topic_ids: dict[TopicPartition, str] | None = None) -> Commits:
    return Commits(0.0, asyncio.get_running_loop(), topic_ids or {})


async def test_who_waits_for_a_commit_hears_that_the_partition_was_given_up() -> None:
    """It was cancelled, which looked as if the one who waited was to end."""
    some, client = commits(), RecordingClient()
    waiting = asyncio.ensure_future(some.commit(PARTITION, 3, "opened"))
    await asyncio.sleep(0)
    some.send(client, {PARTITION})
    assert client.committed == [(3, "opened")]

    some.forget(PARTITION)

    with pytest.raises(ClientError) as caught:
        await waiting
    assert str(caught.value) == "orders[0]: not committed, the partition was given up."


async def test_nobody_waits_for_the_commit_of_a_partition_that_is_not_ours() -> None:
    some = commits()
    waiting = asyncio.ensure_future(some.commit(PARTITION, 3, "opened"))
    await asyncio.sleep(0)

    some.send(RecordingClient(), ())

    with pytest.raises(ClientError, match="given up"):
        await waiting


async def test_every_commit_says_for_which_topic_it_is() -> None:
    some, client = commits({PARTITION: TOPIC_ID}), RecordingClient()
    waiting = asyncio.ensure_future(some.commit(PARTITION, 3, "opened"))
    await asyncio.sleep(0)
    some.send(client, {PARTITION})
    client.answer(some)
    some.finished(PARTITION, 5)
    some.send(client, {PARTITION})
    some.note(PARTITION, "noted")
    some.send(client, {PARTITION})
    some.commit_now(client, {PARTITION})
    await waiting

    signature = f"topic={TOPIC_ID};"
    assert client.committed == [
        (3, f"{signature}opened"),
        (5, f"{signature}opened"),
        (5, f"{signature}noted"),
    ]


async def test_c_of_a_partition_one_commit_is_on_its_way_at_a_time() -> None:
    """Of two that are sent again, the older came last: the offset moved backward."""
    some, client = commits(), RecordingClient()
    some.finished(PARTITION, 3)
    some.send(client, {PARTITION, OTHER})
    some.finished(PARTITION, 5)
    some.finished(OTHER, 1)
    some.send(client, {PARTITION, OTHER})
    assert client.committed == [(3, ""), (1, "")], "the other has none on its way"

    some.finished(PARTITION, 7)
    some.send(client, {PARTITION, OTHER})
    assert client.committed == [(3, ""), (1, "")]

    client.answer(some)
    some.send(client, {PARTITION, OTHER})
    assert client.committed == [(3, ""), (1, ""), (7, "")]


async def test_what_somebody_waits_for_waits_for_the_commit_on_its_way() -> None:
    some, client = commits(), RecordingClient()
    some.finished(PARTITION, 3)
    some.send(client, {PARTITION})
    waiting = asyncio.ensure_future(some.commit(PARTITION, 5, "noted"))
    await asyncio.sleep(0)
    some.send(client, {PARTITION})
    assert client.committed == [(3, "")]

    client.answer(some)
    some.send(client, {PARTITION})
    assert client.committed == [(3, ""), (5, "noted")]
    client.answer(some)
    await waiting


async def test_a_commit_that_is_never_answered_does_not_end_them_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    some, client = commits(), RecordingClient()
    some.finished(PARTITION, 3)
    some.send(client, {PARTITION})

    some.finished(PARTITION, 5)
    some.send(client, {PARTITION})

    assert client.committed == [(3, ""), (5, "")]


async def test_an_older_commit_that_is_answered_last_is_put_right() -> None:
    some, client = commits(), RecordingClient()
    for offset in (3, 5):
        some.finished(PARTITION, offset)
        some.send(client, {PARTITION})
        some.on_commit(None, client.unanswered[-1])

    client.answer(some)  # the first one once more: it was sent again
    some.send(client, {PARTITION})

    assert client.committed == [(3, ""), (5, ""), (5, "")]


async def test_what_could_not_be_committed_goes_with_the_next_commit() -> None:
    some, client = commits(), RecordingClient()
    some.finished(PARTITION, 3)
    some.send(client, {PARTITION})
    client.answer(some, KafkaError(KafkaError.NOT_COORDINATOR))
    assert some.failing_since is not None

    some.send(client, {PARTITION})
    client.answer(some)

    assert client.committed == [(3, ""), (3, "")]
    assert (some.failed, some.succeeded) == (1, 1)
    assert not some.failing_since


async def test_nothing_of_a_partition_that_was_given_up_is_committed() -> None:
    some, client = commits(), RecordingClient()
    some.finished(PARTITION, 5)
    some.send(client, {PARTITION})
    client.answer(some, KafkaError(KafkaError.ILLEGAL_GENERATION))

    some.forget(PARTITION)
    some.send(client, ())
    some.commit_now(client, {PARTITION})

    assert client.committed == [(5, "")]


async def test_what_is_finished_before_the_engine_has_heard_of_another_log_is_not() -> (
    None
):
    some, client = commits(), RecordingClient()
    some.finished(PARTITION, 3)
    some.send(client, {PARTITION})
    some.begin_anew(PARTITION)
    some.pin(client, PARTITION, 0)

    some.finished(PARTITION, 5)
    some.note(PARTITION, "of the old one")
    with pytest.raises(ClientError, match="given up"):
        await some.commit(PARTITION, 5, "of the old one")
    some.send(client, {PARTITION})
    assert client.committed == [(3, ""), (0, "")]

    some.reopen(PARTITION)
    some.finished(PARTITION, 1)
    some.on_commit(None, client.unanswered[-1])
    some.send(client, {PARTITION})
    assert client.committed[-1] == (1, "")


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
