"""What `check` finds in an app itself: settings that contradict each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fastkafka import settings as client_settings
from fastkafka.app import FastKafka
from fastkafka.routing import Handler
from fastkafka.tools.findings import Finding, spoken
from fastkafka.tools.limits import retry_seconds
from fastkafka.tools.topics import AppTopic, TopicReader, TopicWriter


def declaration_findings(
    app: FastKafka, topics: Sequence[AppTopic]
) -> Iterator[Finding]:
    """Yield what contradicts itself in the app."""
    for remark in client_settings.remarks(app._settings):
        yield Finding("note", "the app", remark, "Remove it.")
    seen: set[int] = set()
    for topic in topics:
        for reader in topic.readers:
            if topic.source is not None:
                yield _reads_its_dead_letters(topic, reader)
            if id(reader.handler) not in seen:
                seen.add(id(reader.handler))
                yield from _of_reader(app, reader)
        for writer in topic.writers:
            yield from _of_writer(writer)


def _reads_its_dead_letters(topic: AppTopic, reader: TopicReader) -> Finding:
    assert topic.source is not None
    return Finding(
        "note",
        f"`{reader.name}`",
        f"It reads the dead letters of {topic.source.name!r}.",
        "What it handles stays parked for `fastkafka dlt`, which keeps an account of "
        "its own.",
    )


def _of_reader(app: FastKafka, reader: TopicReader) -> Iterator[Finding]:
    handler, config = reader.handler, reader.config
    who = f"`{reader.name}`"
    waits = retry_seconds(handler.retry)
    poll = int(config.get("max.poll.interval.ms", 300_000)) / 1000
    if app.revoke_timeout > poll:
        yield Finding(
            "error",
            who,
            f"`revoke_timeout` is {app.revoke_timeout:g} s, more than "
            f"`max_poll_interval_ms`, {poll:g} s: who waits that long in a rebalance "
            "is thrown out of the group.",
            "Lower the one or raise the other.",
        )
    if handler.timeout is not None and handler.timeout > app.shutdown_timeout:
        yield Finding(
            "warning",
            who,
            f"`handler_timeout` is {handler.timeout:g} s, more than "
            f"`shutdown_timeout`, {app.shutdown_timeout:g} s: a stop cuts off "
            "a long call, and its record is handled again.",
            f"Raise `shutdown_timeout` to {handler.timeout + 5:g}, or lower the other.",
        )
    if handler.order == "partition" and waits > 300:
        yield Finding(
            "warning",
            who,
            f"A record that fails is retried for up to {spoken(waits)}, and with "
            "`order='partition'` its whole partition waits.",
            "Use `order='key'`, so that only its key waits, or fewer or shorter "
            "retries.",
        )
    if _concurrency_is_idle(handler):
        yield Finding(
            "note",
            who,
            f"`concurrency={handler.route.concurrency}` has no effect on an async "
            "function with `order='partition'`, where a partition is one after "
            "another.",
            "Write `order='key'` or `order='none'`, or remove it.",
        )
    if reader.group is None and reader.parks:
        yield Finding(
            "note",
            who,
            "It has no group, so every worker reads every record, and every worker "
            "parks what fails.",
            "Nothing has to be done, if that is what it is for; else set `group_id`.",
        )
    for remark in client_settings.remarks(handler.route.settings):
        yield Finding("note", who, remark, "Remove it.")


def _concurrency_is_idle(handler: Handler) -> bool:
    return (
        handler.order == "partition"
        and (handler.route.concurrency or 1) > 1
        and handler.route.plan.is_async
    )


def _of_writer(writer: TopicWriter) -> Iterator[Finding]:
    if acks_of(writer.config) == "0":
        yield Finding(
            "warning",
            f"`{writer.name}`",
            "`acks=0`: nobody acknowledges what it sends, so it counts as sent when it "
            "has left this process, and an input is committed although its output may "
            "be lost.",
            "Remove `acks`, which is 'all' by default.",
        )


def acks_of(config: Mapping[str, object]) -> str:
    """Return who has a record before it counts as sent: "all", "1" or "0"."""
    acks = str(config.get("acks", "all"))
    return "all" if acks == "-1" else acks
