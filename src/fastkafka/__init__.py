"""Write Kafka services as typed functions.

Names are imported when they are used, so that `fastkafka --help` does not wait for the
Kafka client. `__init__.pyi` lists them for type checkers.
"""

import importlib

__version__ = "1.0.0.dev0"

_HOMES = {
    "fastkafka.app": ("FastKafka",),
    "fastkafka.errors": (
        "BatchError",
        "BrokerUnavailableError",
        "ClientError",
        "ConfigError",
        "DecodingError",
        "FastKafkaError",
        "HandlerError",
        "NotStartedError",
        "ProduceError",
        "RecordError",
        "Reject",
        "RetryLater",
        "StopConsuming",
    ),
    "fastkafka.messages": ("Depends", "EventMetadata", "Header", "KafkaEvent", "Key"),
    "fastkafka.policies": ("Retry",),
    "fastkafka.router": ("Router",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME_OF]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value  # found at once the next time
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
