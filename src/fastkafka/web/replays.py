"""Replays that the page has started: each in a thread, with its progress."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from fastkafka.errors import ConfigError, FastKafkaError
from fastkafka.tools.parking import DeadLetter, Parking
from fastkafka.tools.replay import Fates, Progress, Replay
from fastkafka.tools.topics import AppTopic, Clusters
from fastkafka.web.desk import Desk
from fastkafka.web.failures import Failures, Topics
from fastkafka.web.preview import Part, preview
from fastkafka.web.wishes import ReplayWish

logger = logging.getLogger(__name__)

KEPT = 20
"""How many replays are remembered."""

FATE_SECONDS = 120.0
"""How long it is watched what becomes of what was sent."""

State = Literal["running", "waiting", "done", "stopped", "failed"]


@dataclass(slots=True)
class Job:
    """A replay or a dismissal.

    Attributes:
        id: Its name.
        action: What is done.
        rate: Records a second.
        topics: Where the records are parked.
        total: How many there are.
        state: "running" while it sends, "waiting" while what was sent is not handled.
        error: Why it failed.
        stop: Set it, and no more is sent.
    """

    id: str
    action: str
    rate: float
    topics: Sequence[str]
    total: int
    started: float
    state: State = "running"
    error: str | None = None
    progress: list[Progress] = field(default_factory=list)
    fates: list[Fates] = field(default_factory=list)
    dismissed: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def to_dict(self) -> dict[str, Any]:
        """Return it as the page reads it."""
        refused = [refusal for p in self.progress for refusal in p.refused]
        return {
            "id": self.id,
            "action": self.action,
            "rate": self.rate,
            "topics": list(self.topics),
            "total": self.total,
            "sent": self.dismissed + sum(p.sent for p in self.progress),
            "handled": sum(f.handled for f in self.fates),
            "parked": sum(f.parked for f in self.fates),
            "refused": len(refused),
            "error": self.error or (str(refused[0][1]) if refused else None),
            "state": self.state,
            "started": self.started,
        }


class Replays:
    """What is being replayed, or was a short while ago.

    Args:
        failures: What is parked.
        topics: The app's.
        desk: Takes questions.
        redact: Fields that are masked.
    """

    def __init__(
        self, failures: Failures, topics: Topics, desk: Desk, redact: Sequence[str]
    ) -> None:
        self._failures = failures
        self._topics = topics
        self._desk = desk
        self._redact = redact
        self._jobs: dict[str, Job] = {}

    def all(self) -> list[dict[str, Any]]:
        """Return them, the newest first."""
        return [job.to_dict() for job in reversed(self._jobs.values())]

    def get(self, id: str) -> dict[str, Any] | None:
        """Return how far one is."""
        job = self._jobs.get(id)
        return None if job is None else job.to_dict()

    def stop(self, id: str) -> dict[str, Any] | None:
        """Let one send no more; what is sent is sent."""
        job = self._jobs.get(id)
        if job is None:
            return None
        job.stop.set()
        logger.info("Replay %s is stopped from the page.", id)
        return job.to_dict()

    def close(self) -> None:
        """Let all of them send no more."""
        for job in self._jobs.values():
            job.stop.set()

    async def preview(self, wish: ReplayWish) -> dict[str, Any]:
        """Say what would be sent where.

        Raises:
            ConfigError: None of these records is parked.
        """
        parts = await self._chosen(wish)
        topics = await self._topics()
        return await self._desk.ask(
            lambda clusters: preview(parts, topics, clusters, self._redact)
        )

    async def start(self, wish: ReplayWish) -> dict[str, Any]:
        """Start one.

        Raises:
            ConfigError: None of these records is parked.
        """
        parts = await self._chosen(wish)
        total = sum(len(part.letters) for part in parts)
        names = [part.topic.name for part in parts]
        job = Job(
            secrets.token_hex(6), wish.action, wish.rate, names, total, time.time()
        )
        self._remember(job)
        logger.info(
            "%s from the page: %d records of %s",
            "Replay" if wish.action == "replay" else "Dismissal",
            total,
            ", ".join(names),
        )
        topics = await self._topics()
        threading.Thread(
            target=self._run,
            args=(job, parts, topics, asyncio.get_running_loop()),
            name="fastkafka-replay",
            daemon=True,
        ).start()
        return job.to_dict()

    async def _chosen(self, wish: ReplayWish) -> Sequence[Part]:
        groups = await self._failures.all(fresh=True)
        if wish.group is not None and wish.group not in groups:
            raise ConfigError("These records are no longer parked.")
        places = None
        if wish.records is not None:
            places = {(p.topic, p.partition, p.offset) for p in wish.records}
        parts: dict[str, Part] = {}
        for group in groups.values():
            if wish.group not in (None, group.id):
                continue
            chosen = [
                letter
                for letter in group.letters
                if places is None or (group.topic.name, *letter.place) in places
            ]
            if chosen:
                part = parts.get(group.topic.name, Part(group.topic, ()))
                letters = sorted([*part.letters, *chosen], key=_time)
                parts[group.topic.name] = Part(group.topic, letters)
        if not parts:
            raise ConfigError("None of these records is parked.")
        return list(parts.values())

    def _remember(self, job: Job) -> None:
        self._jobs[job.id] = job
        while len(self._jobs) > KEPT:
            del self._jobs[next(iter(self._jobs))]

    def _run(
        self,
        job: Job,
        parts: Sequence[Part],
        topics: Sequence[AppTopic],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        def forget() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._failures.forget)

        try:
            with Clusters() as clusters:
                for part in parts:
                    if not job.stop.is_set():
                        self._do(job, part, topics, clusters, forget)
        except FastKafkaError as error:
            job.state, job.error = "failed", str(error)
        except BaseException as error:
            job.state, job.error = "failed", f"{type(error).__name__}: {error}"
            raise
        else:
            job.state = "stopped" if job.stop.is_set() else "done"
        finally:
            forget()

    def _do(
        self,
        job: Job,
        part: Part,
        topics: Sequence[AppTopic],
        clusters: Clusters,
        forget: Callable[[], None],
    ) -> None:
        with Parking(part.topic, clusters) as parking:
            if job.action == "dismiss":
                parking.finish(part.letters)
                job.dismissed += len(part.letters)
                return
            replay = Replay(parking, topics, clusters, rate=job.rate)
            progress = Progress(len(part.letters))
            fates = Fates(0, 0, 0)
            job.progress.append(progress)
            job.fates.append(fates)
            index = len(job.fates) - 1
            checked = time.monotonic()

            def look(_: Progress) -> None:
                nonlocal checked
                if time.monotonic() - checked > 1.0:
                    checked = time.monotonic()
                    job.fates[index] = replay.fates(progress.replayed)

            replay.run(part.letters, progress, stop=job.stop, on_progress=look)
            forget()
            job.state = "waiting"
            deadline = time.monotonic() + FATE_SECONDS
            while progress.replayed and not job.stop.is_set():
                job.fates[index] = fates = replay.fates(progress.replayed)
                if not fates.waiting or time.monotonic() > deadline:
                    break
                job.stop.wait(0.5)
            job.state = "running"


def _time(letter: DeadLetter) -> tuple[int, int]:
    return letter.record.timestamp()[1], letter.record.offset()
