"""How long imports, `--help`, and a start up to the first record take."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench import environments
from bench.cluster import BenchError, Cluster, open_cluster
from bench.measure import ROOT, Row, Run, Session
from bench.registry import BARE, FASTKAFKA, OURS

_SECONDS = 30.0

IMPORT = "import"
WITH_MODEL = "import, and a first model"
_MODEL = "from pydantic import BaseModel\nclass Iris(BaseModel):\n    width: float"

IMPORTS = (
    # Contender, name, environment, statement, case.
    (BARE, "confluent_kafka, pydantic", OURS, "import confluent_kafka, pydantic", ""),
    # `import` alone does nothing yet, here and with Faust: names are loaded on demand.
    (FASTKAFKA, "FastKafka", OURS, "from fastkafka import FastKafka", ""),
    # Nor does pydantic load what it is made of before there is a model.
    (
        BARE,
        "confluent_kafka, pydantic",
        OURS,
        f"import confluent_kafka\n{_MODEL}",
        WITH_MODEL,
    ),
    (
        FASTKAFKA,
        "FastKafka",
        OURS,
        f"from fastkafka import FastKafka\n{_MODEL}",
        WITH_MODEL,
    ),
    ("quix", "quixstreams", "quix", "import quixstreams", ""),
    ("original", "FastKafka 0.8", "original", "from fastkafka import FastKafka", ""),
    ("aiokafka", "aiokafka, pydantic", "aiokafka", "import aiokafka, pydantic", ""),
    ("faststream", "faststream.kafka", "faststream", "import faststream.kafka", ""),
    (
        "faststream",
        "faststream.confluent",
        "faststream",
        "import faststream.confluent",
        "",
    ),
    ("faust", "faust.App", "faust", "from faust import App", ""),
)


def start(session: Session) -> list[Row]:
    """Measure them; the start is on an embedded broker that is there already."""
    rows: list[tuple[Row, Callable[[], Run]]] = []
    for key, name, environment, statement, case in IMPORTS:
        if session.has(key):
            run = partial(_import, environment, statement)
            rows.append((Row("start", key, name, case or IMPORT, 1), run))
    if session.has(FASTKAFKA):
        rows.append(
            (
                Row("start", FASTKAFKA, "fastkafka --help", "command", 1),
                partial(_wall, [str(_scripts() / "fastkafka"), "--help"]),
            )
        )
    with ExitStack() as stack:
        if session.has(FASTKAFKA):
            cluster = stack.enter_context(open_cluster(None, apache=False))
            topic = cluster.create_topic("start")
            cluster.fill(topic, 1)
            run = partial(_first_record, cluster, topic)
            rows.append((Row("start", FASTKAFKA, "fastkafka run", "record", 1), run))
        return session.alternate(rows)


def _import(environment: str, statement: str) -> Run:
    try:
        python = environments.python_of(environment)
    except environments.NotInstalledError as failed:
        raise BenchError(f"not installed: {failed}") from failed
    return _wall([python, "-c", statement])


def _wall(command: Sequence[str]) -> Run:
    began = time.perf_counter()
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env=_with_bytecode(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    if ended.returncode:
        raise BenchError(f"{' '.join(command)!r} failed. {ended.stderr[-300:]}")
    return {"wall": time.perf_counter() - began}


def _first_record(cluster: Cluster, topic: str) -> Run:
    """Time `fastkafka run` from its start until the handler prints."""
    command = [
        *(str(_scripts() / "fastkafka"), "run", "--num-workers", "1"),
        *("--kafka-broker", cluster.bootstrap, "bench.contenders.starting:app"),
    ]
    environment = {
        **_with_bytecode(),
        "BENCH_TOPIC": topic,
        "BENCH_GROUP": cluster.create_group(),
        "PYTHONPATH": str(ROOT),
    }
    with tempfile.TemporaryFile("w+") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if "first record" in line:
                    return {"wall": time.perf_counter() - began}
            raise BenchError("`fastkafka run` handled no record.")
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=_SECONDS)


def _with_bytecode() -> dict[str, str]:
    """Return our environment, but let Python keep what it has compiled.

    What is installed comes with its bytecode; without it our modules, which are not,
    would be compiled at each start.
    """
    unwanted = "PYTHONDONTWRITEBYTECODE"
    return {name: text for name, text in os.environ.items() if name != unwanted}


def _scripts() -> Path:
    return Path(sys.executable).parent
