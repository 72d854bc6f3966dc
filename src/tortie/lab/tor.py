"""The lab's router as a real BGP peer from outside: a BIRD of its own, in another AS.

It learns from the nodes where workloads are, so that hosts outside can call them; nobody writes
such routes for it. It tells nodes nothing: they have default routes to it.
"""

import asyncio
import os
import shutil
from collections.abc import Collection, Iterator

from tortie.api import ObjectMeta
from tortie.api.calico.bgp_peer import BGPPeer, BGPPeerSpec
from tortie.bgp.configuration import DEFAULT_AS
from tortie.bgp.control import BirdAway, BirdControl
from tortie.lab.errors import LabError
from tortie.lab.fabric import network_of
from tortie.lab.journal import Journal
from tortie.lab.plan import Encap, Plan, Station
from tortie.lab.processes import is_alive, spawn
from tortie.net import Prefix, format_address

AS_NUMBER = 65000
ROLE = "bgp-router"
_ROUTER_ID = "203.0.113.1"  # of labs without IPv4, too
_PATIENCE = 10.0  # seconds
_POLL = 0.02  # seconds

_BASE = (
    "log stderr all;",
    "protocol device { }",
    'protocol direct { ipv4; ipv6; interface "br-*"; }',
    "protocol kernel kernel4 { merge paths on; ipv4 { export where source = RTS_BGP; }; }",
    "protocol kernel kernel6 { merge paths on; ipv6 { export where source = RTS_BGP; }; }",
)


async def ensure_router_bgp(plan: Plan, journal: Journal) -> None:
    """Have the router peer with every node of a lab that is to have BGP. Raises LabError."""
    if plan.shape.encap is not Encap.BGP:
        return
    program = shutil.which("bird", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise LabError("--encap bgp needs BIRD 2: install it (Debian: bird2)")
    folder = journal.node_dir("router")
    configuration, control = folder / "bird.conf", folder / "bird.ctl"
    configuration.write_text("\n".join(_lines(plan)) + "\n")
    if not is_alive(journal.process(ROLE)):
        command = [program, "-f", "-c", str(configuration), "-s", str(control)]
        spawn(journal, ROLE, plan.router, command)
    await _configure(str(control))


async def await_routes(plan: Plan, addresses: Collection[Prefix]) -> None:
    """Return once the router and every node know a way to these workloads. Raises LabError."""
    if plan.shape.encap is not Encap.BGP:
        return
    for namespace in (plan.router, *(node.namespace for node in plan.nodes)):
        try:
            async with asyncio.timeout(_PATIENCE):
                missing = await asyncio.to_thread(_unknown, namespace, addresses)
                while missing:
                    await asyncio.sleep(_POLL)
                    missing = await asyncio.to_thread(_unknown, namespace, missing)
        except TimeoutError:
            raise LabError(
                f"{namespace} knows no way to {missing[0]}: see `tortie node status` there"
            ) from None


def _unknown(namespace: str, addresses: Collection[Prefix]) -> list[Prefix]:
    with network_of(namespace) as network:
        routes = [*network.routes.list(4), *network.routes.list(6)]
    known = [route.destination for route in routes if route.destination.length]
    return [one for one in addresses if not any(known_.contains(one) for known_ in known)]


async def _configure(control: str) -> None:
    """Have BIRD take its file, once it is there."""
    try:
        async with asyncio.timeout(_PATIENCE):
            while True:
                try:
                    async with await BirdControl.open(control) as bird:
                        reply = await bird.ask("configure")
                        break
                except BirdAway:
                    await asyncio.sleep(_POLL)
    except TimeoutError:
        raise LabError("the router's BIRD does not answer") from None
    if reply.failed:
        raise LabError(f"the router's BIRD refuses its configuration: {reply}")


def _lines(plan: Plan) -> Iterator[str]:
    yield f"router id {_ROUTER_ID};"
    yield from _BASE
    for node in plan.nodes:
        yield from _peers(node)


def _peers(node: Station) -> Iterator[str]:
    for prefix in node.addresses:
        version = prefix.version
        gateway = node.subnet.gateway_of(version)
        if gateway is None:
            continue
        name = node.name.replace("-", "_")
        peer = format_address(version, prefix.address)
        own = format_address(version, gateway.address)
        yield f"protocol bgp {name}_v{version} {{"
        yield f"  local {own} as {AS_NUMBER}; neighbor {peer} as {DEFAULT_AS}; multihop;"
        yield "  connect delay time 1; connect retry time 2; error wait time 1, 5;"
        yield f"  ipv{version} {{ import all; export none; add paths on; }};"
        yield "}"


def router_peers(plan: Plan) -> list[BGPPeer]:
    """The nodes' side of it."""
    found = []
    for node in plan.nodes if plan.shape.encap is Encap.BGP else ():
        for prefix in node.addresses:
            gateway = node.subnet.gateway_of(prefix.version)
            if gateway is not None:
                found.append(_peer(node, prefix.version, format_address(*gateway[:2])))
    return found


def _peer(node: Station, version: int, address: str) -> BGPPeer:
    return BGPPeer(
        metadata=ObjectMeta(name=f"router-{node.name}-v{version}"),
        spec=BGPPeerSpec(node=node.name, peer_ip=address, as_number=AS_NUMBER),
    )
