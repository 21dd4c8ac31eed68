"""Import paths of the original FastKafka, for published code; re-exports only."""
