"""The server's numbers under the names that dashboards for Typha know."""

from collections.abc import Callable, Iterator

import prometheus_client as prometheus
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tortie.daemon.http import Answer
from tortie.daemon.log import dropped_lines, error_lines
from tortie.fanout.server import FanoutServer
from tortie.fanout.tally import Sum, Tally
from tortie.fanout.upstream import Upstream

_Value = Callable[[Upstream, Tally], float]
# Names end as Typha's do, so what only rises is a gauge here where the library would add "_total".
_GAUGES: dict[str, tuple[str, _Value]] = {
    "typha_cache_size": ("Objects in the picture.", lambda up, _: len(up.picture)),
    "typha_breadcrumb_seq_number": ("The newest crumb.", lambda up, _: up.trail.head.number),
    "typha_breadcrumb_block": (
        "Times that a client had all crumbs.",
        lambda _, tally: tally.crumbs_blocked,
    ),
    "typha_breadcrumb_non_block": (
        "Times that the next crumb was there already.",
        lambda _, tally: tally.crumbs_not_blocked,
    ),
    "typha_connections_grace_used": (
        "Clients that were let off as new ones.",
        lambda _, tally: tally.grace_used,
    ),
    "typha_snapshot_raw_bytes": ("Of the last snapshot.", lambda _, tally: tally.snapshot_raw),
    "typha_snapshot_compressed_bytes": (
        "Of the last snapshot.",
        lambda _, tally: tally.snapshot_packed,
    ),
    "typha_snapshots_generated": ("Snapshots made.", lambda _, t: t.snapshots_generated),
    "typha_snapshots_reused": (
        "Clients that got a snapshot made for another.",
        lambda _, tally: tally.snapshots_reused,
    ),
    "typha_updates_skipped": ("Updates without a change.", lambda up, _: up.picture.skipped),
}
_SUMMARIES: dict[str, tuple[str, Callable[[Tally], Sum]]] = {
    "typha_breadcrumb_size": ("Objects in a crumb.", lambda t: t.records_per_crumb),
    "typha_kvs_per_msg": ("Objects in a message.", lambda t: t.records_per_crumb),
    "typha_client_latency_secs": (
        "From the making of a crumb until it is sent to a client.",
        lambda t: t.client_latency,
    ),
    "typha_client_snapshot_send_secs": (
        "Time to send a snapshot to a client.",
        lambda t: t.snapshot_send,
    ),
    "typha_client_write_latency_secs": (
        "Time to send a crumb to a client.",
        lambda t: t.write_latency,
    ),
    "typha_next_breadcrumb_latency_secs": (
        "Age of a crumb when a client takes it up.",
        lambda t: t.crumb_latency,
    ),
    "typha_ping_latency": ("From a ping to its answer.", lambda t: t.ping),
}


class Metrics:
    """A registry of the server's own; nothing of the process-wide one."""

    def __init__(self, server: FanoutServer, *, process_metrics: bool = True) -> None:
        self.registry = prometheus.CollectorRegistry()
        self.registry.register(_Numbers(server))
        if process_metrics:
            prometheus.ProcessCollector(registry=self.registry)

    def page(self) -> Answer:
        """The page /metrics."""
        body = prometheus.generate_latest(self.registry)
        return Answer(200, body, prometheus.CONTENT_TYPE_LATEST)


class _Numbers(Collector):
    """Reads the tallies when somebody asks, so that counting costs an addition only."""

    def __init__(self, server: FanoutServer) -> None:
        self._server = server

    def collect(self) -> Iterator[Metric]:
        """What there is now."""
        server = self._server
        yield _gauge("typha_connections_accepted", "Clients welcomed.", server.accepted)
        yield _gauge("typha_connections_active", "Open connections.", server.active)
        yield _gauge("typha_connections_dropped", "Clients that are gone.", server.dropped)
        yield _gauge("typha_log_errors", "Errors in the log.", error_lines())
        yield _gauge("typha_logs_dropped", "Lines that could not be written.", dropped_lines())
        yield from self._of_streams()

    def _of_streams(self) -> Iterator[Metric]:
        server = self._server
        streams = [(name, up, server.tallies[name]) for name, up in server.upstreams.items()]
        streaming = GaugeMetricFamily(
            "typha_connections_streaming", "Clients of a stream.", labels=["syncer"]
        )
        for name, count in server.streaming.items():
            streaming.add_metric([name], count)
        yield streaming
        updates = CounterMetricFamily("typha_updates", "Updates received.", labels=["syncer"])
        for name, upstream, _ in streams:
            updates.add_metric([name], upstream.picture.updates)
        yield updates
        for metric, (text, value) in _GAUGES.items():
            gauge = GaugeMetricFamily(metric, text, labels=["syncer"])
            for name, upstream, tally in streams:
                gauge.add_metric([name], value(upstream, tally))
            yield gauge
        for metric, (text, total) in _SUMMARIES.items():
            summary = SummaryMetricFamily(metric, text, labels=["syncer"])
            for name, _, tally in streams:
                summary.add_metric([name], total(tally).count, total(tally).total)
            yield summary


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)
