"""The original's path; see `fastkafka.testing`."""

from fastkafka.testing.redpanda import LocalRedpandaBroker as LocalRedpandaBroker
