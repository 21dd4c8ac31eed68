"""What is parked, and how it is finished in any order."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkafka.engine.finished import Note
from fastkafka.errors import ClientError, ConfigError
from fastkafka.testing import EmbeddedBroker
from fastkafka.tools.parking import Parking, advanced, unfinished
from fastkafka.tools.replay import Progress, Replay
from fastkafka.tools.selection import Selection, dead_letter_topics, parse_place
from fastkafka.tools.topics import Clusters, app_topics, topic_named
from fastkafka.transport.librdkafka.inspection import Commit
from tests.clients import read
from tests.tools.clients import Sent, looking, looking_at, spring
from tests.tools.shop import app

stretches = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 9)).map(lambda p: (p[0], sum(p)))
)


@given(st.integers(0, 60), stretches)
def test_what_is_finished_is_one_front_and_stretches_above_it(
    base: int, done: list[tuple[int, int]]
) -> None:
    front, rest = advanced(base, done)

    finished = set(range(base)) | {o for s, e in done for o in range(s, e)}
    said = set(range(front)) | {o for s, e in rest for o in range(s, e)}
    assert said == finished
    assert front not in finished
    edges = [edge for stretch in [(front, front), *rest] for edge in stretch]
    assert edges == sorted(edges), "in order"
    assert all(a[1] < b[0] for a, b in itertools.pairwise(rest)), "joined"


@given(st.integers(0, 60), st.integers(0, 80), stretches)
def test_the_rest_is_parked(base: int, end: int, done: list[tuple[int, int]]) -> None:
    finished = set(range(base)) | {o for s, e in done for o in range(s, e)}

    left = unfinished(base, end, done)

    assert {o for s, e in left for o in range(s, e)} == set(range(end)) - finished


@pytest.fixture
def broker(embedded: EmbeddedBroker) -> str:
    """A broker with six dead letters in two partitions, errors in turn."""
    servers = embedded.bootstrap_servers
    embedded.create_topic("orders", 2)
    embedded.create_topic("orders-dlt", 2)
    sent = Sent(servers)
    for number in range(6):
        headers = spring(
            partition=number % 2,
            offset=100 + number,
            error="app.NoStock" if number < 4 else "builtins.KeyError",
        )
        sent.send(
            "orders-dlt",
            b'{"n": %d}' % number,
            b"k%d" % number,
            [("own", b"\x00\xff"), *headers],
            number % 2,
            1_700_000_000_000 + number,
        )
    return servers


def places(parking: Parking) -> list[tuple[int, int]]:
    return [letter.place for letter in parking.read().letters]


def test_finishing_in_any_order_leaves_the_others_parked(broker: str) -> None:
    with looking_at(app, broker, "orders-dlt") as (clusters, topic):
        with Parking(topic, clusters) as parking:
            assert parking.groups == ["shop-dlt"]
            assert (parking.count(), parking.counts()) == (6, {0: 3, 1: 3})
            letters = parking.read().letters
            assert [letter.record.value() for letter in letters] == [
                b'{"n": %d}' % number for number in range(6)
            ]
            parking.finish([letters[4], letters[1], letters[2]])
            assert parking.counts() == {0: 1, 1: 2}
            assert places(parking) == [(0, 0), (1, 1), (1, 2)]

        committed = clusters.of(topic).committed("shop-dlt", "orders-dlt", [0, 1])
        assert committed == {
            0: Commit(0, Note([(1, 3)]).text),
            1: Commit(1, Note().text),
        }
        # Another process sees the same, and a second time changes nothing.
        with Parking(topic, clusters) as parking:
            parking.finish([letters[4], letters[0]])
            assert places(parking) == [(1, 1), (1, 2)]
            parking.finish(letters)
            assert (places(parking), parking.count()) == ([], 0)


def test_the_newest_are_those_that_came_last(broker: str) -> None:
    with (
        looking_at(app, broker, "orders-dlt") as (clusters, topic),
        Parking(topic, clusters) as parking,
    ):
        newest = parking.read(2, newest=True)
        oldest = parking.read(2)
        one = parking.read(only={(1, 1)})

    assert [letter.place for letter in newest.letters] == [(0, 2), (1, 2)]
    assert (newest.parked, newest.all) == (6, False)
    assert len(oldest.letters) == 2
    assert [letter.record.value() for letter in one.letters] == [b'{"n": 3}']


def test_walking_ends_where_the_topic_ended_before(broker: str) -> None:
    with (
        looking_at(app, broker, "orders-dlt") as (clusters, topic),
        Parking(topic, clusters) as parking,
    ):
        until = parking.ends()
        walk = parking.walk(until)
        first = next(walk)
        Sent(broker).send("orders-dlt", b"later", None, spring())
        parking.finish([first])

        assert len(list(walk)) == 5
        assert parking.count() == 6


def test_a_selection_is_by_error_place_or_number(broker: str) -> None:
    with (
        looking_at(app, broker, "orders-dlt") as (clusters, topic),
        Parking(topic, clusters) as parking,
    ):
        until = parking.ends()

        def chosen(selection: Selection) -> list[tuple[int, int]]:
            return [letter.place for letter in selection.of(parking, until)]

        assert chosen(Selection("NoStock")) == chosen(Selection("app.NoStock"))
        assert chosen(Selection("KeyError")) == [(0, 2), (1, 2)]
        assert chosen(Selection("Stock")) == []
        assert chosen(Selection("NoStock", limit=1)) == [(0, 0)]
        assert chosen(Selection(places={(1, 0), (1, 9)})) == [(1, 0)]


def test_a_replay_sends_the_original_bytes_without_the_failures_headers(
    broker: str,
) -> None:
    seen: list[int] = []
    with looking(app, broker) as (clusters, topics):
        topic = topic_named(topics, "orders-dlt")
        with Parking(topic, clusters) as parking:
            letters = parking.read().letters
            replay = Replay(parking, topics, clusters, rate=None)
            progress = replay.run(
                letters[:4], Progress(4), on_progress=lambda p: seen.append(p.sent)
            )
            assert places(parking) == [(0, 2), (1, 2)]
            fates = replay.fates(progress.replayed)

    records = sorted(read(broker, "orders", 4), key=lambda r: r.value() or b"")
    assert [(r.value(), r.key(), r.headers(), r.partition()) for r in records] == [
        (b'{"n": %d}' % n, b"k%d" % n, [("own", b"\x00\xff")], n % 2) for n in range(4)
    ]
    assert (progress.sent, progress.refused, progress.running) == (4, [], False)
    assert seen[-1] == 4
    assert (fates.handled, fates.parked, fates.waiting) == (0, 0, 4)


def test_a_replay_that_is_stopped_leaves_the_rest_parked(broker: str) -> None:
    stop = threading.Event()

    with looking(app, broker) as (clusters, topics):
        topic = topic_named(topics, "orders-dlt")
        with Parking(topic, clusters) as parking:

            def letters() -> Iterator[object]:
                for number, letter in enumerate(parking.read().letters):
                    if number == 2:
                        stop.set()
                    yield letter

            replay = Replay(parking, topics, clusters, rate=1000)
            replay.run(letters(), Progress(6), stop=stop)  # type: ignore[arg-type]
            assert parking.count() == 4


def test_nothing_is_sent_to_topics_that_the_app_does_not_read(broker: str) -> None:
    Sent(broker).send(
        "orders-dlt", b"evil", None, spring(topic="payroll", partition=7), 0
    )

    with looking(app, broker) as (clusters, topics):
        topic = topic_named(topics, "orders-dlt")
        with Parking(topic, clusters) as parking:
            [letter] = [
                each for each in parking.read().letters if each.record.key() is None
            ]
            outgoing = Replay(parking, topics, clusters).outgoing(letter)

    assert (outgoing.topic, outgoing.partition) == ("orders", None)


def test_fates_tell_handled_parked_again_and_waiting(broker: str) -> None:
    with looking(app, broker) as (clusters, topics):
        topic = topic_named(topics, "orders-dlt")
        cluster = clusters.of(topic)
        with Parking(topic, clusters) as parking:
            replay = Replay(parking, topics, clusters, rate=None)
            done = replay.run(parking.read().letters, Progress(6)).replayed
            # Of partition 0 the first was handled, the second parked again, and of
            # partition 1 the last was handled out of order.
            Sent(broker).send("orders-dlt", b"", None, spring(offset=1))
            cluster.commit(
                "shop", "orders", {0: Commit(2), 1: Commit(0, Note([(2, 3)]).text)}
            )

            fates = replay.fates(done)

    assert (fates.handled, fates.parked, fates.waiting) == (2, 1, 3)


def test_a_topic_that_is_not_there_yet_has_nothing_parked(
    embedded: EmbeddedBroker,
) -> None:
    servers = embedded.bootstrap_servers
    with (
        looking_at(app, servers, "orders-dlt") as (clusters, topic),
        Parking(topic, clusters) as parking,
    ):
        assert (parking.count(), parking.read().letters) == (0, [])


def test_a_new_topic_of_the_same_name_hides_nothing(broker: str) -> None:
    with looking_at(app, broker, "orders-dlt") as (clusters, topic):
        clusters.of(topic).commit("shop-dlt", "orders-dlt", {0: Commit(50)})
        with Parking(topic, clusters) as parking:
            assert parking.count() == 6


def test_more_than_a_commit_can_remember_is_said(embedded: EmbeddedBroker) -> None:
    embedded.create_topic("orders-dlt", 1)
    servers = embedded.bootstrap_servers
    sent = Sent(servers)
    for number in range(3200):
        sent._producer.produce("orders-dlt", b"%d" % number)
    sent._producer.flush()

    with (
        looking_at(app, servers, "orders-dlt") as (clusters, topic),
        Parking(topic, clusters) as parking,
    ):
        letters = parking.read().letters
        with pytest.raises(ClientError) as caught:
            parking.finish(letters[1::2])
        left = parking.count()

    forgotten = left - 1600
    assert 0 < forgotten < 200
    assert str(caught.value) == (
        "Group 'shop-dlt' has no room to remember all that is finished of "
        f"'orders-dlt': {forgotten} stretches still count as parked. Too many older "
        "ones between them are parked. Replay or dismiss those first."
    )


def test_dead_letter_topics_are_found_by_either_name(embedded: EmbeddedBroker) -> None:
    app.set_bootstrap_servers(embedded.bootstrap_servers)
    with Clusters() as clusters:
        topics = app_topics(app, clusters)
        names = [
            [topic.name for topic in dead_letter_topics(topics, name)]
            for name in (None, "orders", "orders-dlt")
        ]
        assert names == [["orders-dlt"]] * 3
        with pytest.raises(ConfigError) as caught:
            dead_letter_topics(topics, "payments")
    assert str(caught.value) == (
        "The app parks no dead letters of 'payments'. Its dead-letter topics: "
        "'orders-dlt'."
    )


def test_a_place_is_written_in_two_ways() -> None:
    assert parse_place("2:1042") == parse_place("orders-dlt[2]@1042") == (2, 1042)
    with pytest.raises(ConfigError) as caught:
        parse_place("1042")
    assert str(caught.value) == (
        "`--record` '1042' is no record. Write its partition and its offset: 2:1042."
    )
