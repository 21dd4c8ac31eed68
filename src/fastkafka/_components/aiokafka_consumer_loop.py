"""The original's path; see `fastkafka`."""

from fastkafka.messages import EventMetadata as EventMetadata
