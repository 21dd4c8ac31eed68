"""The original's path; see `fastkafka.encoder`."""

from fastkafka.encoder import AvroBase as AvroBase
from fastkafka.encoder import avro_decoder as avro_decoder
from fastkafka.encoder import avro_encoder as avro_encoder
from fastkafka.encoder import avsc_to_pydantic as avsc_to_pydantic
