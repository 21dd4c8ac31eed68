"""Live records: a thread reads a topic's newest ones while somebody watches it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastkafka.errors import FastKafkaError
from fastkafka.tools.find import Find
from fastkafka.tools.models import secrets_of
from fastkafka.tools.records import Limits, RecordReader, RecordView
from fastkafka.tools.topics import AppTopic, Clusters
from fastkafka.web.redaction import Redaction

INTERVAL = 1.0
MOST_RECORDS = 50
LONGEST_VALUE = 64_000
LINGER_SECONDS = 10.0

_LIVE = Limits(records=20_000, size=8_000_000, seconds=0.8)
"""One look: with a `find` it may have to pass over many records."""

_MOST_BYTES = 256_000


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody watches.

    Attributes:
        topic: Its name.
        partition: Only this one; None is all.
        find: What they look for; may be empty.
    """

    topic: str
    partition: int | None = None
    find: str = ""


def shown(record: RecordView, secrets: Collection[str]) -> dict[str, Any]:
    """Return a record as the page reads it; 64-bit numbers in *value* stay text.

    Args:
        record: Its value is masked already.
        secrets: The fields whose values are masked in all that is said of it, too.
    """
    mask = Redaction(record.record, secrets)
    return {
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp / 1000,
        "key": record.key if not secrets else mask.text(record.key),
        "headers": [[name, mask.header(name, text)] for name, text in record.headers],
        "size": record.size,
        "value": record.value,
        "format": record.format,
        "error": mask.text(record.error),
        "truncated": record.truncated,
    }


class Watch:
    """Reads for everybody who watches the same, in a thread, until `close`.

    Args:
        topic: What.
        wish: How.
        redact: Fields that are masked.
        tell: Called on the event loop when there is something new.
    """

    def __init__(
        self,
        topic: AppTopic,
        wish: Wish,
        redact: Sequence[str],
        tell: Callable[[], None],
    ) -> None:
        self.viewers = 0
        self._topic = topic
        self._wish = wish
        self._redact = redact
        self._secrets = secrets_of(topic, redact)
        self._find = Find.parse(wish.find) if wish.find else None
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._records: deque[tuple[int, dict[str, Any]]] = deque(maxlen=MOST_RECORDS)
        self._count = 0
        self.error: str | None = None
        self._closed = threading.Event()
        name = f"fastkafka-watch-{wish.topic}"
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def since(self, count: int) -> tuple[int, list[dict[str, Any]]]:
        """Return the records that came after the first *count*, oldest first.

        Returns:
            What to give the next time, and the records that are kept of them.
        """
        return self._count, [record for n, record in self._records if n >= count]

    def close(self) -> None:
        """Read no more; the thread ends by itself."""
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                with Clusters() as clusters:
                    self._read(clusters)
            except FastKafkaError as error:
                self._pass_on((), str(error))
                self._closed.wait(5 * INTERVAL)

    def _read(self, clusters: Clusters) -> None:
        partition = self._wish.partition
        after: Mapping[int, int] | None = None
        with RecordReader(
            self._topic, clusters, redact=self._redact, longest=LONGEST_VALUE
        ) as reader:
            while not self._closed.is_set():
                page = reader.newest(
                    MOST_RECORDS,
                    partitions=None if partition is None else [partition],
                    after=after,
                    wanted=self._find,
                    limits=_LIVE,
                )
                if page.records or self.error is not None or after is None:
                    self._pass_on(_newest_within(page.records, _MOST_BYTES), None)
                after = page.ends
                self._closed.wait(INTERVAL)

    def _pass_on(self, records: Sequence[RecordView], error: str | None) -> None:
        new = [shown(record, self._secrets) for record in records]

        def take() -> None:
            self.error = error
            for record in new:
                self._records.append((self._count, record))
                self._count += 1
            self._tell()

        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(take)


class Watches:
    """What is watched now.

    Args:
        redact: Fields that are masked.
        tell: Called when there is something new.
    """

    def __init__(self, redact: Sequence[str], tell: Callable[[], None]) -> None:
        self._redact = redact
        self._tell = tell
        self._watches: dict[Wish, Watch] = {}

    @contextlib.contextmanager
    def watching(self, topic: AppTopic, wish: Wish) -> Iterator[Watch]:
        """Watch until the block ends; the last one closes it a little later.

        Raises:
            ConfigError: `find` cannot be understood.
        """
        watch = self._watches.get(wish)
        if watch is None:
            watch = Watch(topic, wish, self._redact, self._tell)
            self._watches[wish] = watch
        watch.viewers += 1
        try:
            yield watch
        finally:
            watch.viewers -= 1
            loop = asyncio.get_running_loop()
            loop.call_later(LINGER_SECONDS, self._forget, wish, watch)

    def close(self) -> None:
        """Read nothing any more."""
        for watch in self._watches.values():
            watch.close()
        self._watches.clear()

    def _forget(self, wish: Wish, watch: Watch) -> None:
        if watch.viewers == 0 and self._watches.get(wish) is watch:
            watch.close()
            del self._watches[wish]


def _newest_within(records: Sequence[RecordView], size: int) -> Sequence[RecordView]:
    """Return the newest of them whose values are together not much larger."""
    total = 0
    for index in range(len(records) - 1, -1, -1):
        total += len(records[index].value or "")
        if total > size:
            return records[index + 1 :] or records[-1:]
    return records
