"""The original's path; see `fastkafka.brokers`."""

from fastkafka.brokers import KafkaBroker as KafkaBroker
from fastkafka.brokers import KafkaBrokers as KafkaBrokers
