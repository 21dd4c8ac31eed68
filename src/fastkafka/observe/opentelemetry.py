"""OpenTelemetry: traces with context in headers, and metrics from snapshots.

Needs the extra `otel`. Names are those of the semantic
conventions for messaging, and where they have none, those of Prometheus with dots.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from fastkafka.errors import needs_extra
from fastkafka.messages import Record
from fastkafka.observe.events import Delivered, Event, Operation
from fastkafka.observe.figures import FIGURES, Figure
from fastkafka.observe.snapshot import BUCKETS, Snapshot

try:
    from opentelemetry import context as contexts
    from opentelemetry import metrics, propagate, trace
    from opentelemetry.context import Context
    from opentelemetry.metrics import CallbackOptions, Observation
    from opentelemetry.propagators.textmap import Getter, Setter
    from opentelemetry.trace import Link, SpanKind, Status, StatusCode
except ImportError as missing:
    raise needs_extra("OpenTelemetry", "opentelemetry-sdk", "otel") from missing

SCOPE = "fastkafka"

FRESH = 0.5
"""Seconds for which a snapshot serves all instruments of a collection."""

RawHeaders = Sequence[tuple[str, bytes]]
Attributes = dict[str, str | int | bool]


class HasSnapshot(Protocol):
    """Makes snapshots: an app is one."""

    def snapshot(self) -> Snapshot:
        """Return what it looks like now."""


class OpenTelemetry:
    """Traces an app and lets meters read its figures.

    To use it: `app.observe(OpenTelemetry(app))`, before the app starts.

    A call of a handler is a span ``process <topic>``, a record that is produced a span
    ``send <topic>``, whose context travels in the record's headers. To have only one of
    traces and metrics, give OpenTelemetry's `NoOp...Provider` for the other.

    Args:
        app: Whose figures are read, each time a meter collects.
        tracer_provider: Default: the global one.
        meter_provider: Default: the global one.
        parent: A span that processes one record continues the trace in its headers.
            Default: it begins a trace of its own and links to that one, as the
            conventions want it, so that a trace does not grow without end. A batch
            always links.
    """

    def __init__(
        self,
        app: HasSnapshot,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        parent: bool = False,
    ) -> None:
        self._parent = parent
        self._tracer = trace.get_tracer(SCOPE, tracer_provider=tracer_provider)
        meter = metrics.get_meter(SCOPE, meter_provider=meter_provider)
        self._seconds = meter.create_histogram(
            "messaging.process.duration",
            "s",
            "Duration of processing operation.",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )
        self._operations = meter.create_histogram(
            "messaging.client.operation.duration",
            "s",
            "Duration of messaging operation initiated by a producer or consumer "
            "client.",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )
        _Figures(app.snapshot).register(meter)

    def on_event(self, event: Event) -> None:
        """Do nothing: spans and figures say the same."""

    @contextmanager
    def processing(
        self, function: str, group: str | None, records: Sequence[Record]
    ) -> Iterator[None]:
        """Make the span of one call of a handler; see `Tracer`."""
        first = records[0]
        of = {"messaging.destination.name": first.topic()}
        if group is not None:
            of["messaging.consumer.group.name"] = group
        created = [_context_of(record) for record in records]
        links = [] if self._parent and len(records) == 1 else list(_links(created))
        if len(records) > 1:
            context = Context()
        elif links:  # with what else the producer sent along, but not in its trace
            context = trace.set_span_in_context(trace.INVALID_SPAN, created[0])
        else:
            context = created[0]
        with (
            _current(context),
            self._tracer.start_as_current_span(
                f"process {first.topic()}",
                kind=SpanKind.CONSUMER,
                attributes={**_common("process"), **of, **_about(records)},
                links=links,
                set_status_on_exception=False,
            ) as span,
        ):
            started = time.perf_counter()
            error: Attributes = {}
            try:
                yield
            except BaseException as raised:
                error = {"error.type": _name(raised)}
                span.set_attributes(error)
                span.set_status(Status(StatusCode.ERROR, str(raised)))
                raise
            finally:
                self._seconds.record(
                    time.perf_counter() - started,
                    {**_common("process"), **of, **error},
                )

    def sending(
        self, topic: str, headers: RawHeaders | None
    ) -> list[tuple[str, bytes]]:
        """Make the span of a record, and return its headers with that as its context.

        A context that is in them already is replaced: whoever passes on the headers of
        what he received would else let two records have one origin. The chain is
        not broken, as the span belongs to the one that is current.
        """
        with self._tracer.start_as_current_span(
            f"send {topic}",
            kind=SpanKind.PRODUCER,
            attributes={**_common("send"), "messaging.destination.name": topic},
        ):
            carrier = list(headers or ())
            propagate.inject(carrier, setter=_SETTER)
            return carrier

    def delivering(self, topic: str, delivered: Delivered) -> Delivered:
        """Measure how long a record takes to its acknowledgement; see `Tracer`."""
        began = time.perf_counter()

        def outcome(error: Any, record: Any) -> None:
            of: Attributes = {"messaging.destination.name": topic}
            if error is not None:
                of["error.type"] = error.name()
            self._operations.record(
                time.perf_counter() - began, {**_common("send"), **of}
            )
            delivered(error, record)

        return outcome

    def measured(self, group: str | None, operation: Operation) -> None:
        """Measure a poll or a commit, and make the span of a poll; see `Tracer`.

        A poll's span has no links: one for each record would cost as much as the
        spans that process them, which have them.
        """
        of = _common(operation.name)
        if operation.topic is not None:
            of["messaging.destination.name"] = operation.topic
        if group is not None:
            of["messaging.consumer.group.name"] = group
        if operation.error is not None:
            of["error.type"] = operation.error
        self._operations.record(operation.seconds, of)
        if operation.name != "poll":
            return
        about = {**of, "messaging.batch.message_count": operation.records}
        if operation.partition is not None:
            about["messaging.destination.partition.id"] = str(operation.partition)
        ended = int(operation.ended * 1e9)
        self._tracer.start_span(
            f"poll {operation.topic}",
            Context(),
            kind=SpanKind.CLIENT,
            attributes=about,
            start_time=ended - int(operation.seconds * 1e9),
        ).end(ended)


class _Headers(Getter[RawHeaders], Setter[list[tuple[str, bytes]]]):
    """Reads and writes a context in a record's headers."""

    def get(self, carrier: RawHeaders, key: str) -> list[str] | None:
        """Return the last value, which is Kafka's way with a name that is repeated."""
        values = [value for name, value in carrier if name.lower() == key]
        if not values or values[-1] is None:
            return None
        return [values[-1].decode(errors="replace")]

    def keys(self, carrier: RawHeaders) -> list[str]:
        """Return the names."""
        return [name for name, _ in carrier]

    def set(self, carrier: list[tuple[str, bytes]], key: str, value: str) -> None:
        """Write a value in the place of those that are there."""
        carrier[:] = [pair for pair in carrier if pair[0].lower() != key]
        carrier.append((key, value.encode()))


