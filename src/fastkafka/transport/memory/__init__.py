"""A broker in memory that tells the truth; see `MemoryBroker`, in `broker.py`.

`log.py` keeps records, `groups.py` and `transactions.py` are the coordinators,
`consumer.py` (with `fetches.py`, `starts.py`, `gaps.py` and `commits.py`) and
`producer.py` the clients, `cluster.py` is what all of them share, and `clock.py` the
time that they go by.
"""

from fastkafka.transport.memory.broker import MemoryBroker
from fastkafka.transport.memory.clock import Clock, LoopClock, ManualClock
from fastkafka.transport.memory.consumer import MemoryConsumer
from fastkafka.transport.memory.log import MemoryRecord
from fastkafka.transport.memory.producer import MemoryProducer
from fastkafka.transport.memory.transactions import TransactionalProducer

__all__ = [
    "Clock",
    "LoopClock",
    "ManualClock",
    "MemoryBroker",
    "MemoryConsumer",
    "MemoryProducer",
    "MemoryRecord",
    "TransactionalProducer",
]
