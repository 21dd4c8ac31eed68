"""docs/settings.md says what the code does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from fastkafka import setting_names
from fastkafka.setting_values import in_words
from fastkafka.settings import CONSUMER_DEFAULTS, PRODUCER_DEFAULTS, SETTINGS, Setting

DOCS = Path(__file__).parent.parent / "docs" / "settings.md"


def documented(names: Mapping[str, Setting]) -> list[str]:
    return [
        f"| `{name}` | {'s, '.join(row.kinds)}s | {in_words(row.wants, row.within)} "
        f"| {f'`{row.client}`' if row.client else ''} | {row.doc} |"
        for name, row in names.items()
    ]


def test_the_documentation_has_the_table() -> None:
    used = {name: row for name, row in SETTINGS.items() if not row.ignored}
    ignored = [f"| `{n}` | {row.doc} |" for n, row in SETTINGS.items() if row.ignored]
    defaults = [
        f"| `{name}` | `{value}` | {why} |"
        for name, (value, why) in {**CONSUMER_DEFAULTS, **PRODUCER_DEFAULTS}.items()
    ]
    owned = [f"| `{name}` | {why} |" for name, why in setting_names.OWNED.items()]
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if re.match(r"\| `", line)]
    assert rows == documented(used) + ignored + defaults + owned
