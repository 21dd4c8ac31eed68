"""Avro, by fastavro: schemas from models, models from ``.avsc`` files, bytes both ways.

The bytes are the bare record, without a header: writer and reader use the same schema.
`codec` is where they are made; `annotations` reads a model's types, `avsc` a file's;
`primitives` and `containers` are the types both give.

fastavro is optional and imported in `codec` alone: models, their schemas and `AvroBase`
do without it.
"""

from __future__ import annotations

from fastkafka.codecs.avro.avsc import avsc_to_pydantic
from fastkafka.codecs.avro.base import AvroBase
from fastkafka.codecs.avro.codec import (
    AvroCodec,
    avro_decoder,
    avro_encoder,
    decoder,
    encoder,
)

__all__ = [
    "AvroBase",
    "AvroCodec",
    "avro_decoder",
    "avro_encoder",
    "avsc_to_pydantic",
    "decoder",
    "encoder",
]
