"""The offset tracker: a committed offset never passes a record that is not done."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from fastkafka.engine.offsets import OffsetTracker


def test_nothing_can_be_committed_before_a_record_arrived() -> None:
    assert OffsetTracker(1).committable is None


def test_a_finished_stretch_can_be_committed() -> None:
    tracker = OffsetTracker(1)
    start = tracker.arrive(5, 8)

    assert start == 5
    assert tracker.committable == 5
    assert tracker.finish(0, 5, 8)
    assert tracker.committable == 8


def test_what_finished_out_of_order_waits_for_what_came_before() -> None:
    tracker = OffsetTracker(1)
    tracker.arrive(0, 10)

    assert not tracker.finish(0, 4, 10)
    assert tracker.committable == 0
    assert tracker.finish(0, 0, 4)
    assert tracker.committable == 10


def test_a_gap_between_runs_belongs_to_the_run_after_it() -> None:
    """Compaction and transaction markers leave offsets that no record has."""
    tracker = OffsetTracker(1)
    tracker.arrive(0, 3)
    start = tracker.arrive(7, 9)
    tracker.finish(0, 0, 3)

    assert start == 3
    assert tracker.finish(0, start, 9)
    assert tracker.committable == 9


def test_two_handlers_must_both_be_done() -> None:
    tracker = OffsetTracker(2)
    tracker.arrive(0, 4)

    assert not tracker.finish(0, 0, 4)
    assert tracker.finish(1, 0, 2)
    assert tracker.committable == 2
    assert tracker.finish(1, 2, 4)
    assert tracker.committable == 4


@given(
    gaps=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3)), min_size=1),
    handlers=st.integers(1, 3),
    seed=st.integers(),
)
def test_the_offset_never_passes_an_unfinished_record_nor_moves_backward(
    gaps: list[tuple[int, int]], handlers: int, seed: int
) -> None:
    tracker = OffsetTracker(handlers)
    stretches, offset = [], 0
    for length, gap in gaps:
        start = tracker.arrive(offset, offset + length)
        stretches.append((start, offset + length))
        offset += length + gap
    work = [(h, *stretch) for h in range(handlers) for stretch in stretches]
    random.Random(seed).shuffle(work)

    open_work, last = set(work), 0
    for item in work:
        tracker.finish(*item)
        open_work.discard(item)
        unfinished = [start for _, start, _ in open_work]
        committable = tracker.committable
        assert committable is not None
        assert committable >= last
        assert committable == min(unfinished, default=stretches[-1][1])
        last = committable
