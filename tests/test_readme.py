"""What README says runs, and what the documents name exists."""

from __future__ import annotations

import asyncio
import importlib
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from fastkafka import FastKafka
from fastkafka.testing import EmbeddedBroker

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Import each Python block of README from the file that is named before it."""
    blocks = re.findall(
        r"^`(\w+)\.py`[^\n]*:\n\n```python\n(.*?)^```$", README, re.M | re.S
    )
    assert len(blocks) == README.count("```python")
    monkeypatch.syspath_prepend(tmp_path)
    for name, text in blocks:
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    return [importlib.import_module(name) for name, _ in blocks]


async def test_the_app_of_the_readme_predicts(modules: list[Any]) -> None:
    iris_app, _ = modules
    received: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    with EmbeddedBroker({"input_data": 1, "predictions": 1}) as bootstrap:
        other_end = FastKafka(
            title="Other end", bootstrap_servers=bootstrap, group_id=None
        )

        @other_end.produces(topic="input_data")
        async def to_input_data(iris: dict[str, float]) -> dict[str, float]:
            return iris

        @other_end.consumes(topic="predictions")
        async def on_predictions(prediction: dict[str, str]) -> None:
            received.put_nowait(prediction)

        iris_app.app.set_bootstrap_servers(bootstrap)
        async with iris_app.app, other_end:
            setosa = {"sepal_length": 5.1, "sepal_width": 3.5}
            setosa |= {"petal_length": 1.4, "petal_width": 0.2}
            await to_input_data(setosa)
            assert await received.get() == {"species": "setosa"}


async def test_the_test_of_the_readme_passes(modules: list[Any]) -> None:
    _, test_iris_app = modules
    await test_iris_app.test_a_setosa_is_recognised()


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "DESIGN.md"])
def test_every_file_that_a_document_names_exists(document: str) -> None:
    text = (ROOT / document).read_text()
    linked = re.findall(r"\]\(([^):#]+)\)", text)
    scripts = re.findall(r"(?:^|`)((?:scripts|\.ci)/[a-z-]+)", text, re.M)
    assert [p for p in linked + scripts if not (ROOT / p).exists()] == []


def test_the_scripts_can_be_run() -> None:
    scripts = [*(ROOT / "scripts").glob("[!e]*"), ROOT / ".ci" / "run"]
    assert [s for s in scripts if not os.access(s, os.X_OK)] == []


def test_the_file_map_names_what_exists() -> None:
    """The second column has paths; the third, the files of a folder by their names."""
    _, _, text = (ROOT / "DESIGN.md").read_text().partition("## The file map")
    package = ROOT / "src" / "fastkafka"
    missing = []
    rows = [row.split("|") for row in text.splitlines() if row.startswith("| ")]
    for _, _, modules, what, _ in rows[1:]:
        paths = [package / name for name in re.findall(r"`(.+?)`", modules)]
        files = re.findall(r"`(\w+\.py)`", what)
        missing += [path for path in paths if not path.exists()]
        missing += [f for f in files if not any((p / f).exists() for p in paths)]
    assert missing == []
