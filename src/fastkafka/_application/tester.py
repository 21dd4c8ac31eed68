"""The original's path; see `fastkafka.testing`."""

from fastkafka.testing.tester import Tester as Tester
