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
from fastkafka.messages import Depends, EventMetadata, Header, KafkaEvent, Key
from fastkafka.router import Router

__version__ = "1.0.0.dev0"

__all__ = [
    "BrokerUnavailableError",
    "ClientError",
    "ConfigError",
    "DecodingError",
    "Depends",
    "EventMetadata",
    "FastKafka",
    "FastKafkaError",
    "HandlerError",
    "Header",
    "KafkaEvent",
    "Key",
    "NotStartedError",
    "ProduceError",
    "RecordError",
    "Router",
    "__version__",
]
