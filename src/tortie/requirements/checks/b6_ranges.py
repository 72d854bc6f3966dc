"""B6: pools, services and hosts have ranges of their own."""

from collections.abc import Iterable, Iterator, Sequence

from tortie.linux.links import Links
from tortie.linux.netlink.rtroute import TABLE_MAIN
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.routes import Routes
from tortie.net import Prefix, parse_network
from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, missing, ok, warning
from tortie.requirements.modes import Purpose

_OURS = ("cali", "tunl", "vxlan.calico", "vxlan-v6.calico", "wireguard.cali", "wg-v6.cali")
_OUR_PROTOCOLS = (12, 80)  # BIRD's, and the agent's unless DeviceRouteProtocol says another


def judge(machine: Machine) -> Finding:
    """The cluster's ranges, the nodes' addresses and this node's routes."""
    cluster = machine.cluster
    if cluster is None or not cluster.pools:
        return warning("no pools are known", "name the datastore, and apply an IPPool")
    kube = cluster.kubernetes
    pools = [(f"pool {pool.name}", parse_network(pool.cidr)) for pool in cluster.pools]
    services = [("the service range", one) for one in (kube.service_ranges if kube else ())]
    nodes = [("a node's address", one) for one in (kube.node_addresses if kube else ())]
    return judge_ranges(pools, services, [*nodes, *host_routes()])


def judge_ranges(
    pools: Sequence[tuple[str, Prefix]],
    services: Sequence[tuple[str, Prefix]],
    hosts: Sequence[tuple[str, Prefix]],
) -> Finding:
    """Each range with what to call it."""
    clashes = [*_clashes(pools, services), *_clashes(pools, hosts), *_clashes(services, hosts)]
    if clashes:
        return missing(
            "; ".join(clashes[:3]) + (f"; and {len(clashes) - 3} more" if clashes[3:] else ""),
            "make a pool of another range, disable this one, and move its workloads",
        )
    shown = ", ".join(str(one) for _, one in (*pools, *services))
    if not services:
        return warning(f"{shown}: apart, but the service range is not known", "see row B1")
    return ok(f"{shown}: apart from each other and from the hosts")


def _clashes(
    some: Iterable[tuple[str, Prefix]], others: Sequence[tuple[str, Prefix]]
) -> Iterator[str]:
    for name, one in some:
        for other_name, other in others:
            if one.version == other.version and (one.contains(other) or other.contains(one)):
                yield f"{name} ({one}) overlaps {other_name} ({other})"


def host_routes() -> list[tuple[str, Prefix]]:
    """This node's own routes, without the default ones and those of ours."""
    try:
        with NetlinkSocket() as sock:
            return list(_routes(sock))
    except OSError:
        return []


def _routes(sock: NetlinkSocket) -> Iterator[tuple[str, Prefix]]:
    names = {link.index: link.name for link in Links(sock).list()}
    for version in (4, 6):
        for route in Routes(sock).list(version, table=TABLE_MAIN):
            name = names.get(route.oif, "")
            is_ours = name.startswith(_OURS) or route.protocol in _OUR_PROTOCOLS
            if name and route.destination.length and not is_ours:
                yield f"a route by {name}", route.destination


CHECK = Check(
    "B6",
    "ranges apart",
    "--for kubernetes",
    "Pools against the service range (of the ServiceCIDRs, kubeadm's configuration or the API"
    " server's arguments), against the nodes' addresses, and against this node's routes that are"
    " not ours. An address that means two things reaches one of them only.",
    judge,
    applies=lambda modes: modes.purpose is Purpose.KUBERNETES,
)
