"""Every parameter, method and flag that the original documented is accepted."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from fastkafka import FastKafka
from fastkafka.brokers import KafkaBroker, KafkaBrokers
from fastkafka.cli import worker
from fastkafka.encoder import AvroBase
from fastkafka.executors import DynamicTaskExecutor, SequentialExecutor
from fastkafka.testing import (
    ApacheKafkaBroker,
    InMemoryBroker,
    LocalRedpandaBroker,
    Tester,
)
from tests.tools.commands import fastkafka

BOTH = {
    "loop": None,
    "client_id": "shop",
    "metadata_max_age_ms": 300_000,
    "request_timeout_ms": 40_000,
    "api_version": "auto",
    "retry_backoff_ms": 100,
    "security_protocol": "PLAINTEXT",
    "ssl_context": None,
    "connections_max_idle_ms": 540_000,
    "sasl_mechanism": "PLAIN",
    "sasl_plain_password": None,
    "sasl_plain_username": None,
    "sasl_kerberos_service_name": "kafka",
    "sasl_kerberos_domain_name": None,
    "sasl_oauth_token_provider": None,
}
PRODUCER = BOTH | {
    "acks": 1,
    "key_serializer": None,
    "value_serializer": None,
    "compression_type": None,
    "max_batch_size": 16_384,
    "max_request_size": 1_048_576,
    "linger_ms": 0,
    "send_backoff_ms": 100,
    "enable_idempotence": False,
    "transactional_id": None,
    "transaction_timeout_ms": 60_000,
}
CONSUMER = BOTH | {
    "group_id": None,
    "key_deserializer": None,
    "value_deserializer": None,
    "fetch_max_wait_ms": 500,
    "fetch_max_bytes": 52_428_800,
    "fetch_min_bytes": 1,
    "max_partition_fetch_bytes": 1_048_576,
    "auto_offset_reset": "latest",
    "enable_auto_commit": True,
    "auto_commit_interval_ms": 5000,
    "check_crcs": True,
    "partition_assignment_strategy": "roundrobin",
    "max_poll_interval_ms": 300_000,
    "rebalance_timeout_ms": None,
    "session_timeout_ms": 10_000,
    "heartbeat_interval_ms": 3000,
    "consumer_timeout_ms": 200,
    "max_poll_records": 100,
    "exclude_internal_topics": True,
    "isolation_level": "read_uncommitted",
}
LOOP = {"timeout_ms": 100, "max_buffer_size": 10_000}
"""What the original's consumer loop took beside the client's settings."""


@pytest.mark.parametrize("settings", [PRODUCER, CONSUMER], ids=["producer", "consumer"])
def test_an_app_takes_every_setting_of_the_client(settings: dict[str, Any]) -> None:
    FastKafka(**settings)


def test_functions_take_every_setting_of_their_client() -> None:
    app = FastKafka()
    consumer: dict[str, Any] = CONSUMER | LOOP
    producer: dict[str, Any] = PRODUCER

    @app.consumes("orders", "json", **consumer)
    async def on_orders(msg: dict[str, int]) -> None: ...

    @app.produces("invoices", "json", **producer)
    async def to_invoices(invoice: int) -> int:
        return invoice


def test_an_app_takes_all_that_describes_it() -> None:
    app = FastKafka(
        title="Shop",
        description="Sells",
        version="1.0",
        contact={"name": "Us", "url": "https://example.com", "email": "a@example.com"},
        kafka_brokers=KafkaBrokers(brokers={"demo": KafkaBroker(url="localhost")}),
        root_path="/tmp",
        lifespan=None,
        bootstrap_servers_id="demo",
    )

    assert (app.title, app.is_started, app.run, app.mocks) == (
        "Shop",
        False,
        False,
        None,
    )
    assert app.benchmark_results == {}
    app.set_kafka_broker("demo")
    with pytest.raises(
        ValueError,
        match=r"^Given kafka_broker_name 'x' is not found in kafka_brokers, available "
        r"options are dict_keys\(\['demo'\]\)",
    ):
        app.set_kafka_broker("x")


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (
            FastKafka.consumes,
            "topic decoder executor brokers prefix description",
        ),
        (FastKafka.produces, "topic encoder prefix brokers description"),
        (FastKafka.benchmark, "interval sliding_window_size"),
        (FastKafka.fastapi_lifespan, "kafka_broker_name"),
        (FastKafka.run_in_background, ""),
        (FastKafka.create_docs, ""),
        (FastKafka.create_mocks, ""),
        (FastKafka.get_topics, ""),
        (
            Tester,
            "app use_in_memory_broker broker topics retries apply_nest_asyncio "
            "zookeeper_port listener_port",
        ),
        (Tester.using_inmemory_broker, "bootstrap_servers_id"),
        (Tester.using_external_broker, "bootstrap_servers_id"),
        (Tester.using_local_kafka, "settings"),
        (Tester.using_local_redpanda, "settings"),
        (InMemoryBroker, "num_partitions"),
        (
            ApacheKafkaBroker,
            "topics retries apply_nest_asyncio zookeeper_port listener_port",
        ),
        (ApacheKafkaBroker.start, ""),
        (ApacheKafkaBroker.stop, ""),
        (
            LocalRedpandaBroker,
            "topics retries apply_nest_asyncio listener_port tag seastar_core memory "
            "mode default_log_level",
        ),
        (LocalRedpandaBroker.start, ""),
        (LocalRedpandaBroker.stop, ""),
        (SequentialExecutor, "throw_exceptions max_buffer_size"),
        (DynamicTaskExecutor, "throw_exceptions max_buffer_size size"),
        (
            AvroBase.avro_schema_for_pydantic_object,
            "pydantic_model by_alias namespace",
        ),
        (AvroBase.avro_schema_for_pydantic_class, "pydantic_model by_alias namespace"),
        (AvroBase.avro_schema, "by_alias namespace"),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_a_function_takes_its_parameters(
    function: Callable[..., Any], names: str
) -> None:
    parameters = inspect.signature(function).parameters

    assert set(names.split()) <= set(parameters)
    assert inspect.getdoc(function)


def test_intervals_are_seconds_or_a_timedelta() -> None:
    app = FastKafka()

    @app.benchmark(interval=timedelta(seconds=1))
    def first() -> None: ...

    @app.benchmark(interval=1, sliding_window_size=5)
    async def second() -> None: ...


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("", "run docs testing --install-completion --show-completion"),
        ("run", "--num-workers --kafka-broker"),
        ("docs", "generate serve install_deps"),
        ("docs generate", "--root-path"),
        ("docs serve", "--root-path --bind --port"),
        ("testing", "install_deps"),
    ],
)
def test_a_command_has_its_flags(
    command: str, flags: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    ended = fastkafka(*command.split(), "--help")

    assert [flag for flag in flags.split() if flag not in ended.out] == []
    assert ended.code == 0


@pytest.mark.parametrize(
    ("argument", "answer"),
    [
        ("--help", "--kafka-broker"),
        ("--install-completion", "`fastkafka --install-completion`"),
        ("--show-completion", "`fastkafka --install-completion`"),
    ],
)
def test_the_second_command_has_its_flags(
    argument: str, answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        worker.run_worker([argument])

    assert ended.value.code == 0
    assert answer in capsys.readouterr().out


def test_a_function_has_its_description() -> None:
    app = FastKafka()

    @app.consumes(description="Takes orders in")
    async def on_orders(msg: int) -> None: ...

    @app.produces(description="Tells of invoices")
    async def to_invoices() -> int:
        return 1

    assert vars(on_orders)["description"] == "Takes orders in"
    assert vars(to_invoices)["description"] == "Tells of invoices"


def test_methods_can_be_described_too() -> None:
    class Shop:
        async def on_orders(self, msg: int) -> None: ...

    app = FastKafka()
    app.consumes(description="Takes orders in")(Shop().on_orders)

    assert app.consumers[0].description == "Takes orders in"
