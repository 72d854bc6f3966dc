"""BGPPeer: somebody outside, or some of the nodes, to speak BGP with."""

from typing import Annotated, Literal

from msgspec import Meta, field
from msgspec.structs import replace

from tortie.api import checks
from tortie.api.calico import API_VERSION
from tortie.api.calico.bgp_configuration import BgpPassword, WrittenAsNumber, as_number
from tortie.api.fields import Fields, Int32, NameText, SelectorText, Unset
from tortie.api.meta import Resource
from tortie.api.rules import FORBIDDEN, Cel, Validators, given, inside, must, number_or_text, text
from tortie.net import parse_address


class BGPPeerSpec(Fields, frozen=True, kw_only=True):
    """Which nodes speak with whom, and how."""

    node: NameText = ""
    """The node that has this peer. Absent, as `node_selector` too: every node."""
    node_selector: SelectorText = ""
    """Nodes with these labels have it."""
    peer_ip: Annotated[str, Meta(max_length=64)] = ""
    """The peer: an address, "v4:port" or "[v6]:port"."""
    peer_selector: SelectorText = ""
    """The peers are the nodes with these labels."""
    local_workload_selector: SelectorText = ""
    """The peers are local workloads with these labels."""
    as_number: WrittenAsNumber = None
    """The peer's AS number."""
    local_as_number: WrittenAsNumber = field(default=None, name="localASNumber")
    """The node's AS number for this peer."""
    keep_original_next_hop: bool | None = None
    """Deprecated: use `next_hop_mode` Keep."""
    next_hop_mode: Literal["Auto", "Self", "Keep"] | Unset = ""
    """The next hop of routes told to the peer: BGP's own rules, the node, or as it came. Absent:
    Auto."""
    password: BgpPassword | None = None
    """The session's password."""
    source_address: Literal["UseNodeIP", "None"] | Unset = ""
    """The address that the session comes from. Absent: UseNodeIP."""
    max_restart_time: str = ""
    """How long routes are kept while the peer restarts, as a duration. Absent: 120s."""
    keepalive_time: str = ""
    """The time between signs of life, as a duration. Absent: a third of the hold time."""
    num_allowed_local_as_numbers: Int32 | None = field(
        default=None, name="numAllowedLocalASNumbers"
    )
    """How often our own AS number may be in a route."""
    ttl_security: int | None = None
    """The hops that the peer is away, 0 to 255; packets from farther away are dropped. Absent:
    any."""
    filters: tuple[str, ...] = ()
    """BGPFilters in order."""
    reachable_by: Annotated[str, Meta(max_length=64)] = ""
    """The gateway to the peer."""
    reverse_peering: Literal["Auto", "Manual"] | Unset = ""
    """Whether the peers of `peer_selector` get the peering back by themselves (Auto). Absent:
    Auto."""


class BGPPeer(Resource, frozen=True, kw_only=True):
    """Whom nodes speak BGP with."""

    api_version = API_VERSION
    kind = "BGPPeer"

    spec: BGPPeerSpec


def peer_address(value: str) -> tuple[int, int]:
    """The (version, address) of "IP", "v4:port" or "[v6]:port". Raises ValueError."""
    host, port = value, "179"
    if value.startswith("["):
        host, _, port = value[1:].partition("]:")
    elif value.count(":") == 1:
        host, _, port = value.partition(":")
    found = checks.address(host)
    if value.startswith("[") and found[0] != 6:
        raise ValueError(f"{value!r}: only an IPv6 address stands in brackets")
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise ValueError(f"{value!r} has no port from 1 to 65535 after the address")
    return found


def _same_family(spec: BGPPeerSpec) -> bool:
    try:
        return parse_address(spec.reachable_by)[0] == peer_address(spec.peer_ip)[0]
    except ValueError:
        return True  # another rule says so


