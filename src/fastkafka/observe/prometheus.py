"""Prometheus: snapshots in its format, read when it scrapes. Nothing is per record.

Needs the extra `metrics`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from fastkafka.errors import needs_extra
from fastkafka.observe.figures import NO_GROUP, read_all
from fastkafka.observe.merging import merged
from fastkafka.observe.snapshot import BUCKETS, Snapshot

try:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.registry import Collector
except ImportError as missing:
    raise needs_extra("Prometheus", "prometheus-client", "metrics") from missing

HANDLER_SECONDS = "fastkafka_handler_seconds"

_FAMILIES = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}
_BOUNDS = [*map(str, BUCKETS), "+Inf"]


class SnapshotCollector(Collector):
    """Makes metrics of snapshots, each time it is asked.

    `/metrics` uses one. To have an app's metrics in a registry of your own::

        prometheus_client.REGISTRY.register(
            SnapshotCollector(lambda: [app.snapshot()])
        )

    Args:
        snapshots: Returns what each worker says; see `Source.snapshots`.
    """

    def __init__(self, snapshots: Callable[[], Sequence[Snapshot]]) -> None:
        self._snapshots = snapshots

    def describe(self) -> Iterator[Metric]:
        """Yield nothing: so registering it does not collect."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics as they are now."""
        snapshots = self._snapshots()
        for figure, samples in read_all(snapshots):
            metric = _FAMILIES[figure.kind](
                figure.name, figure.help, labels=figure.labels
            )
            for labels, value in samples:
                metric.add_metric(labels, value)
            yield metric
        yield _handler_seconds(merged(snapshots))


def _handler_seconds(together: Snapshot) -> Metric:
    metric = HistogramMetricFamily(
        HANDLER_SECONDS,
        "Seconds that handlers took for a record.",
        labels=("function", "consumergroup"),
    )
    for function in together.functions:
        metric.add_metric(
            (function.name, function.group or NO_GROUP),
            buckets=list(zip(_BOUNDS, accumulate(function.buckets), strict=True)),
            sum_value=function.seconds,
        )
    return metric


def exposition(
    snapshots: Callable[[], Sequence[Snapshot]], accept: str
) -> tuple[bytes, str]:
    """Write all metrics as a scrape wants them.

    Args:
        snapshots: Returns what each worker says.
        accept: The request's header: Prometheus' text format, or OpenMetrics.

    Returns:
        The text, and its content type.
    """
    registry = CollectorRegistry()
    registry.register(SnapshotCollector(snapshots))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type
