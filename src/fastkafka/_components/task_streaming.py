"""The original's path; see `fastkafka.executors`."""

from fastkafka.executors import DynamicTaskExecutor as DynamicTaskExecutor
from fastkafka.executors import SequentialExecutor as SequentialExecutor
from fastkafka.executors import StreamExecutor as StreamExecutor
