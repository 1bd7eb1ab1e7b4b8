"""Shows metrics to Prometheus, with prometheus-client. Importing this module needs the extra `metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from gatepost_core.errors import ConfigurationError
from gatepost_worker.metrics.names import ANSWERS, BUCKETS_S, Type
from gatepost_worker.server_errors import log_errors, logged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client.core import Metric as Family
    from prometheus_client.registry import Collector

    from gatepost_worker.metrics.counts import Histogram, Sample, WorkerMetrics
    from gatepost_worker.metrics.names import Metric


class WorkerSource:
    """The metrics of one worker process."""

    def __init__(self, metrics: WorkerMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Family]:
        """Yield the families with at least one value."""
        yield from families(self._metrics.samples())
        yield _latencies(self._metrics.histograms())


def registry_of(source: Collector) -> CollectorRegistry:
    """Return a registry with the metrics of a source and those of this process, such as its memory."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(source)
    ProcessCollector(registry=registry)
    return registry


def text_of(source: Collector) -> str:
    """Return the metrics of a source in Prometheus's text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(source)
    return generate_latest(registry).decode()


def serve(source: Collector, *, host: str, port: int, setting: str) -> Callable[[], None]:
    """Serve a source at a port, and return the function that ends it. The threads are daemons.

    Args:
        source: the metrics.
        host: the address to listen at.
        port: the port.
        setting: the setting that an error names.

    Raises:
        ConfigurationError: the address is taken, or belongs to another machine.
    """
    try:
        server, thread = start_http_server(port, addr=host, registry=registry_of(source))
    except (OSError, OverflowError) as failure:
        raise ConfigurationError(f"{setting}: cannot listen at {host}:{port} ({failure})") from None

    log_errors(server)
    if app := server.get_app():
        server.set_app(logged(app))

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


def families(samples: Iterable[Sample]) -> list[Family]:
    """Return samples as families of prometheus-client."""
    found: dict[Metric, CounterMetricFamily | GaugeMetricFamily] = {}
    for metric, labels, value in samples:
        if metric not in found:
            make = CounterMetricFamily if metric.type is Type.COUNTER else GaugeMetricFamily
            found[metric] = make(metric.name, metric.meaning, labels=metric.labels)
        found[metric].add_metric(labels, value)
    return list(found.values())


def _latencies(histograms: Iterable[Histogram]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(ANSWERS.name, ANSWERS.meaning, labels=ANSWERS.labels)
    bounds = [*(str(bound) for bound in BUCKETS_S), "+Inf"]
    for labels, in_buckets, total in histograms:
        below, buckets = 0, []
        for bound, number in zip(bounds, in_buckets, strict=True):
            below += number
            buckets.append((bound, float(below)))
        family.add_metric(labels, buckets, sum_value=total)
    return family
