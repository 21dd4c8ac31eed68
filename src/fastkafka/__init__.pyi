from fastkafka.app import FastKafka as FastKafka
from fastkafka.errors import BatchError as BatchError
from fastkafka.errors import BrokerUnavailableError as BrokerUnavailableError
from fastkafka.errors import ClientError as ClientError
from fastkafka.errors import ConfigError as ConfigError
from fastkafka.errors import DecodingError as DecodingError
from fastkafka.errors import FastKafkaError as FastKafkaError
from fastkafka.errors import HandlerError as HandlerError
from fastkafka.errors import NotStartedError as NotStartedError
from fastkafka.errors import ProduceError as ProduceError
from fastkafka.errors import RecordError as RecordError
from fastkafka.errors import Reject as Reject
from fastkafka.errors import RetryLater as RetryLater
from fastkafka.errors import StopConsuming as StopConsuming
from fastkafka.messages import Depends as Depends
from fastkafka.messages import EventMetadata as EventMetadata
from fastkafka.messages import Header as Header
from fastkafka.messages import KafkaEvent as KafkaEvent
from fastkafka.messages import Key as Key
from fastkafka.policies import Retry as Retry
from fastkafka.router import Router as Router

__version__: str
__all__: list[str]
