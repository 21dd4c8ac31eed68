"""Snapshots as Prometheus reads them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fastkafka.errors import ConfigError
from fastkafka.observe.figures import FIGURES
from fastkafka.observe.prometheus import SnapshotCollector, exposition
from fastkafka.observe.snapshot import Function, Member, Partition, Snapshot
from fastkafka.observe.workers import Workers
from tests.snapshots import partition, problem, snapshot


def scraped(*snapshots: Snapshot) -> dict[str, float]:
    """Return the samples of a scrape, by name and sorted labels' values."""
    text, _ = exposition(lambda: snapshots, "")
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            name = f"{sample.name}{{{labels}}}"
            assert name not in found, f"{name} is there twice"
            found[name] = sample.value
    return found


FUNCTION = "consumergroup=shop,function=shop.on_orders"


def test_lag_has_the_names_of_the_exporters() -> None:
    metrics = scraped(snapshot())

    place = "{consumergroup=shop,partition=0,topic=orders}"
    assert metrics[f"kafka_consumergroup_lag{place}"] == 10
    assert metrics[f"kafka_consumergroup_group_lag_seconds{place}"] == 2.5


def test_lag_that_is_unknown_is_left_out() -> None:
    metrics = scraped(snapshot(partitions=[partition(0, lag=None)]))

    assert not [name for name in metrics if "lag" in name and "orders" in name]


def test_records_are_counted_by_outcome_and_failures_by_error() -> None:
    metrics = scraped(snapshot())

    assert metrics[f"fastkafka_records_total{{{FUNCTION},outcome=handled}}"] == 5
    assert metrics[f"fastkafka_records_total{{{FUNCTION},outcome=parked}}"] == 1
    assert metrics[f"fastkafka_records_total{{{FUNCTION},outcome=skipped}}"] == 0
    error = "consumergroup=shop,error=ValueError,function=shop.on_orders"
    assert metrics[f"fastkafka_failures_total{{{error}}}"] == 3
    assert metrics[f"fastkafka_dead_letters_total{{{error}}}"] == 1


def test_retries_are_counted_by_attempt() -> None:
    function = Function("f", "g", ["t"], "key", 1, retries={"2": 5, "10+": 3})
    metrics = scraped(snapshot(functions=[function]))

    of = "consumergroup=g,function=f"
    assert metrics[f"fastkafka_retries_total{{attempt=2,{of}}}"] == 5
    assert metrics[f"fastkafka_retries_total{{attempt=10+,{of}}}"] == 3


def test_the_time_of_each_phase_is_there() -> None:
    function = Function(
        "f", "g", ["t"], "key", 1, seconds=3.0, decode_seconds=2.0, deliver_seconds=4.0
    )
    member = Member("g", ["t"], commit_seconds=0.5, poll_seconds=1.0)
    metrics = scraped(snapshot(functions=[function], members=[member]))

    of, group = "{consumergroup=g,function=f}", "{consumergroup=g}"
    assert metrics[f"fastkafka_poll_seconds_total{group}"] == 1
    assert metrics[f"fastkafka_decode_seconds_total{of}"] == 2
    assert metrics[f"fastkafka_handler_seconds_sum{of}"] == 3
    assert metrics[f"fastkafka_deliver_seconds_total{of}"] == 4
    assert metrics[f"fastkafka_commit_seconds_total{group}"] == 0.5


