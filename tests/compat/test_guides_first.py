"""Guides 06 and 30 through the `Tester`: what `test_iris.py` leaves to their commands."""

from __future__ import annotations

from pathlib import Path

from fastkafka.testing import Tester
from tests.compat.guides import load
from tests.compat.test_iris import SETOSA


async def test_a_benchmarked_consumer_predicts(tmp_path: Path) -> None:
    app = load("g06-benchmark", "application", tmp_path)

    async with Tester(app.kafka_app) as tester:
        await tester.to_input_data(app.IrisInputData(**SETOSA))
        await tester.awaited_mocks.on_predictions.assert_awaited_with(
            app.IrisPrediction(species="setosa"), timeout=2
        )


async def test_the_docker_images_cluster_stands_in_a_tester(tmp_path: Path) -> None:
    app = load("g00-iris", "application", tmp_path)
    chosen = app.kafka_app._kafka_config["bootstrap_servers_id"]

    async with Tester(app.kafka_app).using_inmemory_broker("production") as tester:
        assert app.kafka_app._kafka_config["bootstrap_servers_id"] == "production"
        await tester.to_input_data(app.IrisInputData(**SETOSA))
        await tester.awaited_mocks.on_predictions.assert_awaited_with(
            app.IrisPrediction(species="setosa"), timeout=2
        )

    assert app.kafka_app._kafka_config["bootstrap_servers_id"] == chosen == "localhost"
