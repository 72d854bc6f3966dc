"""Prometheus metrics under the names that Calico's dashboards know."""

from collections.abc import Iterable

import prometheus_client as prometheus

from tortie.agent.census import Counts
from tortie.agent.pipeline import Turn
from tortie.agent.repairs import Contest
from tortie.daemon.http import Answer
from tortie.daemon.log import dropped_lines, error_lines

NOT_STARTED, WAITING, RESYNCING, IN_SYNC = 0, 1, 2, 3  # felix_resync_state

_GAUGES = {
    "felix_active_local_endpoints": ("local_endpoints", "Endpoints on this node."),
    "felix_active_local_policies": ("local_policies", "Policies in use on this node."),
    "felix_cluster_num_hosts": ("hosts", "Nodes in the cluster."),
    "felix_cluster_num_workload_endpoints": (
        "workload_endpoints",
        "Workload endpoints in the cluster.",
    ),
    "felix_cluster_num_host_endpoints": ("host_endpoints", "Host endpoints in the cluster."),
    "felix_cluster_num_policies": ("policies", "Policies in the cluster."),
    "felix_cluster_num_profiles": ("profiles", "Profiles in the cluster."),
    "felix_cluster_num_tiers": ("tiers", "Tiers in the cluster."),
}


class Metrics:
    """The agent's own registry; nothing of the process-wide one."""

    def __init__(self, *, process_metrics: bool = True, runtime_metrics: bool = False) -> None:
        self.registry = prometheus.CollectorRegistry()
        if runtime_metrics:
            prometheus.PlatformCollector(registry=self.registry)
            prometheus.GCCollector(registry=self.registry)
        if process_metrics:
            prometheus.ProcessCollector(registry=self.registry)
        self._gauges = {field: self._gauge(name, text) for name, (field, text) in _GAUGES.items()}
        self._calculation = self._summary(
            "felix_calc_graph_update_time_seconds", "Time to calculate each batch of updates."
        )
        self._apply = self._summary(
            "felix_int_dataplane_apply_time_seconds", "Time to write each change to the kernel."
        )
        self._failures = self._counter(
            "felix_int_dataplane_failures", "Writes to the kernel that failed and will be retried."
        )
        self._warnings = self._counter(
            "tortie_calc_graph_warnings", "Resources that could not be used as written."
        )
        self._updates = self._counter(
            "felix_calc_graph_updates_processed", "Updates from the datastore."
        )
        self._state = self._gauge("felix_resync_state", "0 start, 1 wait, 2 resync, 3 in sync.")
        self._resyncs = self._counter("felix_resyncs_started", "Resyncs with the datastore begun.")
        self._stale = self._gauge(
            "tortie_datastore_stale_seconds", "How long the datastore has not been followed."
        )
        self._updated = self._gauge(
            "tortie_datastore_last_update_timestamp_seconds", "When the datastore last told news."
        )
        self._gauge("felix_logs_dropped", "Log lines that could not be written.").set_function(
            dropped_lines
        )
        self._gauge("felix_log_errors", "Errors that were logged.").set_function(error_lines)
        self._settings_problems = self._gauge(
            "tortie_settings_problems", "Settings that are not in force as they are written."
        )
        self._reached = NOT_STARTED
        self._changes = self._by_driver(
            "tortie_dataplane_foreign_changes", "Changes by others to what is this driver's."
        )
        self._repairs = self._by_driver(
            "tortie_dataplane_repairs", "Times that such a change left something to put right."
        )
        self._contested = self._by_driver(
            "tortie_dataplane_contested", "1: others keep changing what is this driver's."
        )

    def settings_problems(self, count: int) -> None:
        """So many settings are not in force as they are written."""
        self._settings_problems.set(count)

    def resync_state(self, state: int) -> None:
        """How far the agent is in step with the datastore."""
        if state == RESYNCING or (state, self._reached) == (IN_SYNC, WAITING):
            self._resyncs.inc()
        self._reached = state
        self._state.set(state)

    def stale(self, seconds: float) -> None:
        """The datastore has not been followed for so long; 0: it is."""
        self._stale.set(seconds)

    def updated(self) -> None:
        """The datastore told news, if only that there are none."""
        self._updated.set_to_current_time()

    def updates_seen(self, count: int) -> None:
        """Updates came from the datastore."""
        self._updates.inc(count)

    def turned(self, turn: Turn, new_failures: int) -> None:
        """Take in what a turn did; `new_failures` of its failures were not there before."""
        self._set(turn.counts)
        if turn.calculated_in is not None:
            self._calculation.observe(turn.calculated_in)
        if turn.applied_in is not None:
            self._apply.observe(turn.applied_in)
        self._failures.inc(new_failures)

    def contested(self, contests: Iterable[Contest]) -> None:
        """Take in what others have changed so far."""
        for one in contests:
            self._changes.labels(one.driver).set(one.changes)
            self._repairs.labels(one.driver).set(one.repairs)
            self._contested.labels(one.driver).set(one.contested)

    def warned(self) -> None:
        """A resource could not be used as it is."""
        self._warnings.inc()

    def page(self) -> Answer:
        """The page /metrics."""
        body = prometheus.generate_latest(self.registry)
        return Answer(200, body, prometheus.CONTENT_TYPE_LATEST)

    def _set(self, counts: Counts) -> None:
        for field, gauge in self._gauges.items():
            gauge.set(getattr(counts, field))

    def _gauge(self, name: str, text: str) -> prometheus.Gauge:
        return prometheus.Gauge(name, text, registry=self.registry)

    def _by_driver(self, name: str, text: str) -> prometheus.Gauge:
        return prometheus.Gauge(name, text, ["driver"], registry=self.registry)

    def _counter(self, name: str, text: str) -> prometheus.Gauge:
        # The library's Counter would put "_total" behind names that dashboards know without it.
        return self._gauge(name, text)

    def _summary(self, name: str, text: str) -> prometheus.Summary:
        return prometheus.Summary(name, text, registry=self.registry)
