"""The page of an app: what it shows, that texts stay texts, and where it is written."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import BaseModel, Field, create_model

from fastkafka import FastKafka
from fastkafka.asyncapi import Version, document, write_docs
from fastkafka.asyncapi.page import page
from fastkafka.errors import ConfigError
from fastkafka.messages import Header, Key

HOSTILE = """</code></script><script>alert(1)</script><img src=x onerror="a()">'"&lt;"""
VOID = {"br", "hr", "img", "input", "link", "meta"}


@dataclass
class Element:
    """An element of a parsed page."""

    name: str
    attributes: dict[str, str | None]
    inside: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All the text in it."""
        return "".join(one if isinstance(one, str) else one.text for one in self.inside)

    def all(self, *names: str) -> list[Element]:
        """Return the elements in it, those of some names if given."""
        found = []
        for one in self.inside:
            if isinstance(one, Element):
                found += [one] if not names or one.name in names else []
                found += one.all(*names)
        return found

    def get(self, anchor: str) -> Element:
        """Return the element with an id."""
        (found,) = (one for one in self.all() if one.attributes.get("id") == anchor)
        return found


class Parser(HTMLParser):
    """Parses a page, and fails where elements are not nested."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.root = Element("", {})
        self._open = [self.root]
        self.feed(text)
        self.close()
        assert self._open == [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Element(tag, dict(attrs))
        self._open[-1].inside.append(made)
        if tag not in VOID:
            self._open.append(made)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().name == tag

    def handle_data(self, data: str) -> None:
        self._open[-1].inside.append(data)


class Item(BaseModel):
    sku: str = Field(pattern="^S", min_length=2, max_length=9, examples=["S1"])
    count: int = Field(1, ge=1, lt=100, multiple_of=1, deprecated=True)


class Card(BaseModel):
    kind: Literal["card"] = "card"


class Transfer(BaseModel):
    kind: Literal["transfer"] = "transfer"
    iban: str


class Order(BaseModel):
    """What the shop *sends*."""

    items: list[Item] = Field(min_length=1)
    pay: Card | Transfer = Field(discriminator="kind", examples=[{"kind": "card"}])
    status: Literal["open", "paid"] = "open"
    note: str | None = Field(None, max_length=1, description="For `people`.")
    point: tuple[int, str] = (0, "")
    prices: dict[str, float] = {}
    any: Any = None
    flags: set[bool] = set()


class Node(BaseModel):
    children: list[Node]


def parsed(app: FastKafka, **arguments: Any) -> Element:
    return Parser(page(document(app), **arguments)).root


def shop(message: Any = Order) -> FastKafka:
    app = FastKafka(title="Shop", version="1.2", description="Sells *things*.")

    async def on_orders(order: Any, key: Annotated[str, Key()]) -> None:
        """Takes an order."""

    on_orders.__annotations__["order"] = message
    app.consumes()(on_orders)

    @app.produces(topic="numbers")
    async def to_numbers() -> int:
        return 1

    return app


# What it shows


def test_it_shows_the_service_its_topics_and_its_servers() -> None:
    shown = parsed(shop(), downloads={"asyncapi.yml": "spec.yml"})

    (title,) = shown.all("h1")
    assert title.text == "Shop 1.2"
    assert [
        [cell.text for cell in row.all("th", "td")]
        for row in shown.get("topics").all("tr")
    ] == [
        ["Topic", "Received by", "Sent by"],
        ["orders", "on_orders", ""],
        ["numbers", "", "to_numbers"],
    ]
    assert "localhost:9092" in shown.get("server-localhost").text
    assert "spec.yml" in [one.attributes.get("href") for one in shown.all("a")]


def test_it_shows_an_operation_with_its_message_example_and_record() -> None:
    operation = parsed(shop()).get("operation-on_orders")

    assert "received by on_orders" in operation.text
    assert "Takes an order." in operation.text
    assert "Message Order" in operation.text
    facts = operation.all("dl")[-1]
    assert [one.text for one in facts.all("dt", "dd")] == [
        *("Content", "application/json", "Key", "string", "Group", "shop"),
        *("Servers", "localhost"),
    ]
    (example,) = operation.all("pre")
    assert '"sku": "S1"' in example.text
    assert [one.text for one in example.all("span")][:3] == [
        *('"items"', '"sku"', '"S1"'),
    ]


def test_it_says_what_each_field_may_be() -> None:
    (message, *_) = parsed(shop()).get("operation-on_orders").all("dl")
    fields = {
        one.all("dt")[0].text: one.all("dd")[0]
        for one in message.inside
        if isinstance(one, Element)
    }

    assert {name: one.all("p")[0].text for name, one in fields.items()} == {
        "itemsrequired": "array of Item, at least 1 item",
        "payrequired": "Card or Transfer, told apart by kind",
        "status": 'string: "open", "paid", default "open"',
        "note": "string or null, at most 1 character, default null",
        "point": 'array of exactly these: integer, string, default [0, ""]',
        "prices": "object, each value number, default {}",
        "any": "anything, default null",
        "flags": "array of boolean, each of them once, default []",
    }
    (details,) = fields["itemsrequired"].all("details")
    assert details.all("summary")[0].text == "Fields"
    assert [one.text for one in details.all("p")] == [
        "string, 2 to 9 characters, matches ^S",
        "integer, at least 1, below 100, a multiple of 1, default 1",
    ]
    choices = fields["payrequired"].all("summary")
    assert [one.text for one in choices] == ["Choices", "Card", "Transfer"]
    assert [one.text for one in fields["note"].all("code")][-1] == "people"


def test_a_message_without_a_model_shows_its_type() -> None:
    operation = parsed(shop()).get("operation-to_numbers")

    assert operation.all("p")[-1].text == "integer"
    assert operation.all("pre") == []


def test_headers_and_security_are_shown() -> None:
    security = {"type": "apiKey", "in": "user", "description": "Ask."}
    app = FastKafka(kafka_brokers={"prod": {"url": "a", "security": security}})

    @app.consumes(topic="orders")
    async def on_orders(number: int, tenant: Annotated[int, Header("tenant")]) -> None:
        pass

    shown = parsed(app)

    assert "Headerstenantrequiredinteger" in shown.get("operation-on_orders").text
    assert "Securityapi" in shown.get("server-prod").text
    assert "in user" in shown.get("server-prod").text


def test_an_app_without_topics_has_a_page() -> None:
    shown = parsed(FastKafka(title="Shop"))

    assert shown.get("topics").text == "TopicsThis service reads and writes no topic."


def test_a_model_that_contains_itself_ends() -> None:
    shown = parsed(shop(Node))

    assert len(shown.get("operation-on_orders").all("dl")) == 2


def test_models_that_contain_many_others_are_shown_only_so_far() -> None:
    models: list[Any] = [create_model("M0", value=(int, ...))]
    for level in range(1, 8):
        fields: Any = {f"f{number}": (models[-1], ...) for number in range(8)}
        models.append(create_model(f"M{level}", **fields))

    shown = parsed(shop(models[-1])).get("operation-on_orders")

    assert len(shown.all("dt")) < 500


# How it is built


def test_every_link_of_the_page_leads_somewhere() -> None:
    shown = parsed(shop())
    anchors = Counter(
        one.attributes["id"] for one in shown.all() if "id" in one.attributes
    )

    assert set(anchors.values()) == {1}
    for link in shown.all("a"):
        address = link.attributes["href"]
        assert address is not None
        assert address.removeprefix("#") in anchors


def test_its_outline_has_landmarks_and_no_gaps() -> None:
    shown = parsed(shop())
    levels = [
        int(one.name[1]) for one in shown.get("content").all("h1", "h2", "h3", "h4")
    ]

    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert [len(shown.all(name)) for name in ("header", "nav", "main")] == [1, 1, 1]
    assert all(one.attributes.get("aria-label") for one in shown.all("nav", "input"))


def test_nothing_is_loaded_and_only_its_own_script_can_run() -> None:
    shown = parsed(shop())
    (script,), (style,) = shown.all("script"), shown.all("style")
    (policy,) = (
        one.attributes["content"] or ""
        for one in shown.all("meta")
        if one.attributes.get("http-equiv") == "Content-Security-Policy"
    )

    assert not any("src" in one.attributes for one in shown.all())
    (icon,) = shown.all("link")
    assert (icon.attributes["href"] or "").startswith("data:image/svg+xml,")
    assert "url(" not in style.text
    assert "default-src 'none'" in policy
    for element in (script, style):
        digest = hashlib.sha256(element.text.encode()).digest()
        assert f"'sha256-{base64.b64encode(digest).decode()}'" in policy


def test_texts_of_users_stay_texts() -> None:
    literal: Any = Literal[HOSTILE]
    model: Any = create_model(
        "Hostile",
        __doc__=HOSTILE,
        field=(str, Field(alias=HOSTILE, description=HOSTILE, examples=[HOSTILE])),
        other=(literal, HOSTILE),
        matched=(str, Field("", pattern=re.escape(HOSTILE), title=HOSTILE)),
    )
    broker = {"url": "a", "description": HOSTILE, "protocol": HOSTILE}
    app = FastKafka(
        title=HOSTILE,
        version=HOSTILE,
        description=HOSTILE,
        contact={"name": HOSTILE},
        kafka_brokers={HOSTILE: broker},
        group_id=HOSTILE,
    )

    @app.consumes(topic=re.compile(re.escape(HOSTILE)), description=HOSTILE)
    async def on_it(it: Any, header: Annotated[str, Header("x" + HOSTILE)]) -> None: ...

    on_it.__annotations__["it"] = model
    app.consumes(topic="it", description=HOSTILE)(on_it)
    shown = parsed(app)

    assert len(shown.all("script")) == 1
    assert shown.all("img") == []
    assert not any(
        name.startswith("on") or name in ("src", "style")
        for one in shown.all()
        for name in one.attributes
    )
    assert shown.text.count("<script>alert(1)</script>") > 15


@pytest.mark.parametrize(
    "text",
    [
        "[a](javascript:alert(1))",
        "[a](data:text/html,<script>)",
        "![a](https://example.com/pixel.png)",
        '<a href="javascript:alert(1)">a</a>',
        "<javascript:alert(1)>",
    ],
)
def test_a_description_can_neither_run_nor_load_anything(text: str) -> None:
    app = FastKafka(title="Shop", description=text)

    shown = parsed(app).get("content")

    addresses = [one.attributes.get("href") or "" for one in shown.all("a")]
    assert not any(one.startswith(("javascript", "data")) for one in addresses)
    assert shown.all("img") == []


def test_a_description_has_no_headings_of_the_page() -> None:
    shown = parsed(FastKafka(title="Shop", description="# Big\n\nText"))

    assert [one.text for one in shown.all("h1")] == ["Shop "]
    assert [one.text for one in shown.all("strong")] == ["Shop", "Big"]


def test_its_colours_are_readable() -> None:
    (style,) = parsed(shop()).all("style")
    palettes = [
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6});", block))
        for block in re.findall(r"\{[^{}]*--bg:[^{}]*\}", style.text)
    ]

    assert len(palettes) == 3
    assert palettes[1] == palettes[2]
    for colours in palettes:
        for ink in ("ink", "muted", "accent", "text", "literal"):
            for ground in ("bg", "surface", "hover"):
                assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG counts it."""

    def luminance(colour: str) -> float:
        digits = colour[1:]
        if len(digits) == 3:
            digits = "".join(digit * 2 for digit in digits)
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
            for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


# Files


@pytest.mark.parametrize("version", ["3.0", "2.6"])
def test_the_document_and_the_page_are_written(
    version: Version, tmp_path: Path
) -> None:
    app = shop()

    written = write_docs(app, tmp_path / "new", version=version)

    folder = tmp_path / "new" / "asyncapi"
    assert written.document == folder / "spec" / "asyncapi.yml"
    assert written.page == folder / "docs" / "index.html"
    text = written.document.read_text("utf-8")
    assert yaml.safe_load(text) == document(app, version=version)
    assert (folder / "docs" / "asyncapi.yml").read_text("utf-8") == text
    assert written.page.read_text("utf-8") == page(
        document(app), downloads={"asyncapi.yml": "asyncapi.yml"}
    )


def test_writing_again_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    write_docs(shop(), tmp_path)

    written = write_docs(FastKafka(title="Other"), tmp_path)

    assert "Shop" not in written.document.read_text("utf-8")


def test_nothing_is_written_for_an_app_that_cannot_be_described(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError):
        write_docs(FastKafka(title="Shop", contact={"url": "x"}), tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_the_current_directory_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    written = write_docs(shop())

    assert written.page == Path("asyncapi/docs/index.html")
    assert written.page.is_file()
