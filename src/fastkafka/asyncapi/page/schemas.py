"""A message's fields as a tree that opens level by level."""

from __future__ import annotations

from typing import Any

from fastkafka.asyncapi.page.elements import (
    Child,
    Html,
    code,
    element,
    fragment,
    listed,
)
from fastkafka.asyncapi.page.markdown import markdown
from fastkafka.asyncapi.page.types import (
    choices,
    limits_in_words,
    reference,
    type_in_words,
    without_null,
)
from fastkafka.asyncapi.schemas import Json

_DEEPEST = 6
_MOST = 400
"""Levels and fields that are shown in place; the rest is where the links lead."""


class SchemaView:
    """Shows schemas.

    Args:
        definitions: The schemas that others refer to, by name.
    """

    def __init__(self, definitions: Json) -> None:
        self._definitions = definitions
        self._shown = 0

    def whole(self, schema: Json, name: str = "") -> Html:
        """Show what a payload, or the definition of a name, looks like."""
        target, path = self._resolved(schema, (name,) if name else ())
        self._shown = 0
        fields = self._inside(target, path or ())
        return fragment(
            markdown(str(target.get("description", "")), class_="prose small"),
            None if fields and "properties" in target else self._type(target),
            fields,
        )

    def _resolved(
        self, schema: Json, path: tuple[str, ...]
    ) -> tuple[Json, tuple[str, ...] | None]:
        """Follow a reference; no path if that leads in a circle or too far."""
        name = reference(schema)
        if name is None:
            return schema, path
        too_far = len(path) > _DEEPEST or self._shown > _MOST
        if name in path or name not in self._definitions or too_far:
            return schema, None
        beside = {k: v for k, v in schema.items() if k not in ("$ref", "allOf")}
        return self._definitions[name] | beside, (*path, name)

    def _inside(self, schema: Json, path: tuple[str, ...]) -> Html | None:
        """Show the fields in a schema; None if it has none."""
        properties = schema.get("properties")
        if properties:
            required = schema.get("required", ())
            rows = [
                self._field(name, field, name in required, path)
                for name, field in properties.items()
            ]
            return element("dl", rows, class_="schema")
        options = choices(schema)
        if len(options) > 1:
            shown = [
                self._nested(option, path, reference(option) or "Fields")
                for option in options
            ]
            items = [element("li", one) for one in shown if one is not None]
            return element("ul", items, class_="choices") if items else None
        for inner in (
            *options,
            schema.get("items"),
            schema.get("additionalProperties"),
        ):
            if isinstance(inner, dict):
                target, deeper = self._resolved(inner, path)
                return None if deeper is None else self._inside(target, deeper)
        return None

    def _field(
        self, name: str, schema: Any, required: bool, path: tuple[str, ...]
    ) -> Html:
        self._shown += 1
        schema = schema if isinstance(schema, dict) else {}
        marks = [
            element("span", mark, class_="tag")
            for mark, wanted in (
                ("required", required),
                ("deprecated", schema.get("deprecated")),
                ("read only", schema.get("readOnly")),
                ("write only", schema.get("writeOnly")),
            )
            if wanted
        ]
        return element(
            "div",
            element("dt", code(name), marks),
            element(
                "dd",
                self._type(schema),
                markdown(str(schema.get("description", "")), class_="prose small"),
                self._nested(schema, path),
            ),
        )

    def _type(self, schema: Json) -> Html:
        words: list[Child] = [type_in_words(schema), *limits_in_words(schema)]
        target = self._definitions.get(reference(without_null(schema)) or "", {})
        if target and "properties" not in target:  # an enumeration, most often
            words.insert(1, type_in_words(target))
        return element("p", listed(words), class_="type")

    def _nested(
        self, schema: Json, path: tuple[str, ...], label: str = ""
    ) -> Html | None:
        """Show the fields of a field, closed until somebody opens them."""
        target, deeper = self._resolved(without_null(schema), path)
        inside = None if deeper is None else self._inside(target, deeper)
        if inside is None:
            return None
        if not label:
            label = "Choices" if len(choices(target)) > 1 else "Fields"
        return element("details", element("summary", label), inside)
