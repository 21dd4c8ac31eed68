"""What docs/testing.md shows runs as it is printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

PAGE = (Path(__file__).parents[1] / "docs" / "testing.md").read_text()
APP, *TESTS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)


def test_every_example_passes(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini(
        """
        [pytest]
        asyncio_mode = auto
        asyncio_default_fixture_loop_scope = function
        filterwarnings = error
        """
    )
    pytester.makepyfile(shop=APP)
    pytester.makepyfile(**{f"test_{n}": code for n, code in enumerate(TESTS)})

    result = pytester.runpytest_subprocess(
        *("-p", "fastkafka.testing.plugin", "-p", "pytest_asyncio.plugin")
    )

    assert len(TESTS) >= 8
    result.assert_outcomes(passed=PAGE.count("def test_"))
