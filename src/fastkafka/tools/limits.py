"""What `check` finds about sizes of records and about how long they are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fastkafka.policies import Retry
from fastkafka.tools.findings import Finding, spoken
from fastkafka.tools.topics import AppTopic

Settings = Mapping[str, str] | None
"""A topic's settings by Kafka's names; None where nobody may tell."""

_HEADERS = 20_000
"""Bytes that a dead letter's headers may need: a stack trace and a few names."""

_CLIENT_LIMIT = 1_000_000
"""librdkafka's own `message.max.bytes`."""


def size_findings(
    topic: AppTopic, settings: Settings, source: Settings
) -> Iterator[Finding]:
    """Yield what is too large for somewhere.

    Args:
        topic: Which.
        settings: Its own.
        source: Those of the topic whose dead letters it holds, if it does.
    """
    limit = _number(settings, "max.message.bytes")
    if limit is None:
        return
    for writer in topic.writers:
        most = int(writer.config.get("message.max.bytes", _CLIENT_LIMIT))
        if most > limit:
            yield Finding(
                "warning",
                topic.name,
                f"It takes {limit:,} bytes (max.message.bytes), but `{writer.name}` "
                f"may send batches of {most:,}: a batch above the limit is refused as "
                "a whole, and its records are sent again one by one.",
                f"Write `max_request_size={limit}` in its decorator, or raise the "
                f"topic's limit: {altering(topic, 'max.message.bytes', most + 1000)}.",
            )
    of_source = _number(source, "max.message.bytes")
    if of_source is None:
        return
    if limit < of_source:
        yield Finding(
            "error",
            topic.name,
            f"It takes {limit:,} bytes (max.message.bytes), but the topic whose dead "
            f"letters it holds takes {of_source:,}: a large record that fails cannot "
            "be parked, and its partition waits.",
            f"{altering(topic, 'max.message.bytes', of_source + _HEADERS)}.",
        )


def time_findings(
    topic: AppTopic, settings: Settings, source: Settings, offsets_kept: str | None
) -> Iterator[Finding]:
    """Yield what is deleted before it is needed.

    Args:
        topic: Which.
        settings: Its own.
        source: Those of the topic whose dead letters it holds, if it does.
        offsets_kept: The broker's offsets.retention.minutes.
    """
    kept = _retention(settings)
    for reader in topic.readers:
        waits = retry_seconds(reader.handler.retry)
        if kept is not None and waits > kept:
            yield Finding(
                "error",
                topic.name,
                f"It keeps records for {spoken(kept)} (retention.ms), but "
                f"`{reader.name}` retries one for up to {spoken(waits)}: what waits "
                "behind it may be deleted before it is read.",
                "Use fewer or shorter retries, or keep records longer: "
                f"{altering(topic, 'retention.ms', int(waits * 3) * 1000)}.",
            )
    if topic.source is None:
        return
    of_source = _retention(source)
    if kept is not None and (of_source is None or kept < of_source):
        longer = "for ever" if of_source is None else f"for {spoken(of_source)}"
        yield Finding(
            "warning",
            topic.name,
            f"Dead letters are deleted after {spoken(kept)} (retention.ms), whether "
            f"anybody has looked at them or not; the topic that they came from "
            f"keeps its records {longer}.",
            f"{altering(topic, 'retention.ms', -1)} keeps them until they are handled.",
        )
    minutes = None if offsets_kept is None else float(offsets_kept)
    if minutes is not None and (kept is None or kept > minutes * 60):
        yield Finding(
            "note",
            topic.name,
            "What was replayed or dismissed is remembered in committed offsets, which "
            f"the broker forgets {spoken(minutes * 60)} after the last one "
            "(offsets.retention.minutes); dead letters that are still there then count "
            "as parked again.",
            "Raise offsets.retention.minutes on the brokers, or keep dead letters no "
            f"longer: {altering(topic, 'retention.ms', int(minutes * 60_000))}.",
        )


def altering(topic: AppTopic, name: str, value: int | str) -> str:
    """Return the command that changes a topic's setting."""
    return (
        f"`kafka-configs.sh --alter --topic {topic.name} --add-config {name}={value} "
        f"--bootstrap-server {topic.servers}`"
    )


def retry_seconds(retry: Retry) -> float:
    """Return for how long at most a record is retried, the calls not counted."""
    attempts = min(retry.attempts, 100_000)
    return sum(retry.wait_after(attempt, 1.0) for attempt in range(1, attempts))


def _retention(settings: Settings) -> float | None:
    """Return for how many seconds records are kept; None for ever, or nobody knows."""
    if settings is None or "delete" not in settings.get("cleanup.policy", "delete"):
        return None
    milliseconds = _number(settings, "retention.ms")
    if milliseconds is None or milliseconds < 0:
        return None
    return milliseconds / 1000


def _number(settings: Settings, name: str) -> int | None:
    text = None if settings is None else settings.get(name)
    return None if text is None else int(text)
