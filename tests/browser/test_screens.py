"""Every screen: for everybody, in every light, on a phone, whatever the records say."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from fastkafka import FastKafka
from fastkafka.testing import EmbeddedBroker
from tests.browser.pages import looking, serving
from tests.web.consoles import Order, shop

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SCREENS = {
    "overview": "#/",
    "topic": "#/topics/orders",
    "record": "#/topics/orders?record=0:0",
    "send": "#/topics/orders?send=1",
    "functions": "#/functions",
    "failures": "#/failures",
    "lag": "#/lag",
    "health": "#/health",
    "nowhere": "#/nowhere",
}

HOSTILE = [
    b'{"id": 1, "customer": "<img src=x onerror=alert(1)>", "total": 1}',
    b"<script>alert(1)</script>",
    b'{"__proto__": {"polluted": 1}, "constructor": {"prototype": 2}}',
    b'{"id": 9223372036854775807, "customer": "c-1", "total": 1}',
    '{"id": 2, "customer": "c-2", "note": "\u202egnp.exe\u2066"}'.encode(),
    b"\xff\xfe\x00not utf-8",
    b"[" * 5000 + b"]" * 5000,
    b'{"id": 3, "note": "' + b"x" * 900_000 + b'"}',
    b'{"id": NaN}',
    b"",
    b"null",
]


@dataclass(frozen=True)
class Served:
    app: FastKafka
    address: str


@pytest.fixture
async def full(embedded: EmbeddedBroker) -> AsyncIterator[Served]:
    """An app with records of all kinds, some of them parked."""
    embedded.create_topic("orders", 1)
    embedded.create_topic("invoices", 1)
    app = shop(embedded.bootstrap_servers)
    async with app, serving(app) as address:
        fine = {"id": 7, "customer": "c-7", "total": 7.5}
        await app.produce(json.dumps(fine).encode(), topic="orders", key=b"c-7")
        for value in HOSTILE:
            await app.produce(
                value,
                topic="orders",
                key=b"<b>key</b>",
                headers=[("<i>name</i>", b"<u>value</u>\x1b[31m")],
            )
        yield Served(app, address)


@pytest.fixture
async def empty(embedded: EmbeddedBroker) -> AsyncIterator[Served]:
    """An app whose topics are empty."""
    embedded.create_topic("orders", 1)
    embedded.create_topic("invoices", 1)
    app = shop(embedded.bootstrap_servers)
    async with app, serving(app) as address:
        yield Served(app, address)


@pytest.fixture
async def away() -> AsyncIterator[Served]:
    """An app that no broker answers."""
    app = shop("127.0.0.1:1")
    async with serving(app) as address:
        yield Served(app, address)


async def settled(page: Any) -> None:
    """Wait until nothing loads any more."""
    await page.locator("main:not(.loading)").wait_for()
    await page.wait_for_function(
        "() => !document.querySelector('[aria-busy=true]:not(table)')"
    )
    await page.wait_for_timeout(1200)  # a tick, and what follows it


async def violations(page: Any) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.async_playwright")
    options = {
        "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    }
    found = await axe.Axe().run(page, options=options)
    return [
        f"{v['id']}: {node['html'][:160]}"
        for v in found.response["violations"]
        for node in v["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_every_screen_is_for_everybody(
    browser: Any, full: Served, theme: str
) -> None:
    await check_screens(browser, full, theme)


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 360)])
async def test_the_dialogs_are_for_everybody(
    browser: Any, full: Served, theme: str, width: int
) -> None:
    async with looking(browser, full.address, width=width, color_scheme=theme) as (
        page,
        trouble,
    ):
        await page.goto(f"{full.address}/#/failures")
        await page.get_by_role("button", name="Replay all").click()
        await page.get_by_label("What is sent").wait_for()
        assert await violations(page) == []
        wide = "() => document.documentElement.scrollWidth"
        assert await page.evaluate(wide) <= width
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Dismiss").click()
        assert await violations(page) == []
        await page.keyboard.press("Escape")
        await page.keyboard.press("?")
        await page.get_by_role("dialog", name="Keys").wait_for()
        assert await violations(page) == []
        trouble.check()


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_every_empty_screen_is_for_everybody(
    browser: Any, empty: Served, theme: str
) -> None:
    await check_screens(browser, empty, theme, ["404"])  # there is no record


async def check_screens(
    browser: Any, served: Served, theme: str, expected: Sequence[str] = ()
) -> None:
    async with looking(browser, served.address, color_scheme=theme) as (page, trouble):
        trouble.expected = expected
        found = {}
        for name, fragment in SCREENS.items():
            await page.goto("about:blank")
            await page.goto(f"{served.address}/{fragment}")
            await settled(page)
            found[name] = await violations(page)
        assert {name: bad for name, bad in found.items() if bad} == {}
        trouble.check()


async def test_what_goes_wrong_is_said_and_can_be_tried_again(
    browser: Any, away: Served
) -> None:
    async with looking(browser, away.address) as (page, trouble):
        trouble.expected = ["503"]
        for fragment in ("#/topics/orders", "#/failures", "#/lag"):
            await page.goto("about:blank")
            await page.goto(f"{away.address}/{fragment}")
            problem = page.get_by_role("alert").first
            await problem.wait_for(timeout=60_000)
            assert "127.0.0.1:1" in await problem.inner_text()
            assert await violations(page) == []
        trouble.check()


async def test_no_screen_is_wider_than_a_phone(browser: Any, full: Served) -> None:
    async with looking(browser, full.address, width=360, height=740) as (page, trouble):
        wide = {}
        for name, fragment in SCREENS.items():
            await page.goto("about:blank")
            await page.goto(f"{full.address}/{fragment}")
            await settled(page)
            width = await page.evaluate("() => document.documentElement.scrollWidth")
            if width > 360:
                wide[name] = width
        assert wide == {}
        trouble.check()


async def test_hostile_records_stay_text(browser: Any, full: Served) -> None:
    async with looking(browser, full.address) as (page, trouble):
        page.on("dialog", lambda dialog: trouble.errors.append(dialog.message))
        await page.goto(f"{full.address}/#/topics/orders")
        await page.locator("tbody tr[tabindex]").nth(len(HOSTILE)).wait_for()
        for offset in range(len(HOSTILE) + 1):
            await page.goto(f"{full.address}/#/topics/orders?record=0:{offset}")
            detail = page.get_by_label("Message", exact=True)
            await detail.get_by_text("Time", exact=True).wait_for()
            for tab in ("Raw bytes", "State", "Value"):
                await detail.get_by_role("tab", name=tab).click()
        await page.goto(f"{full.address}/#/failures")
        await page.get_by_label("Parked records").wait_for()
        assert await page.evaluate("() => ({}).polluted") is None
        assert await page.locator("main img, main script, main b > b").count() == 0
        shown = await page.content()
        assert "<b>key</b>" not in shown
        assert "\x1b" not in shown
        trouble.check()


async def test_a_64_bit_number_keeps_its_digits(browser: Any, full: Served) -> None:
    async with looking(browser, full.address) as (page, trouble):
        await page.goto(f"{full.address}/#/topics/orders")
        await page.get_by_text("9223372036854775807").first.wait_for()
        trouble.check()


async def test_records_are_found_by_field_and_key(browser: Any, full: Served) -> None:
    async with looking(browser, full.address) as (page, trouble):
        await page.goto(f"{full.address}/#/topics/orders")
        rows = page.locator("tbody tr[tabindex]")
        await rows.nth(3).wait_for()
        await page.keyboard.press("/")
        await page.keyboard.type("customer=c-7")
        await page.keyboard.press("Enter")
        await page.get_by_text("c-7").first.wait_for()
        await page.wait_for_function(
            "() => document.querySelectorAll('tbody tr[tabindex]').length === 1"
        )
        trouble.check()


async def test_the_page_can_be_paused_and_goes_on(browser: Any, full: Served) -> None:
    async with looking(browser, full.address) as (page, trouble):
        await page.goto(f"{full.address}/#/topics/orders")
        rows = page.locator("tbody tr[tabindex]")
        await rows.nth(len(HOSTILE)).wait_for()
        await page.keyboard.press("p")
        await full.app.produce(
            Order(id=8, customer="c-8", total=1), topic="orders", key=b"c-8"
        )
        await page.get_by_role("button", name="1 new").wait_for()
        assert await rows.count() == len(HOSTILE) + 1
        await page.keyboard.press("p")
        await rows.nth(len(HOSTILE) + 1).wait_for()
        trouble.check()


async def test_a_chart_says_what_was_when_under_the_pointer(
    browser: Any, full: Served
) -> None:
    async with looking(browser, full.address) as (page, trouble):
        await page.goto(f"{full.address}/#/")
        chart = page.locator("figure", has_text="Throughput")
        # Two ticks make a line.
        await page.wait_for_function(
            "() => /L/.test(document.querySelector('.plot path[stroke]')"
            "?.getAttribute('d') ?? '')"
        )
        said = chart.locator("figcaption")
        assert " at " not in await said.inner_text()
        await chart.get_by_role("img").hover()
        await said.get_by_text(re.compile(r"records/s at \d\d:\d\d:\d\d")).wait_for()
        await page.mouse.move(0, 0)
        await said.get_by_text("records/s", exact=True).wait_for()
        trouble.check()