SPEC_RULES: Validators[BGPPeerSpec] = (
    must(
        "node_selector",
        "node and nodeSelector cannot both be set",
        lambda s: not (s.node and s.node_selector),
        cel=Cel(
            "(!has(self.node) || size(self.node) == 0) || (!has(self.nodeSelector) || "
            "size(self.nodeSelector) == 0)",
            FORBIDDEN,
        ),
    ),
    given(
        "peer_selector",
        must(
            "peer_selector",
            "peerIP and peerSelector cannot both be set",
            lambda s: not s.peer_ip,
            cel=Cel(
                "(!has(self.peerIP) || size(self.peerIP) == 0) || (!has(self.peerSelector) || "
                "size(self.peerSelector) == 0)",
                FORBIDDEN,
            ),
        ),
        must(
            "as_number",
            "asNumber must be empty when peerSelector is set",
            lambda s: not s.as_number,
            cel=Cel(
                "(!has(self.peerSelector) || size(self.peerSelector) == 0) || "
                "!has(self.asNumber) || self.asNumber == 0",
                FORBIDDEN,
            ),
        ),
    ),
    given(
        "local_workload_selector",
        must(
            "peer_ip",
            "peerIP must be empty when localWorkloadSelector is set",
            lambda s: not s.peer_ip,
            cel=Cel(
                "(!has(self.localWorkloadSelector) || size(self.localWorkloadSelector) == 0) || "
                "(!has(self.peerIP) || size(self.peerIP) == 0)",
                FORBIDDEN,
            ),
        ),
        must(
            "peer_selector",
            "peerSelector must be empty when localWorkloadSelector is set",
            lambda s: not s.peer_selector,
            cel=Cel(
                "(!has(self.localWorkloadSelector) || size(self.localWorkloadSelector) == 0) || "
                "(!has(self.peerSelector) || size(self.peerSelector) == 0)",
                FORBIDDEN,
            ),
        ),
        must(
            "as_number",
            "asNumber is required when localWorkloadSelector is set",
            lambda s: s.as_number,
            cel=Cel(
                "(!has(self.localWorkloadSelector) || size(self.localWorkloadSelector) == 0) || "
                "(has(self.asNumber) && self.asNumber != 0)"
            ),
        ),
    ),
    given(
        "reachable_by",
        must(
            "reachable_by",
            "reachableBy must be empty when peerIP is empty",
            lambda s: s.peer_ip,
            cel=Cel(
                "!has(self.reachableBy) || size(self.reachableBy) == 0 || (has(self.peerIP) && "
                "size(self.peerIP) > 0)",
                FORBIDDEN,
            ),
        ),
        must("reachable_by", "must be of the same IP version as peerIP", _same_family),
    ),
    must(
        "keep_original_next_hop",
        "keepOriginalNextHop and nextHopMode cannot both be set; "
        "keepOriginalNextHop is deprecated, use nextHopMode instead",
        lambda s: not (s.keep_original_next_hop and s.next_hop_mode),
        cel=Cel(
            "!has(self.keepOriginalNextHop) || !self.keepOriginalNextHop || !has(self.nextHopMode)",
            FORBIDDEN,
        ),
    ),
    number_or_text("as_number", checks.as_number),
    number_or_text("local_as_number", checks.as_number),
    text("peer_ip", peer_address),
    text("reachable_by", checks.address),
    text("node_selector", checks.local_selector),
    text("peer_selector", checks.local_selector),
    text("local_workload_selector", checks.local_selector),
    text("max_restart_time", checks.duration),
    text("keepalive_time", checks.duration),
    must("ttl_security", "must be from 0 to 255", lambda s: 0 <= (s.ttl_security or 0) <= 255),
)

RULES = (inside("spec", SPEC_RULES),)


def with_defaults(peer: BGPPeer) -> BGPPeer:
    """The AS numbers as numbers."""
    spec = peer.spec
    filled = replace(
        spec,
        as_number=as_number(spec.as_number),
        local_as_number=as_number(spec.local_as_number),
    )
    return replace(peer, spec=filled)
