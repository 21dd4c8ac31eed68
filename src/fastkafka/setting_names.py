"""The table of Kafka client settings: their names, their values, what they are for.

Names are aiokafka's, because apps of the original FastKafka have them; values end up
under librdkafka's names. The `TypedDict`s below are the table.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypedDict, get_type_hints

from fastkafka import setting_values as values

Kind = Literal["app", "consumer", "producer"]
"""Where settings are written; an app takes those of both clients."""

ClientValue = str | int | float | bool | Callable[..., Any]
"""What a value in ``librdkafka={...}`` may be."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table.

    Attributes:
        client: librdkafka's name; None when the client does not get it.
        doc: What it is for, or why it has no meaning here.
        convert: Makes librdkafka's value; raises `ConfigError` when it cannot.
        within: The least and the greatest number that is taken.
        ignored: Accepted without having a meaning, which is said once.
        wants: The type of a value.
        kinds: Who takes it: ``"consumer"``, ``"producer"`` or both.
    """

    client: str | None
    doc: str
    convert: Callable[[Any], Any] | None = None
    within: tuple[int, int] | None = None
    ignored: bool = False
    wants: Any = None
    kinds: tuple[str, ...] = ()


def _number(client: str | None, least: int, greatest: int, doc: str) -> Setting:
    return Setting(client, doc, within=(least, greatest))


def _no(doc: str) -> Setting:
    return Setting(None, doc, ignored=True)


_Security = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
_Sasl = Literal["PLAIN", "GSSAPI", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
_INT32 = 2**31 - 1

# fmt: off
# A table is read by rows, and the formatter would give each argument a line.

class _Shared(TypedDict, total=False):
    client_id: Annotated[str | None, Setting("client.id", "Names it in broker logs.")]
    metadata_max_age_ms: Annotated[int, _number(
        "topic.metadata.refresh.interval.ms", 1, 3_600_000,
        "How often topics and partitions are looked up.")]
    request_timeout_ms: Annotated[int, _number(
        "socket.timeout.ms", 10, 300_000, "How long a request to a broker may take.")]
    retry_backoff_ms: Annotated[int, _number(
        "retry.backoff.ms", 1, 300_000, "The first wait before a request is repeated.")]
    connections_max_idle_ms: Annotated[int | None, _number(
        "connections.max.idle.ms", 0, _INT32, "When an unused connection is closed.")]
    security_protocol: Annotated[_Security, Setting(
        "security.protocol", "Whether connections are encrypted and authenticated.")]
    ssl_context: Annotated[ssl.SSLContext | None, Setting(
        "ssl.ca.pem", "Its CA certificates and checks; see *TLS* below.")]
    sasl_mechanism: Annotated[_Sasl, Setting(
        "sasl.mechanism", "How to authenticate; `'PLAIN'` unless said otherwise.")]
    sasl_plain_username: Annotated[str | None, Setting(
        "sasl.username", "The user's name, for PLAIN and SCRAM.")]
    sasl_plain_password: Annotated[str | None, Setting(
        "sasl.password", "The password, for PLAIN and SCRAM.")]
    sasl_kerberos_service_name: Annotated[str, Setting(
        "sasl.kerberos.service.name", "The broker's service name, for GSSAPI.")]
    sasl_kerberos_domain_name: Annotated[str | None, _no(
        "librdkafka takes the host name of the broker.")]
    sasl_oauth_token_provider: Annotated[values.TokenProvider | None, Setting(
        "oauth_cb", "Asked for tokens, for OAUTHBEARER; see *OAuth* below.",
        values.oauth_cb)]
    loop: Annotated[object, _no("The app runs on the event loop that starts it.")]
    api_version: Annotated[object, _no("The client asks each broker what it speaks.")]
    librdkafka: Annotated[Mapping[str, ClientValue], Setting(None,
        "Settings of the client under librdkafka's own names.")]


class _Consumer(TypedDict, total=False):
    group_id: Annotated[str | None, Setting(None,
        "The consumer group; `None` reads every partition and commits nothing.")]
    group_instance_id: Annotated[str | None, Setting(
        "group.instance.id", "Static membership (KIP-345): the name of this process; "
        "each of several workers and clients adds its number.")]
    group_protocol: Annotated[Literal["classic", "consumer"], Setting(
        "group.protocol", "`'consumer'` lets brokers assign partitions (KIP-848).")]
    client_rack: Annotated[str | None, Setting(
        "client.rack", "Where this client is, to read from a replica nearby.")]
    auto_offset_reset: Annotated[Literal["earliest", "latest", "none"], Setting(None,
        "Where a group that has committed nothing starts; `'earliest'` if not said.")]
    on_gap: Annotated[Literal["stop", "earliest", "latest"], Setting(None,
        "What follows when the broker no longer has the group's offset, or has it of a "
        "topic that was deleted and made again: `'stop'` if not said, which ends the "
        "app; or go on where the log begins, or at its end.")]
    enable_auto_commit: Annotated[bool, Setting(None,
        "Offsets are committed after handling, whatever this says.")]
    auto_commit_interval_ms: Annotated[int, _number(
        "auto.commit.interval.ms", 1, 86_400_000,
        "How often the offsets of handled records are committed.")]
    max_poll_records: Annotated[int | None, _number(
        None, 1, _INT32, "How many records a batch has at most; 100 if not said.")]
    max_poll_interval_ms: Annotated[int, _number(
        "max.poll.interval.ms", 1, 86_400_000,
        "When a member that does not poll is left out; a slow handler is no reason.")]
    session_timeout_ms: Annotated[int, _number(
        "session.timeout.ms", 1, 3_600_000, "When a silent member is given up.")]
    heartbeat_interval_ms: Annotated[int, _number(
        "heartbeat.interval.ms", 1, 3_600_000, "How often a member says it is alive.")]
    partition_assignment_strategy: Annotated[str | Sequence[object], Setting(
        "partition.assignment.strategy",
        "`'range'`, `'roundrobin'` or `'cooperative-sticky'`; aiokafka's classes, too.",
        values.assignors)]
    isolation_level: Annotated[Literal["read_committed", "read_uncommitted"], Setting(
        "isolation.level", "Whether aborted transactions are left out.")]
    fetch_max_wait_ms: Annotated[int, _number(
        "fetch.wait.max.ms", 0, 300_000, "How long a fetch waits at most.")]
    fetch_min_bytes: Annotated[int, _number(
        "fetch.min.bytes", 1, 100_000_000, "How much a fetch waits for.")]
    fetch_max_bytes: Annotated[int, _number(
        "fetch.max.bytes", 1000, _INT32 - 512, "How much a fetch brings at most.")]
    max_partition_fetch_bytes: Annotated[int, _number(
        "max.partition.fetch.bytes", 1, 1_000_000_000,
        "How much of one partition a fetch brings at most.")]
    check_crcs: Annotated[bool, Setting(
        "check.crcs", "Whether checksums of records are verified.")]
    rebalance_timeout_ms: Annotated[int | None, _no(
        "As in Java, `max_poll_interval_ms` is the limit of a rebalance.")]
    consumer_timeout_ms: Annotated[int, _no("The client fetches without a period.")]
    exclude_internal_topics: Annotated[bool, _no("Topics are subscribed to by name.")]
    timeout_ms: Annotated[int, _no("The client fetches without a period.")]
    max_buffer_size: Annotated[int, _no("The original did not use it either.")]
    key_deserializer: Annotated[object, _no("A handler gets the raw key.")]
    value_deserializer: Annotated[object, _no("Write `decoder=`.")]


class _Producer(TypedDict, total=False):
    acks: Annotated[Literal[0, 1, -1, "all"], Setting(
        "acks", "Who has a record before it counts as sent; -1 is `'all'`.",
        values.acks)]
    enable_idempotence: Annotated[bool, Setting(
        "enable.idempotence", "A repeated send makes no duplicate.")]
    compression_type: Annotated[
        Literal["gzip", "snappy", "lz4", "zstd", "none"] | None, Setting(
        "compression.type", "How batches are compressed.")]
    linger_ms: Annotated[float, _number(
        "linger.ms", 0, 299_999, "How long a record waits for others in its batch.")]
    max_batch_size: Annotated[int, _number(
        "batch.size", 1, _INT32, "Bytes of one batch.")]
    max_request_size: Annotated[int, _number(
        "message.max.bytes", 1000, 1_000_000_000, "Bytes of the largest request.")]
    partitioner: Annotated[values.Partitioner | Callable[..., Any], Setting(
        "partitioner", "How a key becomes a partition, by librdkafka's name.",
        values.partitioner)]
    transactional_id: Annotated[str | None, _no("Nothing is sent in transactions.")]
    transaction_timeout_ms: Annotated[int, _no("Nothing is sent in transactions.")]
    send_backoff_ms: Annotated[int, _no("`retry_backoff_ms` is the wait.")]
    key_serializer: Annotated[object, _no("A key is bytes: `KafkaEvent(key=b'...')`.")]
    value_serializer: Annotated[object, _no("Write `encoder=`.")]


class ConsumerSettings(_Shared, _Consumer, total=False):
    """What `@app.consumes` takes beside its own arguments."""


class ProducerSettings(_Shared, _Producer, total=False):
    """What `@app.produces` takes beside its own arguments."""


class AppSettings(_Shared, _Consumer, _Producer, total=False):
    """What `FastKafka` takes beside its own arguments, for every client of the app."""


Defaults = Mapping[str, tuple[ClientValue, str]]
"""Values that FastKafka sets where librdkafka's own do not serve, and why."""

