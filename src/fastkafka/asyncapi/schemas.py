"""Python types to the JSON Schema that AsyncAPI documents hold: draft 07."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema, from_json, to_json

Json = dict[str, Any]
Mode = Literal["validation", "serialization"]

REF = "#/components/schemas/"

_SCHEMAS = (
    *("additionalItems", "additionalProperties", "contains", "else", "if", "items"),
    *("not", "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"),
)
_LISTS_OF_SCHEMAS = ("allOf", "anyOf", "items", "oneOf", "prefixItems")
_MAPS_OF_SCHEMAS = ("definitions", "dependentSchemas", "patternProperties")


def adapter_of(message: Any) -> TypeAdapter[Any] | None:
    """Return pydantic's view of a type; None if it has none."""
    try:
        return TypeAdapter(message)
    except PydanticUserError:
        return None


def schemas_of(types: Sequence[tuple[Any, Mode]]) -> tuple[list[Json], Json]:
    """Return a JSON Schema for each type, and the definitions that they refer to.

    They are made together, so that two models of one name get two names, and a model
    that reads as it writes gets one. What neither pydantic nor msgspec knows, or JSON
    Schema cannot say, may be anything: ``{}``.

    Args:
        types: Each with "validation" for what is read, "serialization" for what is
            written.
    """
    adapters = {
        index: (mode, adapter)
        for index, (message, mode) in enumerate(types)
        if (adapter := adapter_of(message)) is not None
    }
    found, extra = TypeAdapter.json_schemas(
        [(index, mode, adapter) for index, (mode, adapter) in adapters.items()],
        ref_template=REF + "{model}",
        schema_generator=_Generator,
    )
    definitions: Json = extra.get("$defs", {})
    schemas = {index: schema for (index, _), schema in found.items()}
    structs = {
        index: message
        for index, (message, _) in enumerate(types)
        if index not in adapters and _is_msgspec(message)
    }
    if structs:
        made, components = _msgspec_schemas(list(structs.values()), definitions)
        schemas |= zip(structs, made, strict=True)
        definitions |= components
    return (
        [_draft_07(schemas.get(index, {})) for index in range(len(types))],
        {name: _draft_07(schema) for name, schema in sorted(definitions.items())},
    )


class _Generator(GenerateJsonSchema):
    """Pydantic's generator, but what JSON Schema cannot say may be anything."""

    ignored_warning_kinds = frozenset(  # type: ignore[assignment]
        {"skipped-choice", "non-serializable-default", "skipped-discriminator"}
    )

    def handle_invalid_for_json_schema(
        self, schema: core_schema.CoreSchema, error_info: str
    ) -> JsonSchemaValue:
        return {}


def _is_msgspec(message: Any) -> bool:
    # Only a program that has imported msgspec can have declared a struct.
    msgspec = sys.modules.get("msgspec")
    if msgspec is None:
        return False
    try:
        msgspec.json.schema_components([message])
    except TypeError:
        return False
    return True


def _msgspec_schemas(
    structs: Sequence[Any], taken: Json
) -> tuple[Sequence[Json], Json]:
    """Return schemas and definitions; a name that is taken gets ``.struct`` behind."""
    schema_components = sys.modules["msgspec"].json.schema_components
    made, components = schema_components(structs, ref_template=REF + "{name}")
    if taken.keys() & components.keys():
        made, components = schema_components(
            structs, ref_template=REF + "{name}.struct"
        )
        components = {f"{name}.struct": schema for name, schema in components.items()}
    return made, components


def _draft_07(schema: Any) -> Any:
    """Rewrite a schema of draft 2020-12 to what AsyncAPI builds on.

    Names that users chose (of properties, in defaults, in examples) are not keywords,
    so only what is a schema by its place is looked into.
    """
    if not isinstance(schema, dict):
        return schema  # True and False are schemas too
    made = {
        keyword: _rewritten(keyword, value)
        for keyword, value in schema.items()
        if keyword != "$defs"
    }
    if "prefixItems" in made:
        if "items" in made:
            made["additionalItems"] = made["items"]
        made["items"] = made.pop("prefixItems")
    if isinstance(made.get("discriminator"), dict):
        made["discriminator"] = made["discriminator"]["propertyName"]
    _gather_examples(made)
    if "$ref" in made and len(made) > 1:  # beside it, draft 07 ignores everything
        made = {"allOf": [{"$ref": made.pop("$ref")}]} | made
    return made


def _rewritten(keyword: str, value: Any) -> Any:
    if keyword in _LISTS_OF_SCHEMAS and isinstance(value, list):
        return [_draft_07(one) for one in value]
    if keyword in _SCHEMAS:
        return _draft_07(value)
    if keyword in (*_MAPS_OF_SCHEMAS, "properties") and isinstance(value, dict):
        return {str(name): _draft_07(one) for name, one in value.items()}
    return from_json(to_json(value, fallback=str, inf_nan_mode="strings"))


def _gather_examples(schema: Json) -> None:
    """Put ``example``, and OpenAPI's dictionary of examples, into a list."""
    examples = schema.pop("examples", [])
    if isinstance(examples, dict):
        examples = list(examples.values())
    elif not isinstance(examples, list):
        examples = [examples]
    if "example" in schema:
        examples = [schema.pop("example"), *examples]
    if examples:
        schema["examples"] = examples