def test_the_histogram_is_cumulative() -> None:
    fast, slow = [0] * 15, [0] * 15
    fast[0], fast[1], slow[-1] = 3, 2, 1
    function = Function("f", "g", ["t"], "key", 1, seconds=20.5, buckets=fast)
    late = Function("f", "g", ["t"], "key", 1, seconds=12.0, buckets=slow)
    metrics = scraped(
        snapshot(11, functions=[function]), snapshot(12, worker=2, functions=[late])
    )

    of = "consumergroup=g,function=f"
    assert metrics[f"fastkafka_handler_seconds_bucket{{{of},le=0.005}}"] == 3
    assert metrics[f"fastkafka_handler_seconds_bucket{{{of},le=0.01}}"] == 5
    assert metrics[f"fastkafka_handler_seconds_bucket{{{of},le=10.0}}"] == 5
    assert metrics[f"fastkafka_handler_seconds_bucket{{{of},le=+Inf}}"] == 6
    assert metrics[f"fastkafka_handler_seconds_count{{{of}}}"] == 6
    assert metrics[f"fastkafka_handler_seconds_sum{{{of}}}"] == 32.5


def test_workers_are_summed_in_counters_and_apart_in_gauges() -> None:
    run = Workers(2)
    run.heard(1, snapshot(11, handled=5))
    run.heard(2, snapshot(12, handled=7, partitions=[partition(1)]))
    metrics = scraped(*run.snapshots())

    assert metrics[f"fastkafka_records_total{{{FUNCTION},outcome=handled}}"] == 12
    assert metrics[f"fastkafka_busy{{{FUNCTION},worker=1}}"] == 2
    assert metrics[f"fastkafka_busy{{{FUNCTION},worker=2}}"] == 2
    assert metrics["fastkafka_assigned_partitions{consumergroup=shop,worker=2}"] == 1
    assert metrics["fastkafka_ready{worker=1}"] == 1


def test_a_worker_that_ended_leaves_its_counts_and_no_gauge() -> None:
    run = Workers(1)
    run.heard(1, snapshot())
    run.ended(1, "Worker 11 was killed by SIGKILL. Another one starts.")
    metrics = scraped(*run.snapshots())

    assert metrics[f"fastkafka_records_total{{{FUNCTION},outcome=handled}}"] == 5
    assert not [name for name in metrics if name.startswith("fastkafka_busy")]
    assert metrics["fastkafka_ready{worker=1}"] == 0
    assert metrics["fastkafka_live{worker=1}"] == 1
    assert metrics["fastkafka_problems{kind=ended,worker=1}"] == 1
    assert not [name for name in metrics if "worker=0" in name]


def test_a_consumer_without_a_group_has_an_empty_label_and_no_lag() -> None:
    metrics = scraped(
        snapshot(
            partitions=[Partition("orders", 0, None, in_flight=2, lag=3)],
            members=[Member(None, ["orders"], assigned=1)],
        )
    )

    place = "{consumergroup=,partition=0,topic=orders}"
    assert metrics[f"fastkafka_in_flight_records{place}"] == 2
    assert not [name for name in metrics if name.startswith("kafka_consumergroup")]


def test_problems_are_counted_by_kind() -> None:
    metrics = scraped(snapshot(problems=[problem(), problem(what="b:1")]))

    assert metrics["fastkafka_problems{kind=no_broker,worker=1}"] == 2


def test_openmetrics_is_written_for_those_who_want_it() -> None:
    accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
    text, content_type = exposition(lambda: [snapshot()], accept)

    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")


def test_registering_it_asks_nothing() -> None:
    def snapshots() -> Sequence[Snapshot]:
        raise AssertionError("it was asked")

    assert list(SnapshotCollector(snapshots).describe()) == []


def test_no_label_is_a_key_or_an_offset() -> None:
    labels = {label for figure in FIGURES for label in figure.labels}

    assert labels == {
        *("consumergroup", "topic", "partition", "function"),
        *("outcome", "error", "attempt", "worker", "kind"),
    }


def test_without_the_package_the_error_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "fastkafka.observe.prometheus")

    with pytest.raises(ConfigError) as raised:
        import_module("fastkafka.observe.prometheus")

    assert str(raised.value) == (
        "Prometheus needs `prometheus-client`, which is not installed. Install "
        'FastKafka\'s extra `metrics`: in its checkout, `pip install ".[metrics]"`.'
    )
