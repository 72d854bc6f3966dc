"""The agent's page of numbers: each under the name that dashboards know, and with its own value."""

import time

import pytest

from tortie.agent.census import Counts
from tortie.agent.metrics import IN_SYNC, RESYNCING, WAITING, Metrics
from tortie.agent.pipeline import Turn
from tortie.agent.repairs import Contest
from tortie.daemon import log


def numbers(metrics: Metrics) -> dict[str, float]:
    """The page, each number with its labels; without when a summary began."""
    lines = metrics.page().body.decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs if not name.endswith("_created")}


def test_every_number_has_the_name_that_dashboards_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_errors", 40)
    monkeypatch.setattr(log, "_dropped", 41)
    metrics = Metrics(process_metrics=False)
    counts = Counts(
        local_endpoints=1,
        local_policies=2,
        hosts=3,
        workload_endpoints=4,
        host_endpoints=5,
        policies=6,
        profiles=7,
        tiers=8,
    )
    metrics.turned(Turn(counts=counts, calculated_in=0.25, applied_in=0.5), 2)
    metrics.turned(Turn(counts=counts, calculated_in=0.25), 1)
    metrics.updates_seen(30)
    metrics.updates_seen(3)
    metrics.warned()
    metrics.stale(12.5)
    metrics.settings_problems(9)
    metrics.resync_state(RESYNCING)
    metrics.contested([Contest(driver="nftables", changes=11, repairs=10, contested=True)])
    moment = time.time()
    metrics.updated()
    found = numbers(metrics)
    told = found.pop("tortie_datastore_last_update_timestamp_seconds")
    assert moment <= told <= time.time()
    assert found == {
        "felix_active_local_endpoints": 1,
        "felix_active_local_policies": 2,
        "felix_cluster_num_hosts": 3,
        "felix_cluster_num_workload_endpoints": 4,
        "felix_cluster_num_host_endpoints": 5,
        "felix_cluster_num_policies": 6,
        "felix_cluster_num_profiles": 7,
        "felix_cluster_num_tiers": 8,
        "felix_calc_graph_update_time_seconds_count": 2,
        "felix_calc_graph_update_time_seconds_sum": 0.5,
        "felix_calc_graph_updates_processed": 33,
        "felix_int_dataplane_apply_time_seconds_count": 1,
        "felix_int_dataplane_apply_time_seconds_sum": 0.5,
        "felix_int_dataplane_failures": 3,
        "felix_log_errors": 40,
        "felix_logs_dropped": 41,
        "felix_resync_state": RESYNCING,
        "felix_resyncs_started": 1,
        "tortie_calc_graph_warnings": 1,
        "tortie_datastore_stale_seconds": 12.5,
        "tortie_settings_problems": 9,
        'tortie_dataplane_foreign_changes{driver="nftables"}': 11,
        'tortie_dataplane_repairs{driver="nftables"}': 10,
        'tortie_dataplane_contested{driver="nftables"}': 1,
    }


def test_following_again_after_an_outage_is_a_resync_and_going_on_is_none() -> None:
    metrics = Metrics(process_metrics=False)
    for state, started in (
        *((WAITING, 0), (RESYNCING, 1), (IN_SYNC, 1), (IN_SYNC, 1)),
        *((WAITING, 1), (IN_SYNC, 2), (IN_SYNC, 2)),
    ):
        metrics.resync_state(state)
        found = numbers(metrics)
        assert found["felix_resync_state"] == state
        assert found["felix_resyncs_started"] == started


def test_numbers_of_process_and_interpreter_are_there_where_they_are_wanted() -> None:
    plain, process = Metrics(process_metrics=False), Metrics(process_metrics=True)
    runtime = Metrics(process_metrics=False, runtime_metrics=True)
    assert "process_resident_memory_bytes" in numbers(process)
    assert any(name.startswith("python_gc_") for name in numbers(runtime))
    assert not any(name.startswith(("process_", "python_")) for name in numbers(plain))
