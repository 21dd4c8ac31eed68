"""Static membership (KIP-345): each member has a name of its own."""

from __future__ import annotations

import pytest

from fastkafka import FastKafka


async def handle(message: int) -> None: ...


def names(app: FastKafka) -> list[str | None]:
    groups = app._defaults().consumer_groups(app.consumers, app._servers_of)
    return [group.config.get("group.instance.id") for group in groups]


def test_one_client_has_the_name_that_was_given() -> None:
    app = FastKafka(title="Shop", group_instance_id="payments-0")
    app.consumes(topic="orders")(handle)
    app.consumes(topic="invoices")(handle)

    assert names(app) == ["payments-0"]


@pytest.mark.parametrize(("worker", "suffix"), [(None, ""), (0, "-0"), (3, "-3")])
def test_workers_and_clients_of_a_group_are_told_apart(
    worker: int | None, suffix: str
) -> None:
    app = FastKafka(title="Shop", group_instance_id="payments")
    app.worker = worker
    app.consumes(topic="orders")(handle)
    app.consumes(topic="invoices", max_poll_interval_ms=600_000)(handle)
    app.consumes(topic="refunds", group_id="refunds")(handle)

    assert names(app) == [
        f"payments{suffix}",
        f"payments{suffix}-2",
        f"payments{suffix}",
    ]


def test_without_a_name_members_stay_dynamic() -> None:
    app = FastKafka(title="Shop")
    app.worker = 1
    app.consumes(topic="orders")(handle)

    assert names(app) == [None]
