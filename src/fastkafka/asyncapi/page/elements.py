"""HTML as values: `element` escapes every text, and only what it made is markup.

So no text of a user, be it a description, a field's name or an example, can become
markup, wherever it ends up.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_VOID = frozenset(("br", "hr", "input", "link", "meta"))


class Html(str):
    """Markup, to be written as it is. Every other string is text."""

    __slots__ = ()


Child = str | None | Iterable["Child"]
"""What can be inside an element: text, markup, nothing, or several of them."""


def element(
    name: str, /, *children: Child, **attributes: str | bool | int | None
) -> Html:
    """Make an element.

    Args:
        name: Of the element.
        children: Its content, in order.
        attributes: None and False leave one out, True writes only its name. An
            underscore is a hyphen, a trailing one is dropped: ``aria_label``,
            ``class_``.
    """
    written = "".join(
        f" {_attribute(key)}"
        if value is True
        else f' {_attribute(key)}="{_text(value)}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{fragment(*children)}</{name}>")


def fragment(*children: Child) -> Html:
    """Put several children together, without an element around them."""
    return Html("".join(_written(child) for child in children))


def code(text: str) -> Html:
    """Make a piece of code."""
    return element("code", text)


def link(text: Child, target: str) -> Html:
    """Make a link to an element of the page."""
    return element("a", text, href=f"#{target}")


def listed(children: Iterable[Child]) -> Html:
    """Put children in a row, with commas between them."""
    made: list[Child] = []
    for child in children:
        made += [", ", child] if made else [child]
    return fragment(*made)


def _written(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str):
        return _text(child)
    return "".join(_written(one) for one in child)


def _text(value: str | int) -> str:
    return escape(str(value), quote=True)


def _attribute(name: str) -> str:
    return name.rstrip("_").replace("_", "-")
