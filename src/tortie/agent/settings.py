"""The settings in force: the node's own sources over what the datastore says, as both change.

Pure: it is told texts and updates, and says what is different now. Parameters, defaults and who
wins are `tortie.engine.configuration`'s; here stand only the two lists of what the agent can change
while it runs and what it begins again for.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec import structs

from tortie.api import Key, Node, Resource
from tortie.api.calico.felix_configuration import FelixConfiguration
from tortie.engine.configuration import (
    Configuration,
    Origin,
    Problem,
    Resolved,
    Source,
    from_resources,
    resolve,
)
from tortie.engine.configuration.parameters import BY_NAME

LIVE = frozenset(
    {
        "AWSSrcDstCheck",
        *("AllowIPIPPacketsFromWorkloads", "AllowVXLANPacketsFromWorkloads"),
        *("DefaultEndpointToHostAction", "DisableConntrackInvalidCheck", "EndDeniedFlows"),
        "ExternalNodesCIDRList",
        *("FailsafeInboundHostPorts", "FailsafeOutboundHostPorts", "FloatingIPs"),
        *("IptablesNATOutgoingInterfaceFilter", "LogPrefix", "LogSeverityScreen"),
        *("LogActionRateLimit", "LogActionRateLimitBurst", "NftablesFilterDenyAction"),
        *("NftablesFilterAllowAction", "NftablesMangleAllowAction"),
        *("NATOutgoingAddress", "NATOutgoingExclusions", "NATPortRange"),
        *("ReportingIntervalSecs", "ReportingTTLSecs"),
        *("RouteRefreshInterval", "ServiceLoopPrevention"),
        *("IpInIpEnabled", "IpInIpMtu", "MTUIfacePattern", "RequireMTUFile", "VXLANEnabled"),
        "PrometheusWireGuardMetricsEnabled",
        *("InterfaceExclude", "InterfaceRefreshInterval", "KubeNodePortRanges"),
        *("IpsetsRefreshInterval", "IptablesRefreshInterval", "NftablesRefreshInterval"),
        *("IptablesFilterAllowAction", "IptablesFilterDenyAction", "IptablesMangleAllowAction"),
        *("WireguardEnabled", "WireguardEnabledV6", "WireguardHostEncryptionEnabled"),
        *("WireguardListeningPort", "WireguardListeningPortV6", "WireguardMTU", "WireguardMTUV6"),
        *("WireguardPersistentKeepAlive", "WireguardThreadingEnabled"),
        *("VXLANMTU", "VXLANMTUV6", "VXLANPort", "VXLANVNI", "WorkloadSourceSpoofing"),
    }
)
"""What takes effect while the agent runs."""

RESTART = frozenset(
    {
        *("DataplaneWatchdogTimeout", "DeviceRouteProtocol", "IPForwarding", "InterfacePrefix"),
        *("DeviceRouteSourceAddress", "DeviceRouteSourceAddressIPv6", "ProgramClusterRoutes"),
        *("RouteSource", "RouteTableRange", "RouteTableRanges", "WireguardRoutingRulePriority"),
        *("WireguardInterfaceName", "WireguardInterfaceNameV6"),
        *("FeatureDetectOverride", "RemoveExternalRoutes", "RouteSyncDisabled"),
        *("HealthEnabled", "HealthHost", "HealthPort"),
        *("IPv4NormalRoutePriority", "IPv6NormalRoutePriority"),
        *("PrometheusMetricsEnabled", "PrometheusMetricsHost", "PrometheusMetricsPort"),
        *("IptablesBackend", "IptablesMarkMask", "MaxIpsetSize", "NFTablesMode"),
        "NftablesMarkMask",
        *("PrometheusProcessMetricsEnabled", "PrometheusGoMetricsEnabled"),
        *("PrometheusMetricsCAFile", "PrometheusMetricsCertFile", "PrometheusMetricsKeyFile"),
        *("PrometheusMetricsClientAuth", "HealthTimeoutOverrides", "NetlinkTimeoutSecs"),
        *("LogDebugFilenameRegex", "LogFilePath", "LogSeverityFile", "LogSeveritySys"),
    }
)
"""What the agent begins again for, in its place: sockets, and what marks routes as its own."""

_SHOWN = 200  # characters of a value


class SettingsError(ValueError):
    """The agent must not run with what is set; `str()` has one line for each reason."""


class Restart(Exception):
    """Settings came that take effect only at a start; `str()` names them. No fault."""


class Said(NamedTuple):
    """A parameter's value as text, and who set it."""

    name: str
    value: str
    set_by: str


class InForce(NamedTuple):
    """A parameter as it is in force. `takes_effect`: how a change of it would."""

    name: str
    value: str
    set_by: str
    is_set: bool  # by somebody: not its default
    takes_effect: str  # "at once", "by a new start", "not used"


