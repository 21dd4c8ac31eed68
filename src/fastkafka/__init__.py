"""Write Kafka services as typed functions."""

__version__ = "1.0.0.dev0"
