"""`find`: words and fields, exact numbers, nothing evaluated."""

from __future__ import annotations

import pytest

from fastkafka.errors import ConfigError
from fastkafka.tools.find import Find
from fastkafka.tools.records import RecordView

VALUE = (
    '{"id": 9007199254740993, "status": "paid", "total": 12.50, "at": "2026-11-25", '
    '"lines": [{"sku": "A-1"}, {"sku": "B-2"}], "note": "two words"}'
)


class Nothing:
    """A record of which nobody asks anything."""


def view(value: str | None = VALUE, format: str = "json") -> RecordView:
    return RecordView(
        topic="orders",
        partition=0,
        offset=0,
        timestamp=0,
        key="c-9022",
        headers=[("trace", "abc"), ("empty", None)],
        size=0,
        value=value,
        format=format,  # type: ignore[arg-type]
        error=None,
        truncated=False,
        record=Nothing(),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PAID",
        "9022",
        "status=paid",
        "status!=open",
        "id=9007199254740993",
        "id>9007199254740992",
        "total=12.5",
        "total>=12.5 total<13",
        "at>2026-11 at<=2026-11-25",
        "lines.sku=B-2",
        "lines.1.sku=B-2",
        "key:c-",
        "header.trace:AB",
        '"two words"',
        "note='two words'",
        "paid status=paid total>1",
    ],
)
def test_it_finds(text: str) -> None:
    assert Find.parse(text)(view())


@pytest.mark.parametrize(
    "text",
    [
        "unpaid",
        "status=PAID",
        "id=9007199254740992",
        "id>9007199254740993",
        "status>5",
        "missing=1",
        "missing!=1",
        "lines.0.sku=B-2",
        "key:d",
        "header.trace:x",
        "header.none:abc",
        "header.empty:abc",
        "paid status=open",
        "total=NaN",
        ".*",
    ],
)
def test_it_does_not_find(text: str) -> None:
    assert not Find.parse(text)(view())


def test_a_word_with_a_colon_is_a_word() -> None:
    assert Find.parse("2026:11")(view('"at 2026:11"'))


def test_fields_are_looked_for_in_json_only() -> None:
    assert not Find.parse("a=1")(view("a=1", "text"))
    assert not Find.parse("a=1")(view(None, "none"))
    assert Find.parse("a")(view("a=1", "text"))


def test_an_open_quote_is_one_line() -> None:
    with pytest.raises(ConfigError) as caught:
        Find.parse('status="paid')
    assert str(caught.value) == (
        "`find` 'status=\"paid' opens a quote that it does not close. Close it, or put "
        "the word into the other kind of quotes."
    )