CONSUMER_DEFAULTS: Defaults = {
    "queued.min.messages": (10_000, "Fetched ahead; more is memory, not speed."),
    "auto.commit.interval.ms": (1000, "A crash repeats about a second, not five."),
    "group.protocol": ("classic", "Every broker speaks it."),
    "partition.assignment.strategy": (
        "cooperative-sticky", "A rebalance stops only the partitions that move."),
    "session.timeout.ms": (10_000, "A killed worker's partitions wait no longer."),
    "heartbeat.interval.ms": (3000, "Three beats fit into a session."),
    "fetch.queue.backoff.ms": (10, "A full, short queue would wait 1 s to refill."),
    "queued.max.messages.kbytes": (16_384, "Bounds what is fetched and not taken in."),
    "topic.metadata.refresh.interval.ms": (
        10_000, "A new topic or partition is seen within seconds, not minutes."),
    "allow.auto.create.topics": (False, "A misspelt topic is not a new topic."),
    "enable.auto.commit": (
        False, "FastKafka commits, what is handled, and one commit after the other."),
    "enable.auto.offset.store": (False, "What was read is not yet handled."),
    "auto.offset.reset": ("error", "A gap is reported and never jumped over silently."),
}

PRODUCER_DEFAULTS: Defaults = {
    "acks": ("all", "A record counts as sent when all in-sync replicas have it."),
    "enable.idempotence": (True, "A repeated send makes no duplicate."),
    "partitioner": ("murmur2_random", "A key lands where Java producers put it."),
    "queue.buffering.max.kbytes": (
        65_536, "Bounds what is not acknowledged; above it callers wait."),
}

