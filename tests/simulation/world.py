"""Runs a schedule from its start until everything is settled."""

from __future__ import annotations

import asyncio
import contextlib
import random
from contextvars import copy_context
from functools import partial
from typing import Any

import pytest

from fastkafka import FastKafka
from fastkafka.errors import FastKafkaError
from fastkafka.transport import intake
from fastkafka.transport.base import TopicPartition
from fastkafka.transport.memory import MemoryBroker
from tests.simulation.apps import LARGEST_OUTPUT
from tests.simulation.ledger import INPUTS, OUTPUTS, Ledger
from tests.simulation.loop import SimulatedLoop, simulate
from tests.simulation.schedules import HANGS, Action, Schedule
from tests.simulation.workers import (
    WatchedConsumer,
    WatchedGroup,
    Worker,
    current_worker,
)

GROUP = "shop"
RESTART_SECONDS = 1.0
MOST_WORKERS = 3

PATIENCE_SECONDS = 100.0
"""Of simulated time in which nothing happens although something is left to do."""


class Slot:
    """Where one worker after another runs: a supervisor that restarts them."""

    def __init__(self, number: int, world: World) -> None:
        self.suspended = False
        self.wanted = True
        self._number = number
        self._world = world
        self._incarnations = 0
        self._start()
        self.task = asyncio.get_running_loop().create_task(self._run())

    def _start(self) -> None:
        self._incarnations += 1
        self.worker = Worker(
            f"w{self._number}.{self._incarnations}",
            self._world.broker,
            self._world.ledger,
        )

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await self._world.run(self.worker)
            self.suspended = False
            if not self.wanted:
                return
            await asyncio.sleep(RESTART_SECONDS)
            if not self.wanted:
                return
            self._start()

    @property
    def running(self) -> bool:
        """Whether it is meant to go on."""
        return self.wanted and not self.task.done()

    def stop(self) -> None:
        """End the worker cleanly, as SIGTERM would."""
        self.wanted = False
        self.worker.stopping.set()

    def crash(self) -> None:
        """End the worker as SIGKILL would; another follows."""
        if not self.task.done():
            self.worker.kill()

    def consumers(self) -> list[WatchedConsumer]:
        """Return the clients of the worker that are in the group."""
        return [
            client
            for client in self.worker.clients
            if isinstance(client, WatchedConsumer)
            and client in self._world.broker._cluster.clients
        ]


