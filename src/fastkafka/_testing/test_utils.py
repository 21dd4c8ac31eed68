"""The original's path; see `fastkafka.testing`."""

from fastkafka.testing.notebooks import display_docs as display_docs
from fastkafka.testing.notebooks import (
    mock_AIOKafkaProducer_send as mock_AIOKafkaProducer_send,
)
from fastkafka.testing.notebooks import nb_safe_seed as nb_safe_seed
from fastkafka.testing.scripts import run_script_and_cancel as run_script_and_cancel
