"""The original's path; see `fastkafka._compat.processes`."""

from fastkafka._compat.processes import run_in_process as run_in_process
