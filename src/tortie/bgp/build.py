"""The cluster's resources and the Secrets' passwords → one node's picture. Pure."""

from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

from tortie.api import IPPool, checks
from tortie.bgp.cluster import EXCLUDED, Cluster, Speaker
from tortie.bgp.configuration import InForce, advertisements, in_force, listen_port
from tortie.bgp.filters import filters_named, symbol_of
from tortie.bgp.passwords import Kept, Passwords
from tortie.bgp.peers import Peering
from tortie.bgp.picture import Family, Picture, PoolRoutes, Problem, Session
from tortie.bgp.services import service_routes
from tortie.bgp.words import interface_pattern
from tortie.net import Prefix

_PRIORITY = 1024
_SEVERITIES = ("Trace", "Debug", "Info", "Warning", "Error", "Fatal")
_PROGRAMMED = ("", "Enabled", "EnabledNoEncapOnly")  # by BIRD, of what no tunnel carries
_TUNNELLED = ("Enabled", "EnabledIPIPOnly")
_VALID_PRIORITIES = range(1, 2**31 - 1)


class Given(NamedTuple):
    """What the process knows and no resource says. `router_id` None: the IPv4 address."""

    router_id: int | None = None
    workload_prefixes: tuple[str, ...] = ("cali",)


def picture_of(
    cluster: Cluster, passwords: Passwords, given: Given, kept: Kept | None = None
) -> Picture | None:
    """The picture; None while the cluster has no such Node, or that has no address for BGP.

    `kept`: the sessions that BIRD has, for those whose password can't be known now.
    """
    me = cluster.me
    if me is None or (me.ipv4 is None and me.ipv6 is None):
        return None
    problems = [problem for each in cluster.problems.values() for problem in each]
    current = in_force(cluster.configurations, cluster.node, problems)
    peering = Peering(cluster, me, current, passwords, kept or {})
    sessions = peering.sessions()
    filters, closed = filters_named(_names(cluster, sessions), cluster.filters)
    families = _families(cluster, me, current, problems)
    return Picture(
        node=me.name,
        router_id=given.router_id or _router_id(me),
        log_severity=_severity(current),
        port=listen_port(cluster.configurations, me.name),
        strict_bind=current.spec.bind_mode == "NodeIP",
        ignored_interfaces=_ignored(current, problems),
        workload_prefixes=given.workload_prefixes,
        family4=families[4],
        family6=families[6],
        sessions=sessions,
        filters=filters,
        problems=tuple(dict.fromkeys([*problems, *peering.problems, *closed])),
    )


def _router_id(me: Speaker) -> int:
    """The IPv4 address; without one, 32 bits of the name's hash, since there must be an id."""
    if me.ipv4 is not None:
        return me.ipv4.address
    return hashed_id(me.name)


def hashed_id(node: str) -> int:
    """A router id from a node's name; never 0, which is nobody's."""
    digest = sha256(node.encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:4]) or 1


def _severity(current: InForce) -> str:
    wanted = current.spec.log_severity_screen.casefold()
    found = [each for each in _SEVERITIES if each.casefold() == wanted]
    return found[0] if found else "Info"


def _ignored(current: InForce, problems: list[Problem]) -> tuple[str, ...]:
    found = []
    for name in current.spec.ignored_interfaces:
        try:
            interface_pattern(name)
        except ValueError as problem:
            text = f"spec.ignoredInterfaces: {problem}; it is left out"
            problems.append(Problem(current.where, text))
        else:
            found.append(name)
    return tuple(sorted(set(found)))


def _names(cluster: Cluster, sessions: tuple[Session, ...]) -> list[str]:
    """The filters that the sessions' peers name."""
    wanted = {symbol for session in sessions for symbol in session.filters}
    named = {name for peer in cluster.peers.values() for name in peer.spec.filters}
    return sorted(name for name in named if symbol_of(name) in wanted)


def _families(
    cluster: Cluster, me: Speaker, current: InForce, problems: list[Problem]
) -> dict[int, Family]:
    pools = _pools(cluster, current, problems)
    services = service_routes(cluster, current.spec, EXCLUDED in me.labels, problems)
    advertised = advertisements(current, problems)
    spec = current.spec
    priorities = {4: spec.ipv4_normal_route_priority, 6: spec.ipv6_normal_route_priority}
    return {
        version: Family(
            blocks=_of_version(version, cluster.blocks.values()),
            services=_of_version(version, services.announced),
            service_ranges=_of_version(version, services.ranges),
            pools=tuple(pool for pool in pools if pool.cidr.version == version),
            advertised=tuple(each for each in advertised if each.cidr.version == version),
            priority=_priority(priorities[version]),
        )
        for version in (4, 6)
    }


def _priority(given: int | None) -> int:
    return _PRIORITY if given is None or given not in _VALID_PRIORITIES else given


def _of_version(version: int, prefixes: Iterable[Prefix]) -> tuple[Prefix, ...]:
    return tuple(sorted({prefix for prefix in prefixes if prefix.version == version}))


def _pools(cluster: Cluster, current: InForce, problems: list[Problem]) -> tuple[PoolRoutes, ...]:
    mode = current.spec.program_cluster_routes
    if mode in _TUNNELLED:
        text = (
            f"spec.programClusterRoutes: {mode}: BIRD 2 can't program IPIP routes, the agent does"
        )
        problems.append(Problem(current.where, text))
    found = []
    for pool in cluster.pools.values():
        try:
            found.append(_pool(pool, mode in _PROGRAMMED))
        except ValueError as problem:
            problems.append(Problem(str(pool.key), f"spec.cidr: {problem}; it is left out"))
    return tuple(sorted(found))


def _pool(pool: IPPool, programmed: bool) -> PoolRoutes:
    spec = pool.spec
    vxlan = spec.vxlan_mode not in ("", "Never")
    ipip = spec.ipip_mode not in ("", "Never")
    return PoolRoutes(
        checks.cidr(spec.cidr).network,
        told=not spec.disable_bgp_export,
        told_inside=not vxlan,  # nodes reach each other through the tunnel
        programmed=programmed and not vxlan and not ipip,
    )
