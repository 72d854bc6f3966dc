"""Policy rules: what NetworkPolicy, GlobalNetworkPolicy, their staged forms and Profile share."""

from typing import Annotated, Literal

from msgspec import Meta, field

from tortie.api.fields import UNIQUE, Fields, IntOrText, NameText, SelectorText, TextSet

RuleAction = Literal["Allow", "Deny", "Log", "Pass"]
Direction = Literal["Ingress", "Egress"]
Ports = Annotated[tuple[IntOrText, ...], Meta(max_length=50)]
Nets = Annotated[
    tuple[str, ...], Meta(max_length=256, extra_json_schema={"x-kubernetes-list-type": "set"})
]


class IcmpFields(Fields, frozen=True, kw_only=True):
    """An ICMP or ICMPv6 type, and a code of that type."""

    type: Annotated[int, Meta(ge=0, le=254)] | None = None
    """The type, 0 to 254."""
    code: Annotated[int, Meta(ge=0, le=255)] | None = None
    """The code, 0 to 255; needs a type. Absent: every code."""


class ServiceAccountMatch(Fields, frozen=True, kw_only=True):
    """Endpoints that run as one of these service accounts."""

    names: TextSet = ()
    """Names of service accounts. Empty: any."""
    selector: str = ""
    """A selector over the labels of service accounts."""


class ServiceMatch(Fields, frozen=True, kw_only=True):
    """The addresses (and, for egress, the ports) behind a Kubernetes Service."""

    name: NameText = ""
    """The Service's name. Required."""
    namespace: NameText = ""
    """Its namespace; absent: the policy's own. Required in a GlobalNetworkPolicy."""


class HttpPath(Fields, frozen=True, kw_only=True):
    """One path of HTTP requests; exactly one of the fields is set."""

    exact: Annotated[str, Meta(max_length=1024)] = ""
    """The whole path."""
    prefix: Annotated[str, Meta(max_length=1024)] = ""
    """The beginning of the path."""


class HttpMatch(Fields, frozen=True, kw_only=True):
    """HTTP requests that match one of the methods and one of the paths."""

    methods: Annotated[tuple[str, ...], Meta(max_length=20)] = ()
    """Methods in capitals. Empty: every method."""
    paths: Annotated[tuple[HttpPath, ...], Meta(max_length=20)] = ()
    """Paths. Empty: every path."""


class RuleMetadata(Fields, frozen=True, kw_only=True):
    """Notes about a rule."""

    annotations: dict[str, str] = field(default_factory=dict)
    """Keys and values, which go into the comment of the rule in the kernel."""


class EntityRule(Fields, frozen=True, kw_only=True):
    """What one end of a packet must be. All that is given must hold."""

    nets: Nets = ()
    """The address is in one of these CIDRs."""
    selector: SelectorText = ""
    """It is an endpoint or in a network set with these labels, of the policy's own namespace."""
    namespace_selector: SelectorText = ""
    """`selector` looks into the namespaces with these labels; "global()": into none."""
    services: ServiceMatch | None = None
    """It is an address behind this Service."""
    ports: Ports = ()
    """The port is one of these: a number, a range "80:90", or the name of an endpoint's port."""
    not_nets: Nets = ()
    """The address is in none of these CIDRs."""
    not_selector: SelectorText = ""
    """It is no endpoint with these labels; an unknown address is none either."""
    not_ports: Ports = ()
    """The port is none of these."""
    service_accounts: ServiceAccountMatch | None = None
    """It is an endpoint that runs as one of these service accounts."""


class Rule(Fields, frozen=True, kw_only=True):
    """One rule of a policy: what a packet must be, and what is done with it."""

    action: RuleAction
    """Allow and Deny decide; Log goes on with the next rule; Pass skips the rest of the tier."""
    ip_version: Literal[4, 6] | None = None
    """Only packets of this IP version. Absent: both."""
    protocol: IntOrText | None = None
    """TCP, UDP, ICMP, ICMPv6, SCTP, UDPLite, or a number from 1 to 255. Absent: every one."""
    icmp: IcmpFields | None = None
    """Only this ICMP type; needs `protocol` ICMP or ICMPv6."""
    not_protocol: IntOrText | None = None
    """Every protocol but this."""
    not_icmp: IcmpFields | None = None
    """Every ICMP type but this."""
    source: EntityRule | None = None
    """Where the packet comes from."""
    destination: EntityRule | None = None
    """Where the packet goes to."""
    http: HttpMatch | None = None
    """Only these HTTP requests; needs the application layer's proxy."""
    metadata: RuleMetadata | None = None
    """Notes about the rule."""


Rules = Annotated[tuple[Rule, ...], Meta(max_length=1024)]
Directions = Annotated[
    tuple[Direction, ...],
    Meta(min_length=1, max_length=2, extra_json_schema={"x-kubernetes-list-type": "set"}),
]
PerformanceHints = Annotated[tuple[Literal["AssumeNeededOnEveryNode"], ...], UNIQUE]


def directions_of(
    types: tuple[Direction, ...], ingress: tuple[Rule, ...], egress: tuple[Rule, ...]
) -> tuple[Direction, ...]:
    """The directions a policy applies to: `types`, or what its rules imply where that is empty.

    No egress rules: Ingress. Egress rules alone: Egress. Both: both.
    """
    if types:
        return types
    if not egress:
        return ("Ingress",)
    return ("Ingress", "Egress") if ingress else ("Egress",)
