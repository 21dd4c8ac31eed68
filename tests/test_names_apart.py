"""Functions of one name are told apart wherever they are counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fastkafka import FastKafka, Router
from fastkafka.errors import ConfigError
from fastkafka.observe.prometheus import exposition
from fastkafka.testing import Tester
from fastkafka.transport.memory import MemoryBroker
from fastkafka.web.describe import describe


def handler(module: str) -> Callable[..., Any]:
    """Return a function of the name `on_event`, as *module* would have it."""

    async def on_event(event: dict[str, Any]) -> None: ...

    on_event.__module__ = module
    return on_event


def names(app: FastKafka) -> list[str]:
    groups = app._defaults().consumer_groups(app.consumers, app._servers_of)
    return sorted(h.name for group in groups for h in group.handlers)


def test_a_name_that_is_unique_stays_as_short_as_it_is() -> None:
    app = FastKafka(bootstrap_servers="127.0.0.1:1")
    app.consumes(topic="a")(handler("shop.orders"))
    assert names(app) == ["on_event"]


def test_functions_of_two_modules_have_their_modules() -> None:
    app = FastKafka(bootstrap_servers="127.0.0.1:1")
    for module in ("shop.orders", "shop.stock"):
        router = Router()
        router.consumes(topic="events")(handler(module))
        app.include_router(router)
    assert names(app) == ["shop.orders.on_event", "shop.stock.on_event"]


def test_functions_of_one_module_have_their_topics() -> None:
    app = FastKafka(bootstrap_servers="127.0.0.1:1")
    app.consumes(topic="a")(handler("shop"))
    app.consumes(topic=["b", "c"])(handler("shop"))
    assert names(app) == ["on_event(a)", "on_event(b, c)"]


def test_a_function_in_two_groups_has_its_groups() -> None:
    app = FastKafka(bootstrap_servers="127.0.0.1:1", group_id="shop")
    function = handler("shop")
    app.consumes(topic="a")(function)
    app.consumes(topic="a", group_id="audit")(function)
    app.consumes(topic="a", group_id=None)(function)
    assert names(app) == [
        "shop.on_event(a) in audit",
        "shop.on_event(a) in no group",
        "shop.on_event(a) in shop",
    ]


def test_what_nothing_tells_apart_is_numbered() -> None:
    app = FastKafka(bootstrap_servers="127.0.0.1:1", group_id="shop")
    app.consumes(topic="a")(handler("shop"))
    app.consumes(topic="a")(handler("shop"))
    assert names(app) == ["shop.on_event(a) in shop #1", "shop.on_event(a) in shop #2"]


async def test_each_is_counted_for_itself_in_metrics_and_on_the_page() -> None:
    app = FastKafka(group_id="shop")
    for topic in ("orders", "returns"):
        app.consumes(topic=topic)(handler("shop"))
        app.produces(topic=f"{topic}.out")(producer())
    async with Tester(app) as tester:
        for _ in range(2):
            await app.produce({"id": 1}, topic="orders")
        await app.produce({"id": 1}, topic="returns")
        await tester.idle()
        snapshot = app.snapshot()
    text, _ = exposition(lambda: [snapshot], "text/plain")
    handled = {
        sample.labels["function"]: sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if sample.name == "fastkafka_records_total"
        and sample.labels["outcome"] == "handled"
    }
    assert handled == {"on_event(orders)": 2, "on_event(returns)": 1}
    shape = describe(app, [snapshot])
    assert [f.name for f in shape.functions] == list(handled)
    assert [p.name for p in shape.producers] == [p.name for p in snapshot.producing]
    assert len({p.name for p in shape.producers}) == 2


def producer() -> Callable[..., Any]:
    def to_out(event: dict[str, Any]) -> dict[str, Any]:
        return event

    return to_out


async def test_each_is_controlled_by_its_own_name() -> None:
    app = FastKafka(
        group_id="shop", transport=MemoryBroker({"orders": 1, "returns": 1})
    )
    for topic in ("orders", "returns"):
        app.consumes(topic=topic)(handler("shop"))
    with pytest.raises(ConfigError) as caught:
        app.control.pause("on_event")
    assert str(caught.value).startswith("No function 'on_event' consumes here.")
    async with app:
        said = app.control.pause("on_event(returns)")
        assert said == "`on_event(returns)` is paused."
        paused = {f.name: f.paused for f in app.snapshot().functions}
        assert paused == {"on_event(orders)": False, "on_event(returns)": True}
        app.control.resume("on_event(returns)")
        assert not any(f.paused for f in app.snapshot().functions)
