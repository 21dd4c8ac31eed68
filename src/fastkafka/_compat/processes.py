"""Processes that the guides' tests start and stop."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

from fastkafka.cli.loading import import_from_string
from fastkafka.errors import ConfigError

logger = logging.getLogger("fastkafka._components._subprocess")

_ATTEMPTS = 3
_PATIENCE = 10.0
_LAST_LINES = 20


@contextmanager
def run_in_process(target: Callable[[], object]) -> Iterator[BaseProcess]:
    """Run a function in a process of its own until the end of the block.

    Args:
        target: What to run; how the process is made is `multiprocessing`'s choice.
    """
    process = multiprocessing.Process(target=target)
    process.start()
    try:
        yield process
    finally:
        process.terminate()
        process.join(_PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()


async def run_and_match(
    *args: str,
    capture: str = "stdout",
    timeout: float = 5,
    pattern: str,
    num_to_match: int = 1,
) -> asyncio.subprocess.Process:
    """Start a program and return when it has printed what is waited for.

    It goes on running; `terminate_asyncio_process` ends it.

    Args:
        args: The program and its arguments.
        capture: Where it prints it: "stdout" or "stderr".
        timeout: Seconds; after them it is terminated.
        pattern: A regular expression that is searched for in each line.
        num_to_match: In how many lines it has to be found.

    Raises:
        ConfigError: `capture` is neither.
        TimeoutError: It did not print that in time, or ended well before.
        RuntimeError: It ended with another exit code than 0.
    """
    if capture not in ("stdout", "stderr"):
        raise ConfigError(
            f"`run_and_match`: `capture` is {capture!r}. Use 'stdout' or 'stderr'."
        )
    process = await asyncio.create_subprocess_exec(
        *args, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    stream = process.stdout if capture == "stdout" else process.stderr
    assert stream is not None
    printed: deque[str] = deque(maxlen=_LAST_LINES)
    try:
        async with asyncio.timeout(timeout):
            async for line in stream:
                printed.append(line.decode(errors="replace"))
                num_to_match -= bool(re.search(pattern, printed[-1]))
                if num_to_match <= 0:
                    return process
            _, other = await process.communicate()
    except BaseException:
        await terminate_asyncio_process(process)
        raise
    end = "".join(printed)
    if process.returncode == 0:
        raise TimeoutError(
            f"`{' '.join(args)}` ended without printing {pattern!r}. The end of its "
            f"{capture}:\n{end}"
        )
    raise RuntimeError(
        f"`{' '.join(args)}` ended with exit code {process.returncode}. The end of its "
        f"{capture}:\n{end}{other.decode(errors='replace')[-2000:]}"
    )


async def terminate_asyncio_process(p: asyncio.subprocess.Process) -> None:
    """End a process: ask it three times, ten seconds each, and then kill it.

    Args:
        p: The process.
    """
    logger.info("terminate_asyncio_process(): Terminating the process %s...", p.pid)
    if p.returncode is not None:
        logger.info(
            "terminate_asyncio_process(): Process %s was already terminated.", p.pid
        )
        return
    for _ in range(_ATTEMPTS):
        with suppress(ProcessLookupError):
            p.terminate()
        with suppress(TimeoutError):
            async with _drained(p), asyncio.timeout(_PATIENCE):
                await p.wait()
            logger.info("terminate_asyncio_process(): Process %s terminated.", p.pid)
            return
        logger.warning(
            "terminate_asyncio_process(): Process %s not terminated, retrying...", p.pid
        )
    p.kill()
    async with _drained(p):
        await p.wait()
    logger.warning("terminate_asyncio_process(): Process %s killed!", p.pid)


@asynccontextmanager
async def _drained(process: asyncio.subprocess.Process) -> AsyncIterator[None]:
    """Read what a process prints, so that full pipes do not keep it from ending."""
    streams = [s for s in (process.stdout, process.stderr) if s is not None]
    reading = [asyncio.ensure_future(stream.read()) for stream in streams]
    try:
        yield
    finally:
        for one in reading:
            one.cancel()
        await asyncio.gather(*reading, return_exceptions=True)


@contextmanager
def change_dir(d: str | Path) -> Iterator[None]:
    """Make a folder the current one until the end of the block.

    Args:
        d: The folder.
    """
    before = os.getcwd()
    os.chdir(d)
    try:
        yield
    finally:
        os.chdir(before)


__all__ = [
    "change_dir",
    "import_from_string",
    "run_and_match",
    "run_in_process",
    "terminate_asyncio_process",
]
