"""What the functions behind private import paths do."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from fastkafka._components._subprocess import terminate_asyncio_process
from fastkafka._components.helpers import _import_from_string, change_dir
from fastkafka._components.logger import get_logger, set_level, suppress_timestamps
from fastkafka._helpers import consumes_messages, produce_messages
from fastkafka._testing.apache_kafka_broker import run_and_match
from fastkafka.errors import ConfigError
from fastkafka.testing import EmbeddedBroker
from tests.clients import read


class Message(BaseModel):
    number: int


def python(program: str) -> tuple[str, str, str]:
    return (sys.executable, "-c", program)


# Loggers


def test_a_logger_lets_info_through_and_leaves_the_root_logger_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = (logging.root.level, list(logging.root.handlers))
    logger = get_logger("shop", add_spaces=False)
    suppress_timestamps()

    logger.info("seen")
    logger.debug("not seen")

    assert caplog.messages == ["seen"]
    assert (logging.root.level, list(logging.root.handlers)) == before


def test_a_level_is_set_for_this_packages_loggers() -> None:
    logger = get_logger("fastkafka.some_test")
    other = get_logger("other")

    set_level(logging.ERROR)
    try:
        assert (logger.level, other.level) == (logging.ERROR, logging.INFO)
    finally:
        set_level(logging.NOTSET)


# Processes


def test_a_function_runs_in_a_process_until_the_end_of_the_block() -> None:
    program = """
import multiprocessing, time
from fastkafka._server import run_in_process

def wait(queue):
    queue.put("runs")
    time.sleep(60)

if __name__ == "__main__":
    from functools import partial
    queue = multiprocessing.Queue()
    with run_in_process(partial(wait, queue)) as process:
        print(queue.get(), process.is_alive())
    print(process.exitcode)
"""
    ran = subprocess.run(python(program), capture_output=True, text=True, check=True)

    assert ran.stdout == "runs True\n-15\n"


async def test_a_program_is_started_until_it_has_said_so() -> None:
    program = "import time; print('a'); print('ready 1'); print('ready 2'); "
    program += "import sys; sys.stdout.flush(); time.sleep(60)"

    process = await run_and_match(*python(program), pattern=r"ready \d", num_to_match=2)

    assert process.returncode is None
    await terminate_asyncio_process(process)
    assert process.returncode == -15


async def test_what_is_said_on_stderr_can_be_waited_for() -> None:
    program = "import sys, time; print('ready', file=sys.stderr); time.sleep(60)"

    process = await run_and_match(*python(program), capture="stderr", pattern="ready")

    await terminate_asyncio_process(process)


@pytest.mark.parametrize(
    ("program", "error", "sentence"),
    [
        ("print('no')", TimeoutError, "ended without printing 'ready'"),
        ("import sys; sys.exit('no')", RuntimeError, "ended with exit code 1"),
    ],
)
async def test_a_program_that_ends_before_is_an_error(
    program: str, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=rf"(?s){sentence}.*no$"):
        await run_and_match(*python(program), pattern="ready")


async def test_a_program_that_never_says_so_is_terminated(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(TimeoutError):
        await run_and_match(
            *python("import time; time.sleep(60)"), pattern="ready", timeout=0.2
        )

    assert re.fullmatch(
        r"terminate_asyncio_process\(\): Terminating the process (\d+)\.\.\.\n"
        r"terminate_asyncio_process\(\): Process \1 terminated\.",
        "\n".join(caplog.messages),
    )


async def test_an_unknown_stream_is_refused() -> None:
    sentence = "`run_and_match`: `capture` is 'both'. Use 'stdout' or 'stderr'."
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"):
        await run_and_match("true", capture="both", pattern="")


async def test_a_process_that_has_ended_is_not_terminated_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()

    await terminate_asyncio_process(process)

    assert caplog.messages[-1] == (
        f"terminate_asyncio_process(): Process {process.pid} was already terminated."
    )


def test_a_folder_is_the_current_one_for_a_block(tmp_path: Path) -> None:
    before = os.getcwd()

    with change_dir(tmp_path):
        assert os.getcwd() == str(tmp_path)

    assert os.getcwd() == before


def test_anything_can_be_imported_by_its_name() -> None:
    assert _import_from_string("os.path:join") is os.path.join
    for wrong, sentence in {
        "os.path": 'Import string "os.path" must be in format "<module>:<attribute>".',
        "nowhere:x": 'Could not import module "nowhere".',
        "os:nothing": 'Attribute "nothing" not found in module "os".',
    }.items():
        with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
            _import_from_string(wrong)


# Records


async def test_messages_are_produced_and_counted() -> None:
    messages: list[Any] = [Message(number=1), {"number": 2}, b'{"number":3}']

    with EmbeddedBroker(["numbers"]) as servers:
        await produce_messages(
            topic="numbers", bootstrap_servers=servers, msgs=messages
        )
        await consumes_messages(
            topic="numbers",
            bootstrap_servers=servers,
            msgs_count=3,
            auto_offset_reset="earliest",
        )
        records = await asyncio.to_thread(read, servers, "numbers", 3)

    assert sorted(record.value() or b"" for record in records) == [
        b'{"number":1}',
        b'{"number":2}',
        b'{"number":3}',
    ]