_COMMITS = "An offset is committed when its record is handled; there is nothing to set."
_LISTENS = "FastKafka listens there itself."
OWNED = {
    "bootstrap.servers": "Write `kafka_brokers=` or `brokers=` instead.",
    "metadata.broker.list": "Write `kafka_brokers=` or `brokers=` instead.",
    "group.id": "Write `group_id=` instead.",
    "auto.offset.reset": "Write `auto_offset_reset=` instead.",
    "transactional.id": "Nothing is sent in transactions.",
    "enable.partition.eof": "FastKafka expects records and errors only.",
    "delivery.report.only.error": "FastKafka waits for every acknowledgement.",
    "default.topic.config": "Write its settings beside the others.",
    **dict.fromkeys(("enable.auto.commit", "enable.auto.offset.store"), _COMMITS),
    **dict.fromkeys(("auto.commit.enable", "offset.store.method"), _COMMITS),
    **dict.fromkeys(("error_cb", "logger", "on_commit", "on_delivery"), _LISTENS),
}
"""librdkafka's names on which the engine's promises rest."""

ALIASES = {
    "compression.codec": "compression.type",
    "fetch.message.max.bytes": "max.partition.fetch.bytes",
    "queue.buffering.max.ms": "linger.ms",
    "request.required.acks": "acks",
    "sasl.mechanisms": "sasl.mechanism",
}
"""librdkafka's second names, so that one does not stand beside the other."""

BY_BROKER = (
    "session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy",
    "group.protocol.type",
)
"""What the client refuses beside ``group.protocol=consumer``."""

# fmt: on


def _table() -> dict[str, Setting]:
    kinds = {"consumer": ConsumerSettings, "producer": ProducerSettings}
    return {
        name: replace(
            hint.__metadata__[0],
            wants=hint.__origin__,
            kinds=tuple(k for k, kind in kinds.items() if name in kind.__annotations__),
        )
        for name, hint in get_type_hints(AppSettings, include_extras=True).items()
    }


SETTINGS: Mapping[str, Setting] = _table()
"""The table by aiokafka's names; made last, since its rows name functions above."""
