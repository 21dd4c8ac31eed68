"""Brokers for tests and development."""

from fastkafka.testing.apache import ApacheKafkaBroker
from fastkafka.testing.embedded import ApiKey, EmbeddedBroker

__all__ = ["ApacheKafkaBroker", "ApiKey", "EmbeddedBroker"]