class Settings:
    """What is in force. `local` are the node's own sources.

    `remembered` is what the datastore said when it was last followed: it holds until the datastore
    says otherwise, so that a restart while it is away changes nothing. `check` raises ValueError
    for values that don't go together. Raises SettingsError where the agent can't run with these.
    """

    def __init__(
        self,
        local: Iterable[Source],
        remembered: Sequence[Source] = (),
        check: Callable[[Configuration], None] = lambda _: None,
    ) -> None:
        self._local, self._check = tuple(local), check
        self._configurations: dict[str, FelixConfiguration] = {}
        self._labels: Mapping[str, str] = {}
        self._touched = True
        self._absent: tuple[str, ...] = ()
        self.told: tuple[Source, ...] = tuple(remembered)  # by the datastore, and in force
        alone = self._checked(resolve(self._local))
        if alone.fatal:
            raise SettingsError("\n".join(alone.fatal))
        both = self._checked(resolve([*self._local, *self.told]))
        self.has_good = bool(remembered) and not both.fatal
        self.resolved: Resolved = alone if both.fatal else both
        self.problems = tuple(problem.text for problem in both.problems)

    @property
    def configuration(self) -> Configuration:
        """The values in force."""
        return self.resolved.configuration

    @property
    def node(self) -> str:
        """This node's name."""
        return self.configuration.felix_hostname

    def _checked(self, found: Resolved) -> Resolved:
        if found.fatal:
            return found
        try:
            self._check(found.configuration)
        except ValueError as problem:
            together = Problem(str(problem), fatal=True)
            return structs.replace(found, problems=(*found.problems, together))
        return found

    def saw(self, updates: Iterable[tuple[Key, Resource | None]]) -> None:
        """Take in what the datastore says of settings and of this node."""
        for key, value in updates:
            if key.kind == "FelixConfiguration":
                self._configure(key.name, value)
            elif key.kind == "Node" and key.name == self.node:
                self._labels = value.metadata.labels if isinstance(value, Node) else {}
                self._touched = True

    def _configure(self, name: str, value: Resource | None) -> None:
        self._configurations.pop(name, None)
        if isinstance(value, FelixConfiguration):
            self._configurations[name] = value
        self._touched = True

    def settle(self, absent: Iterable[str] = ()) -> frozenset[str]:
        """Put in force what was seen; the names of the parameters that changed.

        `absent` has a line, by its key, for what is stored and can't be read. A configuration that
        the agent must not run with, or that may say what can't be read, is not taken at all: the
        last good one stays, and `problems` says why. Raises SettingsError where there was never a
        good one.
        """
        unread = tuple(line for line in absent if self._may_be_for_us(line))
        if not self._touched and unread == self._absent:
            return frozenset()
        self._touched, self._absent = False, unread
        told = tuple(from_resources(self._configurations.values(), self.node, self._labels))
        found = self._checked(resolve([*self._local, *told]))
        self.problems = (*unread, *(problem.text for problem in found.problems))
        if unread or found.fatal:
            if not self.has_good:
                raise SettingsError("\n".join((*unread, *found.fatal)))
            return frozenset()
        before, self.resolved = self.resolved, found
        self.told, self.has_good = told, True
        return frozenset(
            name
            for name, setting in found.settings.items()
            if setting.value != before.settings[name].value
        )

    def _may_be_for_us(self, line: str) -> bool:
        """Whom a selector is for can't be known of what can't be read."""
        kind, _, rest = line.partition("(")
        name = rest.partition(")")[0]
        is_others = name.startswith("node.") and name != f"node.{self.node}"
        return kind == "FelixConfiguration" and not is_others

    def is_set(self, name: str) -> bool:
        """Whether somebody set this parameter."""
        return self.resolved.settings[name].origin is not Origin.DEFAULT

    def said(self) -> list[Said]:
        """What is not at its default, and who set it."""
        return [
            Said(name, setting.text[:_SHOWN], setting.title)
            for name, setting in sorted(self.resolved.settings.items())
            if setting.origin is not Origin.DEFAULT
        ]

    def in_force(self) -> list[InForce]:
        """Every parameter that the agent itself reads: those of the datastore are others'."""
        return [
            InForce(
                name,
                setting.text[:_SHOWN],
                setting.title,
                setting.origin is not Origin.DEFAULT,
                _effect(name),
            )
            for name, setting in sorted(self.resolved.settings.items())
            if name in LIVE | RESTART or not BY_NAME[name.casefold()].parameter.local
        ]


def _effect(name: str) -> str:
    if name in LIVE:
        return "at once"
    return "by a new start" if name in RESTART else "not used"
