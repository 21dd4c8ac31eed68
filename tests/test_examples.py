"""The examples run as a user runs them, in processes of their own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.compat.guides import STAND_INS

ROOT = Path(__file__).parents[1]
LIFESPAN = ROOT / "examples" / "lifespan"
EXAMPLE = LIFESPAN / "lifespan_example.py"
READY = "fastkafka.app: Started"


@contextmanager
def process(
    *arguments: str, cwd: Path = LIFESPAN, stand_ins: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """Run Python; kill it if the test leaves it running.

    Args:
        arguments: What to run.
        cwd: Where.
        stand_ins: Without scikit-learn, where it does not matter what is predicted.
    """
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=cwd,
        env=os.environ | ({"PYTHONPATH": str(STAND_INS)} if stand_ins else {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as popen:
        try:
            yield popen
        finally:
            popen.kill()


def run_app(broker: str) -> list[str]:
    """Return the guide's command line, for one of its brokers."""
    command = f"run --num-workers=1 --kafka-broker={broker} lifespan_example:kafka_app"
    return ["-m", "fastkafka", *command.split()]


def read_until(popen: subprocess.Popen[str], wanted: str) -> str:
    """Return the output up to the line that holds *wanted*; all of it without one."""
    assert popen.stdout is not None
    output = ""
    for line in popen.stdout:
        output += line
        if wanted in line:
            break
    return output


def test_the_guides_app_loads_its_model_and_clears_it_when_it_is_stopped() -> None:
    with process(*run_app("embedded"), stand_ins=True) as app:
        output = read_until(app, READY)
        app.send_signal(signal.SIGINT)
        output += app.communicate()[0]

    assert len(re.findall(r"^\[\d+\]: Loading the model!$", output, re.M)) == 1
    assert (
        len(re.findall(r"^\[\d+\]: Exiting, clearing model dict!$", output, re.M)) == 1
    )
    assert app.returncode == 0, output


def test_a_placeholder_that_nobody_filled_in_is_one_clear_line(tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    for value, placeholder in {
        '"url": "localhost"': '"url": "<url_of_your_kafka_bootstrap_server>"',
        '"port": "9092"': '"port": "<port_of_your_kafka_bootstrap_server>"',
    }.items():
        assert text.count(value) == 1
        text = text.replace(value, placeholder)
    (tmp_path / EXAMPLE.name).write_text(text)

    with process(*run_app("localhost"), cwd=tmp_path, stand_ins=True) as app:
        output, _ = app.communicate()

    assert output == (
        "Broker 'localhost': `url` is still '<url_of_your_kafka_bootstrap_server>' and "
        "`port` is still '<port_of_your_kafka_bootstrap_server>'. Write the address of "
        "a Kafka broker. To try without one: `--kafka-broker embedded`.\n"
    )
    assert app.returncode == 1


def test_the_demo_ends_by_itself_after_so_many_records() -> None:
    with process("demo.py", "--count", "4", "--rate", "1000") as demo:
        output, _ = demo.communicate()

    *_, last = output.splitlines()
    assert re.search(r"^\[\d+\]: Loading the model!$", output, re.M)
    assert re.search(r"^\[\d+\]: Exiting, clearing model dict!$", output, re.M)
    answers = re.findall(
        r"^(\d+) +[\d.]+ x [\d.]+ +[\d.]+ x [\d.]+ +([a-z]+) +([a-z]+) +[\d.]+$",
        output,
        re.M,
    )
    assert [number for number, _, _ in answers] == ["1", "2", "3", "4"]
    agreed = sum(predicted == species for _, predicted, species in answers)
    assert re.fullmatch(
        rf"4 predictions, {agreed} as in the data set; median [\d.]+ ms "
        "from sending a record to receiving its prediction.",
        last,
    )
    assert demo.returncode == 0


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_runs_until_it_is_stopped(signum: signal.Signals) -> None:
    with process("demo.py", "--rate", "50", stand_ins=True) as demo:
        output = read_until(demo, "predicted")
        demo.send_signal(signum)
        output += demo.communicate()[0]

    assert "Exiting, clearing model dict!" in output
    assert " as in the data set; " in output.splitlines()[-1]
    assert "Traceback" not in output
    assert demo.returncode == 0


def test_a_demo_whose_app_dies_shows_why_and_fails(tmp_path: Path) -> None:
    shutil.copy(LIFESPAN / "demo.py", tmp_path)
    broken = EXAMPLE.read_text().replace(
        'print("Loading the model!")', 'raise RuntimeError("no model today")'
    )
    (tmp_path / EXAMPLE.name).write_text(broken)

    with process("demo.py", "--count", "4", cwd=tmp_path, stand_ins=True) as demo:
        output, _ = demo.communicate()

    assert "RuntimeError: no model today" in output
    assert output.endswith("The app ended with exit code 1.\nNo predictions.\n")
    assert demo.returncode == 1
