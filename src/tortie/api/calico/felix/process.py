"""How the agent runs: logs, health, metrics, features, reports of use, debugging."""

from typing import Annotated, Literal

from msgspec import Meta, field

from tortie.api.fields import (
    Duration,
    Fields,
    LogSeverity,
    Unset,
    matching,
)

_RateLimit = Annotated[str, matching(r"^[1-9]\d{0,3}/(?:second|minute|hour|day)$")]

_ClientAuth = Literal[
    "RequireAndVerifyClientCert", "RequireAnyClientCert", "VerifyClientCertIfGiven", "NoClientCert"
]

_Switches = Annotated[
    str, matching(r"^([a-zA-Z0-9-_]+=(true|false|),)*([a-zA-Z0-9-_]+=(true|false|))?$")
]

_Pairs = Annotated[str, matching(r"^([a-zA-Z0-9-_]+=([^=]+),)*([a-zA-Z0-9-_]+=([^=]+))?$")]


class HealthTimeoutOverride(Fields, frozen=True, kw_only=True):
    """Another limit for one part's silence, before the agent is held to be ill."""

    name: str
    """The part."""
    timeout: str
    """The limit, as a duration."""


class FelixProcess(Fields, frozen=True, kw_only=True):
    """How the agent runs: logs, health, metrics, features, reports of use, debugging."""

    log_action_rate_limit: _RateLimit = ""
    log_action_rate_limit_burst: Annotated[int, Meta(ge=0, le=9999)] | None = None
    """0 or more. Absent: 5."""
    log_debug_filename_regex: str = ""
    """Regular expression."""
    log_file_path: str = ""
    """Path to file. Absent: /var/log/calico/felix.log."""
    log_prefix: Annotated[str, matching(r"^([a-zA-Z0-9%: /_-])*$")] = ""
    """Absent: calico-packet."""
    log_severity_file: LogSeverity = ""
    """Absent: Info."""
    log_severity_screen: LogSeverity = ""
    """Absent: Info."""
    log_severity_sys: LogSeverity = ""
    """Absent: Info."""
    health_enabled: bool | None = None
    """Absent: false."""
    health_host: str = ""
    """Absent: localhost."""
    health_port: int | None = None
    """0 to 65535. Absent: 9099."""
    health_timeout_overrides: tuple[HealthTimeoutOverride, ...] = ()
    prometheus_go_metrics_enabled: bool | None = None
    """Absent: true."""
    prometheus_metrics_ca_file: str = field(default="", name="prometheusMetricsCAFile")
    prometheus_metrics_cert_file: str = ""
    prometheus_metrics_client_auth: _ClientAuth | Unset = ""
    """Absent: NoClientCert."""
    prometheus_metrics_enabled: bool | None = None
    """Absent: false."""
    prometheus_metrics_host: str = ""
    prometheus_metrics_key_file: str = ""
    prometheus_metrics_port: int | None = None
    """0 to 65535. Absent: 9091."""
    prometheus_process_metrics_enabled: bool | None = None
    """Absent: true."""
    prometheus_wireguard_metrics_enabled: bool | None = field(
        default=None, name="prometheusWireGuardMetricsEnabled"
    )
    """Absent: true."""
    feature_detect_override: _Switches = ""
    """Comma-delimited list of key=value pairs."""
    feature_gates: _Pairs = ""
    """Comma-delimited list of key=value pairs."""
    go_gc_threshold: int | None = field(default=None, name="goGCThreshold")
    """-1 or more. Absent: 40."""
    go_max_procs: int | None = None
    """-1 or more. Absent: -1."""
    go_memory_limit_mb: int | None = field(default=None, name="goMemoryLimitMB")
    """-1 or more. Absent: -1."""
    usage_reporting_enabled: bool | None = None
    """Absent: true."""
    usage_reporting_initial_delay: Duration = ""
    """A duration, as in 1m30s. Absent: 5m0s."""
    usage_reporting_interval: Duration = ""
    """A duration, as in 1m30s. Absent: 24h0m0s."""
    debug_disable_log_dropping: bool | None = None
    debug_host: str = ""
    debug_memory_profile_path: str = ""
    debug_port: int | None = None
    debug_simulate_calc_graph_hang_after: Duration = ""
    debug_simulate_dataplane_apply_delay: Duration = ""
    debug_simulate_dataplane_hang_after: Duration = ""
