"""The server's settings: TYPHA_* by Calico's names, into one typed value."""

import difflib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from msgspec import Struct

from tortie.daemon import values
from tortie.fanout.certificates import Tls, TlsFiles
from tortie.fanout.environment import Given

PREFIX = "TYPHA_"
# What the datastore's configuration reads, under the same prefix.
_ELSEWHERE = (
    "DATASTORETYPE",
    *("ETCDADDR", "ETCDSCHEME", "ETCDENDPOINTS", "ETCDKEYFILE", "ETCDCERTFILE", "ETCDCAFILE"),
)


class ServerSettings(Struct, frozen=True, kw_only=True):
    """What the server runs with. Times are seconds; defaults are Calico's."""

    host: str = ""  # every address
    port: int = 5473
    tls: Tls | None = None
    log_severity: str = "INFO"
    health_enabled: bool = False
    health_host: str = "localhost"
    health_port: int = 9098
    metrics_enabled: bool = False
    metrics_host: str = ""
    metrics_port: int = 9093
    process_metrics_enabled: bool = True
    max_fall_behind: float = 300.0
    new_client_grace: float = 300.0
    min_batching_age: float = 0.01
    ping_interval: float = 10.0
    pong_timeout: float = 60.0
    handshake_timeout: float = 10.0
    write_timeout: float = 120.0
    rebalancing: bool = False
    drop_interval: float = 1.0
    shutdown_timeout: float = 300.0
    shutdown_drop_interval: float = 1.0
    most_connections: int = 10_000
    least_limit: int = 400  # that rebalancing may come down to
    poll_interval: float = 30.0
    namespace: str = "kube-system"
    service: str = "calico-typha"
    port_name: str = "calico-typha"


class Loaded(NamedTuple):
    """Settings, and what a person should know about how they were read."""

    settings: ServerSettings
    warnings: tuple[str, ...]


_READERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "SERVERHOST": ("host", values.host),
    "SERVERPORT": ("port", values.integer(0, 65535)),
    "LOGSEVERITYSCREEN": ("log_severity", values.one_of(*values.SEVERITIES, "CRITICAL")),
    "HEALTHENABLED": ("health_enabled", values.boolean),
    "HEALTHHOST": ("health_host", values.host),
    "HEALTHPORT": ("health_port", values.integer(0, 65535)),
    "PROMETHEUSMETRICSENABLED": ("metrics_enabled", values.boolean),
    "PROMETHEUSMETRICSHOST": ("metrics_host", values.host),
    "PROMETHEUSMETRICSPORT": ("metrics_port", values.integer(0, 65535)),
    "PROMETHEUSPROCESSMETRICSENABLED": ("process_metrics_enabled", values.boolean),
    "SERVERMAXFALLBEHINDSECS": ("max_fall_behind", values.seconds),
    "SERVERNEWCLIENTFALLBEHINDGRACEPERIOD": ("new_client_grace", values.seconds),
    "SERVERMINBATCHINGAGETHRESHOLDSECS": ("min_batching_age", values.seconds),
    "SERVERPINGINTERVALSECS": ("ping_interval", values.seconds),
    "SERVERPONGTIMEOUTSECS": ("pong_timeout", values.seconds),
    "SERVERHANDSHAKETIMEOUTSECS": ("handshake_timeout", values.seconds),
    "SERVERWRITETIMEOUTSECS": ("write_timeout", values.seconds),
    "CONNECTIONREBALANCINGMODE": (
        "rebalancing",
        values.choice({"none": False, "manual": False, "kubernetes": True, "auto": True}),
    ),
    "CONNECTIONDROPINTERVALSECS": ("drop_interval", values.seconds),
    "SHUTDOWNTIMEOUTSECS": ("shutdown_timeout", values.seconds),
    "SHUTDOWNCONNECTIONDROPINTERVALMAXSECS": ("shutdown_drop_interval", values.seconds),
    "MAXCONNECTIONSUPPERLIMIT": ("most_connections", values.integer(1, 1_000_000)),
    "MAXCONNECTIONSLOWERLIMIT": ("least_limit", values.integer(1, 1_000_000)),
    "K8SSERVICEPOLLINTERVALSECS": ("poll_interval", values.seconds),
    "K8SNAMESPACE": ("namespace", str),
    "K8SSERVICENAME": ("service", str),
    "K8SPORTNAME": ("port_name", str),
}


def server_settings(environ: Mapping[str, str]) -> Loaded:
    """Read TYPHA_* over the defaults; names count in any case, empty values are not given.

    Raises FanoutSettingsError that names every wrong variable, what was found and what is allowed.
    """
    given, default = Given(environ, PREFIX), ServerSettings()
    names = TlsFiles("CAFILE", "SERVERCERTFILE", "SERVERKEYFILE", "CLIENTCN", "CLIENTURISAN")
    tls = given.tls(names, "the clients' certificates")
    found = {
        field: given.read(name, reader, getattr(default, field))
        for name, (field, reader) in _READERS.items()
    }
    found["port"] = found["port"] or default.port  # 0 is how Calico's manifests say the default
    if found["log_severity"] == "CRITICAL":
        found["log_severity"] = "FATAL"
    given.check()
    settings = ServerSettings(tls=tls, **found)
    return Loaded(settings, (*map(_unused, given.not_asked(_ELSEWHERE)), *_doubts(settings)))


def _unused(variable: str) -> str:
    near = difflib.get_close_matches(variable[len(PREFIX) :].upper(), _READERS, 1, cutoff=0.8)
    hint = f"; did you mean {PREFIX}{near[0]}?" if near else ""
    return f"{variable} has no effect in this server{hint}"


def _doubts(settings: ServerSettings) -> list[str]:
    if settings.tls is None:
        return ["no TLS is set up: whoever reaches the port reads the whole cluster's policy"]
    return []
