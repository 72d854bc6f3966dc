"""How the agent runs and what it connects to: datastore, logs, health, metrics."""

from typing import Annotated

from msgspec import Struct

from tortie.engine.configuration.parameter import Parameter
from tortie.engine.configuration.readers import (
    BOOLEAN,
    EXPRESSION,
    FILE,
    HTTP_ENDPOINTS,
    MOST,
    PAIRS,
    PATH,
    SECONDS,
    SEVERITY,
    TEXT,
    TIMEOUTS,
    integer,
    matching,
    one_of,
)


class ProcessParameters(Struct, frozen=True, kw_only=True):
    """How the agent runs and what it connects to: datastore, logs, health, metrics."""

    # Datastore connection
    datastore_type: Annotated[
        str,
        Parameter(
            "DatastoreType",
            one_of("etcdv3", "kubernetes"),
            "etcdv3",
            local=True,
            required=True,
            fatal=True,
            used=True,
        ),
    ]
    etcd_addr: Annotated[
        str,
        Parameter("EtcdAddr", matching(r"^[^:/]+:\d+$"), "127.0.0.1:2379", local=True, used=True),
    ]
    etcd_ca_file: Annotated[str, Parameter("EtcdCaFile", FILE, local=True, used=True)]
    etcd_cert_file: Annotated[str, Parameter("EtcdCertFile", FILE, local=True, used=True)]
    etcd_endpoints: Annotated[
        tuple[str, ...], Parameter("EtcdEndpoints", HTTP_ENDPOINTS, local=True, used=True)
    ]
    etcd_key_file: Annotated[str, Parameter("EtcdKeyFile", FILE, local=True, used=True)]
    etcd_scheme: Annotated[
        str, Parameter("EtcdScheme", one_of("http", "https"), "http", local=True, used=True)
    ]
    felix_hostname: Annotated[
        str,
        Parameter(
            "FelixHostname", matching(r"^[a-zA-Z0-9_.-]+$"), local=True, required=True, used=True
        ),
    ]
    typha_addr: Annotated[
        str,
        Parameter(
            "TyphaAddr", matching(r"^(\[[0-9a-fA-F:]+\]|[^:/]+):\d+$"), local=True, used=True
        ),
    ]
    typha_ca_file: Annotated[str, Parameter("TyphaCAFile", FILE, local=True, used=True)]
    typha_cn: Annotated[str, Parameter("TyphaCN", TEXT, local=True, used=True)]
    typha_cert_file: Annotated[str, Parameter("TyphaCertFile", FILE, local=True, used=True)]
    typha_k8_s_namespace: Annotated[
        str,
        Parameter("TyphaK8sNamespace", TEXT, "kube-system", local=True, required=True, used=True),
    ]
    typha_k8_s_service_name: Annotated[
        str, Parameter("TyphaK8sServiceName", TEXT, local=True, used=True)
    ]
    typha_key_file: Annotated[str, Parameter("TyphaKeyFile", FILE, local=True, used=True)]
    typha_read_timeout: Annotated[
        float, Parameter("TyphaReadTimeout", SECONDS, "30", local=True, used=True)
    ]
    typha_uri_san: Annotated[str, Parameter("TyphaURISAN", TEXT, local=True, used=True)]
    typha_write_timeout: Annotated[
        float, Parameter("TyphaWriteTimeout", SECONDS, "10", local=True, used=True)
    ]

    # Process: Feature detection/overrides
    feature_detect_override: Annotated[
        tuple[tuple[str, str], ...], Parameter("FeatureDetectOverride", PAIRS, used=True)
    ]
    feature_gates: Annotated[tuple[tuple[str, str], ...], Parameter("FeatureGates", PAIRS)]

    # Process: Go runtime
    go_gc_threshold: Annotated[int, Parameter("GoGCThreshold", integer(-1, MOST), "40")]
    go_max_procs: Annotated[int, Parameter("GoMaxProcs", integer(-1, MOST), "-1")]
    go_memory_limit_mb: Annotated[int, Parameter("GoMemoryLimitMB", integer(-1, MOST), "-1")]

    # Process: Health port and timeouts
    health_enabled: Annotated[bool, Parameter("HealthEnabled", BOOLEAN, "false", used=True)]
    health_host: Annotated[
        str, Parameter("HealthHost", matching(r"^[a-zA-Z0-9:._+-]{1,64}$"), "localhost", used=True)
    ]
    health_port: Annotated[int, Parameter("HealthPort", integer(0, 65535), "9099", used=True)]
    health_timeout_overrides: Annotated[
        tuple[tuple[str, float], ...], Parameter("HealthTimeoutOverrides", TIMEOUTS, used=True)
    ]

    # Process: Logging
    log_action_rate_limit: Annotated[
        str,
        Parameter(
            "LogActionRateLimit",
            matching(r"^([1-9]\d{0,3}/(?:second|minute|hour|day))?$"),
            used=True,
        ),
    ]
    log_action_rate_limit_burst: Annotated[
        int, Parameter("LogActionRateLimitBurst", integer(0, 9999), "5", used=True)
    ]
    log_debug_filename_regex: Annotated[
        str, Parameter("LogDebugFilenameRegex", EXPRESSION, used=True)
    ]
    log_file_path: Annotated[
        str, Parameter("LogFilePath", PATH, "/var/log/calico/felix.log", fatal=True, used=True)
    ]
    log_prefix: Annotated[
        str,
        Parameter("LogPrefix", matching(r"^[A-Za-z0-9_.:/ -]{0,100}$"), "calico-packet", used=True),
    ]
    log_severity_file: Annotated[str, Parameter("LogSeverityFile", SEVERITY, "INFO", used=True)]
    log_severity_screen: Annotated[str, Parameter("LogSeverityScreen", SEVERITY, "INFO", used=True)]
    log_severity_sys: Annotated[str, Parameter("LogSeveritySys", SEVERITY, "INFO", used=True)]

    # Process: Prometheus metrics
    prometheus_go_metrics_enabled: Annotated[
        bool, Parameter("PrometheusGoMetricsEnabled", BOOLEAN, "true", used=True)
    ]
    prometheus_metrics_ca_file: Annotated[
        str, Parameter("PrometheusMetricsCAFile", TEXT, used=True)
    ]
    prometheus_metrics_cert_file: Annotated[
        str, Parameter("PrometheusMetricsCertFile", TEXT, used=True)
    ]
    prometheus_metrics_client_auth: Annotated[
        str,
        Parameter(
            "PrometheusMetricsClientAuth",
            one_of(
                "NoClientCert",
                "RequireAndVerifyClientCert",
                "RequireAnyClientCert",
                "VerifyClientCertIfGiven",
            ),
            "NoClientCert",
            used=True,
        ),
    ]
    prometheus_metrics_enabled: Annotated[
        bool, Parameter("PrometheusMetricsEnabled", BOOLEAN, "false", used=True)
    ]
    prometheus_metrics_host: Annotated[
        str, Parameter("PrometheusMetricsHost", matching(r"^[a-zA-Z0-9:._+-]{1,64}$"), used=True)
    ]
    prometheus_metrics_key_file: Annotated[
        str, Parameter("PrometheusMetricsKeyFile", TEXT, used=True)
    ]
    prometheus_metrics_port: Annotated[
        int, Parameter("PrometheusMetricsPort", integer(0, 65535), "9091", used=True)
    ]
    prometheus_process_metrics_enabled: Annotated[
        bool, Parameter("PrometheusProcessMetricsEnabled", BOOLEAN, "true", used=True)
    ]
    prometheus_wireguard_metrics_enabled: Annotated[
        bool, Parameter("PrometheusWireGuardMetricsEnabled", BOOLEAN, "true", used=True)
    ]

    # Usage reporting
    usage_reporting_enabled: Annotated[bool, Parameter("UsageReportingEnabled", BOOLEAN, "true")]
    usage_reporting_initial_delay_secs: Annotated[
        float,
        Parameter(
            "UsageReportingInitialDelaySecs", SECONDS, "300", yaml="usageReportingInitialDelay"
        ),
    ]
    usage_reporting_interval_secs: Annotated[
        float,
        Parameter("UsageReportingIntervalSecs", SECONDS, "86400", yaml="usageReportingInterval"),
    ]
