"""The original's path; see `fastkafka`."""

from fastkafka.messages import KafkaEvent as KafkaEvent
