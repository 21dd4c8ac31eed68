"""The page as a whole: what is beside what."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources

from fastkafka.asyncapi.page.contents import contents
from fastkafka.asyncapi.page.elements import Child, Html, code, element, link, listed
from fastkafka.asyncapi.page.markdown import markdown
from fastkafka.asyncapi.page.operations import (
    VERBS,
    Links,
    by_action,
    facts,
    function_of,
    last,
    operation_view,
    title_of,
)
from fastkafka.asyncapi.page.schemas import SchemaView
from fastkafka.asyncapi.schemas import Json

_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'"
    "%3E%3Cg fill='%232f5bd7'%3E%3Ccircle cx='3.5' cy='4' r='2'/%3E%3Ccircle cx='3.5' "
    "cy='12' r='2'/%3E%3Ccircle cx='12.5' cy='8' r='2.5'/%3E%3C/g%3E%3Cpath d='M5 4.6 "
    "10.5 7M5 11.4 10.5 9' stroke='%232f5bd7' stroke-width='1.4'/%3E%3C/svg%3E"
)


def page(
    document: Json,
    *,
    downloads: Mapping[str, str] | None = None,
    links: Links | None = None,
) -> str:
    """Render an AsyncAPI 3.0 document as one page of HTML.

    Style and script are in it, nothing is loaded, and nothing but them runs: its policy
    forbids everything else. Without JavaScript it lacks only conveniences.

    Args:
        document: Made by `document`.
        downloads: Labels and addresses of files to link to, such as the document.
        links: Returns labels and addresses of what else there is about a topic.
    """
    info = document["info"]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy()),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", f"{info['title']} {info['version']}".strip()),
        element("link", rel="icon", href=_ICON),
        element("style", Html(_static("page.css"))),
        element("script", Html(_static("page.js"))),
    )
    body = element(
        "body",
        element("a", "Skip to content", href="#content", class_="skip"),
        contents(document),
        element(
            "main",
            _introduction(document, downloads or {}),
            _topics(document),
            _servers(document),
            _operations(document, links),
            _schemas(document),
            id="content",
            tabindex="-1",
        ),
        id="top",
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


@cache
def _static(name: str) -> str:
    folder = resources.files("fastkafka.asyncapi.page") / "static"
    return (folder / name).read_text("utf-8")


@cache
def _policy() -> str:
    def hashed(name: str) -> str:
        digest = hashlib.sha256(_static(name).encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode()}'"

    return (
        f"default-src 'none'; style-src {hashed('page.css')}; "
        f"script-src {hashed('page.js')}; img-src data:; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _introduction(document: Json, downloads: Mapping[str, str]) -> list[Child]:
    info = document["info"]
    buttons = [
        element("a", label, href=address, class_="button", download=True)
        for label, address in downloads.items()
    ]
    theme = element("button", "Theme: auto", type="button", id="theme", class_="js")
    return [
        element(
            "div",
            element(
                "h1", info["title"], " ", element("small", info["version"] or None)
            ),
            element("div", buttons, theme, class_="buttons"),
            class_="title",
        ),
        markdown(info.get("description", "")),
        _contact(info.get("contact", {})),
    ]


def _contact(contact: Json) -> Html | None:
    if not contact:
        return None
    mail, name = contact.get("email"), contact.get("name")
    parts = [
        element("a", name or contact["url"], href=contact["url"])
        if "url" in contact
        else name,
        element("a", mail, href=f"mailto:{mail}") if mail else None,
    ]
    return element("p", "Contact: ", listed(p for p in parts if p), class_="contact")


def _topics(document: Json) -> Html:
    def functions(channel: str, action: str) -> Child:
        return listed(
            link(function_of(name, operation), f"operation-{name}")
            for name, operation in document["operations"].items()
            if operation["action"] == action and last(operation["channel"]) == channel
        )

    rows = (
        element(
            "tr",
            element("th", title_of(channel), scope="row"),
            element("td", functions(name, "receive")),
            element("td", functions(name, "send")),
        )
        for name, channel in document["channels"].items()
    )
    headings = (
        element("th", heading, scope="col")
        for heading in ("Topic", "Received by", "Sent by")
    )
    table = element(
        "table",
        element("thead", element("tr", headings)),
        element("tbody", rows),
    )
    empty = element("p", "This service reads and writes no topic.", class_="empty")
    return _section("topics", "Topics", table if document["channels"] else empty)


def _servers(document: Json) -> Html:
    schemes = document["components"].get("securitySchemes", {})
    return _section(
        "servers",
        "Servers",
        element(
            "ul",
            (
                element("li", _server(name, server, schemes), id=f"server-{name}")
                for name, server in document["servers"].items()
            ),
            class_="servers",
        ),
    )


def _server(name: str, server: Json, schemes: Json) -> Iterator[Child]:
    port = server.get("variables", {}).get("port", {}).get("default", "")
    yield element("h3", name)
    yield markdown(server.get("description", ""), class_="prose small")
    rows: list[tuple[str, Child]] = [
        ("Address", code(server["host"].replace("{port}", port))),
        ("Protocol", code(server["protocol"])),
    ]
    for reference in server.get("security", ()):
        scheme = schemes[last(reference)]
        rows.append(("Security", _security(scheme)))
    yield facts(rows)


def _security(scheme: Json) -> list[Child]:
    rest = ", ".join(
        f"{key} {value}"
        for key, value in scheme.items()
        if isinstance(value, str) and key not in ("type", "description")
    )
    return [
        code(scheme["type"]),
        f" {rest}" if rest else None,
        markdown(scheme.get("description", ""), class_="prose small"),
    ]


def _operations(document: Json, links: Links | None) -> list[Html]:
    schemas = SchemaView(document["components"].get("schemas", {}))
    return [
        _section(
            VERBS[action].lower(),
            VERBS[action],
            [
                operation_view(name, operation, document, schemas, links)
                for name, operation in operations.items()
            ],
        )
        for action, operations in by_action(document).items()
    ]


def _schemas(document: Json) -> Html | None:
    definitions = document["components"].get("schemas", {})
    if not definitions:
        return None
    view = SchemaView(definitions)
    return _section(
        "schemas",
        "Schemas",
        (
            element(
                "article",
                element("h3", link(name, f"schema-{name}")),
                view.whole(schema, name),
                id=f"schema-{name}",
            )
            for name, schema in definitions.items()
        ),
    )


def _section(anchor: str, heading: str, *children: Child) -> Html:
    title = element("h2", heading, id=f"{anchor}-heading")
    return element(
        "section", title, children, id=anchor, aria_labelledby=f"{anchor}-heading"
    )
