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
    """The limit, a duration; 0: none."""


class FelixProcess(Fields, frozen=True, kw_only=True):
    """How the agent runs: logs, health, metrics, features, reports of use, debugging."""

    log_action_rate_limit: _RateLimit = ""
    """The most packets that Log rules log, as number/unit: "10/second", "5/minute". Absent: no
    limit."""
    log_action_rate_limit_burst: Annotated[int, Meta(ge=0, le=9999)] | None = None
    """Packets that Log rules may log at once before `log_action_rate_limit` counts, 0 to 9999.
    Absent: 5."""
    log_debug_filename_regex: str = ""
    """Regular expression of source files: only their debug messages are logged. Absent: those of
    all files."""
    log_file_path: str = ""
    """File that the agent logs to, a path. Absent: /var/log/calico/felix.log."""
    log_prefix: Annotated[str, matching(r"^([a-zA-Z0-9%: /_-])*$")] = ""
    """Text before every line that a Log rule writes to the kernel's log; %t, %k, %n and %p stand
    for the tier, kind, name, and namespace/name of the policy. Absent: calico-packet."""
    log_severity_file: LogSeverity = ""
    """The least severity that goes to the log file. Absent: Info."""
    log_severity_screen: LogSeverity = ""
    """The least severity that goes to standard output. Absent: Info."""
    log_severity_sys: LogSeverity = ""
    """The least severity that goes to syslog. Absent: Info."""
    health_enabled: bool | None = None
    """Serve liveness and readiness over HTTP. Absent: false."""
    health_host: str = ""
    """Address or host name that health is served at. Absent: localhost."""
    health_port: int | None = None
    """TCP port that health is served at, 0 to 65535. Absent: 9099."""
    health_timeout_overrides: tuple[HealthTimeoutOverride, ...] = ()
    """Other limits for the silence of single parts of the agent."""
    prometheus_go_metrics_enabled: bool | None = None
    """Serve metrics of the language runtime. Absent: true."""
    prometheus_metrics_ca_file: str = field(default="", name="prometheusMetricsCAFile")
    """Path to the CA certificate that clients of the metrics must be signed by. Absent: none is
    asked for."""
    prometheus_metrics_cert_file: str = ""
    """Path to the certificate that metrics are served with, for TLS. Absent: plain HTTP."""
    prometheus_metrics_client_auth: _ClientAuth | Unset = ""
    """What certificate clients of the metrics must show, where TLS is used. Absent:
    NoClientCert."""
    prometheus_metrics_enabled: bool | None = None
    """Serve metrics for Prometheus. Absent: false."""
    prometheus_metrics_host: str = ""
    """Address that metrics are served at. Absent: every address."""
    prometheus_metrics_key_file: str = ""
    """Path to the private key of `prometheus_metrics_cert_file`. Absent: plain HTTP."""
    prometheus_metrics_port: int | None = None
    """TCP port that metrics are served at, 0 to 65535. Absent: 9091."""
    prometheus_process_metrics_enabled: bool | None = None
    """Serve metrics of the process: CPU, memory, open files. Absent: true."""
    prometheus_wireguard_metrics_enabled: bool | None = field(
        default=None, name="prometheusWireGuardMetricsEnabled"
    )
    """Serve metrics of WireGuard's peers. Absent: true."""
    feature_detect_override: _Switches = ""
    """Features of the kernel and its tools that are taken as there or not, whatever is found:
    "Name=true,Other=false". Absent: all are found out."""
    feature_gates: _Pairs = ""
    """Switches of features in the making: "Name=value,Other=value". Absent: none."""
    go_gc_threshold: int | None = field(default=None, name="goGCThreshold")
    """Growth of memory that starts a collection, in percent of what was in use; -1: never.
    Absent: 40."""
    go_max_procs: int | None = None
    """Processors that the agent uses at once; -1: as many as there are. Absent: -1."""
    go_memory_limit_mb: int | None = field(default=None, name="goMemoryLimitMB")
    """Memory above which collections come more often, in MB; -1: no limit. Absent: -1."""
    usage_reporting_enabled: bool | None = None
    """Send anonymous reports of version, size and settings of the cluster to Calico's makers.
    Absent: true."""
    usage_reporting_initial_delay: Duration = ""
    """Time from start to the first report of usage, a duration. Absent: 5m."""
    usage_reporting_interval: Duration = ""
    """Time between reports of usage, a duration. Absent: 24h."""
    debug_disable_log_dropping: bool | None = None
    """For debugging: log every message, even where the log can't keep up and slows the agent.
    Absent: false."""
    debug_host: str = ""
    """For debugging: address that profiles are served at. Absent: localhost."""
    debug_memory_profile_path: str = ""
    """For debugging: file that a profile of memory is written to on SIGUSR1, a path. Absent:
    none."""
    debug_port: int | None = None
    """For debugging: TCP port that profiles are served at, 0 to 65535. Absent: none."""
    debug_simulate_calc_graph_hang_after: Duration = ""
    """For tests: time after which the engine stops for ever, a duration. Absent: never."""
    debug_simulate_dataplane_apply_delay: Duration = ""
    """For tests: time that every change to the dataplane takes longer, a duration. Absent: 0s."""
    debug_simulate_dataplane_hang_after: Duration = ""
    """For tests: time after which the dataplane stops for ever, a duration. Absent: never."""
