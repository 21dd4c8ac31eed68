"""The rules find what they are there for; no Kafka is needed to know that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.faults.ledger import Entry, Kind, Place
from tests.faults.rules import (
    Acknowledged,
    Disturbance,
    Evidence,
    Sample,
    judge,
    progress,
)

RECORDS = [Acknowledged(Place("t", 0, offset), "k", offset) for offset in range(3)]


def entry(kind: Kind, offset: int, time: float, **more: Any) -> Entry:
    values: dict[str, Any] = {"process": 1, "key": "k", "sequence": offset, "epoch": 1}
    values |= more
    return Entry(kind, time, topic="t", partition=0, offset=offset, **values)


def calls(*offsets: int, start: float = 0.0, process: int = 1) -> list[Entry]:
    """Return calls one after another, one each second, half a second long."""
    made: list[Entry] = []
    for number, offset in enumerate(offsets):
        begin = start + number
        made += [
            entry("begin", offset, begin, process=process),
            entry("end", offset, begin + 0.5, process=process),
        ]
    return made


def problems(entries: Sequence[Entry], **more: Any) -> list[str]:
    values: dict[str, Any] = {"outputs": dict.fromkeys(range(3), 1)} | more
    return list(judge(Evidence(RECORDS, entries, **values)).problems())


def sample(time: float, offset: int) -> Sample:
    return Sample(time, 1000 + time, {("t", 0): offset})


def test_a_clean_run_has_no_problem() -> None:
    samples = [sample(0.6, 1), sample(3.0, 3)]
    assert problems(calls(0, 1, 2), samples=samples) == []


def test_a_record_that_is_not_handled_is_lost() -> None:
    assert problems(calls(0, 2)) == ["1 lost: t[0]@1 not handled"]


def test_a_record_below_the_committed_offset_was_skipped() -> None:
    found = problems(calls(0, 2), samples=[sample(3, 3)], complete=False)
    assert found == [
        "1 lost: t[0]@1 skipped",
        "1 committed wrongly: 3 passes t[0]@1, which was not finished",
    ]


def test_what_could_not_be_handled_in_the_time_is_not_lost() -> None:
    assert problems(calls(0), samples=[sample(3, 1)], complete=False) == []


def test_a_parked_record_is_not_lost_but_not_committed_before() -> None:
    parked = {Place("t", 0, 1): 1002.0}
    assert problems(calls(0, 2), parked=parked, samples=[sample(2.6, 3)]) == []
    found = problems(calls(0, 2), parked=parked, samples=[sample(1.9, 2)])
    assert found == ["1 committed wrongly: 2 passes t[0]@1, which was not finished"]


def test_an_output_that_is_missing_is_lost() -> None:
    found = problems(calls(0, 1, 2), outputs={0: 1, 2: 1})
    assert found == ["1 outputs lost: the output of t[0]@1"]


def test_a_repetition_needs_a_reason() -> None:
    entries = calls(0, 1) + calls(1, 2, start=10, process=2)
    assert problems(entries) == [
        "1 repeated without a reason: t[0]@1 by 1 (epoch 1) and 9.0 s later by 2 "
        "(epoch 1)"
    ]
    crash = Disturbance("crash", 2.0, 9.0)
    assert problems(entries, disturbances=[crash]) == []
    stop = Disturbance("a clean stop", 2.0, 9.0, repeats=False)
    assert len(problems(entries, disturbances=[stop])) == 1


def test_what_was_committed_long_before_a_crash_may_not_be_repeated() -> None:
    entries = calls(0, 1, 2) + calls(0, start=20, process=2)
    assert len(problems(entries, disturbances=[Disturbance("crash", 8.0, 9.0)])) == 1


def test_a_key_that_ends_out_of_order_is_found() -> None:
    assert problems(calls(0, 2, 1)) == ["1 out of order: t[0]@2 before t[0]@1"]
    assert problems(calls(0, 2, 1), order="none") == []


def test_two_calls_of_one_key_at_once_are_found() -> None:
    entries = [
        entry("begin", 0, 0),
        entry("begin", 1, 0.2),
        entry("end", 0, 0.5),
        entry("end", 1, 0.6),
        *calls(2, start=1),
    ]
    assert problems(entries) == ["1 out of order: t[0]@1 during t[0]@0"]


def test_keys_of_a_partition_may_overlap_when_that_is_the_order() -> None:
    entries = [
        entry("begin", 0, 0, key="a"),
        entry("begin", 1, 0.2, key="b"),
        entry("end", 1, 0.5, key="b"),
        entry("end", 0, 0.6, key="a"),
        *calls(2, start=1),
    ]
    assert problems(entries, order="key") == []
    assert len(problems(entries)) == 1


def test_a_commit_before_the_end_of_a_record_is_found() -> None:
    found = problems(calls(0, 1, 2), samples=[sample(0.4, 1), sample(3, 3)])
    assert found == ["1 committed wrongly: 1 passes t[0]@0, which was not finished"]


def test_a_commit_that_moves_backward_is_found() -> None:
    found = problems(calls(0, 1, 2), samples=[sample(3, 3), sample(4, 2)])
    assert found == ["1 committed wrongly: t[0] from 3 to 2"]


def test_progress_is_the_time_from_the_end_of_a_fault_to_the_next_record() -> None:
    entries = calls(0, 1, start=0) + calls(2, start=8)
    fault = Disturbance("crash", 2.0, 5.0)
    assert progress(Evidence(RECORDS, entries, disturbances=[fault])) == 3.5
    assert progress(Evidence(RECORDS, entries)) is None
