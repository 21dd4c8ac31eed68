"""The way of a command to the workers and back, without any process."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastkafka.cli.relay import Relay


class Process:
    """A worker's process: notes what it is told."""

    def __init__(self, pid: int, *, ready: bool = True) -> None:
        self.pid = pid
        self.ready = ready
        self.told: list[Any] = []

    def send(self, line: bytes) -> None:
        assert line.endswith(b"\n")
        self.told.append(json.loads(line))


class Run:
    """A relay with two workers, of which each answers when it is asked to."""

    def __init__(self, seconds: float = 30.0) -> None:
        self.relay = Relay((seconds, seconds))
        self.workers = {1: Process(71), 2: Process(72)}
        for number, process in self.workers.items():
            self.relay.began(number, process)

    async def ask(self, **command: Any) -> asyncio.Task[bytes]:
        whole = {"topic": None, "partition": None, "function": "", **command}
        asking = asyncio.ensure_future(
            self.relay.pass_on(json.dumps({"id": 9, "command": whole}))
        )
        await asyncio.sleep(0)  # it has been told to the workers
        await asyncio.sleep(0)
        return asking

    def answer(self, worker: int, text: str = "Done.", outcome: str = "done") -> None:
        number = self.workers[worker].told[-1]["id"]
        said = {"id": number, "answer": {"outcome": outcome, "text": text}}
        self.relay.answered(worker, json.dumps(said))

    async def done(self, **command: Any) -> list[Any]:
        asking = await self.ask(**command)
        for worker in self.workers:
            self.answer(worker)
        return answers(await asking)

    @property
    def kept(self) -> list[Any]:
        return [
            (one["action"], one["function"], one["partition"])
            for one in json.loads(self.relay.kept)
        ]


def answers(line: bytes) -> list[Any]:
    said = json.loads(line)
    assert said["id"] == 9
    return [(a["worker"], a["outcome"], a["text"]) for a in said["answers"]]


async def test_all_workers_are_asked_and_all_answers_come_back() -> None:
    run = Run()
    asking = await run.ask(action="pause", function="on_orders")
    run.answer(2, "Two.")
    run.answer(1, "One.")

    assert answers(await asking) == [(1, "done", "One."), (2, "done", "Two.")]
    assert run.workers[1].told[0]["command"]["function"] == "on_orders"


async def test_a_worker_that_does_not_answer_is_named() -> None:
    run = Run(seconds=0.01)
    asking = await run.ask(action="pause", function="on_orders")
    run.answer(1)

    assert answers(await asking)[1] == (
        *(2, "silent"),
        "Worker 2, process 72, has not answered within 0.01 s. If it is blocked, it "
        "does it when it goes on.",
    )
    run.answer(2, "Too late.")  # which hurts nobody


async def test_a_worker_that_dies_meanwhile_is_not_waited_for() -> None:
    run = Run()
    asking = await run.ask(action="pause", function="on_orders")
    run.answer(1)
    run.relay.ended(2)

    assert answers(await asking)[1] == (
        *(2, "silent"),
        "Worker 2 died before it had answered.",
    )


async def test_a_worker_that_is_starting_does_it_then() -> None:
    run = Run()
    run.relay.ended(1)
    asking = await run.ask(action="pause", function="on_orders")
    run.answer(2)
    assert answers(await asking)[0] == (
        *(1, "later"),
        "Worker 1 is starting, and does it then.",
    )
    assert run.kept == [("pause", "on_orders", None)]

    # It was started a moment before, and is told what its arguments did not say.
    run.workers[1] = Process(73, ready=False)
    run.relay.began(1, run.workers[1])
    asking = await run.ask(action="seek", topic="orders", partition=0)
    run.answer(2)
    assert answers(await asking)[0] == (
        *(1, "elsewhere"),
        "Worker 1 is starting and has no partition.",
    )
    assert run.workers[1].told[0]["command"]["action"] == "seek"


async def test_what_a_new_worker_has_to_know_is_kept() -> None:
    run = Run()
    await run.done(action="pause", function="on_orders", topic="orders", partition=1)
    await run.done(action="pause", function="on_orders", topic="orders", partition=2)
    await run.done(action="pause", function="audit")
    await run.done(action="pause", function="audit")
    await run.done(action="concurrency", function="audit", concurrency=3)
    await run.done(action="concurrency", function="shop.audit", concurrency=4)
    await run.done(action="seek", topic="orders", partition=1)
    assert run.kept == [
        ("pause", "on_orders", 1),
        ("pause", "on_orders", 2),
        ("pause", "audit", None),
        ("concurrency", "shop.audit", None),
    ]

    await run.done(action="resume", function="on_orders", topic="orders", partition=1)
    await run.done(action="resume", function="shop.audit")
    assert run.kept == [
        ("pause", "on_orders", 2),
        ("concurrency", "shop.audit", None),
    ]

    run.relay.forget()
    assert run.kept == []


async def test_what_can_be_nowhere_is_not_kept() -> None:
    run = Run()
    await run.done(action="pause", function="on_orders")
    asking = await run.ask(
        action="resume", function="on_orders", topic="orders", partition=1
    )
    for worker in run.workers:
        run.answer(worker, "It is paused everywhere.", "wrong")
    await asking

    assert run.kept == [("pause", "on_orders", None)]
