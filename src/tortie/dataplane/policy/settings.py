"""What an operator can choose about the rendered tables, checked before any of it is text."""

import re
from enum import StrEnum
from typing import ClassVar, NamedTuple

from msgspec import Struct

from tortie.dataplane.policy.names import checked_interface
from tortie.net import PortRange, Prefix
from tortie.policy.program import DEFAULT_FAILSAFES, Failsafes

_UNITS = ("second", "minute", "hour", "day")


class HostAction(StrEnum):
    """What becomes of a packet from a workload to the host itself that its policy allows."""

    ACCEPT = "accept"
    DROP = "drop"
    RETURN = "return"  # the machine's own firewall decides


class LoopAction(StrEnum):
    """What becomes of a packet on its way to a service's address that no NAT took."""

    DISABLED = "disabled"
    DROP = "drop"
    REJECT = "reject"


class Action(StrEnum):
    """What becomes of a packet that policy allows, or denies."""

    ACCEPT = "accept"
    RETURN = "return"  # the rules behind ours decide
    DROP = "drop"
    REJECT = "reject"


class LogRate(NamedTuple):
    """How many packets Log rules log, each: so many in a second, minute, hour or day, and a burst
    of so many after a pause.
    """

    packets: int
    unit: str = "second"
    burst: int = 5


class Marks(NamedTuple):
    """Bits of the packet's mark. `decided` is accept and pass together.

    `early`: a host endpoint has allowed the packet before tracking or NAT. `ended` is a bit of the
    connection's mark: policy denies now what it allowed when the connection began. `wireguard`:
    WireGuard has it already. `endpoints`: which endpoint a packet came from, where it passes
    through the node itself on its way (kube-proxy in IPVS mode). A mask of few bits leaves the
    last ones at 0.
    """

    accept: int
    passed: int
    early: int
    ended: int = 0
    wireguard: int = 0
    endpoints: int = 0

    @property
    def decided(self) -> int:
        """The bits that say a policy has spoken."""
        return self.accept | self.passed


class PolicySettings(Struct, frozen=True):
    """What every policy driver is told. Names in brackets are Felix's.

    `interface_prefixes` [InterfacePrefix], `mark_mask`, `endpoint_to_host`
    [DefaultEndpointToHostAction], `allow_vxlan` and `allow_ipip` [Allow…PacketsFromWorkloads],
    `vxlan_port` [VXLANPort], `drop_invalid` [not DisableConntrackInvalidCheck], `log_prefix`
    [LogPrefix], `masquerade_to_hosts` [NATOutgoingExclusions is IPPoolsOnly], `openstack`: DHCP and
    DNS from workloads to the host pass; `failsafes` [Failsafe{In,Out}boundHostPorts]; `nat_ports`
    [NATPortRange], `nat_address` [NATOutgoingAddress, IPv4], `nat_interface`
    [NATOutgoingInterfaceFilter: a name, or with "+" behind it what names begin with] of what leaves
    pools with natOutgoing; `service_loops` [ServiceLoopPrevention]; `end_denied_flows`
    [EndDeniedFlows]; `wireguard_port`… [WireguardListeningPort…]: 0 where WireGuard is off;
    `node_ports` [KubeNodePortRanges] and `excluded_interfaces` [InterfaceExclude] count while
    kube-proxy is in IPVS mode; `deny` [IptablesFilterDenyAction, NftablesFilterDenyAction];
    `log_rate` [LogActionRateLimit, LogActionRateLimitBurst]: None logs all. Raises ValueError where
    a value can't be used.
    """

    mask_name: ClassVar[str] = "mark_mask"

    interface_prefixes: tuple[str, ...] = ("cali",)
    mark_mask: int = 0xFFFF0000
    endpoint_to_host: HostAction = HostAction.DROP
    allow_vxlan: bool = False
    allow_ipip: bool = False
    vxlan_port: int = 4789
    drop_invalid: bool = True
    log_prefix: str = "calico-packet"
    masquerade_to_hosts: bool = True
    openstack: bool = False
    failsafes: Failsafes = DEFAULT_FAILSAFES
    nat_ports: PortRange | None = None
    nat_address: Prefix | None = None
    nat_interface: str = ""
    service_loops: LoopAction = LoopAction.DROP
    end_denied_flows: bool = False
    wireguard_port: int = 0
    wireguard_port_v6: int = 0
    node_ports: tuple[PortRange, ...] = (PortRange(30000, 32767),)
    excluded_interfaces: tuple[str, ...] = ("kube-ipvs0",)
    deny: Action = Action.DROP
    log_rate: LogRate | None = None

    def __post_init__(self) -> None:
        if not self.interface_prefixes:
            raise ValueError("interface_prefixes is empty: no interface would be guarded")
        for prefix in self.interface_prefixes:
            checked_interface(prefix)
        self._check_mask()
        if self.nat_interface:
            checked_interface(self.nat_interface.removesuffix("+"))
        if not 1 <= self.vxlan_port <= 65535:
            raise ValueError(f"vxlan_port {self.vxlan_port}: give a port from 1 to 65535")
        if not re.fullmatch(r"[A-Za-z0-9_.:/ -]{0,100}", self.log_prefix, re.ASCII):
            raise ValueError(
                f"log_prefix {self.log_prefix!r}: use up to 100 letters, digits, ' _.:/-'"
            )

        if self.log_rate is not None and self.log_rate.unit not in _UNITS:
            raise ValueError(f"log_rate {self.log_rate.unit!r}: give one of {', '.join(_UNITS)}")

    def _check_mask(self) -> None:
        if not 0 < self.mark_mask < 1 << 32:
            raise ValueError(f"{self.mask_name} {self.mark_mask:#x}: give a mask of 32 bits")
        count, needs = self.mark_mask.bit_count(), self._needed_bits()
        if count < (least := sum(needs.values())):
            listed = ", ".join(f"{bits} for {what}" for what, bits in needs.items())
            raise ValueError(
                f"{self.mask_name} {self.mark_mask:#x} has {count} bits, and {least} are needed "
                f"({listed}): give a wider mask"
            )

    def _needed_bits(self) -> dict[str, int]:
        """Of the mask, by what they are for. Each bit has its place, which those before it fill."""
        needs = {"verdicts": 3}
        if self.end_denied_flows or self.wireguard_port or self.wireguard_port_v6:
            needs["EndDeniedFlows"] = 1
        if self.wireguard_port or self.wireguard_port_v6:
            needs["WireGuard"] = 1
        return needs

    @property
    def marks(self) -> Marks:
        """The mask's bits from the lowest one on; the rest tells endpoints apart."""
        rest, bits = self.mark_mask, list[int]()
        for _ in range(5):
            bits.append(rest & -rest)
            rest ^= bits[-1]
        accept, passed, early, ended, wireguard = bits
        return Marks(accept, passed, early, ended, wireguard, rest)

    @property
    def ends_flows(self) -> bool:
        """Whether connections that policy denies now can be told by their mark, and are to be."""
        return self.end_denied_flows and bool(self.marks.ended)

    def guards(self, interface: str) -> bool:
        """Whether the tables look at this interface's packets at all."""
        return interface.startswith(self.interface_prefixes)
