"""What the original's notebooks used."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.request import urlopen

import pytest

from fastkafka import ConfigError
from fastkafka.testing import display_docs, mock_AIOKafkaProducer_send, nb_safe_seed


def test_seeds_differ_between_notebooks_and_not_between_runs() -> None:
    first, second = nb_safe_seed("first"), nb_safe_seed("second")

    assert first(0) == nb_safe_seed("first")()
    assert first(0) != second(0)
    assert first(7) == first(0) + 7


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Put a small IPython in the place of the one that may be missing."""
    addresses: list[str] = []
    display: Any = ModuleType("IPython.display")
    display.IFrame = lambda address, **size: address
    display.display = addresses.append
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return addresses


def fetch(url: str) -> bytes:
    with urlopen(url) as answer:
        content: bytes = answer.read()
        return content


async def test_a_page_is_served_and_shown_again_and_again(
    shown: list[str], tmp_path: Path, unused_tcp_port: int
) -> None:
    for text in ("first", "second"):
        (tmp_path / text).mkdir()
        (tmp_path / text / "index.html").write_text(text)

        await display_docs(str(tmp_path / text), port=unused_tcp_port)

        assert await asyncio.to_thread(fetch, shown[-1]) == text.encode()


async def test_without_ipython_it_says_what_else_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "IPython.display", None)

    sentence = (
        "`display_docs` shows the page in a notebook, which needs IPython. "
        "Elsewhere, use `fastkafka docs serve`."
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"):
        await display_docs("asyncapi/docs")


async def test_a_main_programs_own_producer_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class AIOKafkaProducer:
        async def send(self, topic: str) -> None:
            raise AssertionError("it was not replaced")

    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "AIOKafkaProducer", AIOKafkaProducer, raising=False)

    with mock_AIOKafkaProducer_send() as mock:
        await AIOKafkaProducer().send("orders")

    mock.assert_awaited_once_with("orders")


def test_without_a_producer_of_its_own_there_is_nothing_to_replace() -> None:
    sentence = (
        "`mock_AIOKafkaProducer_send` replaces a method of the `AIOKafkaProducer` "
        "that the main program imports, but it imports none. An app does not use "
        "it: test the app with `Tester(app)`."
    )
    with (
        pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"),
        mock_AIOKafkaProducer_send(),
    ):
        pass
