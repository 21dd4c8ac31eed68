"""How long a record takes from `produce()` to its handler, at a given rate."""

from __future__ import annotations

import subprocess
import time
from functools import partial

from confluent_kafka import Producer

from bench.child import Job
from bench.cluster import VALUE
from bench.measure import Row, Run, Session, result_in, row
from bench.registry import BARE, FASTKAFKA, Contender

RATES = (100, 1000)
SECONDS, QUICK_SECONDS = 8.0, 1.0
_WARM_UP_SECONDS = 1.0
_READY_SECONDS = 30.0


def latency(session: Session) -> list[Row]:
    """Measure it at 100 and at 1,000 records a second."""
    rows = []
    for rate in RATES:
        for each in session.contenders("latency"):
            if session.quick and each.key not in (BARE, FASTKAFKA):
                continue
            seconds = QUICK_SECONDS if session.quick else SECONDS
            records = int(rate * seconds)
            run = partial(_run, session, each, rate, records)
            rows.append((row("latency", each, f"{rate:,}/s", records), run))
    return session.alternate(rows, most=3, others=1)


def _run(session: Session, contender: Contender, rate: int, records: int) -> Run:
    topic = session.cluster.create_topic("latency")
    pace = partial(_pace, topic=topic, rate=rate, records=records)
    return session.run(contender, "latency", topic, records, talk=pace)


def _pace(
    process: subprocess.Popen[str], job: Job, *, topic: str, rate: int, records: int
) -> str:
    """Produce at the rate once the consumer is at work; return what it says then."""
    assert process.stdout is not None
    producer = Producer({"bootstrap.servers": job.bootstrap, "linger.ms": 0})
    # A time of 0 is no measurement. It is repeated only until the first is answered:
    # a consumer may take its time to join, but reads from the beginning.
    producer.produce(topic, _value(0), b"0")
    producer.flush(_READY_SECONDS)
    for line in process.stdout:  # some log there, too
        if line.strip() == "ready":
            break
    else:
        raise ValueError("The consumer ended before its first record.")
    begin = time.monotonic()
    warm_up = int(rate * _WARM_UP_SECONDS)
    for number in range(warm_up + records):
        due = begin + number / rate
        while (left := due - time.monotonic()) > 0:
            producer.poll(0)
            time.sleep(min(left, 0.001))
        now = 0 if number < warm_up else time.monotonic()
        producer.produce(topic, _value(now), b"%d" % number)
        producer.poll(0)
    producer.flush(_READY_SECONDS)
    return result_in(process.stdout.read())


def _value(when: float) -> bytes:
    return VALUE.replace(b"%d", b"%f") % when
