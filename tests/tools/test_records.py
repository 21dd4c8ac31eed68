"""Records as people read them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest

from fastkafka.errors import ConfigError
from fastkafka.testing import EmbeddedBroker
from fastkafka.tools.find import Find
from fastkafka.tools.records import WITHHELD, Limits, RecordView
from fastkafka.tools.starts import Start, tailed
from tests.tools.clients import Sent, reading


@pytest.fixture
def servers(embedded: EmbeddedBroker) -> str:
    """A broker with the shop's topics, two partitions each."""
    for topic in ("orders", "payments", "blobs", "refunds", "invoices"):
        embedded.create_topic(topic, 2)
    return embedded.bootstrap_servers


def order(number: int, status: str = "paid") -> bytes:
    return b'{"id": %d, "status": "%s", "total": 1.10}' % (number, status.encode())


@pytest.fixture
def orders(servers: str) -> str:
    """The broker with ten orders, a second apart, in two partitions."""
    sent = Sent(servers)
    for number in range(10):
        at = 1_700_000_000_000 + number * 1000
        sent.send("orders", order(number), b"k", [], number % 2, at)
    return servers


def only(servers: str, topic: str, value: bytes | None) -> RecordView:
    """Send a record to a topic, and return how it is shown."""
    Sent(servers).send(topic, value, b"k")
    with reading(servers, topic) as reader:
        [view] = reader.newest(10).records
    return view


def test_json_that_fits_is_shown_as_it_was_sent(servers: str) -> None:
    view = only(servers, "orders", order(9007199254740993))

    assert view.value == '{"id": 9007199254740993, "status": "paid", "total": 1.10}'
    assert (view.format, view.error, view.key) == ("json", None, "k")
    assert view.position == "orders[0]@0"


def test_json_that_does_not_fit_is_shown_with_the_reason(servers: str) -> None:
    view = only(servers, "orders", b'{"id": "x", "status": "paid", "total": 1}')

    assert view.value == '{"id": "x", "status": "paid", "total": 1}'
    assert view.error == (
        "input should be a valid integer, unable to parse string as an integer "
        "- at `$.id`"
    )


@pytest.mark.parametrize(
    ("raw", "value", "format"),
    [
        (b"\x1b[2Jno json", "\\x1b[2Jno json", "text"),
        (b"\xff\x00", "/wA=", "bytes"),
        (b"NaN", "NaN", "text"),
    ],
)
def test_what_is_no_json_is_text_or_bytes(
    servers: str, raw: bytes, value: str, format: str
) -> None:
    view = only(servers, "orders", raw)

    assert (view.value, view.format) == (value, format)
    assert view.error is not None


def test_a_tombstone_is_an_error_where_nobody_takes_one(servers: str) -> None:
    refund, order = only(servers, "refunds", None), only(servers, "orders", None)

    assert (refund.value, refund.format, refund.error) == (None, "none", None)
    assert order.error is not None
    assert order.error.startswith("expected a message, got null (a tombstone).")


def test_bytes_are_shown_as_what_they_seem_to_be(servers: str) -> None:
    view = only(servers, "blobs", b'{"a":1}')

    assert (view.value, view.format, view.error) == ('{"a": 1}', "json", None)


def test_secrets_are_masked_whether_the_record_fits_or_not(servers: str) -> None:
    fits = only(servers, "payments", b'{"order": 1, "card": "4111"}')
    assert fits.value == '{"order": 1, "card": "**********"}'

    Sent(servers).send("payments", b'{"card": {"no": "4111"}}', partition=1)
    Sent(servers).send("payments", b"card=4111", partition=1)
    with reading(servers, "payments") as reader:
        wrong, no_json = reader.newest(2).records
        found = reader.newest(9, wanted=Find.parse("4111")).records
    assert wrong.value == '{"card": "**********"}'
    assert no_json.value == WITHHELD
    assert all("4111" not in (view.error or "") for view in (wrong, no_json))
    assert not found, "what is masked cannot be searched for"


def test_what_is_written_only_is_checked_by_its_writers_model(servers: str) -> None:
    assert only(servers, "invoices", b'{"id": 1}').error is not None


def test_a_long_value_is_cut(servers: str) -> None:
    Sent(servers).send("orders", order(1, "x" * 500))
    with reading(servers, "orders", longest=20) as reader:
        [view] = reader.newest(1).records
    assert view.value is not None
    assert (len(view.value), view.truncated, view.error) == (20, True, None)
    assert view.size > 500


def ids(records: Iterable[RecordView]) -> list[int]:
    return [json.loads(view.value or "")["id"] for view in records]


