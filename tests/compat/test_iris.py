"""The README's demo and the guides' iris app: 00, 05, 06, 30 and 31."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from fastkafka.testing import Tester
from tests.compat.guides import Running, import_file, load, running, write_guide

SETOSA = {
    "sepal_length": 0.1,
    "sepal_width": 0.2,
    "petal_length": 0.3,
    "petal_width": 0.4,
}
ROW = json.dumps(SETOSA).encode()
TOPICS = ("input_data", "predictions", "output_data")
LIFESPAN = Path(__file__).parents[2] / "examples" / "lifespan" / "lifespan_example.py"

RUN = "fastkafka run --num-workers=1 --kafka-broker localhost"


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Running]]:
    """Run the commands of the README and the guides, all at once."""
    commands = {
        "readme": {"readme": f"{RUN} application:kafka_app"},
        "g00-iris": {
            "g00": f"{RUN.replace('=1', '=2')} application:kafka_app",
            "address": f"{RUN} constructor:kafka_app",
            "g30": "fastkafka run --num-workers 2 --kafka-broker production "
            "application:kafka_app",
        },
        "g06-benchmark": {"g06": f"{RUN} application:kafka_app"},
    }
    with running(commands, tmp_path_factory.mktemp("iris"), topics=TOPICS) as started:
        yield started


# README


async def test_the_readmes_test_passes(tmp_path: Path) -> None:
    app = load("readme", "application", tmp_path)

    async with Tester(app.kafka_app) as tester:
        await tester.to_input_data(app.Data(data=0.1))
        await tester.awaited_mocks.on_output_data.assert_awaited_with(
            app.Data(data=1.1), timeout=2
        )


def test_the_readmes_app_logs_and_answers(apps: Mapping[str, Running]) -> None:
    app = apps["readme"]
    app.ready()
    app.send("input_data", b'{"data": 0.1}')

    app.logged(r"\[INFO\] application: Got data: 0\.1")
    assert app.sent("output_data") == [b'{"data":1.1}']


def test_the_readmes_documentation_is_written(tmp_path: Path) -> None:
    write_guide("readme", tmp_path)
    command = "-m fastkafka docs generate application:kafka_app"
    subprocess.run(
        [sys.executable, *command.split()],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )

    document = (tmp_path / "asyncapi" / "spec" / "asyncapi.yml").read_text()
    assert "input_data" in document
    assert "kafka.example.com" in document
    assert (tmp_path / "asyncapi" / "docs" / "index.html").exists()


# Guide 00


async def test_a_model_of_the_lifespan_and_a_sync_producer(tmp_path: Path) -> None:
    app = load("g00-iris", "application", tmp_path)

    async with Tester(app.kafka_app) as tester:
        await tester.to_input_data(app.IrisInputData(**SETOSA))
        await tester.awaited_mocks.on_predictions.assert_awaited_with(
            app.IrisPrediction(species="setosa"), timeout=2
        )

    assert app.ml_models == {}


def test_two_workers_predict(apps: Mapping[str, Running]) -> None:
    app = apps["g00"]
    app.ready(workers=2)
    app.send("input_data", ROW, ROW)

    assert app.sent("predictions", 2) == [b'{"species":"setosa"}'] * 2
    assert len(set(app.logged(r".*Setting bootstrap_servers value.*", 2))) == 2


async def test_a_cluster_named_by_its_address(tmp_path: Path) -> None:
    app = load("g00-iris", "constructor", tmp_path).kafka_app

    async with Tester(app) as tester:
        await tester.to_input_data(1.5)
        await app.awaited_mocks.on_input_data.assert_awaited_with(1.5, timeout=2)


def test_an_app_with_an_address_runs_on_it(apps: Mapping[str, Running]) -> None:
    apps["address"].send("input_data", b"1.5")

    apps["address"].logged(r"Got 1\.5")


# Guide 30


def test_the_command_of_the_docker_image(apps: Mapping[str, Running]) -> None:
    app = apps["g30"]
    app.ready(workers=2)
    app.send("input_data", ROW)

    assert app.sent("predictions") == [b'{"species":"setosa"}']
    app.logged(
        r"\[INFO\] fastkafka\._application\.app: set_kafka_broker\(\) : Setting "
        rf"bootstrap_servers value to '({re.escape(app.servers[0])})'",
        times=2,
    )


# Guide 31


@pytest.fixture
def no_docker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide Docker."""
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("no_docker")
async def test_a_test_on_redpanda_says_that_it_needs_docker(tmp_path: Path) -> None:
    app = load("g00-iris", "application", tmp_path)
    tester = Tester(app.kafka_app).using_local_redpanda(
        tag="v23.1.2", listener_port=9092
    )

    with pytest.raises(
        RuntimeError,
        match=r"^Docker installation not found! Please install docker manually and "
        r"retry\.$",
    ):
        async with tester:
            pass


# Guide 05; its command is in tests/test_examples.py


async def test_the_lifespan_surrounds_the_app(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = import_file(Path(shutil.copy(LIFESPAN, tmp_path)))

    async with Tester(app.kafka_app) as tester:
        assert capsys.readouterr().out == "Loading the model!\n"
        await tester.to_input_data(app.IrisInputData(**SETOSA))
        await tester.awaited_mocks.on_predictions.assert_awaited_with(
            app.IrisPrediction(species="setosa"), timeout=2
        )
        assert capsys.readouterr().out == ""

    assert capsys.readouterr().out == "Exiting, clearing model dict!\n"


# Guide 06


async def test_the_benchmark_counts(tmp_path: Path) -> None:
    app = load("g06-benchmark", "application", tmp_path)

    async with Tester(app.kafka_app) as tester:
        for _ in range(3):
            await tester.to_input_data(app.IrisInputData(**SETOSA))
        await tester.idle()

    (counted,) = app.kafka_app.benchmark_results.values()
    assert counted["count"] == 3


def test_the_benchmark_logs_its_throughput(apps: Mapping[str, Running]) -> None:
    app = apps["g06"]
    app.ready()
    app.send("input_data", *[ROW] * 2)
    app.sent("predictions", 2)
    # The first call after a second logs; until then every other one is too early.
    throughput = r"\[INFO\] fastkafka\.benchmark: Throughput = +[\d,]+, Avg throughput "
    throughput += r"= +[\d,]+ - For application\.on_input_data"
    throughput += r"\(interval=1,sliding_window_size=5\)"
    count = 2
    while not re.search(throughput, app.command.out):
        app.send("input_data", ROW)
        count += 1
        app.sent("predictions", count)


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
