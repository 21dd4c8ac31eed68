"""What somebody does with the page, by keyboard alone, on a running app."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from fastkafka import FastKafka, Retry
from fastkafka.testing import EmbeddedBroker
from fastkafka.web.guard import rules
from fastkafka.web.page import Broken
from tests.browser.pages import looking, serving
from tests.browser.test_screens import violations
from tests.cli.test_dev import APP, Developing

READY = re.compile(r"^\s*Ready\b")
"""A text of Playwright's would match "Not ready", too."""

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


class Address(BaseModel):
    city: str = Field(examples=["Zagreb"])


class Order(BaseModel):
    id: Annotated[int, Field(examples=[9223372036854775807])]
    customer: str = Field(pattern=r"^c-\d+$", examples=["c-4711"])
    total: float = Field(gt=0, examples=[129.9], description="Tax included.")
    address: Address
    paid: bool = False
    note: str | None = None


class Shop:
    """An app whose handler can be broken and mended."""

    def __init__(self, servers: str) -> None:
        self.handled: list[Order] = []
        self.fails = False
        self.app = FastKafka(
            title="Shop",
            version="2.4.0",
            bootstrap_servers=servers,
            retry=Retry(attempts=1),
        )

        @self.app.consumes(topic="orders")
        async def on_orders(order: Order) -> None:
            if self.fails:
                raise TimeoutError(f"no answer from the bank for {order.customer}")
            self.handled.append(order)


async def tab_to(page: Any, wanted: str) -> None:
    """Press Tab until what has the focus is called so."""
    for _ in range(120):
        await page.keyboard.press("Tab")
        name = await page.evaluate(
            """() => {
              const e = document.activeElement;
              if (e === document.body) return "";
              return e.getAttribute("aria-label") || e.labels?.[0]?.innerText
                || e.innerText || "";
            }"""
        )
        if wanted in " ".join(name.split()):
            return
    raise AssertionError(f"Tab never came to {wanted!r}")


