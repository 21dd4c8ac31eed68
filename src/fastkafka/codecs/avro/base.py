"""`AvroBase`: a model that can show its Avro schema."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from fastkafka.codecs.avro.annotations import avro_type, scope_of
from fastkafka.codecs.avro.containers import Record
from fastkafka.errors import ConfigError


class AvroBase(BaseModel):
    """A model that can show its Avro schema.

    Every pydantic model can be encoded as Avro; this one has methods for its schema.
    """

    @classmethod
    def avro_schema_for_pydantic_object(
        cls,
        pydantic_model: BaseModel,
        by_alias: bool = True,
        namespace: str | None = None,
    ) -> dict[str, Any]:
        """Return the Avro schema of a model's instance.

        Args:
            pydantic_model: The instance.
            by_alias: Name the fields by their aliases.
            namespace: The record's namespace; None is the record's name.
        """
        return _record_schema(type(pydantic_model), by_alias, namespace)

    @classmethod
    def avro_schema_for_pydantic_class(
        cls,
        pydantic_model: type[BaseModel],
        by_alias: bool = True,
        namespace: str | None = None,
    ) -> dict[str, Any]:
        """Return the Avro schema of a model.

        Args:
            pydantic_model: The model.
            by_alias: Name the fields by their aliases.
            namespace: The record's namespace; None is the record's name.
        """
        return _record_schema(pydantic_model, by_alias, namespace)

    @classmethod
    def avro_schema_for_pydantic(
        cls,
        pydantic_model: BaseModel | type[BaseModel],
        by_alias: bool = True,
        namespace: str | None = None,
    ) -> dict[str, Any]:
        """Return the Avro schema of a model or of its instance, as FastKafka 0.7 did.

        Args:
            pydantic_model: The model or an instance.
            by_alias: Name the fields by their aliases.
            namespace: The record's namespace; None is the record's name.
        """
        if isinstance(pydantic_model, BaseModel):
            pydantic_model = type(pydantic_model)
        return _record_schema(pydantic_model, by_alias, namespace)

    @classmethod
    def avro_schema(
        cls, by_alias: bool = True, namespace: str | None = None
    ) -> dict[str, Any]:
        """Return this model's Avro schema.

        Args:
            by_alias: Name the fields by their aliases.
            namespace: The record's namespace; None is the record's name.
        """
        return _record_schema(cls, by_alias, namespace)


def _record_schema(
    model: type[BaseModel], by_alias: bool, namespace: str | None
) -> dict[str, Any]:
    root = avro_type(model)
    if not isinstance(root, Record):
        raise ConfigError(
            f"`{model.__name__}` is no Avro record but `{root.kind}`. "
            "Give the model fields instead of a root."
        )
    scope = scope_of(root, namespace, by_alias=by_alias)
    schema: dict[str, Any] = root.schema(scope, None)
    return schema
