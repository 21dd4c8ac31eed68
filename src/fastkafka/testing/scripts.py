"""`run_script_and_cancel`: a program that is tried for some seconds."""

from __future__ import annotations

import asyncio
import shlex
import sys
import tempfile
from pathlib import Path

STOP_SECONDS = 30.0
"""How long a program may take to stop after it was told to."""


async def run_script_and_cancel(
    script: str,
    *,
    script_file: str | None = None,
    cmd: str | None = None,
    cancel_after: float = 10,
    app_name: str = "app",
    kafka_app_name: str = "kafka_app",
    generate_docs: bool = False,
) -> tuple[int, bytes]:
    """Run a program in a folder of its own, and stop it after some seconds.

    Args:
        script: The program's text.
        script_file: The name that it gets; default "script.py".
        cmd: What runs it, as in a shell, but without one; default:
            ``python -m script``.
        cancel_after: Seconds after which it is told to stop (SIGTERM), unless it has
            ended by then.
        app_name: Without effect.
        kafka_app_name: The attribute that holds the app, for its documentation.
        generate_docs: Write the app's documentation before.

    Returns:
        Its exit code, and what it has printed to stdout and stderr.
    """
    file = script_file or "script.py"
    module = Path(file).stem
    command = [sys.executable, "-m", module] if cmd is None else shlex.split(cmd)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / file).write_text(script, encoding="utf-8")
        if generate_docs:
            app = f"{module}:{kafka_app_name}"
            documenting = [sys.executable, "-m", "fastkafka", "docs", "generate", app]
            code, output = await _run(documenting, folder, None)
            if code:
                return code, output
        return await _run(command, folder, cancel_after)


async def _run(
    command: list[str], folder: str, cancel_after: float | None
) -> tuple[int, bytes]:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    reading = asyncio.ensure_future(process.communicate())
    try:
        done, _ = await asyncio.wait([reading], timeout=cancel_after)
        if not done:
            process.terminate()
            await asyncio.wait([reading], timeout=STOP_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
    output, _ = await reading
    assert process.returncode is not None
    return process.returncode, output
