"""Transactions as their coordinator sees them: epochs, fencing, commit and abort."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fastkafka.errors import ClientError
from fastkafka.transport.base import TopicPartition
from fastkafka.transport.memory.clock import Clock, Timer
from fastkafka.transport.memory.faults import Refusal
from fastkafka.transport.memory.groups import Group
from fastkafka.transport.memory.log import PartitionLog


@dataclass(frozen=True, slots=True)
class TransactionalProducer:
    """Who may write in transactions under an id, until the next one takes it over.

    Attributes:
        transactional_id: Its ``transactional.id``.
        producer_id: The broker's number for it.
        epoch: How often the id was taken over: an earlier epoch is fenced.
    """

    transactional_id: str
    producer_id: int
    epoch: int


@dataclass(slots=True)
class _Transaction:
    logs: dict[TopicPartition, PartitionLog] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    timer: Timer | None = None


@dataclass(slots=True)
class _State:
    producer_id: int
    epoch: int
    timeout: float
    open: _Transaction | None = None


class Transactions:
    """All transactional ids of a broker.

    Args:
        clock: For timeouts.
        ended: Called when a transaction has ended: its records may be read.
    """

    def __init__(self, clock: Clock, ended: Callable[[], None]) -> None:
        self._clock = clock
        self._ended = ended
        self._states: dict[str, _State] = {}
        self._numbers = itertools.count(1)

    def init(self, transactional_id: str, timeout: float) -> TransactionalProducer:
        """Take an id over: what is open under it is aborted, its owner is fenced."""
        state = self._states.get(transactional_id)
        if state is None:
            state = _State(next(self._numbers), -1, timeout)
            self._states[transactional_id] = state
        self._end(state, commit=False)
        state.epoch += 1
        state.timeout = timeout
        return TransactionalProducer(transactional_id, state.producer_id, state.epoch)

    def begin(self, producer: TransactionalProducer) -> None:
        """Open a transaction."""
        state = self._state(producer, "begin a transaction")
        if state.open is not None:
            raise Refusal("INVALID_TXN_STATE").error("begin a second transaction")
        state.open = _Transaction(
            timer=self._clock.call_at(
                self._clock.time() + state.timeout, lambda: self._time_out(state)
            )
        )

    def write(self, producer: TransactionalProducer, log: PartitionLog) -> None:
        """Make a partition part of the transaction, before it is written to."""
        self._transaction(producer, f"write to {log.where}").logs[log.where] = log

    def send_offsets(
        self,
        producer: TransactionalProducer,
        group: Group,
        offsets: Mapping[TopicPartition, int],
        member_id: str,
        generation: int,
    ) -> None:
        """Commit offsets of a group with the transaction."""
        doing = f"commit offsets of group '{group.name}'"
        transaction = self._transaction(producer, doing)
        refusal = group.commit_in_transaction(
            producer.producer_id, member_id, generation, offsets
        )
        if refusal is not None:
            raise refusal.error(doing)
        transaction.groups[group.name] = group

    def end(self, producer: TransactionalProducer, *, commit: bool) -> None:
        """Commit or abort the open transaction."""
        self._transaction(producer, f"{'commit' if commit else 'abort'} a transaction")
        self._end(self._states[producer.transactional_id], commit=commit)

    def _state(self, producer: TransactionalProducer, doing: str) -> _State:
        state = self._states.get(producer.transactional_id)
        if state is None or state.epoch != producer.epoch:
            fenced = Refusal("PRODUCER_FENCED").error(doing)
            raise ClientError(str(fenced), code=fenced.code, fatal=True)
        return state

    def _transaction(self, producer: TransactionalProducer, doing: str) -> _Transaction:
        state = self._state(producer, doing)
        if state.open is None:
            raise Refusal("INVALID_TXN_STATE").error(doing)
        return state.open

    def _time_out(self, state: _State) -> None:
        self._end(state, commit=False)
        state.epoch += 1

    def _end(self, state: _State, *, commit: bool) -> None:
        transaction, state.open = state.open, None
        if transaction is None:
            return
        if transaction.timer is not None:
            transaction.timer.cancel()
        for log in transaction.logs.values():
            log.end_transaction(state.producer_id, commit=commit)
        for group in transaction.groups.values():
            group.end_transaction(state.producer_id, commit=commit)
        self._ended()
