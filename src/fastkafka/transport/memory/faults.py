"""What goes wrong because a test wants it, and what the broker's refusals say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from fastkafka.errors import ClientError, ConfigError, did_you_mean
from fastkafka.transport.base import TopicPartition

Request = Literal["commit", "connect", "fetch", "join", "produce"]
"""What a client asks of the broker."""

_REFUSALS = {
    "CLUSTER_AUTHORIZATION_FAILED",
    "GROUP_AUTHORIZATION_FAILED",
    "SASL_AUTHENTICATION_FAILED",
    "TOPIC_AUTHORIZATION_FAILED",
    "_AUTHENTICATION",
    "_SSL",
}
"""What no retry cures."""

_RETRIABLE = {
    "COORDINATOR_LOAD_IN_PROGRESS",
    "COORDINATOR_NOT_AVAILABLE",
    "LEADER_NOT_AVAILABLE",
    "NOT_COORDINATOR",
    "NOT_ENOUGH_REPLICAS",
    "NOT_LEADER_FOR_PARTITION",
    "REBALANCE_IN_PROGRESS",
    "REQUEST_TIMED_OUT",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something was not done.

    Attributes:
        code: Kafka's name of the error; those of clients start with an underscore.
    """

    code: str

    def name(self) -> str:
        """Return the code, as librdkafka's errors do."""
        return self.code

    @property
    def text(self) -> str:
        """The error in words, as librdkafka would have it."""
        side = "Local" if self.code.startswith("_") else "Broker"
        return f"{side}: {self.code.strip('_').replace('_', ' ').capitalize()}"

    @property
    def retriable(self) -> bool:
        """Whether a client would try again."""
        return self.code in _RETRIABLE

    @property
    def fatal(self) -> bool:
        """Whether a client cannot go on."""
        return self.code in _REFUSALS

    def error(self, doing: str) -> ClientError:
        """Make the error that the engine hears.

        Args:
            doing: What was tried, for the sentence.
        """
        return ClientError(
            f"Kafka could not {doing}: {self.text} ({self.code}).",
            code=self.code,
            retriable=self.retriable,
            fatal=self.fatal,
        )


@dataclass(slots=True)
class _Fault:
    request: Request
    topic: str | None
    partition: int | None
    left: int | None
    code: str | None
    delay: float

    def meets(self, request: Request, where: TopicPartition | None) -> bool:
        if request != self.request or self.left == 0:
            return False
        if self.topic is None:
            return True
        return (
            where is not None
            and where.topic == self.topic
            and self.partition in (None, where.partition)
        )


class Faults:
    """Requests that will be refused or answered late."""

    def __init__(self) -> None:
        self._faults: list[_Fault] = []

    def add(
        self,
        request: Request,
        *,
        topic: str | None,
        partition: int | None,
        times: int | None,
        code: str | None = None,
        delay: float = 0.0,
    ) -> None:
        """Spoil the next requests of a kind.

        Raises:
            ConfigError: There is no such kind.
        """
        kinds = get_args(Request)
        if request not in kinds:
            raise ConfigError(
                f"MemoryBroker: there is no request {request!r} to fail."
                f"{did_you_mean(str(request), kinds) or f' Take one of {kinds}.'}"
            )
        self._faults.append(_Fault(request, topic, partition, times, code, delay))

    def heal(self) -> None:
        """Let everything succeed again."""
        self._faults.clear()

    def refusal(
        self, request: Request, where: TopicPartition | None = None
    ) -> Refusal | None:
        """Return why this request is refused, and count it."""
        for fault in self._faults:
            if fault.code is not None and fault.meets(request, where):
                _count(fault)
                return Refusal(fault.code)
        return None

    def delay(self, request: Request, where: TopicPartition) -> float:
        """Return how many seconds late this request is answered, and count it."""
        for fault in self._faults:
            if fault.code is None and fault.meets(request, where):
                _count(fault)
                return fault.delay
        return 0.0


def _count(fault: _Fault) -> None:
    if fault.left is not None:
        fault.left -= 1
