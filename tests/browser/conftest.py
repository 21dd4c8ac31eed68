"""A browser, if there is one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.browser.pages import CHROMIUM


@pytest.fixture
async def browser() -> AsyncIterator[Any]:
    """Debian's chromium, without a window."""
    playwright = pytest.importorskip("playwright.async_api", reason="no playwright")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: `apt install chromium`")
    async with playwright.async_playwright() as driver:
        chromium = await driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        yield chromium
        await chromium.close()
