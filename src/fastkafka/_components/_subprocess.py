"""The original's path; see `fastkafka._compat.processes`."""

from fastkafka._compat.processes import (
    terminate_asyncio_process as terminate_asyncio_process,
)
