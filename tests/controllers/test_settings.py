"""The controllers' settings: what the resource says, and the variables that go before it."""

import pytest
from msgspec.structs import replace

from tortie.api.calico.kube_controllers import (
    AutoHostEndpoints,
    Controllers,
    HostEndpointTemplate,
    KubeControllersConfigurationSpec,
    LoadBalancerController,
    NodeController,
    Reconciler,
)
from tortie.controllers.settings import FIELDS, Settings, default_spec, merged

SPEC = KubeControllersConfigurationSpec(
    controllers=Controllers(
        node=NodeController(
            reconciler_period="1m",
            leak_grace_period="20m",
            sync_labels="Disabled",
            host_endpoint=AutoHostEndpoints(auto_create="Enabled"),
        ),
        load_balancer=LoadBalancerController(assign_ips="RequestedServicesOnly"),
    ),
    log_severity_screen="Warning",
    health_checks="Disabled",
    prometheus_metrics_port=0,
    debug_profile_port=6060,
    etcd_v3_compaction_period="1h",
)


def test_every_field_of_the_resource_counts() -> None:
    found = merged(SPEC, {}, "kubernetes")
    assert found.enabled == {"node", "loadbalancer"}
    assert found.periods == {"node": 60.0}
    assert (found.grace, found.sync_labels, found.host_endpoints) == (1200.0, False, True)
    assert found.default_host_endpoint  # Enabled where nothing is said
    assert not found.every_service
    assert (found.severity, found.health, found.metrics_port) == ("WARNING", False, 0)
    assert (found.profile_port, found.compaction) == (6060, 3600.0)
    assert found.running == SPEC
    assert found.environment == {}
    assert found.warnings == ()


def test_a_cluster_without_a_configuration_gets_calicos() -> None:
    found = merged(None, {}, "kubernetes")
    assert found.enabled == {"node", "loadbalancer"}
    beside = merged(None, {}, "etcd")
    assert beside.enabled == set(FIELDS) - {"migration"}
    assert set(beside.periods.values()) == {300.0}
    for one in (found, beside):
        assert one.grace == 900.0
        assert one.compaction == 600.0
        assert one.metrics_port == 9094
        assert one.sync_labels
        assert not one.host_endpoints
        assert one.every_service
    assert merged(default_spec("etcd"), {}, "etcd") == beside
    written = default_spec("etcd")  # people read it there, and change it
    assert (written.log_severity_screen, written.health_checks) == ("Info", "Enabled")
    assert written.etcd_v3_compaction_period == "10m"
    assert written.prometheus_metrics_port == 9094
    node = written.controllers.node
    assert node is not None
    assert (node.reconciler_period, node.leak_grace_period, node.sync_labels) == (
        *("5m", "15m"),
        "Enabled",
    )


def test_a_configuration_that_names_no_port_has_the_usual_one() -> None:
    spec = KubeControllersConfigurationSpec(controllers=Controllers())
    assert merged(spec, {}, "etcd").metrics_port == 9094


@pytest.mark.parametrize(
    ("grace", "period"),
    [("15m", 450.0), ("10s", 5.0), ("100ms", 1.0), ("0", 450.0), ("soon", 450.0)],
)
def test_a_leak_is_looked_at_twice_within_its_grace(grace: str, period: float) -> None:
    """At most once a second; and where leaks stay for ever, still for gone nodes."""
    node = NodeController(leak_grace_period=grace)
    spec = KubeControllersConfigurationSpec(controllers=Controllers(node=node))
    assert merged(spec, {}, "etcd").period == period


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("LOG_LEVEL", "debug", "severity", "DEBUG"),
        ("LOG_LEVEL", "none", "severity", ""),
        ("RECONCILER_PERIOD", "30s", "periods", {"node": 30.0}),
        ("RECONCILER_PERIOD", "0", "periods", {"node": 0.0}),
        ("COMPACTION_PERIOD", "0", "compaction", 0.0),
        ("COMPACTION_PERIOD", "5m", "compaction", 300.0),
        ("HEALTH_ENABLED", "true", "health", True),
        ("SYNC_NODE_LABELS", "true", "sync_labels", True),
        ("AUTO_HOST_ENDPOINTS", "disabled", "host_endpoints", False),
        ("ENABLED_CONTROLLERS", "node", "enabled", {"node"}),
        ("ENABLED_CONTROLLERS", "policy, profile", "enabled", {"policy", "namespace", "profile"}),
    ],
)
def test_a_variable_goes_before_the_resource(
    variable: str, text: str, field: str, value: object
) -> None:
    found = merged(SPEC, {variable: text}, "etcd")
    assert getattr(found, field) == value
    assert found.environment == {variable: text}
    assert found.warnings == ()
    assert found.running != SPEC or getattr(merged(SPEC, {}, "etcd"), field) == value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("LOG_LEVEL", "loud"),
        ("RECONCILER_PERIOD", "soon"),
        ("COMPACTION_PERIOD", "-1s"),
        ("HEALTH_ENABLED", "maybe"),
        ("SYNC_NODE_LABELS", "2"),
        ("AUTO_HOST_ENDPOINTS", "true"),
    ],
)
def test_a_variable_that_is_none_is_ignored_and_told(variable: str, text: str) -> None:
    found = merged(SPEC, {variable: text}, "etcd")
    (warning,) = found.warnings
    assert variable in warning
    assert text in warning
    assert found == without_warnings(found, merged(SPEC, {}, "etcd"))


def without_warnings(found: Settings, wanted: Settings) -> Settings:
    return replace(wanted, warnings=found.warnings)


def test_an_unknown_controller_takes_none_of_the_others_with_it() -> None:
    found = merged(SPEC, {"ENABLED_CONTROLLERS": "node,flannelmigration"}, "etcd")
    assert found.enabled == {"node"}
    assert "flannelmigration" in found.warnings[0]


def test_no_controller_runs_where_none_is_enabled() -> None:
    bare = KubeControllersConfigurationSpec(controllers=Controllers())
    assert merged(bare, {}, "etcd").enabled == frozenset()
    some = merged(bare, {"ENABLED_CONTROLLERS": "policy"}, "etcd")
    assert some.running is not None
    assert some.running.controllers == Controllers(policy=Reconciler())


def test_a_variable_changes_nothing_beside_its_own_field() -> None:
    own = AutoHostEndpoints(
        auto_create="Disabled",
        create_default_host_endpoint="Disabled",
        templates=(HostEndpointTemplate(generate_name="t", interface_pattern="eth0"),),
    )
    node = NodeController(leak_grace_period="20m", sync_labels="Disabled", host_endpoint=own)
    spec = KubeControllersConfigurationSpec(controllers=Controllers(node=node))
    environ = {"AUTO_HOST_ENDPOINTS": "enabled", "ENABLED_CONTROLLERS": "node,policy"}
    found = merged(spec, environ, "etcd")
    assert found.host_endpoints
    assert found.templates == own.templates
    assert not found.default_host_endpoint
    assert (found.grace, found.sync_labels) == (1200.0, False)
    bare = replace(spec, controllers=Controllers(node=NodeController()))
    found = merged(bare, environ, "etcd")
    assert found.host_endpoints
    assert found.default_host_endpoint
