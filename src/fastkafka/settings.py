"""Kafka client settings: from what was written to what a client is constructed with.

`check` looks at settings where they are written; `consumer_config` and
`producer_config` make a client's configuration. The table of names, which is
re-exported here, is in `setting_names.py`.
"""

from __future__ import annotations

import ssl
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, cast

from fastkafka import setting_values as values
from fastkafka.errors import ConfigError, did_you_mean
from fastkafka.setting_names import (
    ALIASES,
    BY_BROKER,
    OWNED,
    ClientValue,
    Kind,
)
from fastkafka.setting_names import CONSUMER_DEFAULTS as CONSUMER_DEFAULTS
from fastkafka.setting_names import PRODUCER_DEFAULTS as PRODUCER_DEFAULTS
from fastkafka.setting_names import SETTINGS as SETTINGS
from fastkafka.setting_names import AppSettings as AppSettings
from fastkafka.setting_names import ConsumerSettings as ConsumerSettings
from fastkafka.setting_names import Defaults as Defaults
from fastkafka.setting_names import ProducerSettings as ProducerSettings
from fastkafka.setting_names import Setting as Setting
from fastkafka.setting_values import redacted as redacted


def check(
    settings: Mapping[str, object],
    *,
    where: str = "",
    kind: Kind,
    also: Collection[str] = (),
) -> None:
    """Refuse a setting that does not exist or cannot have its value.

    Args:
        settings: What was written, by name.
        where: Who wrote it, such as ``"`on_orders`"``: the start of the error.
        kind: Whether an app or one of its functions takes it.
        also: The caller's own names: valid, and suggested for a misspelt one.

    Raises:
        ConfigError: A name is unknown or misplaced, or a value does not fit.
    """
    with _said_by(where):
        for name, value in settings.items():
            if name not in also:
                _check_name(name, kind, also)
                _check_value(name, value)


def consumer_config(*layers: Mapping[str, object], where: str = "") -> dict[str, Any]:
    """Make a consumer's configuration, without its address and its group.

    Args:
        layers: Checked settings, of the app first and of the function last; a later
            one wins. Names of the producer are passed over. In a layer, what
            ``librdkafka`` says wins over the other names.
        where: Who wrote the last layer: the start of an error.

    Returns:
        librdkafka's names and values.

    Raises:
        ConfigError: Settings contradict each other.
    """
    with _said_by(where):
        config = _merge(layers, "consumer")
        defaults = {name: value for name, (value, _) in CONSUMER_DEFAULTS.items()}
        if config.get("group.protocol") == "consumer":
            for name in BY_BROKER:
                defaults.pop(name, None)
                if name in config:
                    raise ConfigError(
                        f"{_written(name)} cannot be set with "
                        "`group_protocol='consumer'`: the broker decides it (KIP-848). "
                        "Remove it, or write `group_protocol='classic'`."
                    )
        else:
            _fit_timeouts(config, defaults)
        if (fetch := _int(config.get("fetch.max.bytes"))) and fetch < 1_000_000:
            # The client insists on the order of the two; it has no use for this one.
            defaults["message.max.bytes"] = fetch
        return defaults | config


def producer_config(*layers: Mapping[str, object], where: str = "") -> dict[str, Any]:
    """Make a producer's configuration, without its address.

    Args:
        layers: As for `consumer_config`; names of the consumer are passed over.
        where: Who wrote the last layer: the start of an error.

    Returns:
        librdkafka's names and values.

    Raises:
        ConfigError: Settings contradict each other.
    """
    with _said_by(where):
        config = _merge(layers, "producer")
        defaults = {name: value for name, (value, _) in PRODUCER_DEFAULTS.items()}
        if str(config.get("acks", "all")) not in ("all", "-1"):
            if str(config.get("enable.idempotence", False)).lower() == "true":
                raise ConfigError(
                    f"`acks` is {config['acks']!r}, but `enable_idempotence` is True. "
                    "Without all replicas a repeated send cannot be recognized. "
                    "Write `acks='all'` or `enable_idempotence=False`."
                )
            defaults["enable.idempotence"] = False
        return defaults | config


def group_id(*layers: Mapping[str, object], default: str | None) -> str | None:
    """Return the last layer's `group_id`; None is no group at all."""
    return cast("str | None", _last("group_id", layers, default))


def start_at(*layers: Mapping[str, object]) -> Literal["earliest", "latest", "none"]:
    """Return where a group starts that has committed nothing."""
    value = _last("auto_offset_reset", layers, "earliest")
    return cast('Literal["earliest", "latest", "none"]', value)


def on_gap(*layers: Mapping[str, object]) -> Literal["stop", "earliest", "latest"]:
    """Return what follows when the broker no longer has a group's offset.

    ``"stop"`` is the default: the app ends, and says so. ``"earliest"`` goes on where
    the log begins now, ``"latest"`` at its end. So it is with a topic that was deleted
    and made again: what the group has committed is of the old one. ``"earliest"`` reads
    all of the new one.
    """
    value = _last("on_gap", layers, "stop")
    return cast('Literal["stop", "earliest", "latest"]', value)


