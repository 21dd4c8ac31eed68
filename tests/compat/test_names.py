"""The names that code for the original FastKafka imports, the private ones too."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from typing import Any

import pytest

import fastkafka
from fastkafka import encoder, executors, testing

PRIVATE = {
    "fastkafka._application.app": {"FastKafka": "fastkafka"},
    "fastkafka._application.tester": {"Tester": "fastkafka.testing"},
    "fastkafka._components._subprocess": {
        "terminate_asyncio_process": "fastkafka._compat.processes"
    },
    "fastkafka._components.aiokafka_consumer_loop": {"EventMetadata": "fastkafka"},
    "fastkafka._components.asyncapi": {
        "KafkaBroker": "fastkafka.brokers",
        "KafkaBrokers": "fastkafka.brokers",
    },
    "fastkafka._components.encoder": dict.fromkeys(
        encoder.__all__, "fastkafka.encoder"
    ),
    "fastkafka._components.encoder.avro": {
        "AvroBase": "fastkafka.encoder",
        "avro_decoder": "fastkafka.encoder",
        "avro_encoder": "fastkafka.encoder",
        "avsc_to_pydantic": "fastkafka.encoder",
    },
    "fastkafka._components.encoder.json": {
        "json_decoder": "fastkafka.encoder",
        "json_encoder": "fastkafka.encoder",
    },
    "fastkafka._components.helpers": {
        "_import_from_string": "fastkafka._compat.processes",
        "change_dir": "fastkafka._compat.processes",
    },
    "fastkafka._components.logger": {
        "get_logger": "fastkafka._compat.log",
        "set_level": "fastkafka._compat.log",
        "suppress_timestamps": "fastkafka._compat.log",
    },
    "fastkafka._components.producer_decorator": {"KafkaEvent": "fastkafka"},
    "fastkafka._components.task_streaming": {
        "DynamicTaskExecutor": "fastkafka.executors",
        "SequentialExecutor": "fastkafka.executors",
        "StreamExecutor": "fastkafka.executors",
    },
    "fastkafka._helpers": {
        "consumes_messages": "fastkafka._compat.records",
        "produce_messages": "fastkafka._compat.records",
    },
    "fastkafka._server": {"run_in_process": "fastkafka._compat.processes"},
    "fastkafka._testing.apache_kafka_broker": {
        "ApacheKafkaBroker": "fastkafka.testing",
        "run_and_match": "fastkafka._compat.processes",
    },
    "fastkafka._testing.in_memory_broker": {"InMemoryBroker": "fastkafka.testing"},
    "fastkafka._testing.local_redpanda_broker": {
        "LocalRedpandaBroker": "fastkafka.testing"
    },
    "fastkafka._testing.test_utils": {
        "display_docs": "fastkafka.testing",
        "mock_AIOKafkaProducer_send": "fastkafka.testing",
        "nb_safe_seed": "fastkafka.testing",
        "run_script_and_cancel": "fastkafka.testing",
    },
}
"""What each path offers, and where that lives."""

NOT_NEEDED = {
    *("IPython", "aiokafka", "anyio", "asyncer", "docstring_parser", "fastavro"),
    *("nest_asyncio", "tqdm", "typer"),
}
"""What importing an old path must not bring."""


@pytest.mark.parametrize(
    ("module", "name", "home"),
    [(m, n, home) for m, names in PRIVATE.items() for n, home in names.items()],
)
def test_a_private_path_leads_to_the_same_object(
    module: str, name: str, home: str
) -> None:
    there: Any = importlib.import_module(home)
    name_there = name.removeprefix("_")

    assert getattr(importlib.import_module(module), name) is getattr(there, name_there)


def test_there_are_no_other_private_paths() -> None:
    found = {
        module.name
        for module in pkgutil.walk_packages(fastkafka.__path__, "fastkafka.")
        if module.name.startswith("fastkafka._")
        and not module.name.startswith(("fastkafka._compat", "fastkafka.__main__"))
    }
    packages = {"_application", "_components", "_testing"}

    assert found == PRIVATE.keys() | {f"fastkafka.{name}" for name in packages}


def test_private_paths_bring_nothing_that_is_not_needed() -> None:
    program = "import sys, importlib\n"
    program += f"for name in {sorted(PRIVATE)}: importlib.import_module(name)\n"
    program += "print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert NOT_NEEDED.isdisjoint(ran.stdout.split())


def test_the_originals_public_names_are_here() -> None:
    assert {"FastKafka", "KafkaEvent", "EventMetadata", "__version__"} <= {
        *fastkafka.__all__
    }
    assert sorted(testing.__all__) == [
        "ApacheKafkaBroker",
        "ApiKey",
        "EmbeddedBroker",
        "InMemoryBroker",
        "LocalKafkaBroker",
        "LocalRedpandaBroker",
        "Tester",
        "display_docs",
        "mock_AIOKafkaProducer_send",
        "nb_safe_seed",
        "run_script_and_cancel",
    ]
    assert sorted(encoder.__all__) == [
        "AvroBase",
        "avro_decoder",
        "avro_encoder",
        "avsc_to_pydantic",
        "json_decoder",
        "json_encoder",
    ]
    assert sorted(executors.__all__) == [
        "DynamicTaskExecutor",
        "SequentialExecutor",
        "StreamExecutor",
    ]


@pytest.mark.parametrize(
    "module",
    ["fastkafka", "fastkafka.testing", "fastkafka.encoder", "fastkafka.executors"],
)
def test_a_star_import_works(module: str) -> None:
    names: dict[str, Any] = {}

    exec(f"from {module} import *", names)

    assert set(importlib.import_module(module).__all__) <= names.keys()
