"""What docs/coming-from-fastkafka-0.x.md says can be run, runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "coming-from-fastkafka-0.x.md").read_text()


def test_the_app_that_is_as_it_was_can_be_declared() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"__name__": "as_it_was"}

    exec(code, names)

    assert names["app"].group_id is None
    assert [route.name for route in names["app"].consumers] == ["on_input_data"]


def test_every_link_leads_to_a_page() -> None:
    links = re.findall(r"\]\((\S+?)\)", PAGE)

    assert links
    assert [link for link in links if not (DOCS / link).exists()] == []
