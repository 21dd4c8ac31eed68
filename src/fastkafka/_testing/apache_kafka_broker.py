"""The original's path; see `fastkafka.testing` and `fastkafka._compat.processes`."""

from fastkafka._compat.processes import run_and_match as run_and_match
from fastkafka.testing.apache import ApacheKafkaBroker as ApacheKafkaBroker
