"""The way of a command: web process -> parent -> workers, and of their answers back.

Commands and answers are JSON, in lines of the sockets that the parent shares with its
processes. The parent remembers what a worker has to know that takes the place of a dead
one: what is paused, and what was said about concurrency.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence
from typing import Any, Protocol

ANSWER_SECONDS = 5.0
SEEK_SECONDS = 30.0
"""What a worker has for its answer; a seek waits for what is being handled."""


class Process(Protocol):
    """A worker's process."""

    pid: int
    ready: bool

    def send(self, line: bytes) -> None:
        """Write a line to its socket."""


class Relay:
    """Passes commands to the workers of one run.

    Args:
        seconds: What they have for an answer, and for that to a seek.
    """

    def __init__(
        self, seconds: tuple[float, float] = (ANSWER_SECONDS, SEEK_SECONDS)
    ) -> None:
        self._seconds = seconds
        self._processes: dict[int, Process | None] = {}
        self._kept: list[dict[str, Any]] = []
        self._numbers = itertools.count(1)
        self._waiting: dict[tuple[int, int], asyncio.Future[dict[str, Any]]] = {}
        """By worker and number."""

    @property
    def kept(self) -> str:
        """What a worker that starts now is to do before all else: a list, as JSON."""
        return json.dumps(self._kept, separators=(",", ":"))

    def forget(self) -> None:
        """Know of no command any more: another run begins."""
        self._kept.clear()
        self._processes.clear()

    def began(self, worker: int, process: Process) -> None:
        """A worker has a process."""
        self._processes[worker] = process

    def ended(self, worker: int) -> None:
        """Its process has ended."""
        self._processes[worker] = None
        for (whose, number), answer in list(self._waiting.items()):
            if whose == worker and not answer.done():
                text = f"Worker {worker} died before it had answered."
                answer.set_result({"outcome": "silent", "text": text})
                del self._waiting[whose, number]

    def answered(self, worker: int, text: str) -> None:
        """A worker has answered."""
        said = json.loads(text)
        answer = self._waiting.pop((worker, said["id"]), None)
        if answer is not None and not answer.done():
            answer.set_result(said["answer"])

    async def pass_on(self, text: str) -> bytes:
        """Pass on what the web process asks; return the line that answers it."""
        asked = json.loads(text)
        answers = await self._ask_all(asked["command"])
        return json.dumps({"id": asked["id"], "answers": answers}).encode() + b"\n"

    async def _ask_all(self, command: dict[str, Any]) -> Sequence[dict[str, Any]]:
        before = list(self._kept)
        self._keep(command)  # now, for a worker that starts before all have answered
        answers = await asyncio.gather(
            *(self._ask(worker, command) for worker in sorted(self._processes))
        )
        if any(answer["outcome"] == "wrong" for answer in answers):
            self._kept = before
        return answers

    def _keep(self, command: dict[str, Any]) -> None:
        """Remember a command, and no other that it makes needless."""
        if command["action"] == "seek":
            return

        def needless(other: dict[str, Any]) -> bool:
            if _short(other["function"]) != _short(command["function"]):
                return False
            if "concurrency" in (other["action"], command["action"]):
                return bool(other["action"] == command["action"])
            everywhere = command["partition"] is None
            where = (command["topic"], command["partition"])
            same = (other["topic"], other["partition"]) == where
            return same or (everywhere and command["action"] == "resume")

        self._kept = [other for other in self._kept if not needless(other)]
        if command["action"] != "resume":
            self._kept.append(command)

    async def _ask(self, worker: int, command: dict[str, Any]) -> dict[str, Any]:
        seeks = command["action"] == "seek"
        process = self._processes[worker]
        if process is None or not process.ready:
            if process is not None:
                process.send(self._line(0, command))  # it may have begun without
            text = f"Worker {worker} is starting" + (
                " and has no partition." if seeks else ", and does it then."
            )
            outcome = "elsewhere" if seeks else "later"
            return {"outcome": outcome, "text": text, "worker": worker}
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]]
        answer = asyncio.get_running_loop().create_future()
        self._waiting[worker, number] = answer
        process.send(self._line(number, command))
        seconds = self._seconds[seeks]
        try:
            async with asyncio.timeout(seconds):
                said = await answer
        except TimeoutError:
            self._waiting.pop((worker, number), None)
            said = {
                "outcome": "silent",
                "text": f"Worker {worker}, process {process.pid}, has not answered "
                f"within {seconds:g} s. If it is blocked, it does it when it goes on.",
            }
        return said | {"worker": worker}

    @staticmethod
    def _line(number: int, command: dict[str, Any]) -> bytes:
        return json.dumps({"id": number, "command": command}).encode() + b"\n"


def _short(function: str) -> str:
    """Return a function's name without its module."""
    return function.rpartition(".")[2]
