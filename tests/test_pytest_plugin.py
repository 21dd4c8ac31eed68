"""The pytest plugin, in sessions of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest_plugins = ["pytester"]

Run = Callable[[str], pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a test file with the plugin, whether it is registered in this environment."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini(
        """
        [pytest]
        asyncio_mode = auto
        asyncio_default_fixture_loop_scope = function
        filterwarnings = error
        """
    )

    def session(code: str) -> pytest.RunResult:
        pytester.makepyfile(code)
        plugins = ("fastkafka.testing.plugin", "pytest_asyncio.plugin")
        options = [option for plugin in plugins for option in ("-p", plugin)]
        return pytester.runpytest_subprocess(*options)

    return session


def test_a_tester_runs_an_app(run: Run) -> None:
    result = run(
        """
        from pydantic import BaseModel
        from fastkafka import FastKafka

        class Order(BaseModel):
            id: int

        app = FastKafka(title="Shop")

        @app.consumes()
        async def on_orders(order: Order) -> None: ...

        async def test_it(tester):
            async with tester(app) as shop:
                await shop.to_orders(Order(id=1))
                await app.awaited_mocks.on_orders.assert_called_once_with(Order(id=1))

        async def test_several(tester):
            async with tester([app, FastKafka(title="Other")]) as shop:
                await shop.idle()
        """
    )
    result.assert_outcomes(passed=2)


def test_a_broker_is_shared_and_topics_are_not(run: Run) -> None:
    result = run(
        """
        import re
        import pytest
        from confluent_kafka import Producer

        seen = []

        @pytest.mark.parametrize("what", [1, 2], ids=["a b/c", "x" * 300])
        def test_it(kafka_broker, kafka_topic, what):
            seen.append((kafka_broker, kafka_topic))
            errors = []
            producer = Producer({"bootstrap.servers": kafka_broker})
            producer.produce(kafka_topic, on_delivery=lambda e, _: errors.append(e))
            assert producer.flush(20) == 0
            assert errors == [None]

        def test_what_they_got():
            (broker, first), (same, second) = seen
            assert broker == same
            assert re.fullmatch(r"test_it-a-b-c-[0-9a-f]{8}-1", first)
            assert re.fullmatch(r"test_it-x{192}-[0-9a-f]{8}-2", second)
        """
    )
    result.assert_outcomes(passed=3)


def test_the_plugin_costs_nothing_until_it_is_used(run: Run) -> None:
    result = run(
        """
        import sys

        def test_it():
            assert "fastkafka.testing.plugin" in sys.modules
            heavy = {"confluent_kafka", "pydantic", "fastkafka.app"}
            assert heavy.isdisjoint(sys.modules)
        """
    )
    result.assert_outcomes(passed=1)


def test_the_fixtures_are_documented(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    result = pytester.runpytest_subprocess(
        "-p", "fastkafka.testing.plugin", "--fixtures"
    )
    result.stdout.fnmatch_lines_random(
        [
            "kafka_broker [[]session scope[]]*",
            "*Start an embedded broker for the session*",
            "kafka_topic*",
            "*Return a topic's name that no other test gets, nor this one the next*",
            "tester*",
            "*Return what makes a `Tester`*",
        ]
    )
