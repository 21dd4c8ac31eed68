"""One operation: what is received or sent, with an example and its Kafka facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from fastkafka.asyncapi.page.elements import (
    Child,
    Html,
    code,
    element,
    fragment,
    link,
    listed,
)
from fastkafka.asyncapi.page.json_view import json_view
from fastkafka.asyncapi.page.markdown import markdown
from fastkafka.asyncapi.page.schemas import SchemaView
from fastkafka.asyncapi.page.types import reference, type_in_words
from fastkafka.asyncapi.schemas import Json

Links: TypeAlias = Callable[[str], Mapping[str, str]]
"""Returns labels and addresses of what else there is about a topic."""

VERBS = {"receive": "Receives", "send": "Sends"}
_DONE = {"receive": "received", "send": "sent"}


def last(reference: Json) -> str:
    """Return the last part of a reference: the name of what it refers to."""
    return str(reference["$ref"]).rpartition("/")[2]


def title_of(channel: Json) -> str:
    """Return what a reader calls a channel: its topic."""
    return str(channel.get("title") or channel["address"])


def function_of(name: str, operation: Json) -> Html:
    """Return the name of the function that an operation is."""
    return code(operation.get("title", name))


def channel_of(operation: Json, document: Json) -> Json:
    """Return the channel of an operation."""
    channel: Json = document["channels"][last(operation["channel"])]
    return channel


def by_action(document: Json) -> dict[str, Json]:
    """Return the operations by name for each action that there is, receiving first."""
    actions = {
        action: {
            name: operation
            for name, operation in document["operations"].items()
            if operation["action"] == action
        }
        for action in VERBS
    }
    return {action: operations for action, operations in actions.items() if operations}


def operation_view(
    name: str,
    operation: Json,
    document: Json,
    schemas: SchemaView,
    links: Links | None = None,
) -> Html:
    """Show an operation."""
    channel = channel_of(operation, document)
    return element(
        "article",
        element(
            "p",
            _DONE[operation["action"]],
            " by ",
            function_of(name, operation),
            class_="verb",
        ),
        element("h3", link(title_of(channel), f"operation-{name}")),
        _elsewhere(channel, links),
        markdown(operation.get("description", "")),
        (
            _message(last(message), operation, channel, document, schemas)
            for message in operation["messages"]
        ),
        id=f"operation-{name}",
    )


def _elsewhere(channel: Json, links: Links | None) -> Html | None:
    """Link to what else there is about a topic; a pattern is none."""
    if links is None or "parameters" in channel:
        return None
    found = links(channel["address"]).items()
    shown = (element("a", label, href=address) for label, address in found)
    return element("p", listed(shown), class_="verb")


def facts(rows: list[tuple[str, Child]]) -> Html:
    """Show names and values in two columns."""
    pairs = ((element("dt", name), element("dd", value)) for name, value in rows)
    return element("dl", pairs, class_="facts")


def _message(
    name: str, operation: Json, channel: Json, document: Json, schemas: SchemaView
) -> Html:
    message = document["components"]["messages"][name]
    payload = message["payload"]
    title: Child = code(message["name"]) if reference(payload) else None
    return element(
        "div",
        element("div", element("h4", "Message ", title), schemas.whole(payload)),
        element(
            "div",
            _examples(message),
            _headers(message, schemas),
            element("h4", "Record"),
            facts(_record(message, operation, channel, document)),
        ),
        class_="message",
    )


def _examples(message: Json) -> Html:
    shown = [json_view(one["payload"]) for one in message.get("examples", ())]
    if not shown:
        return Html("")
    heading = "Example" if len(shown) == 1 else "Examples"
    return fragment(element("h4", heading), shown)


def _headers(message: Json, schemas: SchemaView) -> Html:
    if "headers" not in message:
        return Html("")
    return fragment(element("h4", "Headers"), schemas.whole(message["headers"]))


def _record(
    message: Json, operation: Json, channel: Json, document: Json
) -> list[tuple[str, Child]]:
    rows: list[tuple[str, Child]] = [("Content", code(message["contentType"]))]
    key = message.get("bindings", {}).get("kafka", {}).get("key")
    if key is not None:
        rows.append(("Key", type_in_words(key)))
    group = operation.get("bindings", {}).get("kafka", {}).get("groupId")
    if group is not None:
        rows.append(("Group", listed(code(one) for one in group["enum"])))
    servers = [last(server) for server in channel.get("servers", ())]
    links = (link(name, f"server-{name}") for name in servers or document["servers"])
    rows.append(("Servers", listed(links)))
    return rows
