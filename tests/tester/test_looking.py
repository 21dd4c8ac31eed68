"""`Tester`: commits, lag and messages, and the handles of the broker."""

from __future__ import annotations

import asyncio

from fastkafka import FastKafka, KafkaEvent
from fastkafka.testing import Tester
from fastkafka.transport.memory import ManualClock, MemoryBroker
from tests.tester.shop import Invoice, Order, refused


async def test_a_test_sees_commits_lag_and_messages() -> None:
    app = FastKafka(title="Shop")
    go_on = asyncio.Event()

    @app.consumes()
    async def on_orders(order: Order) -> None:
        await go_on.wait()
        await to_invoices(order.id)

    @app.produces()
    async def to_invoices(order: int) -> KafkaEvent[Invoice]:
        return KafkaEvent(Invoice(order=order), key=b"k", headers=[("h", b"v")])

    tester = Tester(app, broker=MemoryBroker({"orders": 3}))
    async with tester:
        for partition in range(3):
            order = KafkaEvent(Order(id=partition), partition=partition)
            await tester.to_orders(order)
        assert tester.lag("orders") == tester.lag() == 3
        assert tester.committed("orders") == {0: 0, 1: 0, 2: 0}
        with refused(
            "Tester: not idle after 0 s. Not handled yet: 3 of 'orders'.",
            AssertionError,
        ):
            await tester.idle(timeout=0)
        go_on.set()
        await tester.idle()

        assert tester.committed("orders") == {0: 1, 1: 1, 2: 1}
        assert tester.committed(on_orders) == {0: 1, 1: 1, 2: 1}
        assert tester.lag() == tester.lag(on_orders) == 0
        sent = tester.messages("invoices")
        assert sorted(event.message.order for event in sent) == [0, 1, 2]
        assert {(event.key, *(event.headers or ())) for event in sent} == {
            (b"k", ("h", b"v"))
        }
        assert [event.message for event in tester.messages(to_invoices)] == [
            event.message for event in sent
        ]

    assert tester.committed("orders") == {0: 1, 1: 1, 2: 1}, "and afterwards"


async def test_messages_of_an_undeclared_topic_are_bytes() -> None:
    app = FastKafka(title="Shop")

    async with Tester(app) as tester:
        await app.produce({"id": 1}, topic="anything", key=b"k")
        (event,) = tester.messages("anything")
        assert (event.message, event.key) == (b'{"id":1}', b"k")
        with refused("MemoryBroker: there is no topic 'orders'."):
            tester.messages("orders")


async def test_a_test_turns_the_brokers_handles() -> None:
    app = FastKafka(title="Shop")
    handled: list[int] = []

    @app.consumes()
    async def on_orders(order: Order) -> None:
        handled.append(order.id)
        await to_invoices(order.id)

    @app.produces()
    async def to_invoices(order: int) -> Invoice:
        return Invoice(order=order)

    broker = MemoryBroker({"orders": 2}, clock=ManualClock())
    async with Tester(app, broker=broker) as tester:
        assert tester.broker is tester.broker_of(to_invoices) is broker
        await tester.to_orders([Order(id=1), Order(id=2)])
        await tester.idle()
        tester.broker.rebalance()
        await tester.idle()
        tester.broker.delay(5.0, topic="invoices")
        sending = asyncio.ensure_future(tester.to_orders(Order(id=3)))
        await app.awaited_mocks.on_orders.assert_called_with(Order(id=3), timeout=5)
        with refused(
            "Tester: not idle after 0 s. Not handled yet: 1 of 'orders'.",
            AssertionError,
        ):
            await tester.idle(timeout=0)
        tester.broker.advance(5.0)
        await sending
        await tester.idle()
        assert tester.lag() == 0
        tester.broker.heal()

        (member,) = tester.broker.members("shop")
        tester.broker.crash(member)
        await tester.to_orders(Order(id=4))
    assert sorted(handled) == [1, 2, 3]

    async with Tester(app, broker=broker) as tester:
        tester.broker.advance(60.0)
        await tester.idle()
    assert sorted(handled) == [1, 2, 3, 4]


async def test_groups_that_read_one_topic_are_told_apart_by_the_function() -> None:
    app = FastKafka(title="Shop")

    @app.consumes()
    async def on_orders(order: Order) -> None: ...

    @app.consumes(topic="orders", group_id="audit")
    async def audit(order: Order) -> None: ...

    @app.consumes(topic="ticks", group_id=None)
    async def watch(order: Order) -> None: ...

    async with Tester(app) as tester:
        await tester.to_orders(Order(id=1))
        await tester.to_ticks(Order(id=1))
        await tester.idle()
        assert tester.committed(audit) == tester.committed(on_orders) == {0: 1}
        assert tester.committed("ticks") == {}
        with refused(
            "Tester: 'orders' is read by the groups 'audit' and 'shop'. "
            "Give the function instead of the topic."
        ):
            tester.committed("orders")
        with refused(
            "Tester: no function of the apps reads 'invoices', so nobody commits its "
            "offsets."
        ):
            tester.committed("invoices")
