"""The original's path; see `fastkafka.encoder`."""

from fastkafka.encoder import json_decoder as json_decoder
from fastkafka.encoder import json_encoder as json_encoder
