"""The names of `fastkafka.testing`, and what importing it costs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fastkafka import testing


def test_every_name_can_be_imported_and_type_checkers_see_the_same() -> None:
    assert testing.__file__ is not None
    stub = Path(testing.__file__).with_suffix(".pyi").read_text()

    assert {"Tester", "InMemoryBroker", "EmbeddedBroker"} <= set(testing.__all__)
    assert sorted(re.findall(r"import\s+\(?\s*(\w+) as \1", stub)) == sorted(
        testing.__all__
    )
    for name in testing.__all__:
        assert getattr(testing, name) is not None
    assert set(dir(testing)) == set(testing.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Testr'"):
        testing.Testr  # type: ignore[attr-defined] # noqa: B018


def test_the_broker_has_its_first_name_too() -> None:
    assert testing.LocalKafkaBroker is testing.ApacheKafkaBroker


def test_importing_it_costs_nothing() -> None:
    program = "import fastkafka.testing, sys; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert {"fastkafka.app", "confluent_kafka", "pydantic", "IPython"}.isdisjoint(
        ran.stdout.split()
    )
