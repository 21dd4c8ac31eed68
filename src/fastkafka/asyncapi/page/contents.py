"""What is beside the page's text: its name and its contents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from fastkafka.asyncapi.page.elements import Child, Html, element, fragment, link
from fastkafka.asyncapi.page.operations import (
    VERBS,
    by_action,
    channel_of,
    function_of,
    title_of,
)
from fastkafka.asyncapi.schemas import Json

_Entry = tuple[Child, str]


def contents(document: Json) -> Html:
    """Show the service's name, and links to all parts of the page."""
    info = document["info"]
    brand = element("strong", info["title"])
    return element(
        "header",
        element(
            "p", element("a", brand, href="#top"), " ", info["version"], class_="brand"
        ),
        element(
            "details",
            element("summary", "Contents"),
            element(
                "input",
                type="search",
                placeholder="Filter",
                aria_label="Filter the contents",
                class_="js",
            ),
            element("nav", _groups(document), aria_label="Contents"),
            open=True,
        ),
        class_="side",
    )


def _groups(document: Json) -> Iterator[Html]:
    yield _group("Service", [("Topics", "topics"), ("Servers", "servers")])
    for action, operations in by_action(document).items():
        titles = {
            name: title_of(channel_of(operation, document))
            for name, operation in operations.items()
        }
        often = Counter(titles.values())
        entries: list[_Entry] = [
            (
                (title, " ", function_of(name, operations[name]))
                if often[title] > 1
                else title,
                f"operation-{name}",
            )
            for name, title in titles.items()
        ]
        yield _group(VERBS[action], entries)
    schemas = document["components"].get("schemas", {})
    yield _group("Schemas", [(name, f"schema-{name}") for name in schemas])


def _group(heading: str, entries: list[_Entry]) -> Html:
    if not entries:
        return Html("")
    items = (element("li", link(text, target)) for text, target in entries)
    return fragment(element("h2", heading), element("ul", items))
