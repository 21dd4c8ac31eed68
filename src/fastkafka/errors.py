"""Every error that FastKafka raises on purpose.

    FastKafkaError
    ├── ConfigError            a declaration or a setting that cannot work
    ├── NotStartedError        an app was used before its start or after its stop
    ├── NotAssignedError       a partition is not this process's
    ├── BrokerUnavailableError no broker answered in time
    ├── ClientError            the Kafka client or the broker refused something
    │   └── ProduceError       a record was not acknowledged
    └── RecordError            one record could not be processed
        ├── DecodingError      its bytes do not fit the declared message
        └── HandlerError       the handler raised

    Verdict                    raised *by handlers*, to decide for themselves
    ├── Reject                 this record will never work: no retries
    ├── RetryLater             try again after some seconds
    └── StopConsuming          stop the app before this record

    BatchError                 raised by batch handlers: which record failed

Messages read ``<where>: <what is wrong, with the value>. <why>. <what to do>.``
Data travels as attributes, so that nobody has to parse a sentence.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable


class FastKafkaError(Exception):
    """Any error that FastKafka raises on purpose."""


class ConfigError(FastKafkaError, ValueError):
    """A declaration or a setting that cannot work; raised where it is written.

    It is a `ValueError` too, which is what the original FastKafka raised.
    """


class NotStartedError(FastKafkaError, RuntimeError):
    """An app was used before its start or after its stop."""


class NotAssignedError(FastKafkaError):
    """A partition is not this process's, so it cannot be moved here."""


class BrokerUnavailableError(FastKafkaError):
    """No broker answered in time.

    Attributes:
        bootstrap_servers: The addresses that were tried, ``host:port,host:port``.
    """

    def __init__(self, message: str, *, bootstrap_servers: str) -> None:
        super().__init__(message)
        self.bootstrap_servers = bootstrap_servers


class ClientError(FastKafkaError):
    """The Kafka client or the broker refused something.

    Attributes:
        code: Kafka's name of the error, for example ``TOPIC_AUTHORIZATION_FAILED``.
        retriable: The client goes on trying; nothing has to be done.
        fatal: The client cannot go on.
    """

    def __init__(
        self, message: str, *, code: str, retriable: bool = False, fatal: bool = False
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retriable = retriable
        self.fatal = fatal


class ProduceError(ClientError):
    """A record was not acknowledged by the broker.

    Attributes:
        topic: Where it should have gone.
        key: Its key, as bytes.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        topic: str,
        key: bytes | None = None,
        retriable: bool = False,
        fatal: bool = False,
    ) -> None:
        super().__init__(message, code=code, retriable=retriable, fatal=fatal)
        self.topic = topic
        self.key = key


class RecordError(FastKafkaError):
    """One record could not be processed.

    Attributes:
        topic: The record's topic.
        partition: Its partition.
        offset: Its offset.
    """

    def __init__(
        self, message: str, *, topic: str, partition: int, offset: int
    ) -> None:
        super().__init__(f"{topic}[{partition}]@{offset}: {message}")
        self.topic = topic
        self.partition = partition
        self.offset = offset


class DecodingError(RecordError):
    """A record's bytes do not fit the message that its handler declares."""


class CrashError(RecordError):
    """A record was there each time that a process died; it is not tried again."""


class HandlerError(RecordError):
    """A handler raised; the handler's own exception is the ``__cause__``."""


class Verdict(Exception):
    """What a handler decides about its record; not an error of FastKafka's."""


class Reject(Verdict):
    """Raise it for a record that will never work: it is not retried.

    What follows is `on_failure`: by default it goes to the dead-letter topic, with the
    reason in its headers.
    """


class RetryLater(Verdict):
    """Raise it to be called again with the same record after some seconds.

    It does not use up an attempt; records of the same key (or partition) wait.

    Args:
        seconds: How long to wait; 0 is at once.
        reason: For the log.

    Raises:
        ValueError: It is no number from 0.
    """

    def __init__(self, seconds: float, reason: str = "") -> None:
        if not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
            raise ValueError(
                f"RetryLater: `seconds` is {seconds!r}. Use a number from 0; for a "
                "moment that may have passed, `max(0, ...)`."
            )
        super().__init__(reason or f"again in {seconds:g} s")
        self.seconds = seconds


class StopConsuming(Verdict):
    """Raise it to stop the app with exit code 1; the record is the next one read."""


class BatchError(Exception):
    """Raise it in a batch handler to say which record failed.

    Those before it are done, those after it are handled again in another batch. Without
    it the whole batch counts as failed. Raise it `from` the error itself.

    Args:
        index: The record's place in the batch, from 0. With one that is not in the
            batch the whole batch counts as failed, too.
    """

    def __init__(self, index: int, message: str = "") -> None:
        super().__init__(message or f"record {index} of the batch failed")
        self.index = index


def needs_extra(what: str, package: str, extra: str) -> ConfigError:
    """Return what is raised when an optional package is missing.

    The name on PyPI is the original FastKafka's, so it says where to install from.
    """
    return ConfigError(
        f"{what} needs `{package}`, which is not installed. Install FastKafka's extra "
        f'`{extra}`: in its checkout, `pip install ".[{extra}]"`.'
    )


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest valid name, or nothing."""
    nearest = difflib.get_close_matches(name, valid, n=1)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""
