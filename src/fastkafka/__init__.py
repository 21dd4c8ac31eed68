"""Write Kafka services as typed functions."""

from fastkafka.app import FastKafka
from fastkafka.errors import (
    BrokerUnavailableError,
    ClientError,
    ConfigError,
    DecodingError,
    FastKafkaError,
    HandlerError,
    NotStartedError,
    ProduceError,
    RecordError,
)
from fastkafka.messages import EventMetadata, KafkaEvent

__version__ = "1.0.0.dev0"

__all__ = [
    "BrokerUnavailableError",
    "ClientError",
    "ConfigError",
    "DecodingError",
    "EventMetadata",
    "FastKafka",
    "FastKafkaError",
    "HandlerError",
    "KafkaEvent",
    "NotStartedError",
    "ProduceError",
    "RecordError",
    "__version__",
]
