"""Quix Streams: a streaming data frame with a function for each record.

Its documentation reads JSON to dictionaries; the function here validates the bytes
with pydantic, which is faster than a dictionary in between.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import tempfile
from typing import Any

from pydantic import TypeAdapter
from quixstreams import Application

from bench import child
from bench.contenders.iris import Iris, Prediction


def consume(job: child.Job) -> child.Tally:
    """Do nothing with every record."""
    with tempfile.TemporaryDirectory() as state:
        app = _app(job, state)

        def complete() -> None:
            tally.stop()
            app.stop()

        tally = child.Tally(job.records, complete)
        decode: Any = TypeAdapter(Iris).validator.validate_json
        frame = app.dataframe(app.topic(job.topic, value_deserializer="bytes"))
        frame.update(lambda value: tally.saw(decode(value).petal_width))
        app.run()
    return tally


def consume_and_produce(job: child.Job) -> child.Tally:
    """Answer every record with one; it flushes before it commits, every 5 s."""
    with tempfile.TemporaryDirectory() as state:
        app = _app(job, state)
        tally = child.Tally(job.records, app.stop)
        decode: Any = TypeAdapter(Iris).validator.validate_json
        encode = TypeAdapter(Prediction).serializer.to_json

        def predict(value: bytes) -> bytes:
            tally.saw(decode(value).petal_width)
            return encode(Prediction(species="setosa"))

        frame = app.dataframe(app.topic(job.topic, value_deserializer="bytes"))
        frame = frame.apply(predict)
        frame.to_topic(app.topic(job.output, value_serializer="bytes"))
        app.run()  # it ends when all is flushed and committed
        tally.stop()
    return tally


def latency(job: child.Job) -> child.Delays:
    """Note when each record came."""
    with tempfile.TemporaryDirectory() as state:
        app = _app(job, state)
        delays = child.Delays(job.records, app.stop)
        decode: Any = TypeAdapter(Iris).validator.validate_json
        frame = app.dataframe(app.topic(job.topic, value_deserializer="bytes"))
        frame.update(lambda value: delays.saw(decode(value).petal_width))
        app.run()
    return delays


def _app(job: child.Job, state: str) -> Any:
    return Application(
        broker_address=job.bootstrap,
        consumer_group=job.group,
        auto_offset_reset="earliest",
        auto_create_topics=False,
        state_dir=state,
        loglevel="WARNING",
        consumer_extra_config=dict(job.consumer),
    )


if __name__ == "__main__":
    child.main(
        {
            "consume": consume,
            "consume-produce": consume_and_produce,
            "latency": latency,
        }
    )
