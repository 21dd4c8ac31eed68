"""`run_script_and_cancel`: programs that end, and programs that are stopped."""

from __future__ import annotations

import sys

from fastkafka.testing import run_script_and_cancel

FOREVER = """
import signal, sys, time
print("started", flush=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))
time.sleep(60)
"""


async def test_a_program_that_ends_is_not_waited_for() -> None:
    code, output = await run_script_and_cancel(
        "import sys; print('out'); sys.exit('err')", cancel_after=60
    )

    assert (code, output) == (1, b"out\nerr\n")


async def test_a_program_that_runs_on_is_told_to_stop() -> None:
    code, output = await run_script_and_cancel(FOREVER, cancel_after=1)

    assert (code, output) == (1, b"started\ntold to stop\n")


async def test_a_command_of_ones_own_runs_beside_the_file() -> None:
    code, output = await run_script_and_cancel(
        "print('imported')",
        script_file="shop.py",
        cmd=f"{sys.executable} -c 'import shop; print(shop.__name__)'",
    )

    assert (code, output) == (0, b"imported\nshop\n")


async def test_the_documentation_is_written_before() -> None:
    app = "from fastkafka import FastKafka\nkafka_app = FastKafka(title='Shop')\n"
    code, output = await run_script_and_cancel(
        app, cmd="cat asyncapi/spec/asyncapi.yml", generate_docs=True
    )

    assert code == 0
    assert b"title: Shop" in output


async def test_an_app_without_documentation_is_not_run() -> None:
    code, output = await run_script_and_cancel(
        "print('imported')", cmd="false", generate_docs=True
    )

    assert code == 1
    assert b'Attribute "kafka_app" not found in module "script".' in output
