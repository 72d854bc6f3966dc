"""CalicoNodeStatus: a question to a node about its state, and the answer."""

from typing import Annotated, Literal

from tortie.api import checks
from tortie.api.calico import API_VERSION
from tortie.api.fields import NULLABLE, UNIQUE, Fields, Int32, Timestamp, Unset
from tortie.api.meta import Resource
from tortie.api.rules import inside, must, text, unique

Readiness = Literal["Ready", "NotReady"] | Unset
PeerState = (
    Literal["Idle", "Connect", "Active", "OpenSent", "OpenConfirm", "Established", "Close"] | Unset
)


class BirdStatus(Fields, frozen=True, kw_only=True):
    """One BGP daemon."""

    state: Readiness = ""
    """Whether it runs."""
    version: str = ""
    """Its version."""
    router_id: str = ""
    """Its router id."""
    last_boot_time: str = ""
    """When it started."""
    last_reconfiguration_time: str = ""
    """When it last read its configuration."""


class AgentStatus(Fields, frozen=True, kw_only=True):
    """The BGP daemons of both families."""

    bird_v4: BirdStatus | None = None
    """The daemon for IPv4."""
    bird_v6: BirdStatus | None = None
    """The daemon for IPv6."""


class PeerStatus(Fields, frozen=True, kw_only=True):
    """One BGP peer."""

    peer_ip: str = ""
    """Its address."""
    type: Literal["NodeMesh", "NodePeer", "GlobalPeer"] | Unset = ""
    """How it came to be a peer."""
    state: PeerState = ""
    """The session's state."""
    since: str = ""
    """Since when."""


class BgpStatus(Fields, frozen=True, kw_only=True):
    """The BGP peers of both families."""

    number_established_v4: int
    """IPv4 sessions that are up."""
    number_not_established_v4: int
    """IPv4 sessions that are not up."""
    number_established_v6: int
    """IPv6 sessions that are up."""
    number_not_established_v6: int
    """IPv6 sessions that are not up."""
    peers_v4: tuple[PeerStatus, ...] = ()
    """The IPv4 peers."""
    peers_v6: tuple[PeerStatus, ...] = ()
    """The IPv6 peers."""


class LearnedFrom(Fields, frozen=True, kw_only=True):
    """Where a route comes from."""

    source_type: Literal["Kernel", "Static", "Direct", "NodeMesh", "BGPPeer"] | Unset = ""
    """The sort of source."""
    peer_ip: str = ""
    """The peer's address, where it is a peer."""


class RouteStatus(Fields, frozen=True, kw_only=True):
    """One route."""

    type: Literal["FIB", "RIB"] | Unset = ""
    """FIB: in use. RIB: known."""
    destination: str = ""
    """The CIDR that it leads to."""
    gateway: str = ""
    """The address of the next hop."""
    interface: str = ""
    """The interface that packets leave through."""
    learned_from: LearnedFrom | None = None
    """Where the route comes from."""


class RoutesStatus(Fields, frozen=True, kw_only=True):
    """The routes of both families."""

    routes_v4: tuple[RouteStatus, ...] = ()
    """The IPv4 routes."""
    routes_v6: tuple[RouteStatus, ...] = ()
    """The IPv6 routes."""


class CalicoNodeStatusSpec(Fields, frozen=True, kw_only=True):
    """What is asked, of whom, how often."""

    node: str = ""
    """The node."""
    classes: Annotated[tuple[Literal["Agent", "BGP", "Routes"], ...], UNIQUE] = ()
    """What to tell of."""
    update_period_seconds: Int32 | None = None
    """Seconds between answers; 0: answer once."""


class CalicoNodeStatusStatus(Fields, frozen=True, kw_only=True):
    """The answer."""

    last_updated: Annotated[Timestamp | None, NULLABLE] = None
    """When it was given."""
    agent: AgentStatus | None = None
    """For the class Agent."""
    bgp: BgpStatus | None = None
    """For the class BGP."""
    routes: RoutesStatus | None = None
    """For the class Routes."""


class CalicoNodeStatus(Resource, frozen=True, kw_only=True):
    """A question to a node about its state, and the answer."""

    api_version = API_VERSION
    kind = "CalicoNodeStatus"

    spec: CalicoNodeStatusSpec
    status: CalicoNodeStatusStatus | None = None


RULES = (
    inside(
        "spec",
        (
            unique("classes"),
            text("node", checks.dns_subdomain),
            must(
                "update_period_seconds",
                "can't be negative",
                lambda s: (s.update_period_seconds or 0) >= 0,
            ),
        ),
    ),
    inside("status", (text("last_updated", checks.date_time),)),
)
