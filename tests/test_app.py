"""`FastKafka`: what it registers, what it refuses, how it starts and stops."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import BaseModel

from fastkafka import (
    BrokerUnavailableError,
    ClientError,
    ConfigError,
    FastKafka,
)
from fastkafka.executors import DynamicTaskExecutor
from fastkafka.testing import EmbeddedBroker
from fastkafka.testing.embedded import ApiKey
from fastkafka.transport.librdkafka import connection
from fastkafka.transport.memory import MemoryBroker
from tests.clients import in_thread, produce, until


class Order(BaseModel):
    id: int


async def on_orders(order: Order) -> None: ...


def to_orders() -> Order:
    return Order(id=1)


def refused(sentence: str) -> Any:
    return pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"title": 5}, "FastKafka: `title` is 5. Write a string: '5'."),
        ({"version": 1.0}, "FastKafka: `version` is 1.0. Write a string: '1.0'."),
        (
            {"description": b"Sells"},
            """FastKafka: `description` is b'Sells'. Write a string: "b'Sells'".""",
        ),
        *(
            (
                {"contact": contact},
                f"FastKafka: `contact` is {contact!r}. Write a dictionary of strings: "
                "{'name': 'Team', 'url': 'https://example.com', "
                "'email': 'team@example.com'}.",
            )
            for contact in ("us", {"name": 5})
        ),
        *(
            (
                {"bootstrap_servers": servers},
                f"FastKafka: `bootstrap_servers` is {servers!r}. "
                "Write 'localhost:9092', or a list of such strings.",
            )
            for servers in (9092, [], ["localhost:9092", 9093])
        ),
    ],
)
def test_what_an_app_says_about_itself_is_text(
    arguments: dict[str, Any], sentence: str
) -> None:
    with refused(sentence):
        FastKafka(**arguments)


def test_topics_come_from_names_prefixes_or_the_argument() -> None:
    app = FastKafka()

    @app.consumes(prefix="read_from_")
    async def read_from_orders(order: Order) -> None: ...

    @app.consumes(topic="a.b-c_D")
    async def anything(order: Order) -> None: ...

    @app.produces(prefix="send_to_")
    def send_to_invoices() -> Order:
        return Order(id=1)

    app.consumes()(on_orders)
    app.produces()(to_orders)
    assert app.get_topics() == {"orders", "a.b-c_D", "invoices"}


def test_a_decorated_handler_is_the_users_function_and_an_attribute_of_the_app() -> (
    None
):
    app = FastKafka()

    assert app.consumes()(on_orders) is on_orders
    sending = app.produces()(to_orders)

    assert app.on_orders is on_orders  # type: ignore[attr-defined]
    assert app.to_orders is sending  # type: ignore[attr-defined]
    assert sending.__name__ == "to_orders"


@pytest.mark.parametrize(
    ("declare", "sentence"),
    [
        (
            lambda app: app.consumes()(to_orders),
            "Function name 'to_orders' must start with on_, followed by the name of "
            "the topic. Rename the function, or name the topic: `topic=...`.",
        ),
        (
            lambda app: app.produces()(on_orders),
            "Function name 'on_orders' must start with to_, followed by the name of "
            "the topic. Rename the function, or name the topic: `topic=...`.",
        ),
        (
            lambda app: app.consumes(topic="no spaces")(on_orders),
            "`on_orders`: 'no spaces' is not a topic's name. Kafka takes 1 to 249 "
            "characters of a-z, A-Z, 0-9, '.', '_' and '-'.",
        ),
        (
            lambda app: app.consumes(auto_ofset_reset="latest")(on_orders),
            "`on_orders`: Unknown setting 'auto_ofset_reset'. "
            "Did you mean 'auto_offset_reset'?",
        ),
        (
            lambda app: app.consumes(concurency=3)(on_orders),
            "`on_orders`: Unknown setting 'concurency'. Did you mean 'concurrency'?",
        ),
        (
            lambda app: app.consumes(concurrency=0)(on_orders),
            "`on_orders`: `concurrency` is 0. Use a number from 1.",
        ),
        (
            lambda app: app.consumes(
                executor=DynamicTaskExecutor(size="3")  # type: ignore[arg-type]
            )(on_orders),
            "`on_orders`: `size` is '3'. Use a number from 1.",
        ),
        (
            lambda app: app.benchmark(float("nan"))(on_orders),
            "`benchmark`: `interval` is nan. Use a number of seconds from 0.",
        ),
        (
            lambda app: app.benchmark(sliding_window_size="3")(on_orders),
            "`benchmark`: `sliding_window_size` is '3'. Use a number from 1.",
        ),
        (
            lambda app: app.consumes(decoder="xml")(on_orders),
            "`on_orders`: Unknown decoder - xml. "
            'Pass "json", "avro" or a function; see the documentation of `decoder=`.',
        ),
        (
            lambda app: app.produces(confirm=True)(to_orders),
            "`to_orders`: `confirm=True` waits for the acknowledgement, which a sync "
            "function cannot. Write `async def to_orders(...)`.",
        ),
        (
            lambda app: app.run_in_background()(to_orders),
            "`to_orders` runs in the background, so it must be async. "
            "Write `async def to_orders()`.",
        ),
        (
            lambda app: app.run_in_background()(on_orders),
            "`on_orders` runs in the background, where nothing can fill its "
            "parameters. Write `async def on_orders()`.",
        ),
        (
            lambda app: app.set_kafka_broker("localhots"),
            "Given kafka_broker_name 'localhots' is not found in kafka_brokers, "
            "available options are dict_keys(['localhost']). "
            "Did you mean 'localhost'?",
        ),
        (
            lambda app: app.consumes(brokers={"other": {"url": "x"}})(on_orders),
            "To override application default brokers, you must define all of the "
            "broker options. Default defined: {'localhost'}, override defined: "
            "{'other'}.",
        ),
    ],
)
def test_a_declaration_that_cannot_work_is_refused(declare: Any, sentence: str) -> None:
    with refused(sentence):
        declare(FastKafka())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"auto_offset_rest": "latest"},
            "FastKafka: Unknown setting 'auto_offset_rest'. "
            "Did you mean 'auto_offset_reset'?",
        ),
        (
            {"concurrency": "8"},
            "FastKafka: `concurrency` is '8'. Use a number from 1.",
        ),
        (
            {"concurrency": None},
            "FastKafka: `concurrency` is None. Use a number from 1.",
        ),
        (
            {"order": None},
            "FastKafka: `order` is None. Leave it out for 'partition'.",
        ),
        (
            {"revoke_timeout": -1},
            "FastKafka: `revoke_timeout` is -1. Use seconds, from 0.",
        ),
        (
            {"shutdown_timeout": -1},
            "FastKafka: `shutdown_timeout` is -1. Use seconds, from 0.",
        ),
        (
            {"shutdown_timeout": None},
            "FastKafka: `shutdown_timeout` is None. Use seconds, from 0.",
        ),
        (
            {"shutdown_timeout": float("nan")},
            "FastKafka: `shutdown_timeout` is nan. Use seconds, from 0.",
        ),
        (
            {"handler_timeout": float("inf")},
            "FastKafka: `handler_timeout` is inf. Use seconds, above 0, or None.",
        ),
        (
            {"redact": "card"},
            "FastKafka: `redact` is 'card'. Write a tuple of dotted paths: "
            "('card.number',).",
        ),
        (
            {"lifespan": "startup"},
            "FastKafka: `lifespan` is 'startup'. Pass a function that takes the app "
            "and is decorated with `@asynccontextmanager`.",
        ),
    ],
)
def test_an_app_that_cannot_work_is_refused(
    arguments: dict[str, Any], sentence: str
) -> None:
    with refused(sentence):
        FastKafka(**arguments)


def test_a_handler_may_take_longer_than_the_poll_interval() -> None:
    """Records are polled beside it, so the group does not notice."""
    app = FastKafka(max_poll_interval_ms=10_000)
    app.consumes(handler_timeout=3600)(on_orders)
    assert app.consumers[0].timeout == 3600


def test_two_starts_of_one_group_contradict_each_other(
    embedded: EmbeddedBroker,
) -> None:
    app = FastKafka(title="Shop", bootstrap_servers=embedded.bootstrap_servers)
    app.consumes(auto_offset_reset="latest")(on_orders)

    @app.consumes(topic="orders")
    async def audit(order: Order) -> None: ...

    with refused(
        "`on_orders` starts 'orders' at 'latest' and `audit` at 'earliest', but they "
        "share a group, which has one start. Use one `auto_offset_reset` for both, or "
        "another `group_id` for one."
    ):
        asyncio.run(app.__aenter__())


@pytest.mark.parametrize(
    ("title", "settings", "group"),
    [
        ("Iris predictions", {}, "iris-predictions"),
        ("  Ünïts & more! ", {}, "n-ts-more"),
        (None, {}, "tests-test-app"),
        ("Shop", {"group_id": "mine"}, "mine"),
        ("Shop", {"group_id": None}, None),
    ],
)
def test_the_group_is_the_slug_of_the_title(
    title: str | None, settings: dict[str, Any], group: str | None
) -> None:
    assert FastKafka(title=title, **settings).group_id == group


async def test_the_lifespan_surrounds_everything(embedded: EmbeddedBroker) -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastKafka) -> AsyncIterator[None]:
        assert not app.is_started
        events.append("entered")
        yield
        assert not app.is_started
        events.append("left")

    app = FastKafka(
        title="Shop", bootstrap_servers=embedded.bootstrap_servers, lifespan=lifespan
    )

    @app.consumes(topic="orders")
    async def handle(order: Order) -> None:
        events.append("handled")

    await in_thread(produce, embedded.bootstrap_servers, "orders", [b'{"id": 1}'])
    async with app:
        assert app.is_started
        await until(lambda: "handled" in events)
    assert events == ["entered", "handled", "left"]

    events.clear()
    async with app:
        pass
    assert events == ["entered", "left"], "an app can be started again"


async def test_a_lifespan_that_raises_at_the_start_stops_the_start() -> None:
    @asynccontextmanager
    async def lifespan(app: FastKafka) -> AsyncIterator[None]:
        raise LookupError("no model")
        yield

    app = FastKafka(lifespan=lifespan)
    with pytest.raises(LookupError, match="no model"):
        async with app:
            pytest.fail("it must not start")
    assert not app.is_started


async def test_a_lifespan_that_raises_at_the_end_raises_after_a_clean_stop(
    embedded: EmbeddedBroker,
) -> None:
    @asynccontextmanager
    async def lifespan(app: FastKafka) -> AsyncIterator[None]:
        yield
        raise LookupError("cannot clean up")

    app = FastKafka(
        bootstrap_servers=embedded.bootstrap_servers, lifespan=lifespan, title="Shop"
    )
    app.consumes()(on_orders)
    with pytest.raises(LookupError, match="cannot clean up"):
        async with app:
            pass
    assert not app.is_started


async def test_a_lifespan_that_is_no_context_manager_says_so() -> None:
    async def lifespan(app: FastKafka) -> None: ...

    app = FastKafka(lifespan=lifespan)  # type: ignore[arg-type]
    with pytest.raises(ConfigError) as error:
        async with app:
            pytest.fail("it must not start")

    assert re.fullmatch(
        r"FastKafka: `lifespan` returned <coroutine .*>, which is not an async context "
        r"manager\. Decorate the function with `@asynccontextmanager`\.",
        str(error.value),
    )


async def test_a_start_that_is_cancelled_leaves_the_lifespan_as_ever() -> None:
    broker = MemoryBroker({"orders": 1})
    broker.down()
    told: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastKafka) -> AsyncIterator[None]:
        told.append("entered")
        yield
        told.append("left")  # without `finally`, as guides write it

    app = FastKafka(title="Shop", transport=broker, lifespan=lifespan)
    app.consumes(topic="orders")(anything)
    starting = asyncio.ensure_future(app.__aenter__())
    await until(lambda: bool(told))
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    assert told == ["entered", "left"]


async def anything(message: int) -> None: ...


async def test_no_broker_is_one_sentence_and_the_lifespan_is_left(
    monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.5)
    left: list[bool] = []

    @asynccontextmanager
    async def lifespan(app: FastKafka) -> AsyncIterator[None]:
        try:
            yield
        finally:
            left.append(True)

    address = f"127.0.0.1:{unused_tcp_port}"
    app = FastKafka(bootstrap_servers=address, title="Shop", lifespan=lifespan)
    app.consumes()(on_orders)
    app.produces()(to_orders)

    with pytest.raises(BrokerUnavailableError) as error:
        await app.__aenter__()

    assert str(error.value) == (
        f"No broker answers at {address}. Is Kafka running? "
        "To try without one: `--kafka-broker embedded`."
    )
    assert error.value.bootstrap_servers == address
    assert left == [True]
    assert not app.is_started


async def test_a_group_that_is_not_allowed_is_one_sentence(
    embedded: EmbeddedBroker,
) -> None:
    embedded.create_topic("orders", 1)
    group_authorization_failed = 30
    for request in (ApiKey.CONSUMER_GROUP_HEARTBEAT, ApiKey.FIND_COORDINATOR):
        embedded.fail_requests(request, group_authorization_failed, times=50)
    app = FastKafka(bootstrap_servers=embedded.bootstrap_servers, title="Shop")
    app.consumes()(on_orders)

    with pytest.raises(ClientError) as error:
        await app.__aenter__()

    assert error.value.code == "GROUP_AUTHORIZATION_FAILED"
    assert str(error.value).endswith(
        "(GROUP_AUTHORIZATION_FAILED). Allow this user to use the group "
        "(kafka-acls.sh --add ... --group), or set another `group_id`."
    )


async def test_background_tasks_run_beside_the_app_and_end_with_it(
    embedded: EmbeddedBroker,
) -> None:
    app = FastKafka(bootstrap_servers=embedded.bootstrap_servers, title="Shop")
    events: list[str] = []

    @app.run_in_background()
    async def report() -> None:
        events.append("started")
        try:
            await asyncio.sleep(3600)
        finally:
            events.append("cancelled")

    @app.run_in_background()
    async def once() -> None:
        events.append("once")

    async with app:
        await until(lambda: len(events) == 2)
    assert sorted(events) == ["cancelled", "once", "started"]


async def test_a_background_task_that_raises_ends_the_app(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = FastKafka(title="Shop")

    @app.run_in_background()
    async def report() -> None:
        raise LookupError("no report")

    with pytest.raises(LookupError, match="no report"):
        async with app:
            await app.wait_stopped()

    assert "Background task 'report' failed." in caplog.text


async def test_an_app_cannot_be_started_twice(embedded: EmbeddedBroker) -> None:
    app = FastKafka(bootstrap_servers=embedded.bootstrap_servers, title="Shop")
    async with app:
        with pytest.raises(RuntimeError) as error:
            await app.__aenter__()
    assert str(error.value) == (
        "The app 'Shop' runs already. Stop it before you start it."
    )
