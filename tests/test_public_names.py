"""The public names of the package, and what importing it costs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import fastkafka


def test_the_public_names_are_these() -> None:
    assert sorted(fastkafka.__all__) == [
        "BatchError",
        "BrokerUnavailableError",
        "ClientError",
        "ConfigError",
        "DecodingError",
        "Depends",
        "EventMetadata",
        "FastKafka",
        "FastKafkaError",
        "HandlerError",
        "Header",
        "KafkaEvent",
        "Key",
        "NotStartedError",
        "ProduceError",
        "RecordError",
        "Reject",
        "Retry",
        "RetryLater",
        "Router",
        "StopConsuming",
        "__version__",
    ]


def test_every_public_name_can_be_imported() -> None:
    for name in fastkafka.__all__:
        assert getattr(fastkafka, name) is not None


def test_type_checkers_see_the_same_names() -> None:
    assert fastkafka.__file__ is not None
    stub = Path(fastkafka.__file__).with_suffix(".pyi").read_text()
    names = {*re.findall(r"import (\w+) as \1$", stub, re.MULTILINE), "__version__"}

    assert names == set(fastkafka.__all__)


def _imported_by(statement: str) -> set[str]:
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(ran.stdout.split())


def test_the_library_does_not_import_the_command_line() -> None:
    imported = _imported_by("from fastkafka import FastKafka")

    assert imported.isdisjoint({"typer", "rich", "click"})


def test_the_command_line_does_not_wait_for_the_client() -> None:
    imported = _imported_by("import fastkafka.cli.commands")

    assert "typer" in imported
    assert imported.isdisjoint({"confluent_kafka", "pydantic", "fastkafka.app"})
