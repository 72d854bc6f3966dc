"""The controllers' settings: KubeControllersConfiguration "default", read anew before each pass."""

from msgspec import Struct

from tortie.api import Key
from tortie.api.calico.kube_controllers import (
    KubeControllersConfiguration,
    KubeControllersConfigurationSpec,
)
from tortie.datastore import Datastore, NotFound
from tortie.engine.configuration.durations import duration

_KEY = Key("KubeControllersConfiguration", "", "default")
_GRACE, _METRICS = 900.0, 9094
_SHORTEST = 0.05  # seconds between passes
_SEVERITIES = {"": "INFO", "None": "", "Panic": "FATAL"}  # else as it is said


class Settings(Struct, frozen=True, kw_only=True):
    """`grace` is in seconds. A port of 0: no such page."""

    grace: float = _GRACE
    severity: str = "INFO"
    health: bool = True
    metrics_port: int = _METRICS

    @property
    def period(self) -> float:
        """Seconds between two passes: each leak is looked at twice within its grace period."""
        return max(self.grace / 2, _SHORTEST)


async def read_settings(store: Datastore) -> Settings:
    """As the datastore says; without that, the defaults. Raises DatastoreError."""
    try:
        found = await store.get(_KEY)
    except NotFound:
        return Settings()
    return (
        settings_of(found.spec) if isinstance(found, KubeControllersConfiguration) else Settings()
    )


def settings_of(spec: KubeControllersConfigurationSpec) -> Settings:
    """From the resource. A duration that is none counts as absent: leaks wait the longer."""
    node, port = spec.controllers.node, spec.prometheus_metrics_port
    return Settings(
        grace=_seconds(node.leak_grace_period if node else ""),
        severity=_SEVERITIES.get(spec.log_severity_screen, spec.log_severity_screen.upper()),
        health=spec.health_checks == "Enabled",
        metrics_port=_METRICS if port is None else port,
    )


def _seconds(text: str) -> float:
    try:
        return duration(text)
    except ValueError:
        return _GRACE