class World:
    """See the module."""

    def __init__(self, schedule: Schedule, loop: SimulatedLoop) -> None:
        self.schedule = schedule
        self.loop = loop
        self.broker = MemoryBroker(
            {INPUTS: schedule.partitions},
            seed=schedule.seed,
            poll_records=schedule.poll_records,
        )
        self.broker.create_topic(OUTPUTS, max_message_bytes=LARGEST_OUTPUT)
        self.ledger = Ledger(schedule, self.broker, loop)
        cluster = self.broker._cluster
        group = cluster.groups[GROUP] = WatchedGroup(
            GROUP, cluster.clock, cluster.partitions_of, cluster.up.is_set
        )
        group.ledger = self.ledger
        self._slots: list[Slot] = []
        self._left = list(schedule.inputs)
        self._actions = list(schedule.actions)
        self._acted = asyncio.Event()
        self._context = copy_context()
        loop.set_task_factory(_make_task)

    async def live(self) -> Ledger:
        """Let the schedule happen, then let everything settle, then look."""
        for fault in self.schedule.faults:
            self._do(fault)
        self._produce(self.schedule.before)
        self._start(self.schedule.workers)
        self._next_action()
        await self._acted.wait()
        await self._settle()
        await self._stop_all()
        self.ledger.close()
        for problem in self.loop.problems:
            self.ledger.check(False, problem)
        return self.ledger

    async def run(self, worker: Worker) -> None:
        """Run a worker; its failures are its own, except those that cannot be."""
        try:
            await worker.spawn(worker.run())
        except FastKafkaError as error:
            self.ledger.note(f"{worker.name} ended: {error}")
        except Exception as error:  # noqa: BLE001 - the engine's, whatever it is
            self.ledger.check(False, f"I8: {worker.name} broke: {error!r}")
        self.ledger.gone(worker.name)

    # What happens.

    def _next_action(self) -> None:
        if not self._actions:
            self._acted.set()
            return
        action = self._actions.pop(0)
        if action.seconds:
            self.loop.call_later(action.seconds, self._in_steps, action)
        else:
            self._in_steps(action)

    def _in_steps(self, action: Action) -> None:
        # The step that it comes before may be a worker's; this is nobody's.
        act = partial(self._context.copy().run, self._act, action)
        self.loop.at_step(self.loop.steps + action.steps, act)

    def _act(self, action: Action) -> None:
        self._do(action)
        self._next_action()

    def _do(self, action: Action) -> None:
        self.ledger.note(f"! {action.what} {action.number}")
        name = action.what.replace(" ", "_")
        getattr(self, f"_on_{name}")(action.number)

    def _on_produce(self, number: int) -> None:
        self._produce(number + 1)

    def _on_start(self, number: int) -> None:
        if sum(slot.running for slot in self._slots) < MOST_WORKERS:
            self._start(1)

    def _on_stop(self, number: int) -> None:
        if (slot := self._pick(number)) is not None:
            slot.stop()

    def _on_crash(self, number: int) -> None:
        if (slot := self._pick(number)) is not None:
            slot.crash()

    def _on_rebalance(self, number: int) -> None:
        self.broker.rebalance(GROUP)

    def _on_suspend(self, number: int) -> None:
        if (slot := self._pick(number)) is not None:
            self.ledger.commits_may_fail = True
            for consumer in slot.consumers():
                slot.suspended = True
                self.broker.suspend(consumer)

    def _on_resume(self, number: int) -> None:
        for slot in self._slots:
            if slot.suspended:
                slot.suspended = False
                for consumer in slot.consumers():
                    self.broker.resume(consumer)

    def _on_commit(self, number: int) -> None:
        self.broker.commit()

    def _on_refuse_commits(self, number: int) -> None:
        self.ledger.commits_may_fail = True
        self.broker.fail("commit", error="NOT_COORDINATOR", times=number + 1)

    def _on_refuse_outputs(self, number: int) -> None:
        self.broker.fail(
            "produce", error="NOT_ENOUGH_REPLICAS", topic=OUTPUTS, times=number + 1
        )

    def _on_refuse_dead_letters(self, number: int) -> None:
        self.broker.fail(
            "produce",
            error="NOT_ENOUGH_REPLICAS",
            topic=f"{INPUTS}-dlt",
            times=number + 1,
        )

    def _on_refuse_fetches(self, number: int) -> None:
        self.broker.fail("fetch", error="NOT_LEADER_FOR_PARTITION", times=number + 1)

    def _on_slow_acknowledgements(self, number: int) -> None:
        self.ledger.commits_may_fail = True
        self.broker.delay(0.5 * 4**number)

    def _on_down(self, number: int) -> None:
        self.broker.down()

    def _on_up(self, number: int) -> None:
        self.broker.up()

    def _on_heal(self, number: int) -> None:
        self.broker.heal()

    def _on_add_a_partition(self, number: int) -> None:
        there = len(self.broker._cluster.topic(INPUTS).partitions)
        if there < 4:
            self.broker.create_partitions(INPUTS, there + 1)

    def _on_pause(self, number: int) -> None:
        slot, app = self._controlled(number)
        if slot is not None and app is not None:
            function = self.ledger.functions[number % len(self.ledger.functions)]
            where = None if number < 2 else number - 2
            topic = None if where is None else INPUTS
            app.control.pause(self._called(function), topic, where)
            self.ledger.paused(slot.worker.name, function, where)

    def _on_unpause(self, number: int) -> None:
        slot, app = self._controlled(number)
        if slot is not None and app is not None:
            for function in self.ledger.functions:
                app.control.resume(self._called(function))
                self.ledger.resumed(slot.worker.name, function)

    def _on_concurrency(self, number: int) -> None:
        slot, app = self._controlled(number)
        if slot is not None and app is not None and self.schedule.order != "partition":
            self.ledger.concurrency(slot.worker.name, number + 1)
            app.control.set_concurrency(self._called("main"), number + 1)

    def _on_seek(self, number: int) -> None:
        slot, app = self._controlled(number)
        owned = [] if slot is None else self.ledger.owned(slot.worker.name)
        if slot is None or app is None or not owned:
            return
        partition = owned[number % len(owned)]
        end = self.broker._cluster.log(TopicPartition(INPUTS, partition)).end
        offset = (0, end // 2, end, self.ledger.committed.get(partition, 0))[number]

        name = slot.worker.name

        async def seek() -> None:
            try:
                await app.control.seek(INPUTS, partition, offset)
            except FastKafkaError as refused:
                self.ledger.note(f"no seek: {refused}")
                self.ledger.seeking(name, partition, now=False)

        self.ledger.seeking(name, partition, now=True)
        slot.worker.spawn(seek())

    def _controlled(self, number: int) -> tuple[Slot | None, FastKafka | None]:
        slot = self._pick(number)
        if slot is None or slot.worker.dead:  # its process takes no commands any more
            return slot, None
        return slot, slot.worker.app

    def _called(self, function: str) -> str:
        batch = function == "main" and self.schedule.batch
        return "batch" if batch else function

    def _pick(self, number: int) -> Slot | None:
        running = [slot for slot in self._slots if slot.running]
        return running[number % len(running)] if running else None

    def _start(self, count: int) -> None:
        for _ in range(count):
            self._slots.append(Slot(len(self._slots) + 1, self))

    def _produce(self, count: int) -> None:
        partitions = len(self.broker._cluster.topic(INPUTS).partitions)
        for wanted in self._left[:count]:
            record = self.broker.produce(
                INPUTS,
                b"?" if wanted.ends == "undecodable" else b"7",
                key=None if wanted.key is None else b"%d" % wanted.key,
                partition=wanted.partition % partitions,
            )
            self.ledger.written(record, wanted)
        del self._left[:count]

    # The end.

    async def _settle(self) -> None:
        """Mend everything, and wait until all is done and committed."""
        self.ledger.note("! all is mended")
        self.broker.heal()
        self.broker.up()
        self._on_resume(0)
        for number in range(len(self._slots)):
            self._on_unpause(number)
        self._produce(len(self._left))
        if not any(slot.running for slot in self._slots):
            self._start(1)
        hangs = [d for i in self.schedule.inputs for d in i.does if d in HANGS]
        restarts = 0 if self.schedule.handler_timeout else len(hangs)
        while not await self._progresses():
            if restarts == 0 or not self.ledger.hanging:
                self.ledger.check(False, "P: nothing happens any more")
                return
            restarts -= 1
            self.ledger.note("! a handler hangs")
            await self._stop_all()
            self._start(1)

    async def _progresses(self) -> bool:
        """Return whether all is settled, as soon as that is clear."""
        lines, since = -1, self.loop.now
        while not self.ledger.settled():
            if lines != len(self.ledger.trace):
                lines, since = len(self.ledger.trace), self.loop.now
            elif self.loop.now - since > PATIENCE_SECONDS:
                return False
            await asyncio.sleep(0.5)
        return True

    async def _stop_all(self) -> None:
        for slot in self._slots:
            slot.stop()
        await asyncio.gather(*(slot.task for slot in self._slots))


def run(schedule: Schedule) -> Ledger:
    """Simulate a schedule and return what happened."""

    async def main(loop: SimulatedLoop) -> Ledger:
        return await World(schedule, loop).live()

    chance = random.getstate()
    random.seed(schedule.seed)  # for the jitter of retries
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(intake, "HIGH_RECORDS", schedule.high)
            patch.setattr(intake, "LOW_RECORDS", schedule.high // 2)
            return simulate(main)
    finally:
        random.setstate(chance)


def _make_task(
    loop: asyncio.AbstractEventLoop, coroutine: Any, **kwargs: Any
) -> asyncio.Task[Any]:
    """Note whose task it is, so that it dies with its worker.

    The broker's own tasks are nobody's, whoever's step has made them.
    """
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **kwargs)
    name = getattr(coroutine, "__qualname__", "")
    context = kwargs.get("context")
    worker = current_worker.get() if context is None else context.get(current_worker)
    if worker is not None and not name.startswith(("Memory", "Watched")):
        worker.tasks[task] = None
        task.add_done_callback(worker.tasks.pop)
    return task
