"""What travels in a commit's metadata."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkafka.engine.finished import LONGEST, Note, Stretch, decode, encode, read


@st.composite
def stretches(draw: st.DrawFn) -> tuple[Stretch, ...]:
    steps = st.tuples(st.integers(1, 2**40), st.integers(1, 2**20))
    found, position = [], 0
    for gap, length in draw(st.lists(steps, max_size=50)):
        start = position + gap
        position = start + length
        found.append((start, position))
    return tuple(found)


@given(
    stretches(),
    st.booleans(),
    st.integers(0, 999),
    st.none() | st.tuples(st.integers(0, 2**62), st.integers(0, 2**62)),
    st.integers(0, 9),
)
def test_a_note_is_read_as_it_was_written(
    finished: tuple[Stretch, ...],
    opened: bool,
    deaths: int,
    trying: Stretch | None,
    alone: int,
) -> None:
    note = Note(finished, opened, deaths, trying, alone)

    assert read(note.text) == note


def test_a_note_is_short_and_has_its_version_in_front() -> None:
    note = Note(((1_000_005, 1_000_006), (1_000_009, 1_000_100)), True)

    assert note.text == "fk1:o0::xYQ9AQNb"
    assert Note().text == "fk1:c0::"
    assert Note(open=True, deaths=2, trying=(17, 145)).text == "fk1:o2:17-145:"
    assert Note((), True, 3, (17, 18), 1).text == "fk1:o3,1:17-18:"


def test_what_is_too_long_for_the_broker_loses_its_last_stretches() -> None:
    finished = [(n * 10, n * 10 + 1) for n in range(1, 100_000)]

    text = Note(finished, True).text

    assert len(text) <= LONGEST
    kept = read(text).finished
    assert 1000 < len(kept) < len(finished)
    assert list(kept) == finished[: len(kept)]


@pytest.mark.parametrize(
    "metadata",
    [
        "",
        "NO_METADATA",
        "fk1",
        "fk2:o0::",
        "fk1:x0::",
        "fk1:o0:5:",
        "fk1:o0::AA AA",
        "é",
    ],
)
def test_metadata_of_somebody_else_says_nothing(metadata: str) -> None:
    assert read(metadata) == Note()


@pytest.mark.parametrize("text", ["A", "AAA", "gA", "____", "fk1"])
def test_finished_stretches_that_are_damaged_are_dropped(text: str) -> None:
    assert len(decode(text)) in (0, 1)
    assert read(f"fk1:o1::{text}").open


def test_no_stretches_are_no_text() -> None:
    assert encode([]) == ""
    assert decode("") == ()
