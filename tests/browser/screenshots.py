"""Pictures of every screen, for the documentation: python -m tests.browser.screenshots.

They go to `docs/images`, light and dark, of a shop that has been trading for a minute.
Look at them before they are committed.
"""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from typing import Any

from fastkafka.testing import EmbeddedBroker
from tests.browser.pages import CHROMIUM, looking, serving
from tests.browser.shop import TOPICS, app, trade

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SECONDS = 75.0
RATE = 300

SCREENS = {
    "overview": "#/",
    "topic": "#/topics/orders",
    "send": "#/topics/orders?send=1",
    "functions": "#/functions/on_payments",
    "failures": "#/failures",
    "lag": "#/lag",
    "health": "#/health",
}


async def main() -> None:
    """Trade, then take the pictures."""
    IMAGES.mkdir(exist_ok=True)
    playwright = importlib.import_module("playwright.async_api")  # an extra
    with EmbeddedBroker(TOPICS) as servers:
        app.set_bootstrap_servers(servers)
        async with (
            app,
            serving(app) as address,
            playwright.async_playwright() as driver,
        ):
            trading = asyncio.create_task(trade(RATE))
            browser = await driver.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox"]
            )
            # The history begins with the first look.
            async with looking(browser, address) as (page, _):
                await page.goto(address)
                await asyncio.sleep(SECONDS)
            for theme in ("light", "dark"):
                for name, fragment in SCREENS.items():
                    await take(browser, address, theme, name, fragment)
            await take(browser, address, "light", "overview-narrow", "#/", width=420)
            trading.cancel()
            await browser.close()


async def take(
    browser: Any,
    address: str,
    theme: str,
    name: str,
    fragment: str,
    width: int = 1440,
) -> None:
    """Take one picture."""
    async with looking(
        browser, address, width=width, height=900, color_scheme=theme
    ) as (page, trouble):
        await page.goto(f"{address}/{fragment}")
        await page.wait_for_timeout(4000)
        if name == "topic":
            await page.keyboard.press("p")
            await page.locator("tbody tr[tabindex]").nth(3).click()
            await page.wait_for_timeout(1500)
        await page.screenshot(path=IMAGES / f"page-{name}-{theme}.png")
        trouble.check()


if __name__ == "__main__":
    asyncio.run(main())
