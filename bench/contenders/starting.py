"""The iris app without its model: it says when it has handled a record."""

from __future__ import annotations

import os

from bench.contenders.iris import Iris, Prediction
from fastkafka import FastKafka

app = FastKafka(
    title="Iris predictions",
    group_id=os.environ.get("BENCH_GROUP", "iris"),
    kafka_brokers={"localhost": {"url": "localhost", "port": 9092}},
)


@app.consumes(topic=os.environ.get("BENCH_TOPIC", "input_data"))
async def on_input_data(iris: Iris) -> None:
    """Answer it."""
    to_predictions("setosa")
    print("first record", flush=True)


@app.produces(topic="predictions")
def to_predictions(species: str) -> Prediction:
    """Send what was predicted."""
    return Prediction(species=species)
