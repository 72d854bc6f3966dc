"""The agent's settings: FELIX_* variables, as Calico names them, into one typed value.

Names are read in any case ("FELIX_LogSeverityScreen" and "FELIX_LOGSEVERITYSCREEN" are one).
A wrong value stops the start with one message per variable, so that nobody runs with a setting
other than the one written. A FELIX_ variable that this agent has no use for only warns: manifests
made for Calico set many.
"""

import difflib
from collections.abc import Callable, Mapping
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from tortie.daemon import values
from tortie.fanout import settings as fanout

_PREFIX = "FELIX_"


class ConfigError(ValueError):
    """One or more settings can't be used; `str()` has one line for each."""


class AgentConfig(Struct, frozen=True, kw_only=True):
    """What the agent runs with. Times are seconds; defaults are Calico's."""

    node: str
    run_dir: str = "/run/tortie"
    log_severity: str = "INFO"
    health_enabled: bool = False
    health_host: str = "localhost"
    health_port: int = 9099
    metrics_enabled: bool = False
    metrics_host: str = ""
    metrics_port: int = 9091
    process_metrics_enabled: bool = True
    watchdog_timeout: float = 90.0
    interface_prefixes: tuple[str, ...] = ("cali",)
    endpoint_to_host_action: str = "DROP"
    allow_vxlan: bool = False
    allow_ipip: bool = False
    drop_invalid: bool = True
    log_prefix: str = "calico-packet"
    masquerade_to_hosts: bool = True
    ip_forwarding: bool = True
    route_refresh_interval: float = 90.0
    route_protocol: int = 3
    route_priority4: int = 1024
    route_priority6: int = 1024
    vxlan_vni: int = 4096
    vxlan_port: int = 4789
    vxlan_mtu: int = 0


class Loaded(NamedTuple):
    """A configuration, and what a person should know about how it was read."""

    config: AgentConfig
    warnings: tuple[str, ...]


class _Parameter(NamedTuple):
    field: str
    read: Callable[[str], object]


_PARAMETERS: dict[str, _Parameter] = {
    "LogSeverityScreen": _Parameter("log_severity", values.one_of(*values.SEVERITIES)),
    "HealthEnabled": _Parameter("health_enabled", values.boolean),
    "HealthHost": _Parameter("health_host", values.host),
    "HealthPort": _Parameter("health_port", values.integer(0, 65535)),
    "PrometheusMetricsEnabled": _Parameter("metrics_enabled", values.boolean),
    "PrometheusMetricsHost": _Parameter("metrics_host", values.host),
    "PrometheusMetricsPort": _Parameter("metrics_port", values.integer(0, 65535)),
    "PrometheusProcessMetricsEnabled": _Parameter("process_metrics_enabled", values.boolean),
    "DataplaneWatchdogTimeout": _Parameter("watchdog_timeout", values.seconds),
    "InterfacePrefix": _Parameter("interface_prefixes", values.interface_prefixes),
    "DefaultEndpointToHostAction": _Parameter(
        "endpoint_to_host_action", values.one_of("ACCEPT", "DROP", "RETURN")
    ),
    "AllowVXLANPacketsFromWorkloads": _Parameter("allow_vxlan", values.boolean),
    "AllowIPIPPacketsFromWorkloads": _Parameter("allow_ipip", values.boolean),
    "DisableConntrackInvalidCheck": _Parameter("drop_invalid", values.inverted_boolean),
    "LogPrefix": _Parameter("log_prefix", values.log_prefix),
    "NATOutgoingExclusions": _Parameter(
        "masquerade_to_hosts", values.choice({"IPPoolsOnly": True, "IPPoolsAndHostIPs": False})
    ),
    "IPForwarding": _Parameter(
        "ip_forwarding", values.choice({"Enabled": True, "Disabled": False})
    ),
    "RouteRefreshInterval": _Parameter("route_refresh_interval", values.seconds),
    "DeviceRouteProtocol": _Parameter("route_protocol", values.integer(1, 255)),
    "IPv4NormalRoutePriority": _Parameter("route_priority4", values.integer(1, 2147483646)),
    "IPv6NormalRoutePriority": _Parameter("route_priority6", values.integer(1, 2147483646)),
    "VXLANVNI": _Parameter("vxlan_vni", values.integer(1, (1 << 24) - 1)),
    "VXLANPort": _Parameter("vxlan_port", values.integer(1, 65535)),
    "VXLANMTU": _Parameter("vxlan_mtu", values.integer(0, 65535)),
    "FelixHostname": _Parameter("node", values.node_name),
}
_BY_FOLDED = {name.casefold(): name for name in _PARAMETERS}
# Read elsewhere.
_ELSEWHERE = frozenset({"datastore", "rundir", "datastoretype", *map(str.casefold, fanout.NAMES)})


def load_config(environ: Mapping[str, str], *, node: str, run_dir: str = "/run/tortie") -> Loaded:
    """Read FELIX_* from `environ` over the defaults. `node` is used where none is set there.

    Raises ConfigError that names every wrong variable, what was found and what is allowed.
    """
    found: dict[str, object] = {}
    errors, warnings = [], []
    for variable, text in sorted(environ.items()):
        if not variable.upper().startswith(_PREFIX):
            continue
        folded = variable[len(_PREFIX) :].casefold()
        name = _BY_FOLDED.get(folded)
        if name is None and folded not in _ELSEWHERE:
            warnings.append(_unused(variable))
        elif name is not None and text.strip():
            try:
                found[_PARAMETERS[name].field] = _PARAMETERS[name].read(text.strip())
            except ValueError as problem:
                errors.append(f"{variable}={text!r}: {problem}")
    if errors:
        raise ConfigError("\n".join(errors))
    return Loaded(_build(node, run_dir, found), tuple(warnings))


def _build(node: str, run_dir: str, found: dict[str, object]) -> AgentConfig:
    if "node" not in found:
        try:
            found["node"] = values.node_name(node)
        except ValueError as problem:
            raise ConfigError(f"the node's name: {problem}; set it with --node") from None
    return replace(AgentConfig(node="", run_dir=run_dir), **found)


def _unused(variable: str) -> str:
    bare = variable[len(_PREFIX) :]
    near = difflib.get_close_matches(bare.casefold(), _BY_FOLDED, n=1, cutoff=0.8)
    hint = f"; did you mean {_PREFIX}{_BY_FOLDED[near[0]]}?" if near else ""
    return f"{variable} has no effect in this agent{hint}"