async def until(met: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(15):
        while not await met():  # noqa: ASYNC110 - the browser has no event of ours
            await asyncio.sleep(0.05)


def _is(met: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def asked() -> bool:
        return met()

    return asked


async def test_a_message_is_refused_corrected_sent_and_seen_handled(
    browser: Any, embedded: EmbeddedBroker
) -> None:
    embedded.create_topic("orders", 3)
    shop = Shop(embedded.bootstrap_servers)
    async with (
        shop.app,
        serving(shop.app) as address,
        looking(browser, address) as (page, trouble),
    ):
        trouble.expected = ["422"]  # what the browser itself logs of the refusal
        await page.goto(f"{address}/#/topics/orders")
        await page.get_by_text("There are no records").wait_for()
        await page.keyboard.press("s")
        form = page.get_by_label("Send a message", exact=True).last
        await form.get_by_label("customer").wait_for()
        # The model's example, whose 64-bit number has kept its digits.
        assert await page.input_value("#f-id") == "9223372036854775807"
        assert await page.input_value("[id='f-address.city']") == "Zagreb"
        await tab_to(page, "customer")
        await page.keyboard.press("Control+a")
        await page.keyboard.type("somebody")
        await page.keyboard.press("Control+Enter")
        said = form.get_by_text("String should match pattern")
        await said.wait_for()
        assert await page.get_attribute("#f-customer", "aria-invalid") == "true"
        await page.focus("#f-customer")
        await page.keyboard.press("Control+a")
        await page.keyboard.type("c-1")
        await page.keyboard.press("Control+Enter")
        await form.get_by_text("Written to").wait_for()
        await form.get_by_text(", handled").wait_for()
        assert await page.get_attribute("#f-customer", "aria-invalid") is None
        assert [order.id for order in shop.handled] == [9223372036854775807]
        # It comes into the list by itself.
        row = page.locator("tbody tr[tabindex]")
        await row.first.wait_for()
        assert "9223372036854775807" in await row.first.inner_text()
        await page.keyboard.press("Escape")
        await form.wait_for(state="detached")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        detail = page.get_by_label("Message", exact=True)
        await detail.get_by_text("Fits Order").wait_for()
        await page.keyboard.press("Escape")
        await detail.wait_for(state="detached")
        await until(
            lambda: page.evaluate("() => document.activeElement.tagName === 'TR'")
        )
        trouble.check()


async def test_a_failure_is_replayed_until_it_is_mended(
    browser: Any, embedded: EmbeddedBroker
) -> None:
    embedded.create_topic("orders", 3)
    shop = Shop(embedded.bootstrap_servers)
    shop.fails = True
    order = {"id": 1, "customer": "c-9", "total": 1, "address": {"city": "Split"}}
    async with shop.app, serving(shop.app) as address:
        await shop.app.produce(json.dumps(order).encode(), topic="orders", key=b"c-9")
        async with looking(browser, address) as (page, trouble):
            await page.goto(f"{address}/#/")
            await page.get_by_text("holds 1 parked record.").wait_for()
            await tab_to(page, "Failures")
            await page.keyboard.press("Enter")
            await page.get_by_text("1 parked record in 1 dead-letter topic").wait_for()
            trace = page.get_by_label("Traceback")
            await trace.get_by_text("no answer from the bank for c-9").wait_for()
            await tab_to(page, "Replay 1…")
            await page.keyboard.press("Enter")
            # What would be sent where, before anything is.
            dialog = page.get_by_role("dialog", name="Replay")
            await dialog.get_by_text("1 record to").wait_for()
            assert (
                "orders-dlt" in await dialog.get_by_label("What is sent").inner_text()
            )
            assert shop.app.snapshot().functions[0].failed == {"TimeoutError": 1}
            rate = dialog.get_by_label("Records per second")
            assert await rate.input_value() == "100"
            await rate.fill("20")
            await page.keyboard.press("Enter")
            await page.get_by_text("orders-dlt, 20/s").wait_for()
            await page.get_by_text("1 parked again").wait_for()
            shop.fails = False
            await page.get_by_text("1 parked record in").wait_for()
            await tab_to(page, "Replay 1…")
            await page.keyboard.press("Enter")
            await dialog.get_by_text("1 record to").wait_for()
            await tab_to(page, "Replay 1")
            await page.keyboard.press("Enter")
            await page.get_by_text("1 handled").wait_for()
            await page.get_by_text("Nothing is parked.").wait_for()
            assert [order.customer for order in shop.handled] == ["c-9"]
            trouble.check()


async def test_an_app_that_cannot_be_imported_shows_why(browser: Any) -> None:
    broken = Broken(
        "Could not import module \"shop\". It raised NameError: name 'x' is unknown",
        'Traceback (most recent call last):\n  File "shop.py", line 1, in <module>\n',
    )
    app = FastKafka(bootstrap_servers="127.0.0.1:1")
    async with (
        serving(app, broken=broken) as address,
        looking(browser, address) as (page, trouble),
    ):
        await page.goto(address)
        await page.get_by_text("The app cannot be imported").wait_for()
        await page.get_by_text('File "shop.py", line 1').wait_for()
        assert await page.title() == "shop:app"
        trouble.check()


async def test_the_page_outlives_what_is_broken_while_one_develops(
    browser: Any, tmp_path: Path
) -> None:
    developing = await asyncio.to_thread(Developing, tmp_path)
    try:
        async with looking(browser, developing.address) as (page, trouble):
            await page.goto(developing.address)
            await page.locator(".flow").get_by_text("on_orders").wait_for()
            developing.edit(APP + "\nimport nothing_like_that\n")
            await page.get_by_text("The app cannot be imported").wait_for()
            trace = page.get_by_label("Traceback")
            assert "No module named 'nothing_like_that'" in await trace.inner_text()
            developing.edit(APP.replace('"orders"', '"parcels"'))
            await page.locator(".flow").get_by_text("parcels").wait_for()
            await page.locator(".badge", has_text=READY).wait_for()
            trouble.check()
    finally:
        developing.command.press_ctrl_c()
        await asyncio.to_thread(developing.command.end)


async def test_a_worker_that_is_killed_is_said_and_its_successor_is_ready(
    browser: Any, tmp_path: Path
) -> None:
    developing = await asyncio.to_thread(Developing, tmp_path)
    try:
        async with looking(browser, developing.address) as (page, trouble):
            await page.goto(f"{developing.address}/#/health")
            await page.locator(".badge", has_text=READY).wait_for()
            health = await asyncio.to_thread(developing.ask, "health")
            (worker,) = health["workers"]
            os.kill(worker["pid"], signal.SIGKILL)
            await page.get_by_text(
                f"Worker {worker['pid']} was killed by SIGKILL."
            ).first.wait_for()
            await page.locator(".badge", has_text=READY).wait_for()
            health = await asyncio.to_thread(developing.ask, "health")
            assert health["workers"][0]["pid"] != worker["pid"]
            trouble.check()
    finally:
        developing.command.press_ctrl_c()
        await asyncio.to_thread(developing.command.end)


async def test_a_broker_that_is_away_is_said_until_it_is_back(
    browser: Any, embedded: EmbeddedBroker
) -> None:
    embedded.create_topic("orders", 1)
    shop = Shop(embedded.bootstrap_servers)
    async with (
        shop.app,
        serving(shop.app) as address,
        looking(browser, address) as (page, trouble),
    ):
        await page.goto(address)
        await page.locator(".badge", has_text=READY).wait_for()
        embedded.broker_down(1)
        attention = page.get_by_label("Needs attention")
        await attention.get_by_text("No broker answers at").wait_for()
        await attention.get_by_text("Is Kafka running?").wait_for()
        await tab_to(page, "Not ready")
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="Health").wait_for()
        embedded.broker_up(1)
        await page.locator(".badge", has_text=READY).wait_for()
        trouble.check()


async def test_a_server_that_is_gone_is_said_and_found_again(
    browser: Any, embedded: EmbeddedBroker
) -> None:
    embedded.create_topic("orders", 1)
    shop = Shop(embedded.bootstrap_servers)
    async with shop.app, contextlib.AsyncExitStack() as stack:
        address = await stack.enter_async_context(serving(shop.app))
        async with looking(browser, address) as (page, _):
            await page.goto(address)
            await page.locator(".badge", has_text=READY).wait_for()
            await stack.aclose()
            await page.locator(".badge", has_text="No connection").wait_for()
            port = int(address.rpartition(":")[2])
            async with serving(shop.app, port=port):
                await page.locator(".badge", has_text=READY).wait_for()


async def test_a_token_in_the_link_opens_the_page(browser: Any) -> None:
    token = "a-token-of-32-characters-or-more"
    app = FastKafka(title="Shop", bootstrap_servers="127.0.0.1:1")
    allowed = rules("127.0.0.1", token=token)
    async with (
        serving(app, allowed=allowed) as address,
        looking(browser, address) as (page, trouble),
    ):
        trouble.expected = ["401"]
        await page.goto(address)
        await page.get_by_text("The token is missing or wrong.").wait_for()
        await page.get_by_label("Token").fill("not this one, I think")
        await page.keyboard.press("Enter")
        await page.get_by_text("This is not the token.").wait_for()
        await page.goto("about:blank")
        await page.goto(f"{address}/#token={token}")
        await page.get_by_text("This app has no functions yet.").wait_for()
        assert token not in page.url
        assert token not in await page.evaluate("() => document.cookie")
        trouble.check()


async def test_a_function_is_paused_resumed_and_its_partition_sought_by_keyboard(
    browser: Any, embedded: EmbeddedBroker
) -> None:
    embedded.create_topic("orders", 1)
    shop = Shop(embedded.bootstrap_servers)
    handled: list[int] = []

    @shop.app.consumes(topic="orders", order="key", concurrency=2)
    async def audit(order: Order) -> None:
        handled.append(order.id)

    order = Order(id=1, customer="c-1", total=1, address=Address(city="Split"))

    async def press(name: str) -> None:
        await tab_to(page, name)
        await page.keyboard.press("Enter")

    async with (
        shop.app,
        serving(shop.app) as address,
        looking(browser, address) as (page, trouble),
    ):
        trouble.expected = ["422"]  # what the browser itself logs of the refusal
        await page.goto(f"{address}/#/functions/audit")
        await page.get_by_label("Concurrency of each worker").fill("7")
        await page.keyboard.press("Enter")
        await page.get_by_text("audit handles up to 7 at once.").wait_for()
        await until(_is(lambda: shop.app.snapshot().functions[1].concurrency == 7))
        await press("Pause function")
        await page.get_by_text("audit is paused.").wait_for()
        assert shop.app.snapshot().functions[1].paused
        assert await violations(page) == []
        for _ in range(3):
            await shop.app.produce(order, topic="orders", key=b"c-1")
        await until(_is(lambda: len(shop.handled) == 3))
        assert handled == []
        await press("Resume function")
        await page.get_by_text("audit goes on.").wait_for()
        await until(_is(lambda: len(handled) == 3))

        await page.goto(f"{address}/#/lag")
        await press("Control orders[0] of shop")
        dialog = page.get_by_role("dialog", name="Control orders[0]")
        await dialog.wait_for()
        await press("Pause on_orders here")
        await dialog.get_by_text("on_orders is paused at orders[0].").wait_for()
        await dialog.get_by_label("Seek to").fill("9")
        await page.keyboard.press("Enter")
        await dialog.get_by_text("orders[0] has no offset 9").wait_for()
        await dialog.get_by_label("Seek to").fill("1")
        await page.keyboard.press("Enter")
        await dialog.get_by_text("2 offsets read again").wait_for()
        assert await violations(page) == []
        await page.set_viewport_size({"width": 360, "height": 740})
        wide = "() => document.documentElement.scrollWidth"
        assert await page.evaluate(wide) <= 360
        await press("Seek to 1")
        await dialog.get_by_text("was sought from 3 to 1").wait_for()
        await until(_is(lambda: len(handled) == 5))
        assert len(shop.handled) == 3, "it is paused there"
        await press("Resume on_orders here")
        await until(_is(lambda: len(shop.handled) == 5))
        await page.keyboard.press("Escape")
        await dialog.wait_for(state="detached")
        focused = "() => document.activeElement.getAttribute('aria-label')"
        assert await page.evaluate(focused) == "Control orders[0] of shop"
        trouble.check()


async def test_who_may_only_read_sees_no_control(browser: Any) -> None:
    shop = Shop("127.0.0.1:1")
    async with (
        serving(shop.app, allowed=rules("127.0.0.1")) as address,
        looking(browser, address) as (page, trouble),
    ):
        await page.goto(f"{address}/#/functions/on_orders")
        await page.get_by_role("heading", name="on_orders").wait_for()
        assert await page.get_by_role("button", name="Pause function").count() == 0
        await page.get_by_role("link", name="Lag").click()
        await page.get_by_role("heading", name="Lag").wait_for()
        assert await page.get_by_role("button", name="Control").count() == 0
        trouble.check()
