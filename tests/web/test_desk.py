"""`Desk`: questions that block, and what becomes of them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from fastkafka.errors import ConfigError
from fastkafka.tools.topics import Clusters
from fastkafka.web import desk as module
from fastkafka.web.desk import Desk
from tests.clients import WAIT_SECONDS

ENDS = """
import asyncio, threading
from fastkafka.web.desk import Desk

async def main():
    desk, asked = Desk(), threading.Event()

    def question(clusters):
        asked.set()
        threading.Event().wait()

    asking = asyncio.ensure_future(desk.ask(question))
    while not asked.is_set():
        await asyncio.sleep(0.01)
    asking.cancel()
    desk.close()

asyncio.run(main())
print("ended")
"""


def test_a_program_ends_while_a_question_is_not_answered() -> None:
    """Python waited for the threads, and they ten seconds for a broker."""
    ended = subprocess.run(
        [sys.executable, "-c", ENDS],
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    assert (ended.stdout, ended.stderr, ended.returncode) == ("ended\n", "", 0)


async def test_who_asks_gets_the_answer_or_the_error() -> None:
    desk = Desk()

    def refuses(clusters: Clusters) -> None:
        raise ConfigError("No.")

    assert await desk.ask(lambda clusters: 5) == 5
    with pytest.raises(ConfigError, match="No"):
        await desk.ask(refuses)
    desk.close()


async def test_those_who_went_away_do_not_make_more_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "THREADS", 1)
    desk, go_on, asked = Desk(), threading.Event(), threading.Semaphore(0)

    def question(clusters: Clusters) -> None:
        asked.release()
        go_on.wait(WAIT_SECONDS)

    first = asyncio.ensure_future(desk.ask(question))
    await asyncio.to_thread(asked.acquire)
    first.cancel()
    second = asyncio.ensure_future(desk.ask(question))
    await asyncio.wait({first})
    assert not asked.acquire(blocking=False)

    go_on.set()
    await second
    desk.close()
