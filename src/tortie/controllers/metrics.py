"""The controllers' numbers, under the names that dashboards for Calico's know."""

from collections.abc import Iterator

import prometheus_client as prometheus
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tortie.controllers.collector import Pass
from tortie.daemon.http import Answer


class Metrics(Collector):
    """What the last pass found, and what all of them did."""

    def __init__(self) -> None:
        self._registry = prometheus.CollectorRegistry()
        self._registry.register(self)
        self._last: Pass | None = None
        self._released = self._failed = 0

    def note(self, done: Pass) -> None:
        """A pass is over."""
        self._last = done
        self._released += len(done.released)

    def failed(self) -> None:
        """A pass ended by an error."""
        self._failed += 1

    def page(self) -> Answer:
        """In Prometheus' format."""
        return Answer(200, prometheus.generate_latest(self._registry))

    def collect(self) -> Iterator[Metric]:
        """For the registry."""
        yield CounterMetricFamily(
            "ipam_allocations_gc_reclamations", "Leaked addresses given back.", self._released
        )
        yield CounterMetricFamily("ipam_gc_failures", "Passes ended by an error.", self._failed)
        if self._last is not None:
            yield from _of(self._last)


def _of(done: Pass) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "ipam_allocations_gc_candidates", "Handles that look leaked.", done.candidates
    )
    per_node = GaugeMetricFamily("ipam_allocations_per_node", "Addresses held.", labels=["node"])
    for node, count in sorted(done.by_node.items()):
        per_node.add_metric([node], count)
    yield per_node
    blocks = GaugeMetricFamily("ipam_blocks", "Blocks.", labels=["ippool", "node"])
    for key, count in sorted(done.blocks.items()):
        blocks.add_metric(list(key), count)
    yield blocks
    size = GaugeMetricFamily("ipam_ippool_size", "Addresses of a pool.", labels=["ippool"])
    used = GaugeMetricFamily("ipam_allocations_in_use", "Held of a pool.", labels=["ippool"])
    for one in done.pools:
        size.add_metric([one.pool.name], one.pool.capacity)
        used.add_metric([one.pool.name], one.pool.in_use)
    yield size
    yield used
