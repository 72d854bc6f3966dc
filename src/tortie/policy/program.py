"""The policy program: what every dataplane renders and the evaluator walks.

Frozen values only. Labels, selectors and names of namespaces are gone by now: a selector has
become the id of a set of addresses, and a named port or a service the id of a set of (address,
protocol, port).
"""

from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from tortie.api.calico.rule import HttpMatch
from tortie.api.calico.workload_endpoint import QosControls
from tortie.net import PortRange, Prefix, protocol_name
from tortie.net.protocols import TCP, UDP

SetId = str


class Action(StrEnum):
    """What a rule does with the packet that it matches."""

    ALLOW = "allow"
    DENY = "deny"
    LOG = "log"  # write a line, go on with the next rule
    PASS = "pass"  # skip the rest of the tier


class DefaultAction(StrEnum):
    """What a tier does with a packet that its policies apply to and no rule matched."""

    DENY = "Deny"
    PASS = "Pass"


class SetKind(StrEnum):
    """What the members of a set are."""

    NET = "net"  # Prefix; a packet's address matches when any member contains it
    IP_PORT = "ip-port"  # IPPort; address, protocol and port all equal


class IPPort(NamedTuple):
    """One address with one protocol's port: a resolved named port or service endpoint."""

    version: int
    address: int
    protocol: int
    port: int


Member = Prefix | IPPort


class IcmpMatch(Struct, frozen=True):
    """An ICMP or ICMPv6 type, with a code or (None) any code."""

    type: int
    code: int | None = None


class PeerMatch(Struct, frozen=True, omit_defaults=True):
    """What one end of a packet must satisfy. All fields given must hold.

    `nets`: within any. `sets`: in every one. `ports` and `port_sets` are one list: the port is in
    a range or (address, protocol, port) in a set. `services`: in every IP_PORT set. Each `not_…`:
    in none of them.
    """

    nets: tuple[Prefix, ...] = ()
    sets: tuple[SetId, ...] = ()
    ports: tuple[PortRange, ...] = ()
    port_sets: tuple[SetId, ...] = ()
    services: tuple[SetId, ...] = ()
    not_nets: tuple[Prefix, ...] = ()
    not_sets: tuple[SetId, ...] = ()
    not_ports: tuple[PortRange, ...] = ()
    not_port_sets: tuple[SetId, ...] = ()


class Rule(Struct, frozen=True, omit_defaults=True):
    """One rule. Everything given must match; None and empty match all.

    `protocol` and `not_protocol` are IP protocol numbers. A rule with `http` matches requests, not
    packets: it is there for the application layer's proxy, and below that it matches nothing, so
    that it never lets through more than it says. `annotations` are the rule's
    metadata.annotations, for comments and traces.
    """

    action: Action
    ip_version: int | None = None
    protocol: int | None = None
    not_protocol: int | None = None
    icmp: IcmpMatch | None = None
    not_icmp: IcmpMatch | None = None
    source: PeerMatch = PeerMatch()
    destination: PeerMatch = PeerMatch()
    http: HttpMatch | None = None
    annotations: tuple[tuple[str, str], ...] = ()

    @property
    def set_ids(self) -> tuple[SetId, ...]:
        """The ids of all sets that this rule looks into."""
        return tuple(
            name
            for peer in (self.source, self.destination)
            for group in (
                peer.sets,
                peer.port_sets,
                peer.services,
                peer.not_sets,
                peer.not_port_sets,
            )
            for name in group
        )


class PolicyId(NamedTuple):
    """Which policy: `kind` as in the API, `namespace` empty for a cluster-wide one.

    Policies of Kubernetes have kinds of their own: "KubernetesNetworkPolicy" and so on.
    """

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}({'/'.join(filter(None, (self.namespace, self.name)))})"


class Policy(Struct, frozen=True):
    """One policy's rules in order. No match in a direction falls through to the next policy."""

    id: PolicyId
    tier: str
    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] = ()


class Profile(Struct, frozen=True):
    """The rules asked after all tiers, for an endpoint that names this profile."""

    name: str
    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] = ()


class TierPolicies(Struct, frozen=True):
    """The enforced policies of one tier that apply to an endpoint in one direction, in order.

    A tier with no such policy is not listed.
    """

    tier: str
    default_action: DefaultAction
    policies: tuple[PolicyId, ...]


class EndpointId(NamedTuple):
    """Which endpoint: `kind` is WorkloadEndpoint or HostEndpoint, names as in the API."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return "/".join(filter(None, (self.namespace, self.name)))


class AddressPair(NamedTuple):
    """A floating address and the workload's own address that it leads to, of one family."""

    floating: Prefix
    own: Prefix


class Endpoint(Struct, frozen=True, omit_defaults=True):
    """A workload's interface on this node, its addresses, and what applies to it.

    `interface` is the host's end ("cali…"). `ingress` is traffic to the workload, `egress` from it.
    No tier and no profile that allows means no traffic. `floating` and `qos` have no part in any
    verdict.
    """

    id: EndpointId
    interface: str
    addresses: tuple[Prefix, ...]
    ingress: tuple[TierPolicies, ...] = ()
    egress: tuple[TierPolicies, ...] = ()
    profiles: tuple[str, ...] = ()
    allowed_sources: tuple[Prefix, ...] = ()  # beside its own addresses
    mac: str | None = None
    floating: tuple[AddressPair, ...] = ()
    qos: QosControls | None = None


class Tiers(NamedTuple):
    """What is asked at one stage, for each direction."""

    ingress: tuple[TierPolicies, ...] = ()
    egress: tuple[TierPolicies, ...] = ()


EVERY_INTERFACE = "*"


class HostEndpoint(Struct, frozen=True, omit_defaults=True):
    """An interface of the node itself, and what applies there at each stage of a packet's way.

    `interface` is its name, EVERY_INTERFACE, or "" for the one that has any of `addresses`.
    `untracked` comes before connection tracking, `pre_dnat` before destination NAT (ingress only),
    `forward` is for what the node passes on, `normal` for what begins or ends at the node itself;
    the profiles belong to the last.
    """

    id: EndpointId
    interface: str
    addresses: tuple[Prefix, ...] = ()
    untracked: Tiers = Tiers()
    pre_dnat: Tiers = Tiers()
    forward: Tiers = Tiers()
    normal: Tiers = Tiers()
    profiles: tuple[str, ...] = ()
    dscp: int | None = None  # of what it sends out of the cluster; no part in any verdict


class Failsafe(NamedTuple):
    """A port of hosts that no policy closes; `net`: only for peers inside it."""

    protocol: int
    port: int
    net: Prefix | None = None

    def __str__(self) -> str:
        where = "" if self.net is None else f"{self.net}:"
        return f"{protocol_name(self.protocol).lower()}:{where}{self.port}"


class Failsafes(NamedTuple):
    """Ports of the node that peers always reach, and ports of peers that the node does."""

    inbound: tuple[Failsafe, ...] = ()
    outbound: tuple[Failsafe, ...] = ()


def _ports(protocol: int, *ports: int) -> tuple[Failsafe, ...]:
    return tuple(Failsafe(protocol, port) for port in ports)


_CONTROL_PLANE = _ports(TCP, 179, 2379, 2380, 5473, 6443, 6666, 6667)
DEFAULT_FAILSAFES = Failsafes(
    (*_ports(TCP, 22), *_ports(UDP, 68), *_CONTROL_PLANE),
    (*_ports(UDP, 53, 67), *_CONTROL_PLANE),
)
"""Calico's: SSH, DHCP, DNS, BGP, etcd, the fan-out server, the Kubernetes API."""