_GETTER = _SETTER = _Headers()


@contextmanager
def _current(context: Context) -> Iterator[None]:
    """Let *context* be the current one, instead of the lane's or the background's."""
    token = contexts.attach(context)
    try:
        yield
    finally:
        contexts.detach(token)


def _context_of(record: Record) -> Context:
    """Return the context in which a record was created."""
    headers = record.headers()
    if not headers:
        return Context()
    return propagate.extract(headers, context=Context(), getter=_GETTER)


def _links(created: Iterable[Context]) -> Iterator[Link]:
    for context in created:
        span_context = trace.get_current_span(context).get_span_context()
        if span_context.is_valid:
            yield Link(span_context)


_TYPES = {"poll": "receive", "commit": "settle"}
"""What the conventions call operations that Kafka's clients name otherwise."""


def _common(operation: str) -> Attributes:
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": _TYPES.get(operation, operation),
    }


def _about(records: Sequence[Record]) -> Attributes:
    """Return what a span says of the records; metrics do not say it."""
    first = records[0]
    about: Attributes = {"messaging.destination.partition.id": str(first.partition())}
    if len(records) > 1:
        return {**about, "messaging.batch.message_count": len(records)}
    about["messaging.kafka.offset"] = first.offset()
    if (key := first.key()) is not None:
        about["messaging.kafka.message.key"] = key.decode(errors="backslashreplace")
    if first.value() is None:
        about["messaging.kafka.message.tombstone"] = True
    return about


def _name(error: BaseException) -> str:
    kind = type(error)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


Read = Callable[[CallbackOptions], Iterable[Observation]]


class _Figures:
    """An app's figures as instruments that are read when somebody collects."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._make = snapshot
        self._made = (-FRESH, Snapshot(0.0, 0))

    def _snapshot(self) -> Snapshot:
        """Return one for all instruments, which are read one after another."""
        now = time.monotonic()
        if now - self._made[0] >= FRESH:
            self._made = (now, self._make())
        return self._made[1]

    def register(self, meter: metrics.Meter) -> None:
        """Make an instrument of each figure, and of the conventions' counters."""
        for figure in FIGURES:
            name = _dotted(figure.name)
            read = self._reading(figure)
            if figure.kind == "counter":
                meter.create_observable_counter(name, [read], "", figure.help)
            else:
                meter.create_observable_gauge(name, [read], "", figure.help)
        meter.create_observable_counter(
            "messaging.client.consumed.messages",
            [self._consumed],
            "{message}",
            "Number of messages that were delivered to the application.",
        )
        meter.create_observable_counter(
            "messaging.client.sent.messages",
            [self._sent],
            "{message}",
            "Number of messages producer attempted to send to the broker.",
        )

    def _reading(self, figure: Figure) -> Read:
        labels = [label for label in figure.labels if label != "worker"]

        def read(_: CallbackOptions) -> Iterable[Observation]:
            # Each worker reports for itself, so its number says nothing here.
            for values, value in figure.read(self._snapshot()):
                yield Observation(value, dict(zip(labels, values, strict=False)))

        return read

    def _consumed(self, _: CallbackOptions) -> Iterable[Observation]:
        sums: dict[tuple[str | None, str | None], int] = {}
        for f in self._snapshot().functions:
            # Of several topics it is not known which one a record was from.
            of = (f.group, f.topics[0] if len(f.topics) == 1 else None)
            done = f.handled + f.skipped + sum(f.parked.values())
            sums[of] = sums.get(of, 0) + done
        for (group, topic), done in sums.items():
            attributes = _common("process")
            if group is not None:
                attributes["messaging.consumer.group.name"] = group
            if topic is not None:
                attributes["messaging.destination.name"] = topic
            yield Observation(done, attributes)

    def _sent(self, _: CallbackOptions) -> Iterable[Observation]:
        sums: dict[str, int] = {}
        for producing in self._snapshot().producing:
            sums[producing.topic] = sums.get(producing.topic, 0) + producing.sent
        for topic, sent in sums.items():
            of = {"messaging.destination.name": topic}
            yield Observation(sent, {**_common("send"), **of})


def _dotted(name: str) -> str:
    """Write a figure's name as OpenTelemetry's dashboards have it."""
    names = {
        "kafka_consumergroup_lag": "kafka.consumer_group.lag",
        "kafka_consumergroup_group_lag_seconds": "kafka.consumer_group.lag_seconds",
    }
    return names.get(name) or name.replace("_", ".", 1)
