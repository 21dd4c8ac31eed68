"""Call plans: what fills a handler's parameters, and what cannot."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Optional

import pytest
from pydantic import BaseModel

from fastkafka import ConfigError, EventMetadata, FastKafka, KafkaEvent
from fastkafka.params import CallPlan, Source, plan_handler, plan_producer


class Order(BaseModel):
    id: int


@dataclass
class Invoice:
    id: int


def plan(function: Any) -> CallPlan:
    return plan_handler(function, FastKafka)


def sources(function: Any) -> list[tuple[str, Source, bool]]:
    return [(p.name, p.source, p.keyword) for p in plan(function).parameters]


def test_the_message_may_have_any_name() -> None:
    async def on_orders(whatever: Order) -> None: ...

    assert plan(on_orders) == CallPlan(
        message=Order,
        batch=False,
        is_async=True,
        parameters=plan(on_orders).parameters,
    )
    assert plan(on_orders).message_only


def test_metadata_and_app_may_stand_in_any_position() -> None:
    async def on_orders(
        meta: EventMetadata, order: Order, *, app: FastKafka
    ) -> None: ...

    assert sources(on_orders) == [
        ("meta", Source.METADATA, False),
        ("order", Source.MESSAGE, False),
        ("app", Source.APP, True),
    ]
    assert not plan(on_orders).message_only


def test_optional_metadata_is_metadata() -> None:
    async def on_orders(
        order: Order,
        meta: Optional[EventMetadata] = None,  # noqa: UP045
    ) -> None: ...

    assert sources(on_orders)[1] == ("meta", Source.METADATA, True)


def test_a_list_makes_a_batch() -> None:
    async def on_orders(orders: list[Order], metas: list[EventMetadata]) -> None: ...

    assert plan(on_orders).batch
    assert plan(on_orders).message is Order


def test_a_message_may_be_none() -> None:
    def on_orders(order: Order | None) -> None: ...

    assert plan(on_orders).message == Order | None
    assert not plan(on_orders).is_async


def test_parameters_with_defaults_are_left_alone() -> None:
    async def on_orders(order: Order, retries: int = 3, log=print, *a: int) -> None:  # type: ignore[no-untyped-def]
        ...

    assert [name for name, _, _ in sources(on_orders)] == ["order"]


def test_what_follows_a_default_is_passed_by_name() -> None:
    async def on_orders(
        order: Order, retries: int = 3, meta: EventMetadata | None = None
    ) -> None: ...

    assert sources(on_orders)[1] == ("meta", Source.METADATA, True)


def test_a_callable_object_can_handle() -> None:
    class Handler:
        async def __call__(self, order: Order) -> None: ...

    assert plan(Handler()).is_async
    assert plan(Handler()).message is Order


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            "async def on_orders(order): ...",
            "`on_orders`: its message parameter 'order' has no annotation. Write "
            "`async def on_orders(order: MyModel)`.",
        ),
        (
            "async def on_orders(): ...",
            "`on_orders` takes no message. Write "
            "`async def on_orders(message: MyModel)`.",
        ),
        (
            "async def on_orders(order: Order, other: Order): ...",
            "`on_orders`: parameter 'other' has nothing to fill it: the message is "
            "'order' already. Give it a default, or annotate it with "
            "`EventMetadata` or `FastKafka`.",
        ),
        (
            "async def on_orders(order: Order, other): ...",
            "`on_orders`: parameter 'other' has no annotation, so nothing can fill it. "
            "Give it a default, or annotate it with `EventMetadata`.",
        ),
        (
            "async def on_orders(order: Order, meta: list[EventMetadata]): ...",
            "`on_orders`: parameter 'meta' must be `EventMetadata`, because the "
            "handler takes one message.",
        ),
        (
            "async def on_orders(orders: list[Order], meta: EventMetadata): ...",
            "`on_orders`: parameter 'meta' must be `list[EventMetadata]`, because the "
            "handler takes a batch.",
        ),
        (
            "async def on_orders(order: 'Ordre'): ...",
            "`on_orders`: an annotation names 'Ordre', which is not defined. Define it "
            "at the top of the module, before the function, and not under "
            "`if TYPE_CHECKING:`.",
        ),
    ],
)
def test_a_handler_that_cannot_be_called_is_refused(source: str, sentence: str) -> None:
    namespace: dict[str, Any] = {"Order": Order, "EventMetadata": EventMetadata}
    exec(source, namespace)

    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"):
        plan(namespace["on_orders"])


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (Order, Order),
        (list[Order], Order),
        (KafkaEvent[Order], Order),
        (KafkaEvent[list[Order]], Order),
        (Order | None, Order),
        (Optional[KafkaEvent[Order]], Order),  # noqa: UP045
        (KafkaEvent, Any),
        (None, Any),
        (Invoice, Invoice),
        (dict[str, int], dict[str, int]),
    ],
)
def test_the_produced_message_is_found_in_the_annotation(
    annotation: Any, message: Any
) -> None:
    def to_orders() -> None: ...

    to_orders.__annotations__["return"] = annotation

    assert plan_producer(to_orders) == message


def test_an_unannotated_producer_may_return_anything() -> None:
    def to_orders():  # type: ignore[no-untyped-def]
        ...

    assert plan_producer(to_orders) is Any
