"""The original's path; see `fastkafka._compat.processes`."""

from fastkafka._compat.processes import change_dir
from fastkafka._compat.processes import import_from_string as _import_from_string

__all__ = ["_import_from_string", "change_dir"]
