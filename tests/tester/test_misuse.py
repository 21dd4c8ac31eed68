"""`Tester`: what it refuses, and what it accepts of old tests."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any

import pytest

from fastkafka import FastKafka, NotStartedError
from fastkafka.testing import Tester
from fastkafka.transport.memory import MemoryBroker
from tests.tester.shop import Order, refused, shop


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ((),),
            "Tester: there is no app to test. Write `Tester(app)` or "
            "`Tester([app_1, app_2])`.",
        ),
        (
            (),
            "Tester: there is no app to test. Write `Tester(app)` or "
            "`Tester([app_1, app_2])`.",
        ),
        (
            ("shop:app",),
            "Tester: 'shop:app' is not an app. Write `Tester(app)` or "
            "`Tester([app_1, app_2])`.",
        ),
    ],
)
def test_a_tester_without_an_app_is_refused(
    arguments: Sequence[Any], sentence: str
) -> None:
    with refused(sentence):
        Tester(*arguments)


def test_an_app_is_given_once() -> None:
    app = shop()
    with refused("Tester: an app is given twice. Give each of them once."):
        Tester([app, app])


def test_a_broker_that_is_none_is_refused() -> None:
    with refused(
        "Tester: `broker` is 'localhost:9092'. Pass a `MemoryBroker`, an "
        "`EmbeddedBroker`, an `ApacheKafkaBroker` or a `LocalRedpandaBroker`, or leave "
        "it out."
    ):
        Tester(shop(), broker="localhost:9092")  # type: ignore[arg-type]


async def test_an_app_that_runs_cannot_be_tested() -> None:
    sentence = (
        "Tester: the app 'Shop' runs already. A tester starts and stops its apps "
        "itself. Stop it first."
    )
    app = shop(transport=MemoryBroker())
    tester = Tester(app)
    async with app:
        with refused(sentence, RuntimeError):
            Tester(app)
        with refused(sentence, RuntimeError):
            await tester.__aenter__()


async def test_an_app_without_a_title_is_called_by_its_module() -> None:
    app = FastKafka(transport=MemoryBroker())
    called = re.escape(f"the app '{__name__}' runs already")
    async with app:
        with pytest.raises(RuntimeError, match=called):
            Tester(app)
        with pytest.raises(RuntimeError, match=called):
            app.create_mocks()
        with pytest.raises(RuntimeError, match=called.capitalize()):
            await app.__aenter__()


async def test_a_topic_without_a_mirror_is_a_hint() -> None:
    tester = Tester(shop())
    with refused(
        "Tester: no function of the apps reads a topic of the name that `to_order` "
        "stands for. Did you mean 'to_orders'? There are: `to_orders`, `on_invoices`.",
        AttributeError,
    ):
        tester.to_order  # noqa: B018
    with refused("`Tester` has no attribute 'orders'.", AttributeError):
        tester.orders  # noqa: B018
    assert not hasattr(tester, "on_orders")


def test_a_function_of_another_app_has_no_mirror() -> None:
    async def on_order(order: Order) -> None: ...

    with refused(
        "Tester: `on_order` is no function of the apps under test, so it has no "
        "mirror. Did you mean 'on_orders'? They have: on_orders, to_invoices."
    ):
        Tester(shop()).mirrors[on_order]


async def test_a_mirror_before_the_start_says_so() -> None:
    tester = Tester(shop())
    with refused(
        "`to_orders` was called before the app has started or after it has stopped. "
        "Call it in `async with app:`, in a handler, or in a background task.",
        NotStartedError,
    ):
        await tester.to_orders(Order(id=1))
    with refused(
        "Tester: there is no broker in memory to look into. Use this in "
        "`async with tester:`, and not with an external or a started broker."
    ):
        tester.lag()


def test_what_old_tests_pass_is_accepted_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "fastkafka.testing")
    for _ in range(2):
        Tester(
            shop(),
            topics=["orders"],
            retries=3,
            apply_nest_asyncio=True,
            zookeeper_port=2181,
            listener_port=9092,
        )

    assert [r.getMessage() for r in caplog.records if "has no effect" in r.message] == [
        f"`Tester({name}=...)` has no effect: nothing needs it any more."
        for name in (
            "topics",
            "retries",
            "apply_nest_asyncio",
            "zookeeper_port",
            "listener_port",
        )
    ]
