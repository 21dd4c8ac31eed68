"""What went wrong with a record, and what becomes of it: pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from fastkafka import codecs
from fastkafka.errors import (
    BatchError,
    CrashError,
    DecodingError,
    HandlerError,
    RecordError,
    Reject,
    RetryLater,
    StopConsuming,
)
from fastkafka.messages import Record
from fastkafka.policies import FailureHook, OnFailure, Retry
from fastkafka.tracebacks import user_frames


class Action(Enum):
    """What to do with a record."""

    RETRY = "retry"
    DEAD_LETTER = "dead_letter"
    SKIP = "skip"
    STOP = "stop"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a record, and when.

    Attributes:
        action: What.
        delay: Seconds to wait first, for a retry.
        counts: The retry uses up an attempt.
    """

    action: Action
    delay: float = 0.0
    counts: bool = True


@dataclass(frozen=True, slots=True)
class FailurePolicy:
    """Decides by the error and the number of attempts.

    Attributes:
        retry: How often a handler is called with the same record.
        on_failure: What follows when that is used up.
    """

    retry: Retry
    on_failure: OnFailure

    @property
    def hook(self) -> FailureHook:
        """The function that is asked."""
        assert callable(self.on_failure)
        return self.on_failure

    def decide(self, error: RecordError, attempt: int, chance: float) -> Decision:
        """Decide about a record.

        Args:
            error: What happened; a handler's own exception is its cause.
            attempt: Which call it was, from 1.
            chance: A number from 0 to 1, for the jitter.
        """
        cause = error.__cause__
        if stops_at_once(error):
            return Decision(Action.STOP)
        if isinstance(cause, RetryLater):
            return Decision(Action.RETRY, max(0.0, cause.seconds), counts=False)
        hopeless = isinstance(error, DecodingError | CrashError) or isinstance(
            cause, Reject
        )
        if (
            not hopeless
            and attempt < self.retry.attempts
            and isinstance(cause, self.retry.exceptions)
        ):
            return Decision(Action.RETRY, self.retry.wait_after(attempt, chance))
        if callable(self.on_failure):
            return Decision(Action.ASK)
        return Decision(Action(self.on_failure))


def stops_at_once(error: RecordError) -> bool:
    """Whether the handler wants the app to end, so that it is not called again."""
    return isinstance(error.__cause__, StopConsuming)


def decoding_error(record: Record, cause: Exception) -> DecodingError:
    """Say that a record's bytes do not fit its message."""
    error = DecodingError(
        codecs.describe(cause),
        topic=record.topic(),
        partition=record.partition(),
        offset=record.offset(),
    )
    if codecs.is_mistake(cause):
        error.__cause__ = _without_our_frames(cause)  # for its traceback
    return error


def handler_error(record: Record, cause: BaseException, *, who: str) -> RecordError:
    """Say that a function failed with a record.

    Args:
        record: The record.
        cause: What was raised.
        who: The function, as a message calls it.
    """
    if isinstance(cause, BatchError) and cause.__cause__ is not None:
        cause = cause.__cause__  # it says which record; the error itself is behind it
    if isinstance(cause, codecs.Unfit):  # a key or a header, read for the call
        return decoding_error(record, cause)
    error = HandlerError(
        f"{who} failed: {cause!r}",
        topic=record.topic(),
        partition=record.partition(),
        offset=record.offset(),
    )
    error.__cause__ = _without_our_frames(cause)
    return error


def _without_our_frames(cause: BaseException) -> BaseException:
    """Let an error keep the user's frames only.

    Ours say nothing, and would keep alive what was decoded together with the record:
    the error is in them, and they are in its traceback.
    """
    cause.__traceback__ = user_frames(cause) or cause.__traceback__
    return cause
