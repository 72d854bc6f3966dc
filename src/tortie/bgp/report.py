"""What is told of a node's BGP: to `tortie node status`, and in CalicoNodeStatus. Pure."""

from collections.abc import Collection, Mapping
from typing import Literal

from msgspec import Struct, convert

from tortie.api.calico.node_status import (
    AgentStatus,
    BgpStatus,
    BirdStatus,
    CalicoNodeStatusStatus,
    LearnedFrom,
    PeerStatus,
    RoutesStatus,
    RouteStatus,
)
from tortie.bgp.picture import Picture, Session
from tortie.bgp.reasons import Md5Drops, reason
from tortie.bgp.status import BirdState, RouteState, SessionState
from tortie.net import format_address

_MOST_ROUTES = 1000  # of each IP version in a CalicoNodeStatus: objects have a largest size
SourceType = Literal["Kernel", "Static", "Direct", "NodeMesh", "BGPPeer", ""]


class SessionReport(Struct, frozen=True):
    """One session; `reason` says why it is not up."""

    name: str
    peer: str
    port: int
    ip_version: int
    peer_as: int
    local_as: int
    type: str
    from_resource: str
    node: str
    state: str
    since: str
    reason: str
    imported: int
    exported: int
    passive: bool
    password: bool
    bfd: bool


class RouteReport(Struct, frozen=True):
    """One route that BIRD knows."""

    destination: str
    kind: str
    best: bool
    gateways: tuple[str, ...]
    interfaces: tuple[str, ...]
    source: str
    peer: str


def session_reports(
    picture: Picture | None, states: Mapping[str, SessionState], drops: Md5Drops
) -> list[SessionReport]:
    """The sessions that are wanted, as they are."""
    sessions = () if picture is None else picture.sessions
    return [_session(session, states.get(session.symbol), drops) for session in sessions]


def _session(session: Session, state: SessionState | None, drops: Md5Drops) -> SessionReport:
    return SessionReport(
        name=session.symbol,
        peer=format_address(session.version, session.peer),
        port=session.port,
        ip_version=session.version,
        peer_as=session.peer_as,
        local_as=session.local_as,
        type=session.origin,
        from_resource=session.described,
        node=session.node,
        state="" if state is None else state.state,
        since="" if state is None else state.since,
        reason=reason(session, state, drops),
        imported=0 if state is None else state.imported,
        exported=0 if state is None else state.exported,
        passive=session.passive,
        password=session.password is not None,
        bfd=session.bfd is not None,
    )


def route_reports(picture: Picture | None, routes: Collection[RouteState]) -> list[RouteReport]:
    """The routes, each with whom it was learned from."""
    peers = {} if picture is None else {each.symbol: each for each in picture.sessions}
    found = []
    for route in routes:
        source, peer = _origin(route.symbol, peers)
        found.append(
            RouteReport(
                route.destination,
                route.kind,
                route.best,
                tuple(hop.gateway for hop in route.hops if hop.gateway),
                tuple(hop.interface for hop in route.hops),
                source,
                peer,
            )
        )
    return found


def _origin(symbol: str, peers: Mapping[str, Session]) -> tuple[SourceType, str]:
    if (session := peers.get(symbol)) is not None:
        kind: SourceType = "NodeMesh" if session.origin == "NodeMesh" else "BGPPeer"
        return kind, format_address(session.version, session.peer)
    for head, source in _SOURCES.items():
        if symbol.startswith(head):
            return source, ""
    return "", ""


_SOURCES: dict[str, SourceType] = {
    "kernel": "Kernel",
    "direct": "Direct",
    "blocks": "Static",
    "services": "Static",
    "gateways": "Static",
}


def node_status(
    classes: Collection[str],
    bird: BirdState | None,
    sessions: Collection[SessionReport],
    routes: Mapping[int, Collection[RouteReport]],
    now: str,
) -> CalicoNodeStatusStatus:
    """The answer to a CalicoNodeStatus. `bird` is None while BIRD does not answer."""
    return CalicoNodeStatusStatus(
        last_updated=now,
        agent=_agent(bird) if "Agent" in classes else None,
        bgp=_bgp(sessions) if "BGP" in classes else None,
        routes=RoutesStatus(
            routes_v4=_routes(routes.get(4, ())), routes_v6=_routes(routes.get(6, ()))
        )
        if "Routes" in classes
        else None,
    )


def _agent(bird: BirdState | None) -> AgentStatus:
    """One BIRD speaks for both families."""
    if bird is None:
        return AgentStatus(
            bird_v4=BirdStatus(state="NotReady"), bird_v6=BirdStatus(state="NotReady")
        )
    one = BirdStatus(
        state="Ready",
        version=bird.version,
        router_id=bird.router_id,
        last_boot_time=bird.booted,
        last_reconfiguration_time=bird.reconfigured,
    )
    return AgentStatus(bird_v4=one, bird_v6=one)


def _bgp(sessions: Collection[SessionReport]) -> BgpStatus:
    def count(version: int, up: bool) -> int:
        return sum(
            each.ip_version == version and (each.state == "Established") is up for each in sessions
        )

    def peers(version: int) -> tuple[PeerStatus, ...]:
        return tuple(_peer(each) for each in sessions if each.ip_version == version)

    return BgpStatus(
        number_established_v4=count(4, True),
        number_not_established_v4=count(4, False),
        number_established_v6=count(6, True),
        number_not_established_v6=count(6, False),
        peers_v4=peers(4),
        peers_v6=peers(6),
    )


def _peer(each: SessionReport) -> PeerStatus:
    plain = {"peerIP": each.peer, "type": each.type, "state": each.state, "since": each.since}
    return convert(plain, PeerStatus)


def _routes(routes: Collection[RouteReport]) -> tuple[RouteStatus, ...]:
    """The first of many only: the object must not outgrow what a datastore takes."""
    return tuple(_route(each) for each in list(routes)[:_MOST_ROUTES])


def _route(each: RouteReport) -> RouteStatus:
    learned = {"sourceType": each.source, "peerIP": each.peer}
    return RouteStatus(
        type="FIB" if each.best else "RIB",
        destination=each.destination,
        gateway=each.gateways[0] if each.gateways else "",
        interface=each.interfaces[0] if each.interfaces else "",
        learned_from=convert(learned, LearnedFrom),
    )
