"""Kafka through confluent-kafka: the only code that imports it.

Here are the threads. Each client has one, which polls it for ever, calls its callbacks
and hands what came to the event loop. `consumer.py` holds the consumer's, `producer.py`
the producer's, `assignments.py` which partitions there are, `starts.py` and `gaps.py`
where they start and go on, `topic_watch.py` whether their topics are still the same,
`backpressure.py` how much is taken in, `commits.py` what is to be committed, and
`connection.py` what both need: connecting, translating errors.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from fastkafka.transport.base import ConsumerListener
from fastkafka.transport.librdkafka.consumer import LibrdkafkaConsumer
from fastkafka.transport.librdkafka.producer import LibrdkafkaProducer


class LibrdkafkaTransport:
    """See `Transport`."""

    def consumer(
        self,
        config: Mapping[str, Any],
        topics: Collection[str],
        listener: ConsumerListener,
        *,
        start_at: Mapping[str, str],
        on_gap: Mapping[str, str],
        revoke_timeout: float,
    ) -> LibrdkafkaConsumer:
        """See `Transport`."""
        return LibrdkafkaConsumer(
            config,
            topics,
            listener,
            start_at=start_at,
            on_gap=on_gap,
            revoke_timeout=revoke_timeout,
        )

    def producer(
        self, config: Mapping[str, Any], topics: Collection[str]
    ) -> LibrdkafkaProducer:
        """See `Transport`."""
        return LibrdkafkaProducer(config, topics)


__all__ = ["LibrdkafkaConsumer", "LibrdkafkaProducer", "LibrdkafkaTransport"]
