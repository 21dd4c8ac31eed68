"""Guide 33: `Tester`, whose tests are part of the guide."""

from __future__ import annotations

from pathlib import Path

from fastkafka.testing import EmbeddedBroker
from tests.compat.guides import load

GUIDE = "g33-tester"


async def test_the_basic_example(tmp_path: Path) -> None:
    await load(GUIDE, "basic", tmp_path).test_hello()


async def test_a_cluster_that_runs(tmp_path: Path) -> None:
    with EmbeddedBroker(["input", "output"]) as servers:
        module = load(GUIDE, "external", tmp_path, [servers])

        await module.test_hello()

    assert module.app._kafka_config["bootstrap_servers_id"] == "localhost"


async def test_the_employee_that_its_producer_changes(tmp_path: Path) -> None:
    await load(GUIDE, "employees", tmp_path).test_employees()
