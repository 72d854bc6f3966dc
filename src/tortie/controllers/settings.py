"""The controllers' settings: KubeControllersConfiguration "default", and variables before it. Pure.

The variables are those of Calico's kube-controllers. One that can't be read counts as absent, with
a warning. A controller runs if its part of the configuration is there, or if ENABLED_CONTROLLERS
names it, which then decides alone.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from tortie.api.calico.kube_controllers import (
    AutoHostEndpoints,
    Controllers,
    HostEndpointTemplate,
    KubeControllersConfigurationSpec,
    LoadBalancerController,
    MigrationController,
    NodeController,
    Reconciler,
)
from tortie.daemon.values import boolean
from tortie.engine.configuration.durations import duration

GRACE, METRICS, PERIOD, COMPACTION = 900.0, 9094, 300.0, 600.0  # seconds, but for the port
_SHORTEST = 1.0  # seconds between passes over leaked addresses, each of which reads everything

VARIABLES = (
    *("LOG_LEVEL", "RECONCILER_PERIOD", "ENABLED_CONTROLLERS", "COMPACTION_PERIOD"),
    *("HEALTH_ENABLED", "SYNC_NODE_LABELS", "AUTO_HOST_ENDPOINTS"),
)
"""What is read of the environment."""

FIELDS = {
    "node": "node",
    "policy": "policy",
    "namespace": "namespace",
    "profile": "namespace",  # its older name
    "serviceaccount": "service_account",
    "workloadendpoint": "workload_endpoint",
    "loadbalancer": "load_balancer",
    "migration": "migration",
}
"""Names in ENABLED_CONTROLLERS, and what is set of each in `spec.controllers`."""

_SEVERITIES = {"": "INFO", "None": "", "Panic": "FATAL"}  # else as it is said
_LEVELS = {
    word.casefold(): word
    for word in ("None", "Debug", "Info", "Warning", "Error", "Fatal", "Panic")
} | {"warn": "Warning", "trace": "Debug"}

T = TypeVar("T")


class Settings(Struct, frozen=True, kw_only=True):
    """What holds now. Times are in seconds, 0 is never. A port of 0: no such page."""

    enabled: frozenset[str] = frozenset()
    """Names as in ENABLED_CONTROLLERS."""
    periods: Mapping[str, float] = {}
    """Time between two looks at everything, by the same names."""
    grace: float = GRACE
    sync_labels: bool = True
    host_endpoints: bool = False
    default_host_endpoint: bool = True
    templates: tuple[HostEndpointTemplate, ...] = ()
    every_service: bool = True
    """Whether all Services of type LoadBalancer get an address, or those alone that ask for one."""
    severity: str = "INFO"
    health: bool = True
    metrics_port: int = METRICS
    profile_port: int = 0
    compaction: float = COMPACTION
    running: KubeControllersConfigurationSpec | None = None
    """The same as the API has it, for `status.runningConfig`."""
    environment: Mapping[str, str] = {}
    """The variables that count, for `status.environmentVars`."""
    warnings: tuple[str, ...] = ()

    @property
    def period(self) -> float:
        """Seconds between two passes over addresses: a leak is looked at twice within `grace`."""
        return max(self.grace / 2, _SHORTEST) if self.grace else GRACE / 2


def default_spec(backend: str) -> KubeControllersConfigurationSpec:
    """What a cluster without a configuration gets; Calico's, for `backend` (see `Sides`)."""
    every = Reconciler(reconciler_period="5m")
    node = NodeController(
        reconciler_period="5m",
        sync_labels="Enabled",
        leak_grace_period="15m",
        host_endpoint=AutoHostEndpoints(
            auto_create="Disabled", create_default_host_endpoint="Enabled"
        ),
    )
    found = Controllers(node=node, load_balancer=LoadBalancerController())
    if backend != "kubernetes":
        found = replace(
            found, policy=every, namespace=every, service_account=every, workload_endpoint=every
        )
    return KubeControllersConfigurationSpec(
        controllers=found,
        log_severity_screen="Info",
        etcd_v3_compaction_period="10m",
        prometheus_metrics_port=METRICS,
    )


def merged(
    spec: KubeControllersConfigurationSpec | None, environ: Mapping[str, str], backend: str
) -> Settings:
    """What `spec` says, None for a cluster without one, with what `environ` says before it."""
    variables = _Variables(environ)
    running = _with_variables(spec or default_spec(backend), variables)
    return _settings(running, variables)


