"""Avro and JSON by hand, under the names of the original FastKafka."""

from __future__ import annotations

from fastkafka.codecs.avro import (
    AvroBase,
    avro_decoder,
    avro_encoder,
    avsc_to_pydantic,
)
from fastkafka.codecs.json import json_decoder, json_encoder

__all__ = [
    "AvroBase",
    "avro_decoder",
    "avro_encoder",
    "avsc_to_pydantic",
    "json_decoder",
    "json_encoder",
]
