"""The original's path; see `fastkafka._compat.records`."""

from fastkafka._compat.records import consumes_messages as consumes_messages
from fastkafka._compat.records import produce_messages as produce_messages
