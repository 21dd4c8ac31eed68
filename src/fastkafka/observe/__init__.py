"""What the engine tells, and who listens.

Counters are kept always, one addition for each slice of records, and read when somebody
asks (`Snapshot`). What happens seldom is told at once (`Event`). Metrics, traces, logs,
probes and the page are made of these two.
"""
