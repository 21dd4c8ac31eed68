"""Tests of apps: the `Tester`, and brokers for tests and development.

Names are imported when they are used: a pytest plugin and a command line that want one
of them need not wait for the others.
"""

import importlib

_HOMES = {
    "fastkafka.testing.apache": ("ApacheKafkaBroker", "LocalKafkaBroker"),
    "fastkafka.testing.embedded": ("ApiKey", "EmbeddedBroker"),
    "fastkafka.testing.in_memory": ("InMemoryBroker",),
    "fastkafka.testing.notebooks": (
        "display_docs",
        "mock_AIOKafkaProducer_send",
        "nb_safe_seed",
    ),
    "fastkafka.testing.redpanda": ("LocalRedpandaBroker",),
    "fastkafka.testing.scripts": ("run_script_and_cancel",),
    "fastkafka.testing.tester": ("Tester",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [*_HOME_OF]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value  # found at once the next time
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
