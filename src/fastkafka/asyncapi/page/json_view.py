"""JSON in colour."""

from __future__ import annotations

import json
import re
from typing import Any

from fastkafka.asyncapi.page.elements import Html, element

_TOKENS = re.compile(
    r"""(?P<key>"(?:[^"\\]|\\.)*"(?=:))
    | (?P<text>"(?:[^"\\]|\\.)*")
    | (?P<literal>[^\s"{}\[\],:]+)
    | [\s{}\[\],:]+""",
    re.VERBOSE,
)


def json_view(value: Any) -> Html:
    """Show a value as JSON over several lines."""
    written = json.dumps(value, indent=2, ensure_ascii=False)
    tokens = [
        element("span", token[0], class_=token.lastgroup)
        if token.lastgroup
        else token[0]
        for token in _TOKENS.finditer(written)
    ]
    return element("pre", element("code", tokens), class_="json")
