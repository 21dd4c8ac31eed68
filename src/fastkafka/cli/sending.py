"""What `fastkafka send` does: one message, or one from each line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastkafka.cli.output import Bar, print_json, progress
from fastkafka.cli.terminal import complain, say
from fastkafka.errors import ConfigError, ProduceError
from fastkafka.tools.sending import Checker, MessageError, TopicSender
from fastkafka.tools.topics import AppTopic, Clusters
from fastkafka.transport.librdkafka.inspection import Position

_ACKNOWLEDGED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Errand:
    """What is to be sent, as on the command line; see `send`."""

    message: str | None
    file: Path | None
    key: bytes | None
    headers: Sequence[str]
    partition: int | None
    tombstone: bool
    raw: bool
    check_only: bool
    as_json: bool


def run(errand: Errand, topic: AppTopic, clusters: Clusters) -> bool:
    """Check and send; return whether all went well. What went wrong has been said.

    Raises:
        ConfigError: The arguments contradict each other, or name what is not there.
        BrokerUnavailableError: No broker answers.
    """
    _check(errand)
    headers = [_header(text) for text in errand.headers]
    job = _Job(errand, headers, topic, clusters)
    try:
        if errand.tombstone or errand.message not in (None, "-"):
            job.one()
        elif errand.file is not None:
            job.file(errand.file)
        else:
            job.lines(sys.stdin.buffer)
    except MessageError as error:
        _complain_of(error, as_json=errand.as_json)
        return False
    except ProduceError as error:
        if errand.as_json:
            print_json({"error": str(error), "fields": []})
        complain(str(error))
        return False
    return True


class _Job:
    def __init__(
        self,
        errand: Errand,
        headers: Sequence[tuple[str, bytes]],
        topic: AppTopic,
        clusters: Clusters,
    ) -> None:
        self._errand = errand
        self._headers = headers
        self._topic = topic
        self._clusters = clusters
        self._checker = None if errand.raw else Checker(topic)

    def one(self) -> None:
        """Send one message, or a tombstone."""
        errand = self._errand
        value: bytes | None
        if errand.tombstone:
            value = None
            if self._checker is not None:
                self._checker.tombstone()
        else:
            value = self._value((errand.message or "").encode())
        if errand.check_only:
            self._say_checked(1)
            return
        with self._sender() as sender:
            at = sender.send(
                value,
                key=errand.key,
                headers=self._headers,
                partition=errand.partition,
                timeout=_ACKNOWLEDGED_SECONDS,
            )
        if errand.as_json:
            print_json(
                {
                    "topic": self._topic.name,
                    "partition": at.partition,
                    "offset": at.offset,
                }
            )
        else:
            say(f"Sent: {self._topic.name}[{at.partition}]@{at.offset}")

    def file(self, path: Path) -> None:
        """Send a message from each line, if all of them fit."""
        try:
            with path.open("rb") as lines, progress("Checking", None) as bar:
                total = self._checked(lines, bar)
            if self._errand.check_only:
                self._say_checked(total)
                return
            with path.open("rb") as lines, progress("Sending", total) as bar:
                sent = self._send(self._values(lines), bar)
        except OSError as error:
            raise ConfigError(
                f"`--file` '{path}' cannot be read: {error.strerror}."
            ) from None
        self._report(sent)

    def lines(self, lines: Iterable[bytes]) -> None:
        """Send a message from each line as it comes."""
        if self._errand.check_only:
            with progress("Checking", None) as bar:
                self._say_checked(self._checked(lines, bar))
            return
        with progress("Sending", None) as bar:
            sent = self._send(self._values(lines), bar)
        self._report(sent)

    def _checked(self, lines: Iterable[bytes], bar: Bar) -> int:
        count = 0
        for _ in self._values(lines):
            count += 1
            if count % 100 == 0:
                bar.advance(count)
        return count

    def _send(self, values: Iterator[bytes], bar: Bar) -> _Sent:
        errand = self._errand
        sent = _Sent()

        def acknowledged(outcome: Position | ProduceError) -> None:
            if isinstance(outcome, ProduceError):
                sent.refused += 1
                sent.error = sent.error or outcome
            else:
                sent.count += 1
                bar.advance(sent.count)

        with self._sender() as sender:
            try:
                for value in values:
                    if sent.error is not None:
                        break
                    sender.queue(
                        value,
                        acknowledged,
                        key=errand.key,
                        headers=self._headers,
                        partition=errand.partition,
                    )
            except MessageError as error:  # those before it have gone
                sent.error = error
            left = sender.flush(_ACKNOWLEDGED_SECONDS)
        if left and sent.error is None:
            sent.error = ProduceError(
                f"{left} records for '{self._topic.name}' were not acknowledged within "
                f"{_ACKNOWLEDGED_SECONDS:g} s. They may still arrive.",
                code="_TIMED_OUT",
                topic=self._topic.name,
            )
        return sent

    def _report(self, sent: _Sent) -> None:
        """Say how many were sent, and raise what went wrong."""
        if self._errand.as_json:
            print_json({"topic": self._topic.name, "sent": sent.count})
        else:
            say(f"Sent {sent.count} to '{self._topic.name}'.")
        if sent.error is not None:
            raise sent.error

    def _values(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        for number, line in enumerate(lines, 1):
            line = line.removesuffix(b"\n").removesuffix(b"\r")
            if line.strip() or self._errand.raw:
                yield self._value(line, where=f"Line {number}: ")

    def _value(self, text: bytes, where: str = "") -> bytes:
        if self._checker is None:
            return text
        try:
            return self._checker.value(text)
        except MessageError as error:
            raise MessageError(f"{where}{error}", error.fields) from None

    def _sender(self) -> TopicSender:
        sender = TopicSender(self._topic, self._clusters)
        wanted = self._errand.partition
        if wanted is not None and wanted not in sender.partitions:
            raise ConfigError(
                f"Topic '{self._topic.name}' has no partition {wanted}. Its partitions "
                f"are 0 to {max(sender.partitions)}."
            )
        return sender

    def _say_checked(self, count: int) -> None:
        if self._errand.as_json:
            print_json({"topic": self._topic.name, "checked": count})
        elif count == 1:
            say(f"It fits '{self._topic.name}'. Nothing was sent.")
        else:
            say(f"All {count} fit '{self._topic.name}'. Nothing was sent.")


@dataclass(slots=True)
class _Sent:
    """What became of many messages.

    Attributes:
        count: How many are acknowledged.
        refused: How many were not.
        error: The first thing that went wrong.
    """

    count: int = 0
    refused: int = 0
    error: MessageError | ProduceError | None = None


def _check(errand: Errand) -> None:
    given: list[tuple[str, Callable[[], bool]]] = [
        ("a message", lambda: errand.message is not None),
        ("`--file`", lambda: errand.file is not None),
        ("`--tombstone`", lambda: errand.tombstone),
    ]
    several = [name for name, is_given in given if is_given()]
    if len(several) > 1:
        raise ConfigError(f"Give either {' or '.join(several)}, not both.")
    if errand.tombstone and errand.key is None:
        raise ConfigError(
            "A tombstone deletes a key, so it needs one: `--tombstone --key ...`."
        )
    if not several and sys.stdin.isatty():
        raise ConfigError(
            "There is no message. Give one as JSON, a `--file` with one in each line, "
            "or '-' to read them from stdin."
        )


def _header(text: str) -> tuple[str, bytes]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ConfigError(f"`--header` {text!r} is no header. Write `name=value`.")
    return name, value.encode()


def _complain_of(error: MessageError, *, as_json: bool) -> None:
    if as_json:
        fields = [
            {"loc": field.location, "msg": field.message} for field in error.fields
        ]
        print_json({"error": str(error), "fields": fields})
    complain(str(error))
    for field in error.fields:
        if field.path:
            complain(f"  {field.path}: {field.message}")
