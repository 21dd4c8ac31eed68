"""Every scenario, in order."""

from __future__ import annotations

from tests.faults import brokers, groups, mix, offsets, processes, records
from tests.faults.scenarios import SCENARIOS as _found

MODULES = (brokers, groups, mix, offsets, processes, records)

SCENARIOS = dict(sorted(_found.items(), key=lambda item: (item[1].number, item[0])))
"""By name."""