class _Variables:
    """The environment: what of it was read, and what of it could not be."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.used: dict[str, str] = {}
        self.warnings: list[str] = []

    def read(self, name: str, reader: Callable[[str], T]) -> T | None:
        """The variable's value; None where it is absent, empty, or can't be read."""
        text = self._environ.get(name, "").strip()
        if not text:
            return None
        try:
            value = reader(text)
        except ValueError as problem:
            self.warnings.append(f"{name}={text!r} is ignored: {problem}")
            return None
        self.used[name] = text
        return value

    def names(self, name: str) -> frozenset[str] | None:
        """A list of controllers, without those that there are none of."""
        found = self.read(name, _names)
        for unknown in sorted((found or frozenset()) - set(FIELDS)):
            known = ", ".join(FIELDS)
            self.warnings.append(f"{name}: there is no controller {unknown!r} here, only {known}")
        return found if found is None else found & set(FIELDS)


def _with_variables(
    spec: KubeControllersConfigurationSpec, variables: _Variables
) -> KubeControllersConfigurationSpec:
    """The configuration that is in force, in the API's own terms."""
    changes: dict[str, Any] = {}
    if (level := variables.read("LOG_LEVEL", _level)) is not None:
        changes["log_severity_screen"] = level
    if (healthy := variables.read("HEALTH_ENABLED", boolean)) is not None:
        changes["health_checks"] = "Enabled" if healthy else "Disabled"
    if (compaction := variables.read("COMPACTION_PERIOD", _duration)) is not None:
        changes["etcd_v3_compaction_period"] = compaction
    return replace(spec, controllers=_controllers(spec.controllers, variables), **changes)


def _controllers(found: Controllers, variables: _Variables) -> Controllers:
    enabled = variables.names("ENABLED_CONTROLLERS")
    if enabled is not None:
        found = replace(found, **{field: _chosen(found, field, enabled) for field in _PARTS})
    if (period := variables.read("RECONCILER_PERIOD", _duration)) is not None:
        parts = {field: getattr(found, field) for field in _PARTS}
        found = replace(
            found,
            **{
                field: replace(part, reconciler_period=period)
                for field, part in parts.items()
                if isinstance(part, Reconciler)
            },
        )
    return replace(found, node=_node(found.node, variables))


_PARTS: dict[str, Callable[[], Any]] = {
    "node": NodeController,
    "policy": Reconciler,
    "namespace": Reconciler,
    "service_account": Reconciler,
    "workload_endpoint": Reconciler,
    "load_balancer": LoadBalancerController,
    "migration": MigrationController,
}


def _chosen(found: Controllers, field: str, enabled: frozenset[str]) -> Any:
    """A controller's part, made if it is enabled and has none; None if it is not."""
    if not any(FIELDS[name] == field for name in enabled):
        return None
    return getattr(found, field) or _PARTS[field]()


def _node(node: NodeController | None, variables: _Variables) -> NodeController | None:
    labels = variables.read("SYNC_NODE_LABELS", boolean)
    endpoints = variables.read("AUTO_HOST_ENDPOINTS", _switch)
    if node is None:
        return None
    if labels is not None:
        node = replace(node, sync_labels="Enabled" if labels else "Disabled")
    if endpoints is not None:
        made = replace(node.host_endpoint or AutoHostEndpoints(), auto_create=endpoints)
        node = replace(node, host_endpoint=made)
    return node


def _settings(running: KubeControllersConfigurationSpec, variables: _Variables) -> Settings:
    found, port = running.controllers, running.prometheus_metrics_port
    node = found.node or NodeController()
    made = node.host_endpoint or AutoHostEndpoints()
    enabled = {name for name, field in FIELDS.items() if getattr(found, field) is not None}
    severity = running.log_severity_screen
    return Settings(
        enabled=frozenset(enabled),
        periods={
            name: _seconds(part.reconciler_period, PERIOD)
            for name, field in FIELDS.items()
            if isinstance(part := getattr(found, field), Reconciler)
        },
        grace=_seconds(node.leak_grace_period, GRACE),
        sync_labels=node.sync_labels != "Disabled",
        host_endpoints=made.auto_create == "Enabled",
        default_host_endpoint=made.create_default_host_endpoint != "Disabled",
        templates=made.templates,
        every_service=(found.load_balancer or LoadBalancerController()).assign_ips == "AllServices",
        severity=_SEVERITIES.get(severity, severity.upper()),
        health=running.health_checks == "Enabled",
        metrics_port=METRICS if port is None else port,
        profile_port=running.debug_profile_port or 0,
        compaction=_seconds(running.etcd_v3_compaction_period, COMPACTION),
        running=running,
        environment=variables.used,
        warnings=tuple(variables.warnings),
    )


def _seconds(text: str, otherwise: float) -> float:
    """A duration that is none counts as absent: leaks wait the longer."""
    try:
        return duration(text)
    except ValueError:
        return otherwise


def _duration(text: str) -> str:
    duration(text)
    return text


def _level(text: str) -> str:
    if text.casefold() not in _LEVELS:
        raise ValueError(f"use one of {', '.join(sorted(_LEVELS))}")
    return _LEVELS[text.casefold()]


def _switch(text: str) -> str:
    words = {"enabled": "Enabled", "disabled": "Disabled"}
    if text.casefold() not in words:
        raise ValueError("use enabled or disabled")
    return words[text.casefold()]


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip().casefold() for name in text.split(",") if name.strip())
