"""Transactions of the broker in memory: what is seen, and who is fenced."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from fastkafka.errors import (
    ClientError,
)
from fastkafka.transport.base import TopicPartition
from fastkafka.transport.memory import (
    ManualClock,
    MemoryBroker,
)
from tests.listeners import GROUP, joined, turns

ORDERS = TopicPartition("orders", 0)


@pytest.fixture
def broker() -> MemoryBroker:
    """A broker whose time only the test turns."""
    return MemoryBroker({"orders": 2}, clock=ManualClock())


async def test_a_transaction_is_seen_when_it_is_committed_and_leaves_a_marker(
    broker: MemoryBroker,
) -> None:
    careful = await joined(broker, isolation_level="read_committed")
    hasty = await joined(broker, group="hasty", isolation_level="read_uncommitted")
    owner = broker.init_transactions("billing-0")

    broker.begin_transaction(owner)
    broker.produce("orders", b"1", partition=0, transaction=owner)
    broker.produce("orders", b"plain", partition=0)
    await turns()
    assert careful.records == []
    assert hasty.records == [(0, 0), (0, 1)]
    broker.commit_transaction(owner)
    broker.produce("orders", b"after", partition=0)
    await turns()

    assert careful.records == hasty.records == [(0, 0), (0, 1), (0, 3)]


async def test_an_aborted_transaction_is_never_seen_by_who_reads_committed(
    broker: MemoryBroker,
) -> None:
    careful = await joined(broker)
    owner = broker.init_transactions("billing-0")

    broker.begin_transaction(owner)
    broker.produce("orders", b"1", partition=0, transaction=owner)
    broker.produce("orders", b"2", partition=1, transaction=owner)
    broker.abort_transaction(owner)
    broker.produce("orders", b"after", partition=0)
    await turns()

    assert careful.records == [(0, 2)]
    assert [r.value() for r in broker.messages("orders")] == [b"after"]
    everything = broker.messages("orders", isolation_level="read_uncommitted")
    assert [r.value() for r in everything] == [b"1", b"2", b"after"]


async def test_who_takes_a_transactional_id_over_fences_who_had_it(
    broker: MemoryBroker,
) -> None:
    zombie = broker.init_transactions("billing-0")
    broker.begin_transaction(zombie)
    broker.produce("orders", b"half", partition=0, transaction=zombie)

    owner = broker.init_transactions("billing-0")
    assert (owner.producer_id, owner.epoch) == (zombie.producer_id, zombie.epoch + 1)

    for step in (
        lambda: broker.produce("orders", b"", transaction=zombie),
        lambda: broker.commit_transaction(zombie),
        lambda: broker.begin_transaction(zombie),
    ):
        with pytest.raises(ClientError) as fenced:
            step()
        assert fenced.value.code == "PRODUCER_FENCED"
        assert fenced.value.fatal
    assert broker.messages("orders") == []  # what it had open was aborted
    broker.begin_transaction(owner)
    broker.produce("orders", b"whole", partition=0, transaction=owner)
    broker.commit_transaction(owner)
    assert [r.value() for r in broker.messages("orders")] == [b"whole"]


async def test_a_transaction_that_takes_too_long_is_aborted_and_fenced(
    broker: MemoryBroker,
) -> None:
    owner = broker.init_transactions("billing-0", timeout=30.0)
    broker.begin_transaction(owner)
    broker.produce("orders", b"slow", partition=0, transaction=owner)
    careful = await joined(broker)

    broker.produce("orders", b"behind", partition=0)
    await turns()
    assert careful.values == []
    broker.advance(30.0)
    await turns()

    assert careful.values == [b"behind"]
    with pytest.raises(ClientError, match="PRODUCER_FENCED"):
        broker.commit_transaction(owner)


async def test_steps_out_of_order_are_refused(broker: MemoryBroker) -> None:
    owner = broker.init_transactions("billing-0")

    with pytest.raises(ClientError) as refused:
        broker.commit_transaction(owner)
    assert str(refused.value) == (
        "Kafka could not commit a transaction: Broker: Invalid txn state "
        "(INVALID_TXN_STATE)."
    )
    broker.begin_transaction(owner)
    with pytest.raises(ClientError, match="INVALID_TXN_STATE"):
        broker.begin_transaction(owner)


def offsets_of(broker: MemoryBroker) -> tuple[str, int, Mapping[TopicPartition, int]]:
    (member,) = broker.members(GROUP)
    return member, broker.generation(member), {ORDERS: 1}


async def test_offsets_in_a_transaction_are_committed_with_it_or_not_at_all(
    broker: MemoryBroker,
) -> None:
    broker.produce("orders", b"1", partition=0)
    await joined(broker)
    member, generation, offsets = offsets_of(broker)
    owner = broker.init_transactions("billing-0")

    for end, committed in (
        (broker.abort_transaction, {}),
        (broker.commit_transaction, {0: 1}),
    ):
        broker.begin_transaction(owner)
        broker.send_offsets(
            owner, GROUP, offsets, member_id=member, generation=generation
        )
        assert broker.committed(GROUP, "orders") == {}
        end(owner)
        assert broker.committed(GROUP, "orders") == committed


async def test_a_partition_is_handed_out_when_its_offsets_transaction_has_ended(
    broker: MemoryBroker,
) -> None:
    broker.produce("orders", b"1", partition=0)
    broker.produce("orders", b"2", partition=0)
    first = await joined(broker)
    member, generation, offsets = offsets_of(broker)
    owner = broker.init_transactions("billing-0")
    broker.begin_transaction(owner)
    broker.send_offsets(owner, GROUP, offsets, member_id=member, generation=generation)

    broker.crash(first.consumer)
    second = await joined(broker)
    broker.advance(10.0)
    await turns()
    assert second.assigned == {TopicPartition("orders", 1)}
    broker.commit_transaction(owner)
    await turns()

    assert second.values == [b"2"]


async def test_a_member_that_the_group_gave_up_sends_no_offsets(
    broker: MemoryBroker,
) -> None:
    await joined(broker)
    member, generation, offsets = offsets_of(broker)
    owner = broker.init_transactions("billing-0")
    broker.begin_transaction(owner)

    await joined(broker)  # the group goes on to its next generation
    with pytest.raises(ClientError) as old:
        broker.send_offsets(
            owner, GROUP, offsets, member_id=member, generation=generation
        )
    assert str(old.value) == (
        "Kafka could not commit offsets of group 'shop': Broker: Illegal generation "
        "(ILLEGAL_GENERATION)."
    )
    broker.crash(member)
    broker.advance(10.0)
    with pytest.raises(ClientError, match="UNKNOWN_MEMBER_ID"):
        broker.send_offsets(
            owner, GROUP, offsets, member_id=member, generation=generation + 1
        )
