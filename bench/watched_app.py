"""What `bench.watched` lets `fastkafka run`: an app that drains a topic, and says how
long that took.
"""

from __future__ import annotations

import json
import os

from bench import child
from bench.contenders.iris import Iris
from bench.watched import JOB, RESULT
from fastkafka import FastKafka

job = child.Job(**json.loads(os.environ[JOB]))
app = FastKafka(title="Watched", group_id=job.group)


def complete() -> None:
    """Say what was measured; the parent ends the run then."""
    tally.stop()
    print(RESULT + json.dumps(tally.result()), flush=True)


tally = child.Tally(job.records, complete)


@app.consumes(topic=job.topic)
async def on_iris(iris: Iris) -> None:
    """Do nothing with a record."""
    tally.saw(iris.petal_width)
