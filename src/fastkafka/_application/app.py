"""The original's path; see `fastkafka`."""

from fastkafka.app import FastKafka as FastKafka
