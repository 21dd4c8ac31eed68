"""What a topic's records are to the app: its decoders, its secrets, its schema."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from fastkafka import codecs
from fastkafka.asyncapi.examples import examples_of
from fastkafka.asyncapi.schemas import REF, schemas_of
from fastkafka.errors import ConfigError
from fastkafka.tools.topics import AppTopic


@dataclass(frozen=True, slots=True)
class Model:
    """How one function sees the messages of a topic.

    Attributes:
        function: Its name.
        message: The declared type.
        decode: A record's value to the message; None where nothing can.
        codec: What its decorator was given as decoder or encoder.
    """

    function: str
    message: Any
    decode: codecs.Decoder | None
    codec: object

    @property
    def is_json(self) -> bool:
        """Whether values are JSON as they are."""
        return self.codec == "json" and self.message is not bytes


@dataclass(frozen=True, slots=True)
class Schema:
    """What a message of a topic looks like.

    Attributes:
        schema: JSON Schema, draft 07, with its ``definitions``; ``{}`` is anything.
        example: One that fits, put together from what the fields say; None if they say
            too little.
    """

    schema: Mapping[str, Any]
    example: Any


def models_of(topic: AppTopic) -> Sequence[Model]:
    """Return how the app's functions see a topic, those that read it first.

    A dead letter is what its source's records are.
    """
    of = topic.source or topic
    models = [
        Model(
            reader.name,
            reader.handler.route.plan.message,
            reader.handler.route.decode,
            reader.handler.route.decoder,
        )
        for reader in of.readers
    ]
    for writer in of.writers:
        route = writer.route
        decode = None
        if isinstance(route.encoder, str):
            decode = codecs.for_decoding(route.encoder, route.message)
        models.append(Model(writer.name, route.message, decode, route.encoder))
    return models


def schema_of(topic: AppTopic) -> Schema:
    """Return the JSON Schema of a topic's messages, and an example."""
    models = models_of(topic)
    if not models:
        return Schema({}, None)
    mode: Any = "validation" if (topic.source or topic).readers else "serialization"
    message = models[0].message
    [schema], definitions = schemas_of([(message, mode)])
    examples = examples_of(message, schema, definitions)
    if definitions:
        schema = {**schema, "definitions": definitions}
    text = json.dumps(schema).replace(f'"{REF}', '"#/definitions/')
    return Schema(json.loads(text), examples[0] if examples else None)


def secrets_of(topic: AppTopic, redact: Collection[str] = ()) -> Collection[str]:
    """Return the names of the fields whose values nobody is to see.

    Args:
        topic: Whose models have `SecretStr` or `SecretBytes`.
        redact: More of them, ``card.number`` or ``token``.
    """
    names = set(redact)
    types = [(model.message, "validation") for model in models_of(topic)]
    schemas, definitions = schemas_of(types)  # type: ignore[arg-type]
    for schema in (*schemas, *definitions.values()):
        _gather_secrets(schema, names)
    return frozenset(names)


def as_json(message: Any) -> str | None:
    """Return a decoded message as JSON text; None if it cannot be."""
    try:
        return to_json(message, fallback=str, inf_nan_mode="strings").decode()
    except (ValueError, RecursionError):
        return None


def encoding_for(topic: AppTopic) -> tuple[Model, codecs.Encoder | None]:
    """Return how a message for a topic is checked and made.

    Returns:
        The model that checks it, and what encodes the checked message; None sends the
        JSON as it was written.

    Raises:
        ConfigError: Only a function of the user's knows how to read it.
    """
    models = models_of(topic)
    if not models:
        return Model("", Any, None, "json"), None
    own = [w.route for w in (topic.source or topic).writers]
    for model in models:
        if model.codec in ("json", "avro") and model.decode is not None:
            if model.codec == "json":
                return model, None
            return model, codecs.for_encoding("avro", model.message)
    for route in own:  # a writer's own encoder takes the message itself
        return Model(route.name, route.message, None, route.encoder), route.encode
    raise ConfigError(
        f"`{models[0].function}` reads '{topic.name}' with a decoder of its own, and "
        "no function of the app writes it, so nothing here can encode a message. Send "
        "the bytes themselves: `--raw`."
    )


def _gather_secrets(schema: Any, names: set[str]) -> None:
    if isinstance(schema, dict):
        for name, field in (schema.get("properties") or {}).items():
            if _is_secret(field):
                names.add(name)
        for value in schema.values():
            _gather_secrets(value, names)
    elif isinstance(schema, list):
        for value in schema:
            _gather_secrets(value, names)


def _is_secret(field: Any) -> bool:
    """Whether pydantic describes a field as it describes its secrets."""
    if not isinstance(field, dict):
        return False
    if field.get("writeOnly") and field.get("format") == "password":
        return True
    choices = [*field.get("anyOf", ()), *field.get("allOf", ())]
    return any(_is_secret(choice) for choice in choices)
