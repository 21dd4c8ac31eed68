"""Validates AsyncAPI documents with the official JSON Schemas, without a network."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator
from referencing import Registry, Resource

from fastkafka.asyncapi import Service, Version, document

_FOLDER = Path(__file__).parent / "data" / "asyncapi"


def valid_document(service: Service, version: Version = "3.0") -> dict[str, Any]:
    """Make the document of a service; fail if it is not valid."""
    made = document(service, version=version)
    json.dumps(made, allow_nan=False)
    problems = [
        f"{error.json_path}: {error.message}"
        for error in _validator(version).iter_errors(made)
    ]
    assert problems == []
    for message in made["components"].get("messages", {}).values():
        for example in message.get("examples", ()):
            schema = {**message["payload"], "components": made["components"]}
            Draft7Validator(schema).validate(example["payload"])
    return made


@cache
def _validator(version: Version) -> Draft7Validator:
    schema = json.loads((_FOLDER / f"{version}.0.json").read_text("utf-8"))
    # What the schema refers to is looked up beforehand, and not for each reference.
    whole = Resource.from_contents(schema)
    return Draft7Validator(
        schema,
        registry=Registry().with_resource(whole.id() or "", whole).crawl(),
        format_checker=Draft7Validator.FORMAT_CHECKER,
    )
