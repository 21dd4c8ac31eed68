"""What is looked at while a scenario runs: committed offsets, memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.faults.rules import Sample

_PERIOD = 0.25


class CommitWatch:
    """Looks at the committed offsets of a group, again and again."""

    def __init__(self, servers: str, group: str, topic: str) -> None:
        self.samples: list[Sample] = []
        self._client = Consumer(
            {"bootstrap.servers": servers, "group.id": group, "log_level": 0}
        )
        self._topic = topic
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="commits", daemon=True)
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def look(self, timeout: float = 5) -> Sample | None:
        """Look once; None if nobody answers."""
        with self._lock:
            try:
                found = self._client.list_topics(self._topic, timeout=timeout)
                partitions = found.topics[self._topic].partitions
                answer = self._client.committed(
                    [TopicPartition(self._topic, p) for p in partitions],
                    timeout=timeout,
                )
            except KafkaException:
                return None
            offsets = {
                (p.topic, p.partition): p.offset
                for p in answer
                if p.offset >= 0 and p.error is None
            }
            sample = Sample(time.monotonic(), time.time(), offsets)
            self.samples.append(sample)
            return sample

    def passed(self, offsets: Mapping[tuple[str, int], int]) -> bool:
        """Whether, when last looked at, more was committed than these offsets."""
        if not self.samples:
            return not offsets
        last = self.samples[-1].offsets
        return all(last.get(p, 0) > offset for p, offset in offsets.items())

    def stop(self) -> None:
        """End."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(30)
        self._client.close()

    def _run(self) -> None:
        while not self._stop.wait(_PERIOD):
            self.look(2)


class MemoryWatch:
    """Looks at the memory and the open files of processes."""

    def __init__(self, pids: Callable[[], Collection[int]]) -> None:
        self.most_megabytes = 0.0
        self.samples: list[tuple[float, int, float, int]] = []
        """Time, process, megabytes, open files."""
        self._pids = pids
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.wait(1.0):
            for pid in self._pids():
                try:
                    status = Path(f"/proc/{pid}/status").read_text()
                    files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
                except OSError:
                    continue  # it has ended
                for line in status.splitlines():
                    if line.startswith("VmRSS:"):
                        megabytes = int(line.split()[1]) / 1024
                        self.most_megabytes = max(self.most_megabytes, megabytes)
                        self.samples.append((time.monotonic(), pid, megabytes, files))
