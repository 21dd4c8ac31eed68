"""Who is measured, at what, and what each of them does not do meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

CONSTRAINTS = Path(__file__).parent / "contenders"
OURS = ""
"""The environment that the bench itself runs in."""

BARE = "bare"
ASYNCIO = "asyncio"
FASTKAFKA = "fastkafka"


@dataclass(frozen=True)
class Contender:
    """One way to do the works: a library and its settings.

    Attributes:
        key: For the command line.
        name: For the report.
        module: What is run.
        environment: Where: the name of its constraints file; `OURS` is here.
        package: What its version is asked of.
        variant: Told to the module.
        shares: The works that it does, and which part of the records it gets there:
            a slow one gets fewer, enough for seconds.
        caveat: What it does not do, and how it was set up.
        embedded: It runs on the embedded broker, too. Quix Streams asks for a
            controller, which that has not; FastStream with confluent waits for ever.
    """

    key: str
    name: str
    module: str
    environment: str
    package: str
    variant: str = ""
    shares: Mapping[str, float] = field(default_factory=dict)
    caveat: str = ""
    embedded: bool = True


_FASTSTREAM_DEFAULT = (
    "its default acknowledges a record before the handler runs, so a record whose "
    "handler fails, or is cut off, is lost"
)
_FASTSTREAM_ACK = (
    "`AckPolicy.NACK_ON_ERROR`: at least once, by a commit that it waits for after "
    "every call of the handler"
)
_FASTSTREAM_BATCH = (
    "`AckPolicy.NACK_ON_ERROR` and `batch=True`: a commit for up to 1,000 records, "
    "which the handler gets as one list; when it fails, all of them come again. "
    "Where it produces, without waiting for each acknowledgement (`no_confirm=True`) "
    "but for all of them before it returns"
)
_NO_LOG = "The log line for each record, on by default, is switched off. "
_WORKERS = (
    "`max_workers`: handlers of one key overlap, so there is no order; "
    + _FASTSTREAM_DEFAULT
)

CONTENDERS = (
    Contender(
        BARE,
        "bare loop",
        "bench.contenders.bare",
        OURS,
        "confluent-kafka",
        shares={"consume": 1, "consume-produce": 1, "slow": 0.5, "latency": 1},
        caveat=(
            "A loop written by hand with confluent-kafka and pydantic. Where it only "
            "consumes, the client commits what was read, not what was done; where it "
            "produces, it flushes and commits every 100 ms. No retries, no dead "
            "letters; what fails ends it. At slow handlers it has a task and a queue "
            "for each of 512 shares of the keys, and commits what is in flight."
        ),
    ),
    Contender(
        ASYNCIO,
        "asyncio alone, no Kafka",
        "bench.contenders.only_asyncio",
        OURS,
        "confluent-kafka",
        shares={"slow": 1},
        caveat=(
            "512 tasks that decode values from memory, and the same handler: what the "
            "event loop can do at most. No records are read, kept in order by key, or "
            "committed."
        ),
    ),
    Contender(
        FASTKAFKA,
        "FastKafka",
        "bench.contenders.with_fastkafka",
        OURS,
        "fastkafka",
        shares={"consume": 1, "consume-produce": 1, "slow": 1, "latency": 1},
        caveat=(
            "Its defaults: at least once, each partition in order, commits what was "
            "handled and whose outputs are acknowledged (`acks=all`, idempotent), "
            'three tries, dead letters. At slow handlers `order="key"`. As under '
            "`fastkafka run`, Python's garbage collector leaves alone what was loaded "
            "at the start, and looks at the rest less often."
        ),
    ),
    Contender(
        "fastkafka-msgspec",
        "FastKafka, msgspec",
        "bench.contenders.with_fastkafka",
        OURS,
        "fastkafka",
        variant="msgspec",
        shares={"consume": 1},
        caveat="The same with a `msgspec.Struct`, which has no bounds to check.",
    ),
    Contender(
        "fastkafka-batch",
        "FastKafka, list[Iris]",
        "bench.contenders.with_fastkafka",
        OURS,
        "fastkafka",
        variant="batch",
        shares={"consume": 1},
        caveat="The same with a batch handler.",
    ),
    Contender(
        "quix",
        "Quix Streams",
        "bench.contenders.with_quix",
        "quix",
        "quixstreams",
        shares={"consume": 0.5, "consume-produce": 0.5, "latency": 1},
        caveat=(
            "At least once, commits every 5 s; sync functions only, one record at a "
            "time for the whole process. `acks=all`, idempotent. "
            "Validates bytes with pydantic instead of reading JSON to dictionaries, "
            "which is faster. The time for consume and produce includes its last "
            "flush and commit."
        ),
        embedded=False,
    ),
    Contender(
        "original",
        "FastKafka 0.8, the original",
        "bench.contenders.with_original",
        "original",
        "fastkafka",
        shares={"consume": 0.3, "consume-produce": 0.1, "slow": 0.5, "latency": 1},
        caveat=(
            "Commits what was read, every 5 s, whether or not it was handled; an "
            "error in a handler is logged and its record lost. `acks=1`, not "
            "idempotent. At slow handlers `DynamicTaskExecutor`: no order. Runs with "
            "current aiokafka and pydantic, but not with the newest anyio."
        ),
    ),
    Contender(
        "aiokafka",
        "aiokafka alone",
        "bench.contenders.with_aiokafka",
        "aiokafka",
        "aiokafka",
        shares={"consume": 1, "consume-produce": 0.25, "latency": 1},
        caveat=(
            "A loop of `getmany` and pydantic, written by hand. Commits like the bare "
            "loop; `acks=all`, idempotent."
        ),
    ),
    Contender(
        "faststream-aiokafka",
        "FastStream (aiokafka)",
        "bench.contenders.with_faststream",
        "faststream",
        "faststream",
        variant="aiokafka",
        shares={"consume": 0.1, "consume-produce": 0.01, "latency": 1},
        caveat=(
            f"{_NO_LOG}As set up by default: {_FASTSTREAM_DEFAULT}. Its publisher "
            "waits for each acknowledgement; `acks=1`, not idempotent."
        ),
    ),
    Contender(
        "faststream-aiokafka-ack",
        "FastStream (aiokafka), at least once",
        "bench.contenders.with_faststream",
        "faststream",
        "faststream",
        variant="aiokafka-ack",
        shares={"consume": 0.01, "consume-produce": 0.005},
        caveat=f"{_NO_LOG}{_FASTSTREAM_ACK}.",
    ),
    Contender(
        "faststream-aiokafka-batch",
        "FastStream (aiokafka), batches",
        "bench.contenders.with_faststream",
        "faststream",
        "faststream",
        variant="aiokafka-batch",
        shares={"consume": 0.3, "consume-produce": 0.05},
        caveat=f"{_NO_LOG}{_FASTSTREAM_BATCH}.",
    ),
    Contender(
        "faststream-aiokafka-workers",
        "FastStream (aiokafka), 512 workers",
        "bench.contenders.with_faststream",
        "faststream",
        "faststream",
        variant="aiokafka-workers",
        shares={"slow": 0.2},
        caveat=f"{_NO_LOG}{_WORKERS}.",
    ),
    Contender(
        "faststream-confluent",
        "FastStream (confluent)",
        "bench.contenders.with_faststream",
        "faststream",
        "faststream",
        variant="confluent",
        embedded=False,
        shares={"consume": 0.03, "consume-produce": 0.006, "latency": 1},
        caveat=(
            f"{_NO_LOG}As set up by default: {_FASTSTREAM_DEFAULT}. Each record is "
            "polled in a thread, one hop for each; its publisher waits for each "
            "acknowledgement; `acks=all`, not idempotent."
        ),
    ),
    Contender(
        "faststream-confluent-ack",
        "FastStream (confluent), at least once",
        "bench.contenders.with_faststream",
        "faststream",
        "faststream",
        variant="confluent-ack",
        embedded=False,
        shares={"consume": 0.01, "consume-produce": 0.004},
        caveat=f"{_NO_LOG}{_FASTSTREAM_ACK}.",
    ),
    Contender(
        "faststream-confluent-batch",
        "FastStream (confluent), batches",
        "bench.contenders.with_faststream",
        "faststream",
        "faststream",
        variant="confluent-batch",
        embedded=False,
        shares={"consume": 0.3, "consume-produce": 0.05},
        caveat=f"{_NO_LOG}{_FASTSTREAM_BATCH}.",
    ),
    Contender(
        "faststream-confluent-workers",
        "FastStream (confluent), 512 workers",
        "bench.contenders.with_faststream",
        "faststream",
        "faststream",
        variant="confluent-workers",
        embedded=False,
        shares={"slow": 0.1},
        caveat=f"{_NO_LOG}{_WORKERS}.",
    ),
    Contender(
        "faust",
        "Faust",
        "bench.contenders.with_faust",
        "faust",
        "faust-streaming",
        shares={"consume": 0.05, "consume-produce": 0.02, "latency": 1},
        caveat=(
            "Acknowledges a record when its agent goes on to the next, also when it "
            "fails; commits every 2.8 s. Validates with its own records "
            "(`validation=True`), which check types but no bounds. `acks=all`, not "
            "idempotent; it does not wait for acknowledgements before it commits."
        ),
    ),
)


def named(key: str) -> Contender:
    """Return a contender."""
    return next(each for each in CONTENDERS if each.key == key)
