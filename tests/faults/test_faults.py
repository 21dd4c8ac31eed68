"""Some of the scenarios, in every run of CI: those without chance in them.

`scripts/faults` runs all.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.faults.all import SCENARIOS
from tests.faults.cluster import Cluster
from tests.faults.proxy import wires
from tests.faults.scenarios import Lab

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

SELECTION = ("1", "2", "12a", "18a", "20")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with wires() as made:
        cluster = Cluster(made)
        with cluster:
            yield Lab(cluster, made, chance=random.Random(1))


@pytest.mark.parametrize("name", SELECTION)
def test_what_must_hold_does(lab: Lab, name: str) -> None:
    outcome = SCENARIOS[name].run(lab)
    assert outcome.problems == []
    assert outcome.acknowledged
