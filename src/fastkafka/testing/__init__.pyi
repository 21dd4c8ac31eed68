from fastkafka.testing.apache import ApacheKafkaBroker as ApacheKafkaBroker
from fastkafka.testing.apache import LocalKafkaBroker as LocalKafkaBroker
from fastkafka.testing.embedded import ApiKey as ApiKey
from fastkafka.testing.embedded import EmbeddedBroker as EmbeddedBroker
from fastkafka.testing.in_memory import InMemoryBroker as InMemoryBroker
from fastkafka.testing.notebooks import display_docs as display_docs
from fastkafka.testing.notebooks import (
    mock_AIOKafkaProducer_send as mock_AIOKafkaProducer_send,
)
from fastkafka.testing.notebooks import nb_safe_seed as nb_safe_seed
from fastkafka.testing.redpanda import LocalRedpandaBroker as LocalRedpandaBroker
from fastkafka.testing.scripts import run_script_and_cancel as run_script_and_cancel
from fastkafka.testing.tester import Tester as Tester

__all__: list[str]
