"""Log lines of the original's `fastkafka run`, which scripts of users wait for.

The engine does not know of them. They come from the app's seam to Kafka, its transport,
and from around its background tasks.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import wraps
from typing import Any

from fastkafka.app import FastKafka, default_transport
from fastkafka.engine.supervisor import BackgroundTask
from fastkafka.errors import ConfigError
from fastkafka.params import function_name
from fastkafka.settings import (
    CONSUMER_DEFAULTS,
    PRODUCER_DEFAULTS,
    SETTINGS,
    Defaults,
    redacted,
)
from fastkafka.transport.base import Consumer, ConsumerListener, Producer, Transport

_of_app = logging.getLogger("fastkafka._application.app")
_of_consumers = logging.getLogger("fastkafka._components.aiokafka_consumer_loop")

_LOOP = "aiokafka_consumer_loop()"
_NAMES = {row.client: name for name, row in SETTINGS.items() if row.client} | {
    "bootstrap.servers": "bootstrap_servers",
    "group.id": "group_id",
}


class OriginalLog:
    """Lets an app that was loaded log what it would have logged as an original.

    Args:
        app: Before its start.
    """

    def __init__(self, app: FastKafka) -> None:
        self._app = app
        self._running: list[str] = []
        for function in app._tasks:
            _of_app.info(
                "run_in_background() : Adding function '%s' as background task",
                function_name(function),
            )
        app._tasks[:] = [self._announced(function) for function in app._tasks]
        app._transport = _Announced(app._transport or default_transport())

    def broker_is_chosen(self) -> None:
        """Say which cluster the app will use."""
        with suppress(ConfigError):  # which the start will raise again, if it matters
            _of_app.info(
                "set_kafka_broker() : Setting bootstrap_servers value to '%s'",
                self._app._choice.servers(None),
            )

    def stops(self) -> None:
        """Say which background tasks are about to be cancelled."""
        for line in (
            "_shutdown_bg_tasks() : Cancelling background task '%s'",
            "_shutdown_bg_tasks() : Waiting for background task '%s' to finish",
        ):
            for name in self._running:
                _of_app.info(line, name)

    def _announced(self, function: BackgroundTask) -> BackgroundTask:
        name = function_name(function)

        @wraps(function)
        async def task() -> None:
            _of_app.info("_populate_bg_tasks() : Starting background task '%s'", name)
            self._running.append(name)
            try:
                await function()
            finally:
                self._running.remove(name)
                _of_app.info(
                    "_shutdown_bg_tasks() : Execution finished for background task "
                    "'%s'",
                    name,
                )

        return task


class _Announced:
    """A transport that says which clients it makes.

    What they do is not looked at, so it costs a record nothing.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def consumer(
        self,
        config: Mapping[str, Any],
        topics: Collection[str],
        listener: ConsumerListener,
        *,
        start_at: Mapping[str, str],
        on_gap: Mapping[str, str],
        revoke_timeout: float,
    ) -> Consumer:
        """See `Transport`."""
        _of_consumers.info("%s starting...", _LOOP)
        consumer = self._transport.consumer(
            config,
            topics,
            listener,
            start_at=start_at,
            on_gap=on_gap,
            revoke_timeout=revoke_timeout,
        )
        written = _written(config, CONSUMER_DEFAULTS)
        starts = sorted(set(start_at.values()))
        written["auto_offset_reset"] = starts[0] if len(starts) == 1 else starts
        _of_consumers.info(
            "%s: Consumer created using the following parameters: %s", _LOOP, written
        )
        return _AnnouncedConsumer(consumer)

    def producer(self, config: Mapping[str, Any], topics: Collection[str]) -> Producer:
        """See `Transport`."""
        producer = self._transport.producer(config, topics)
        _of_app.info(
            "_create_producer() : created producer using the config: '%s'",
            _written(config, PRODUCER_DEFAULTS),
        )
        return producer


class _AnnouncedConsumer:
    """See `Consumer`; it says when it starts and stops."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self.settles = consumer.settles
        self.measure = consumer.measure
        self.finished = consumer.finished
        self.taken = consumer.taken
        self.pause = consumer.pause
        self.seek = consumer.seek
        self.note = consumer.note
        self.commit = consumer.commit
        self.state = consumer.state

    async def start(self) -> Collection[str]:
        missing = await self._consumer.start()
        _of_consumers.info("%s: Consumer started.", _LOOP)
        _of_consumers.info("%s: Consumer subscribed.", _LOOP)
        return missing

    async def stop(self, timeout: float) -> None:
        await self._consumer.stop(timeout)
        _of_consumers.info("%s: Consumer stopped.", _LOOP)
        _of_consumers.info("%s finished.", _LOOP)


def _written(config: Mapping[str, Any], defaults: Defaults) -> dict[str, Any]:
    """Return what an app has set, under the names that it used, without secrets."""
    unsaid = {name: value for name, (value, _) in defaults.items()}
    return {
        _NAMES.get(name, name): value
        for name, value in sorted(redacted(config).items())
        if name not in unsaid or unsaid[name] != value
    }
