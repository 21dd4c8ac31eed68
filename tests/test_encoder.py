"""`fastkafka.encoder`: the names of the original, with fastavro and without."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
from pydantic import BaseModel, ValidationError

import fastkafka.encoder
from fastkafka.encoder import (
    AvroBase,
    avro_decoder,
    avro_encoder,
    json_decoder,
    json_encoder,
)


class Hello(BaseModel):
    msg: str


class Greeting(AvroBase):
    msg: str


def test_the_originals_names_are_here() -> None:
    assert sorted(fastkafka.encoder.__all__) == [
        "AvroBase",
        "avro_decoder",
        "avro_encoder",
        "avsc_to_pydantic",
        "json_decoder",
        "json_encoder",
    ]
    assert all(hasattr(fastkafka.encoder, name) for name in fastkafka.encoder.__all__)


def test_a_model_is_written_as_compact_json() -> None:
    assert json_encoder(Hello(msg="Hello world!")) == b'{"msg":"Hello world!"}'


def test_anything_else_is_written_as_json_dumps_writes_it() -> None:
    assert json_encoder({"msg": "hi", "n": [1, 2]}) == b'{"msg": "hi", "n": [1, 2]}'


def test_json_is_read_into_the_class() -> None:
    assert json_decoder(b'{"msg": "hi"}', Hello) == Hello(msg="hi")


def test_json_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValidationError):
        json_decoder(b'{"msg": 1}', Hello)


def test_avro_and_back() -> None:
    raw = avro_encoder(Greeting(msg="hi"))

    assert raw == b"\x04hi"
    assert avro_decoder(raw, Greeting) == Greeting(msg="hi")


def run_without_fastavro(program: str) -> list[str]:
    """Run a program for which fastavro is not installed; return its lines."""
    blocker = """
        import sys

        class Blocker:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] == "fastavro":
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        sys.meta_path.insert(0, Blocker())
    """
    finished = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(blocker) + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.splitlines()


def test_json_and_schemas_do_without_fastavro() -> None:
    assert run_without_fastavro(
        """
        from fastkafka.encoder import AvroBase, avsc_to_pydantic, json_encoder

        class Hello(AvroBase):
            msg: str

        print(json_encoder(Hello(msg="hi")).decode())
        print(avsc_to_pydantic(Hello.avro_schema()).__name__)
        """
    ) == ['{"msg":"hi"}', "Hello"]


def test_avro_without_fastavro_names_the_extra() -> None:
    sentence = (
        "Avro needs `fastavro`, which is not installed. Install FastKafka's extra "
        '`avro`: in its checkout, `pip install ".[avro]"`.'
    )

    lines = run_without_fastavro(
        """
        from fastkafka.codecs import avro
        from fastkafka.encoder import AvroBase, avro_decoder, avro_encoder

        class Hello(AvroBase):
            msg: str

        for use in (
            lambda: avro_encoder(Hello(msg="hi")),
            lambda: avro_decoder(b"", Hello),
            lambda: avro.decoder(Hello),
            lambda: avro.encoder(Hello),
        ):
            try:
                use()
            except ValueError as error:
                print(type(error).__name__, error)
        """
    )

    assert lines == [f"ConfigError {sentence}"] * 4


def test_importing_the_encoders_does_not_import_fastavro() -> None:
    finished = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, fastkafka.encoder; print('fastavro' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout == "False\n"
