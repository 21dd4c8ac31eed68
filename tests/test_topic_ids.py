"""Which log a committed offset belongs to."""

from __future__ import annotations

import pytest

from fastkafka.engine.finished import LONGEST, Note, read
from fastkafka.transport.topic_ids import split_topic_id, with_topic_id

TOPIC_ID = "1T7foobxR+KRGkwxPtBFIQ"
BROKERS_TAKE = 4096


def test_an_id_travels_before_what_the_engine_notes() -> None:
    metadata = with_topic_id(TOPIC_ID, "fk1:o0::")

    assert metadata == "topic=1T7foobxR+KRGkwxPtBFIQ;fk1:o0::"
    assert split_topic_id(metadata) == (TOPIC_ID, "fk1:o0::")


@pytest.mark.parametrize("metadata", ["", "fk1:o0::", "reprocess me", "topic=short;"])
def test_metadata_without_an_id_is_what_it_was(metadata: str) -> None:
    assert with_topic_id(None, metadata) == metadata
    assert split_topic_id(metadata) == (None, metadata)


def test_the_longest_note_and_an_id_are_within_what_brokers_take() -> None:
    stretches = [(gap * 1000, gap * 1000 + 1) for gap in range(1, LONGEST)]
    note = Note(stretches, True, 10**9 - 1, (10**18, 10**18 + 1), 10**9 - 1).text

    assert len(note) > LONGEST - 10
    assert len(with_topic_id(TOPIC_ID, note)) <= BROKERS_TAKE
    assert read(split_topic_id(with_topic_id(TOPIC_ID, note))[1]).finished
