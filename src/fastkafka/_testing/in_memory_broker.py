"""The original's path; see `fastkafka.testing`."""

from fastkafka.testing.in_memory import InMemoryBroker as InMemoryBroker
