"""Rates, percentiles and what was, from snapshots whose times the tests choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from fastkafka.observe.snapshot import BUCKETS, Partition, Problem, Snapshot
from fastkafka.web.attention import attention
from fastkafka.web.board import Board, percentile
from fastkafka.web.describe import Shape, describe
from fastkafka.web.journal import Journal
from fastkafka.web.rings import Rings
from tests.web.consoles import shop, snapshot


def shape() -> Shape:
    return describe(shop(), [snapshot(0, parked={})], {"orders": 3, "invoices": 1})


def told(board: Board, *snapshots: Snapshot) -> None:
    for one in snapshots:
        board.tick(shape(), [one], one.time)


def buckets(*counts: int) -> Sequence[int]:
    return [*counts, *[0] * (len(BUCKETS) + 1 - len(counts))]


def test_a_rate_is_what_was_counted_between_two_snapshots() -> None:
    board = Board()
    told(board, snapshot(100, handled=0), snapshot(101, handled=50))
    assert board.now["functions"][0][0] == 50
    assert board.now["totals"]["handled"] == 50


def test_a_rate_does_not_jump_when_no_snapshot_came() -> None:
    board = Board()
    first, second = snapshot(100, handled=0), snapshot(101, handled=50)
    told(board, first, second)
    board.tick(shape(), [second], 102)
    assert board.now["functions"][0][0] == 50


def test_there_is_no_rate_before_the_second_snapshot() -> None:
    board = Board()
    told(board, snapshot(100, handled=1000))
    assert board.now["functions"][0][0] is None
    assert board.now["totals"]["handled"] is None


def test_a_worker_that_ended_makes_no_rate_negative() -> None:
    board = Board()
    told(board, snapshot(100, handled=900), snapshot(101, handled=0))
    assert board.now["functions"][0][0] == 0


def test_percentiles_are_of_the_last_minute() -> None:
    board = Board()
    slow, fast = buckets(0, 0, 0, 0, 0, 0, 0, 100), buckets(100, 0, 0, 0, 0, 0, 0, 100)
    told(board, snapshot(0, buckets=slow), snapshot(1, buckets=slow))
    told(board, *(snapshot(t, buckets=slow) for t in range(2, 90)))
    told(board, snapshot(90, buckets=fast))
    assert board.now["functions"][0][1:4] == [0.005, 0.005, 0.005]


@pytest.mark.parametrize(
    ("counts", "share", "seconds"),
    [
        (buckets(), 0.5, None),
        (buckets(10), 0.99, 0.005),
        (buckets(0, 10), 0.5, 0.0075),
        (buckets(90, 10), 0.95, 0.0075),
        ([0] * len(BUCKETS) + [3], 0.5, 10.0),
    ],
)
def test_a_percentile_is_interpolated_within_its_bucket(
    counts: Sequence[int], share: float, seconds: float | None
) -> None:
    assert percentile(counts, share) == seconds


def test_a_topics_rate_is_what_is_written_to_it() -> None:
    board = Board()

    def at(time: float, end: int) -> Snapshot:
        partition = Partition("orders", 0, "shop", committed=0, end=end, lag=end)
        return replace(snapshot(time), partitions=[partition])

    told(board, at(100, 0), at(102, 400))
    assert board.now["topics"][0][:2] == [200, 400]
    assert board.growth(("shop", "orders", 0)) is None  # two seconds tell nothing
    told(board, at(106, 400), at(110, 1000))
    assert board.growth(("shop", "orders", 0)) == 100


def test_the_history_has_gaps_where_nobody_looked() -> None:
    rings = Rings(1, 10)
    rings.put(100, {"a": 1})
    rings.put(103, {"a": 4, "b": None})
    assert rings.last(10) == {
        "t": [100, 101, 102, 103],
        "a": [1, None, None, 4],
        "b": [None, None, None, None],
    }


def test_the_history_forgets_what_is_too_old() -> None:
    rings = Rings(1, 4)
    for second in range(100, 110):
        rings.put(second, {"a": second})
    rings.put(90, {"a": 0})  # a clock that was set back
    assert rings.last(100) == {"t": [106, 107, 108, 109], "a": [106, 107, 108, 109]}
    rings.put(200, {"a": 1})
    assert rings.last(4) == {"t": [200], "a": [1]}


def test_what_falls_behind_is_said_with_the_reason() -> None:
    board = Board()
    last = snapshot(0)
    for second in range(40):
        partition = Partition(
            "orders", 1, "shop", committed=0, end=0, lag=2000 + 34 * second
        )
        last = replace(snapshot(second, busy=8), partitions=[partition])
        told(board, last)
    [line] = attention(shape(), [last], board)
    assert (line.level, line.what, line.link) == ("warn", "orders[1]", "#/lag")
    assert line.text == (
        "falls behind by 34 records/s. `on_orders` is at its limit: 8 of 8 busy."
    )
    assert line.hint == "More `concurrency`, more workers, or a faster handler."


def test_what_was_parked_is_said_with_its_most_frequent_error() -> None:
    board = Board()
    told(board, snapshot(0), snapshot(1, parked={"shop.Timeout": 31, "KeyError": 2}))
    [line] = attention(shape(), [snapshot(1)], board)
    assert line.level == "bad"
    assert line.text == "parked 33 records in 15 min, 31 of them because of `Timeout`."


def test_a_problem_of_the_watchdogs_is_said() -> None:
    problem = Problem(
        "no_broker", "127.0.0.1:1", "127.0.0.1:1 does not answer.", 0, ready=False
    )
    said = replace(snapshot(1), problems=[problem])
    board = Board()
    told(board, said)
    [line] = attention(shape(), [said], board)
    assert (line.level, line.what, line.text) == (
        "bad",
        "127.0.0.1:1",
        "does not answer.",
    )


def test_the_journal_notes_what_has_changed() -> None:
    journal = Journal()
    journal.look([snapshot(0)], 0)
    journal.look(
        [snapshot(1, failed={"shop.Timeout": 2}, parked={"shop.Timeout": 1})], 1
    )
    problem = Problem("blocked_loop", "worker", "The loop is blocked.", 2)
    journal.look(
        [replace(snapshot(2, failed={"shop.Timeout": 2}), problems=[problem])], 2
    )
    journal.look(
        [
            replace(
                snapshot(3),
                pid=0,
                problems=[Problem("ended", "worker 1", "It was killed.", 3)],
            )
        ],
        3,
    )
    assert [(entry.kind, entry.text) for entry in journal] == [
        ("started", "Worker 1 runs as process 7."),
        ("failed", "`on_orders` raised `Timeout` 2 times."),
        ("parked", "`on_orders` parked 1 record: `Timeout`."),
        ("problem", "The loop is blocked."),
        ("ended", "It was killed."),
        ("solved", "No more: The loop is blocked."),
    ]
    assert [entry.number for entry in journal.since(4)] == [4, 5]


def test_the_shape_knows_who_feeds_whom() -> None:
    app = shop()
    found = describe(app, [snapshot(0, parked={"KeyError": 1})], {"orders": 3})
    assert [(t.name, t.role, t.model, t.partitions) for t in found.topics] == [
        ("orders", "consumed", "Order", 3),
        ("invoices", "produced", "Invoice", None),
        ("orders-dlt", "dead_letters", "Order", None),
    ]
    assert [(e.start, e.end, e.via) for e in found.edges] == [
        ("t:orders", "f:on_orders", ""),
        ("f:on_orders", "t:invoices", "to_invoices"),
        ("f:on_orders", "t:orders-dlt", "dead letters"),
    ]
    [function] = found.functions
    assert function.source.startswith("tests/web/consoles.py:")
    assert function.group == "shop"


def test_a_producer_that_nobody_is_known_to_call_is_a_node() -> None:
    found = describe(shop())
    assert ("p:to_invoices", "t:invoices") in {(e.start, e.end) for e in found.edges}
    assert found.rev != describe(shop(), [snapshot(0)]).rev
