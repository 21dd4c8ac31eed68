"""The original's path; see `fastkafka._compat.log`."""

from fastkafka._compat.log import get_logger as get_logger
from fastkafka._compat.log import set_level as set_level
from fastkafka._compat.log import suppress_timestamps as suppress_timestamps