def test_the_newest_come_oldest_first_over_all_partitions(orders: str) -> None:
    with reading(orders, "orders") as reader:
        page = reader.newest(3)
        before = reader.newest(3, before=page.back_to)
        rest = reader.newest(30, before=before.back_to)
        one = reader.newest(2, partitions=[1])

    assert ids(page.records) == [7, 8, 9]
    assert ids(before.records) == [4, 5, 6]
    assert ids(rest.records) == [0, 1, 2, 3]
    assert (page.more, rest.more, page.ends) == (True, False, {0: 5, 1: 5})
    assert ids(one.records) == [7, 9]


def test_what_has_come_since_is_seen_alone(orders: str) -> None:
    with reading(orders, "orders") as reader:
        ends = reader.newest(3).ends
        assert reader.newest(50, after=ends).records == []
        Sent(orders).send("orders", order(10))
        assert ids(reader.newest(50, after=ends).records) == [10]


def test_a_search_goes_back_until_it_has_found_enough(orders: str) -> None:
    Sent(orders).send("orders", order(0, "lost"), timestamp=1_600_000_000_000)
    for number in range(300):
        Sent(orders)._producer.produce("orders", order(number), partition=0)
    with reading(orders, "orders") as reader:
        found = reader.newest(1, wanted=Find.parse("status=lost"))
        little = reader.newest(
            1, wanted=Find.parse("nowhere"), limits=Limits(records=3)
        )

    assert ids(found.records) == [0]
    assert little.records == []
    assert little.searched < 310


def test_one_record_is_found_by_its_place(orders: str) -> None:
    with reading(orders, "orders") as reader:
        view = reader.one(1, 3)
        assert view is not None
        assert ids([view]) == [7]
        assert reader.one(1, 99) is None
        assert reader.one(7, 0) is None


NOW = datetime(2026, 11, 25, 20, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("newest", Start("newest")),
        ("oldest", Start("oldest")),
        ("1042", Start("offset", 1042)),
        ("15m", Start("time", round(NOW.timestamp() * 1000) - 900_000)),
        ("2h ago", Start("time", round(NOW.timestamp() * 1000) - 7_200_000)),
        ("2026-11-25T20:30+00:00", Start("time", round(NOW.timestamp() * 1000))),
    ],
)
def test_a_start_is_written_in_many_ways(text: str, start: Start) -> None:
    assert Start.parse(text, NOW) == start


def test_a_time_without_a_zone_is_of_this_machine() -> None:
    local = datetime(2026, 11, 25, 9, 5).astimezone()

    for text in ("2026-11-25T09:05", "2026-11-25 09:05"):
        assert Start.parse(text).value == round(local.timestamp() * 1000)
    today = Start.parse("9:05", local)
    assert today.value == round(local.timestamp() * 1000)


@pytest.mark.parametrize("text", ["yesterday", "-5", "25:00", ""])
def test_what_is_no_start_is_one_line(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Start.parse(text)
    assert str(caught.value) == (
        f"`--from` {text!r} is no place to begin. Write newest, oldest, an offset such "
        "as 1042, a time such as 2026-11-25T20:30 or 20:30, or how long ago: 15m, 2h, "
        "3d."
    )


@pytest.mark.parametrize(
    ("start", "number", "wanted"),
    [
        (Start("newest"), None, list(range(10))),
        (Start("newest"), 2, [8, 9]),
        (Start("oldest"), 3, 3),
        (Start("offset", 4), None, [8, 9]),
        (Start("offset", 99), None, []),
        (Start("time", 1_700_000_007_500), None, [8, 9]),
    ],
)
def test_tail_begins_where_it_is_told_to(
    orders: str, start: Start, number: int | None, wanted: list[int] | int
) -> None:
    with reading(orders, "orders") as reader:
        found = ids(tailed(reader, start, number, follow=False))

    if isinstance(wanted, int):
        assert len(found) == wanted
    else:
        assert sorted(found) == wanted


def test_following_goes_on_with_what_comes(orders: str) -> None:
    with reading(orders, "orders") as reader:
        records = tailed(reader, Start("newest"), 1, follow=True)
        assert ids([next(records)]) == [9]
        Sent(orders).send("orders", order(11))
        assert ids([next(records)]) == [11]


def test_partitions_and_topics_that_are_not_there_are_one_line(servers: str) -> None:
    with reading(servers, "orders") as reader, pytest.raises(ConfigError) as caught:
        reader.choose([1, 2])
    assert str(caught.value) == (
        "Topic 'orders' has no partition 2. Its partitions are 0 to 1."
    )
    with pytest.raises(ConfigError) as caught, reading(servers, "orders-dlt"):
        pass
    assert str(caught.value) == (
        f"Topic 'orders-dlt' does not exist at {servers}. Create it: "
        "`fastkafka topics MODULE:APP --create`."
    )
