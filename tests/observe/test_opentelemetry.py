"""Traces and figures as OpenTelemetry has them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import pytest
from opentelemetry import baggage
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from fastkafka import EventMetadata, FastKafka, KafkaEvent, Retry
from fastkafka.errors import ConfigError, ProduceError
from fastkafka.observe.events import Operation
from fastkafka.observe.opentelemetry import OpenTelemetry
from fastkafka.observe.snapshot import Snapshot
from fastkafka.transport.memory import MemoryBroker
from tests.snapshots import snapshot


class Made:
    """An app's double that says what a test made up."""

    def snapshot(self) -> Snapshot:
        return snapshot()


class Telemetry:
    """Keeps what is told in memory."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader])

    def of(self, app: Any, *, parent: bool = False) -> OpenTelemetry:
        return OpenTelemetry(
            app,
            tracer_provider=self.tracers,
            meter_provider=self.meters,
            parent=parent,
        )

    def spans(self, name: str) -> Sequence[ReadableSpan]:
        return [s for s in self.exporter.get_finished_spans() if s.name == name]

    def points(self, name: str) -> Sequence[Any]:
        """Return the data points of one metric."""
        data = self.reader.get_metrics_data()
        assert data is not None
        return [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


def headers_of(broker: MemoryBroker, topic: str) -> dict[str, bytes]:
    (record,) = broker.messages(topic)
    return dict(record.headers() or ())


async def test_a_message_is_followed_from_handler_to_handler() -> None:
    broker, told = MemoryBroker({"orders": 1, "invoices": 1}), Telemetry()
    app = FastKafka(title="Shop", transport=broker)
    app.observe(told.of(app))

    @app.consumes(topic="orders")
    async def on_orders(number: int) -> None:
        await to_invoices(number)

    @app.consumes(topic="invoices")
    async def on_invoices(number: int) -> None:
        pass

    @app.produces(topic="invoices")
    async def to_invoices(number: int) -> int:
        return number

    async with app:
        broker.produce("orders", b"1", key=b"c-1")
        await broker.idle()

    (first,) = told.spans("process orders")
    (sent,) = told.spans("send invoices")
    (second,) = told.spans("process invoices")
    assert first.kind is SpanKind.CONSUMER
    assert sent.kind is SpanKind.PRODUCER
    assert sent.parent is not None
    assert sent.parent.span_id == first.context.span_id
    assert second.parent is None
    assert [link.context.span_id for link in second.links] == [sent.context.span_id]
    context = f"00-{sent.context.trace_id:032x}-{sent.context.span_id:016x}-"
    assert headers_of(broker, "invoices")["traceparent"].decode().startswith(context)
    assert first.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "orders",
        "messaging.destination.partition.id": "0",
        "messaging.consumer.group.name": "shop",
        "messaging.kafka.offset": 0,
        "messaging.kafka.message.key": "c-1",
    }


async def test_a_poll_is_a_span_and_polls_and_commits_are_measured() -> None:
    broker, told = MemoryBroker({"orders": 2}), Telemetry()
    app = FastKafka(title="Shop", transport=broker)
    app.observe(told.of(app))

    @app.consumes(topic="orders")
    async def on_orders(number: int) -> None:
        pass

    for number in range(5):
        broker.produce("orders", b"%d" % number, partition=1)
    async with app:
        await broker.idle()

    of = {
        "messaging.system": "kafka",
        "messaging.destination.name": "orders",
        "messaging.consumer.group.name": "shop",
    }
    poll = {
        **of,
        "messaging.operation.name": "poll",
        "messaging.operation.type": "receive",
    }
    commit = {
        **of,
        "messaging.operation.name": "commit",
        "messaging.operation.type": "settle",
    }
    (span,) = told.spans("poll orders")
    assert span.kind is SpanKind.CLIENT
    assert span.parent is None
    assert not span.links
    assert span.attributes == {
        **poll,
        "messaging.batch.message_count": 5,
        "messaging.destination.partition.id": "1",
    }
    points = told.points("messaging.client.operation.duration")
    counts = {point.attributes["messaging.operation.name"]: point for point in points}
    assert dict(counts["poll"].attributes) == poll
    assert counts["poll"].count == 1
    assert dict(counts["commit"].attributes) == commit
    assert counts["commit"].count == 2, "the mark, and what was done at the end"


async def test_a_commit_that_was_refused_is_measured_with_its_error() -> None:
    broker, told = MemoryBroker({"orders": 1}), Telemetry()
    app = FastKafka(title="Shop", transport=broker)
    app.observe(told.of(app))

    @app.consumes(topic="orders")
    async def on_orders(number: int) -> None:
        pass

    broker.fail("commit", error="NOT_COORDINATOR")
    broker.produce("orders", b"1")
    async with app:
        await broker.idle()

    points = told.points("messaging.client.operation.duration")
    errors = {p.attributes.get("error.type") for p in points}
    assert errors == {None, "NOT_COORDINATOR"}


async def test_the_span_of_a_poll_is_as_long_as_the_poll() -> None:
    told = Telemetry()
    polled = Operation("poll", "orders", None, 0.25, records=7, ended=1000.0)
    told.of(Made()).measured(None, polled)

    (span,) = told.spans("poll orders")
    assert (span.start_time, span.end_time) == (999_750_000_000, 1_000_000_000_000)
    assert "messaging.destination.partition.id" not in (span.attributes or {})


async def test_how_long_a_record_took_to_its_acknowledgement_is_measured() -> None:
    broker, told = MemoryBroker({"invoices": 1}), Telemetry()
    app = FastKafka(title="Shop", transport=broker)
    app.observe(told.of(app))

    @app.produces(topic="invoices")
    async def to_invoices(number: int) -> int:
        return number

    async with app:
        await to_invoices(1)
        broker.fail("produce", error="MSG_SIZE_TOO_LARGE")
        with pytest.raises(ProduceError):
            await to_invoices(2)

    points = told.points("messaging.client.operation.duration")
    of = {
        "messaging.system": "kafka",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "invoices",
    }
    assert [(point.count, dict(point.attributes)) for point in points] == [
        (1, of),
        (1, {**of, "error.type": "MSG_SIZE_TOO_LARGE"}),
    ]


async def test_a_span_may_continue_the_trace_and_gets_its_baggage() -> None:
    broker, told = MemoryBroker({"orders": 1}), Telemetry()
    app = FastKafka(title="Shop", transport=broker)
    app.observe(told.of(app, parent=True))
    seen = []

    @app.consumes(topic="orders")
    async def on_orders(number: int) -> None:
        seen.append(baggage.get_baggage("customer"))

    trace_id, span_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    async with app:
        broker.produce(
            "orders",
            b"1",
            headers=[
                ("traceparent", f"00-{trace_id}-{span_id}-01".encode()),
                ("baggage", b"customer=c-1"),
            ],
        )
        await broker.idle()

    (span,) = told.spans("process orders")
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == span_id
    assert f"{span.context.trace_id:032x}" == trace_id
    assert span.links == ()
    assert seen == ["c-1"]


async def test_a_context_that_is_no_context_is_passed_over() -> None:
    broker, told = MemoryBroker({"orders": 1}), Telemetry()
    app = FastKafka(title="Shop", transport=broker)
    app.observe(told.of(app))

    @app.consumes(topic="orders")
    async def on_orders(number: int) -> None:
        pass

    async with app:
        broker.produce("orders", b"1", headers=[("traceparent", b"\xff00-nonsense")])
        await broker.idle()

    (span,) = told.spans("process orders")
    assert span.parent is None
    assert span.links == ()


async def test_headers_that_are_passed_on_get_a_context_of_their_own() -> None:
    broker, told = MemoryBroker({"orders": 1, "invoices": 1}), Telemetry()
    app = FastKafka(title="Shop", transport=broker)
    app.observe(told.of(app))

    @app.consumes(topic="orders")
    @app.produces(topic="invoices")
    async def on_orders(number: int, meta: EventMetadata) -> KafkaEvent[int]:
        return KafkaEvent(number, headers=meta.headers)

    given = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with app:
        broker.produce("orders", b"1", headers=[("traceparent", given), ("a", b"b")])
        await broker.idle()

    (sent,) = told.spans("send invoices")
    (record,) = broker.messages("invoices")
    headers = list(record.headers() or ())
    assert [name for name, _ in headers] == ["a", "traceparent"]
    assert f"{sent.context.span_id:016x}".encode() in headers[1][1]


async def test_a_failure_is_in_the_span_and_in_the_figures() -> None:
    broker, told = MemoryBroker({"orders": 1, "orders-dlt": 1}), Telemetry()
    app = FastKafka(title="Shop", transport=broker, retry=Retry(attempts=1))
    app.observe(told.of(app))

    @app.consumes(topic="orders")
    async def on_orders(number: int | None) -> None:
        if number is None:
            raise ConfigError("no number")

    async with app:
        broker.produce("orders", None, key=b"\xff")
        broker.produce("orders", b"1")
        await broker.idle()

        failed, succeeded = told.spans("process orders")
        assert failed.attributes is not None
        assert failed.status.status_code is StatusCode.ERROR
        assert failed.status.description == "no number"
        assert failed.attributes["error.type"] == "fastkafka.errors.ConfigError"
        assert failed.attributes["messaging.kafka.message.tombstone"] is True
        assert failed.attributes["messaging.kafka.message.key"] == "\\xff"
        assert [event.name for event in failed.events] == ["exception"]
        assert succeeded.status.status_code is StatusCode.UNSET

        points = told.points("messaging.process.duration")
        errors = {point.attributes.get("error.type"): point.count for point in points}
        assert errors == {"fastkafka.errors.ConfigError": 1, None: 1}
        assert points[0].explicit_bounds[0] == 0.005
        assert "messaging.kafka.offset" not in points[0].attributes
        (consumed,) = told.points("messaging.client.consumed.messages")
        assert consumed.value == 2


async def test_a_batch_is_one_span_that_links_to_all() -> None:
    broker, told = MemoryBroker({"orders": 1}), Telemetry()
    app = FastKafka(title="Shop", transport=broker)
    app.observe(told.of(app, parent=True))

    @app.consumes(topic="orders")
    async def on_orders(numbers: list[int]) -> None:
        pass

    for number in (1, 2):
        context = f"00-{number:032x}-{number:016x}-01".encode()
        broker.produce("orders", b"1", headers=[("traceparent", context)])
    async with app:
        await broker.idle()

    (span,) = told.spans("process orders")
    assert [link.context.trace_id for link in span.links] == [1, 2]
    assert span.attributes is not None
    assert span.attributes["messaging.batch.message_count"] == 2
    assert "messaging.kafka.offset" not in span.attributes


async def test_a_sync_handler_is_in_its_span() -> None:
    broker, told = MemoryBroker({"orders": 1, "invoices": 1}), Telemetry()
    app = FastKafka(title="Shop", transport=broker)
    app.observe(told.of(app))

    @app.consumes(topic="orders")
    def on_orders(number: int) -> None:
        to_invoices(number)

    @app.produces(topic="invoices")
    def to_invoices(number: int) -> int:
        return number

    async with app:
        broker.produce("orders", b"1")
        await broker.idle()

    (first,) = told.spans("process orders")
    (sent,) = told.spans("send invoices")
    assert sent.parent is not None
    assert sent.parent.span_id == first.context.span_id


def test_figures_are_those_of_prometheus_with_dots() -> None:
    told = Telemetry()
    telemetry = told.of(Made())

    (lag,) = told.points("kafka.consumer_group.lag")
    assert lag.value == 10
    assert lag.attributes == {
        "consumergroup": "shop",
        "topic": "orders",
        "partition": "0",
    }
    (busy,) = told.points("fastkafka.busy")
    assert busy.attributes == {
        "function": "shop.on_orders",
        "consumergroup": "shop",
    }
    (sent,) = told.points("messaging.client.sent.messages")
    assert sent.value == 9
    assert sent.attributes["messaging.destination.name"] == "invoices"
    assert telemetry is not None


def test_one_snapshot_serves_a_whole_collection() -> None:
    made = []

    class Counted:
        def snapshot(self) -> Snapshot:
            made.append(1)
            return snapshot()

    told = Telemetry()
    told.of(Counted())
    told.points("fastkafka.busy")

    assert len(made) == 1


def test_without_the_package_the_error_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "fastkafka.observe.opentelemetry")

    with pytest.raises(ConfigError) as raised:
        import_module("fastkafka.observe.opentelemetry")

    assert str(raised.value) == (
        "OpenTelemetry needs `opentelemetry-sdk`, which is not installed. Install "
        'FastKafka\'s extra `otel`: in its checkout, `pip install ".[otel]"`.'
    )
