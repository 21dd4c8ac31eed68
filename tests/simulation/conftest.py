"""How many schedules: some in every run of the tests, many with `--long`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

SCHEDULES, SCHEDULES_LONG = 200, 10_000
"""Of all kinds together."""

KINDS = 4


def pytest_configure(config: pytest.Config) -> None:
    """Make the profile that the properties here are tried with."""
    long = config.getoption("--long")
    settings.register_profile(
        "simulation",
        max_examples=(SCHEDULES_LONG if long else SCHEDULES) // KINDS,
        derandomize=not long,
        database=None,
        deadline=None,
        print_blob=True,
        report_multiple_bugs=False,
        # A mutation need only be noticed; making the failure small takes a minute.
        phases=[Phase.explicit, Phase.generate]
        if "MUTATION" in os.environ
        else [Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow],
    )


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Give the tests of this folder the time that they need."""
    if config.getoption("--long"):
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.timeout(3600))