def max_poll_records(*layers: Mapping[str, object]) -> int | None:
    """Return how many records a batch may have; None is no limit."""
    return cast("int | None", _last("max_poll_records", layers, 100))


def remarks(*layers: Mapping[str, object]) -> list[str]:
    """Return what the author of *layers* should be told, to be logged once.

    It is about settings that are accepted, because apps have them, but do less here
    than they did, or something else.
    """
    settings = {name: value for layer in layers for name, value in layer.items()}
    said = [
        f"`{name}` has no meaning here. {row.doc}"
        for name, row in SETTINGS.items()
        if row.ignored and settings.get(name) is not None
    ]
    if settings.get("enable_auto_commit") is False:
        said.append(
            "`enable_auto_commit=False` has no meaning here. Only offsets of handled "
            "records are committed. To commit none: `group_id=None`."
        )
    if isinstance(context := settings.get("ssl_context"), ssl.SSLContext):
        beside = cast("Mapping[str, object]", settings.get("librdkafka", {}))
        said += values.tls_remarks(context, beside)
    return said


@contextmanager
def _said_by(where: str) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        if not where:
            raise
        raise ConfigError(f"{where}: {error}") from None


def _check_name(name: str, kind: Kind, also: Collection[str]) -> None:
    if name == "bootstrap_servers":
        raise ConfigError(
            "'bootstrap_servers' is not a setting. "
            "Write `kafka_brokers=` for the app, or `brokers=` for one function."
        )
    row = SETTINGS.get(name)
    if row is None:
        valid = [n for n, r in SETTINGS.items() if kind == "app" or kind in r.kinds]
        advice = did_you_mean(name, [*valid, *also])
        advice = advice or " librdkafka's own names go into `librdkafka={...}`."
        raise ConfigError(f"Unknown setting {name!r}.{advice}")
    if kind != "app" and kind not in row.kinds:
        (other,) = row.kinds
        raise ConfigError(
            f"Setting {name!r} is for {other}s. "
            f"Write it for the app, or in `@app.{other[:-1]}s(...)`."
        )


def _check_value(name: str, value: object) -> None:
    row = SETTINGS[name]
    if not values.fits(value, row.wants, row.within):
        raise ConfigError(
            f"Setting {name!r} cannot be {values.shown(name, value)}. "
            f"Write {values.in_words(row.wants, row.within)}."
        )
    if name == "librdkafka":
        _check_client_names(cast("Mapping[object, object]", value))
    elif row.convert and value is not None:
        row.convert(value)


def _check_client_names(names: Mapping[object, object]) -> None:
    for name, value in names.items():
        if not isinstance(name, str):
            raise ConfigError(f"`librdkafka` has a name {name!r}. Write a string.")
        if name in OWNED:
            raise ConfigError(f"`librdkafka` cannot set {name!r}. {OWNED[name]}")
        if not (isinstance(value, str | int | float) or callable(value)):
            raise ConfigError(
                f"`librdkafka`: {name!r} cannot be {values.shown(name, value)}. "
                "Write a string, a number, True, False or a function."
            )


def _last(name: str, layers: Sequence[Mapping[str, object]], default: object) -> object:
    return next((one[name] for one in reversed(layers) if name in one), default)


def _merge(layers: Sequence[Mapping[str, object]], kind: str) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            row = SETTINGS.get(name)
            if row is None or row.client is None or kind not in row.kinds:
                continue
            if value is None:  # back to the default
                config.pop(row.client, None)
            else:
                config[row.client] = row.convert(value) if row.convert else value
        own = cast("Mapping[str, Any]", layer.get("librdkafka", {}))
        config |= {ALIASES.get(n, n): own[n] for n in own if n not in OWNED}
    return values.secured(config)


def _written(client: str) -> str:
    """Name a setting as a user writes it."""
    names = (name for name, row in SETTINGS.items() if row.client == client)
    return f"`{next(names, client)}`"


def _int(value: object) -> int | None:
    """Read a number; what is none is for the client to refuse."""
    return int(str(value)) if str(value).isdecimal() else None


def _fit_timeouts(config: Mapping[str, Any], defaults: dict[str, ClientValue]) -> None:
    """Keep heartbeat < session <= poll interval, as the client insists."""
    longest = _int(config.get("max.poll.interval.ms", 300_000)) or 300_000
    session = _int(config.get("session.timeout.ms"))
    if session is None:
        session = min(longest, 10_000)
    elif session > longest:
        raise ConfigError(
            f"`session_timeout_ms` is {session}, more than `max_poll_interval_ms`, "
            f"{longest}. Lower the one or raise the other."
        )
    defaults["session.timeout.ms"] = session
    defaults["heartbeat.interval.ms"] = max(1, min(session // 3, 3000))
