"""Guide 24: apps on two clusters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from fastkafka.testing import Tester
from tests.compat.guides import Running, load, running

GUIDE = "g24-clusters"
FILES = ("multi_cluster_example", "forward", "aggregate", "fan_out")
SIGNAL = b'{"msg":"signal"}'


@pytest.fixture(scope="module", autouse=True)
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Running]]:
    """Run each app on two brokers."""
    run = "fastkafka run --num-workers=1 --kafka-broker=development"
    with running(
        {GUIDE: {file: f"{run} {file}:app" for file in FILES}},
        tmp_path_factory.mktemp("clusters"),
        topics=("preprocessed_signals", "predictions"),
        clusters=2,
    ) as started:
        yield started


def test_each_cluster_answers_its_own(apps: Mapping[str, Running]) -> None:
    app = apps["multi_cluster_example"]
    app.send("preprocessed_signals", b'{"msg":"first"}', cluster=0)
    app.send("preprocessed_signals", b'{"msg":"second"}', cluster=1)

    assert app.sent("predictions", cluster=0) == [b'{"msg":"first"}']
    assert app.sent("predictions", cluster=1) == [b'{"msg":"second"}']
    app.logged(r"Default: msg=TestMsg\(msg='first'\)")
    app.logged(r"Specified: msg=TestMsg\(msg='second'\)")
    app.logged(r"Sending prediction to default: prediction=TestMsg\(msg='first'\)")
    app.logged(r"Sending prediction to specified: prediction=TestMsg\(msg='second'\)")


def test_one_cluster_is_forwarded_to_the_other(apps: Mapping[str, Running]) -> None:
    app = apps["forward"]
    app.send("preprocessed_signals", SIGNAL, cluster=0)

    assert app.sent("preprocessed_signals", cluster=1) == [SIGNAL]


def test_both_clusters_are_aggregated_into_one(apps: Mapping[str, Running]) -> None:
    app = apps["aggregate"]
    app.send("preprocessed_signals", b'{"msg":"first"}', cluster=0)
    app.send("preprocessed_signals", b'{"msg":"second"}', cluster=1)

    both = [b'{"msg":"first"}', b'{"msg":"second"}']
    assert app.sent("predictions", 2, cluster=0) == both


def test_one_cluster_is_fanned_out_to_both(apps: Mapping[str, Running]) -> None:
    app = apps["fan_out"]
    app.send("preprocessed_signals", SIGNAL, cluster=0)

    assert app.sent("predictions", cluster=0) == [b'{"msg":"prediction"}']
    assert app.sent("predictions", cluster=1) == [b'{"msg":"prediction"}']


async def test_mirrors_tell_clusters_apart(tmp_path: Path) -> None:
    module = load(GUIDE, "multi_cluster_example", tmp_path)
    app, message = module.app, module.TestMsg

    async with Tester(app) as tester:
        await tester.mirrors[app.on_preprocessed_signals_1](message(msg="signal"))
        await tester.mirrors[app.to_predictions_1].assert_called(timeout=5)

        await tester.mirrors[app.on_preprocessed_signals_2](message(msg="signal"))
        await tester.mirrors[app.to_predictions_2].assert_called(timeout=5)

        await app.awaited_mocks.on_preprocessed_signals_2.assert_called_with(
            message(msg="signal"), timeout=5
        )


async def test_a_topic_of_two_clusters_is_ambiguous(tmp_path: Path) -> None:
    module = load(GUIDE, "multi_cluster_example", tmp_path)

    async with Tester(module.app) as tester:
        with pytest.raises(
            RuntimeError,
            match=r"^Ambiguous topic: preprocessed_signals, for functions: "
            r"\['on_preprocessed_signals_1', 'on_preprocessed_signals_2'\]\n"
            r"Use Tester.mirrors\[app.function\] to resolve ambiguity$",
        ):
            await tester.to_preprocessed_signals(module.TestMsg(msg="signal"))


async def test_a_tester_forwards(tmp_path: Path) -> None:
    module = load(GUIDE, "forward", tmp_path)
    app = module.app

    async with Tester(app) as tester:
        await tester.mirrors[app.on_preprocessed_signals_original](
            module.TestMsg(msg="signal")
        )
        await tester.mirrors[app.to_preprocessed_signals_forward].assert_called(
            timeout=5
        )


async def test_a_tester_aggregates(tmp_path: Path) -> None:
    module = load(GUIDE, "aggregate", tmp_path)
    app = module.app

    async with Tester(app) as tester:
        await tester.mirrors[app.on_preprocessed_signals_1](module.TestMsg(msg="1"))
        await tester.on_predictions.assert_called_with(
            module.TestMsg(msg="1"), timeout=5
        )
        await tester.mirrors[app.on_preprocessed_signals_2](module.TestMsg(msg="2"))
        await tester.on_predictions.assert_called_with(
            module.TestMsg(msg="2"), timeout=5
        )


async def test_a_tester_fans_out_to_the_functions_of_the_module(tmp_path: Path) -> None:
    module = load(GUIDE, "fan_out", tmp_path)

    async with Tester(module.app) as tester:
        await tester.mirrors[module.on_preprocessed_signals](
            module.TestMsg(msg="signal")
        )
        for function in (module.to_predictions_1, module.to_predictions_2):
            await tester.mirrors[function].assert_called_with(
                module.TestMsg(msg="prediction"), timeout=5
            )
