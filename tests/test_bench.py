"""`python -m bench`: every contender sees every record, and a loss would be noticed."""

from __future__ import annotations

import importlib.util
import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def run_bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the bench as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def child() -> Any:
    """The module that runs in the measured process, without the rest of the bench."""
    spec = importlib.util.spec_from_file_location("child", ROOT / "bench" / "child.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["child"] = module
    spec.loader.exec_module(module)
    return module


def test_each_contender_handles_every_record_once(tmp_path: Path) -> None:
    found = tmp_path / "found.json"

    ended = run_bench("--records", "2000", "--rounds", "1", "--json", str(found))

    assert ended.returncode == 0, ended.stdout
    rows = json.loads(found.read_text())["rows"]
    assert [(row["work"], row["contender"]) for row in rows] == [
        ("consume", "bare loop"),
        ("consume", "FastKafka"),
        ("consume-produce", "bare loop"),
        ("consume-produce", "FastKafka"),
    ]
    for row in rows:
        assert (row["records"], row["lost"], row["duplicates"]) == (2000, 0, 0)
        (run,) = row["runs"]
        assert (run["seen"], run["committed"]) == (2000, 2000)
        assert run["written"] == (2000 if row["work"] == "consume-produce" else None)
        assert row["records_per_second"] > 0
        assert row["cpu_us_per_record"] > 0
        assert row["peak_rss_mb"] > 0
    assert [row["ratio"] is None for row in rows] == [True, False, True, False]
    assert (
        len(re.findall(r"^ *(consume|consume-produce) .* all *$", ended.stdout, re.M))
        == 4
    )


def test_more_records_than_the_embedded_broker_keeps_are_refused() -> None:
    ended = run_bench("--records", "1000000")

    assert ended.returncode == 2
    assert ended.stdout == (
        "--records 1000000: the embedded broker keeps 300,000 such records. "
        "Use fewer, or `--apache`, or `--bootstrap`.\n"
    )


def test_a_broker_that_is_not_there_is_one_line() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        ended = run_bench("--bootstrap", address)

    assert ended.returncode == 1
    assert ended.stdout == (
        f"No broker answers at {address}. Without `--bootstrap` one is started.\n"
    )


def test_the_clock_goes_on_until_every_record_was_seen(child: Any) -> None:
    complete: list[bool] = []
    tally = child.Tally(3, lambda: complete.append(True))

    for number in (0.0, 1.0, 1.0):
        tally.saw(number)
    assert not tally.complete

    tally.saw(0.0)
    tally.saw(2.0)
    assert complete == [True]
    assert tally.complete


def test_what_is_seen_again_counts_as_a_duplicate(child: Any) -> None:
    tally = child.Tally(2, lambda: None)

    for number in (0.0, 1.0, 0.0):
        tally.saw(number)
    tally.stop()

    result = tally.result()
    assert (result["seen"], result["duplicates"]) == (2, 1)
    assert result["seconds"] > 0
