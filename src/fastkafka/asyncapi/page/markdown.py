"""Descriptions: AsyncAPI's are CommonMark, and so are these."""

from __future__ import annotations

from functools import cache
from typing import Any

from markdown_it import MarkdownIt

from fastkafka.asyncapi.page.elements import Html, element


def markdown(text: str, *, class_: str = "prose") -> Html:
    """Render a description.

    HTML in it is text, a link that would run something is text too, and there are no
    images: a description must not make the page do or load anything. Its headings are
    bold lines, because the page has its own outline.
    """
    if not text.strip():
        return Html("")
    return element("div", Html(_renderer().render(text)), class_=class_)


@cache
def _renderer() -> MarkdownIt:
    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    renderer.disable(["image", "html_block", "html_inline"])
    renderer.add_render_rule("heading_open", _bold_line)
    renderer.add_render_rule("heading_close", _bold_line_end)
    return renderer


def _bold_line(*_: Any) -> str:
    return "<p><strong>"


def _bold_line_end(*_: Any) -> str:
    return "</strong></p>\n"
