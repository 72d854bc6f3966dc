"""Networking between nodes: throughput by mode, routes and peers of large clusters, a new node.

Prints one JSON object a line: {"name", "value", "unit"}. Needs root. Throughput is one TCP stream
from pod to pod in a lab, turn by turn with three others: from node to node (`underlay`), and from
pod to pod and from node to node where nothing is ours (`plain_…`, see `bench._rivals`). A pod is
one veth further away than its node, on each side: what that costs is plain pods to plain nodes, and
what we cost is pods to plain pods. WireGuard's is beside wireguard-go alone in the same two ways.

Without encapsulation all is measured twice: as interfaces are born, which handle packets of 64 KiB
inside the kernel, and (`raised`) with uplinks whose packet sizes an operator has raised, which pods
follow; the ways beside are raised alike.
"""

import asyncio
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench._joining import Joined, join
from bench._rivals import (
    Rival,
    plain,
    processes_below,
    raise_sizes,
    recent_wireguard_go,
    vxlan,
    wireguard,
)
from bench._streams import Sending, Way, algorithms, emit, first_of_all, in_turn, tell
from tortie.api.manifests import read_manifests
from tortie.cli.commands.lab_up import bring_up
from tortie.cli.lean import collect_seldom
from tortie.dataplane.routes import RouteDriver
from tortie.dataplane.tunnels import VxlanDriver
from tortie.engine.delta import Delta, Route, RouteKind, Vtep
from tortie.lab.cluster import Lab, take_down
from tortie.lab.journal import Journal
from tortie.lab.plan import Encap, Mode, shape_of
from tortie.lab.progress import Silent
from tortie.linux import namespaces
from tortie.linux.links import Links
from tortie.linux.netlink.rtlink import AS_BORN, PacketSizes
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.routes import Routes
from tortie.net import Prefix, parse_prefix

ROUTES = 65_536
NODES = 500
SINGLES = 50
ROUNDS = 5
JOINS = 5
RAISED = PacketSizes(393_216, 393_216)


class Clear(NamedTuple):
    """A mode without encryption, and what it is measured beside."""

    name: str
    encap: Encap
    mode: Mode
    sizes: PacketSizes
    rival: Callable[[PacketSizes], AbstractContextManager[Rival]]


_IN_CLEAR = (
    Clear("none", Encap.NONE, "CrossSubnet", AS_BORN, plain),
    Clear("none.raised", Encap.NONE, "CrossSubnet", RAISED, plain),
    Clear("vxlan", Encap.VXLAN, "Always", AS_BORN, vxlan),
)
_PODS = "".join(
    f"""---
apiVersion: v1
kind: Pod
metadata: {{name: p{number}, namespace: default}}
spec:
  nodeName: node-{number}
  containers: [{{name: c, image: i, ports: [{{containerPort: 80}}]}}]
"""
    for number in (1, 2)
)


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@contextmanager
def lab_of(encap: Encap, mode: Mode, sizes: PacketSizes = AS_BORN) -> Iterator[tuple[Lab, Path]]:
    """A lab of two nodes on one subnet, with a pod on each; its cables have these packet sizes."""
    name, place = f"bench-net-{os.getpid()}", Path(tempfile.mkdtemp(prefix="tb-"))
    shape = shape_of(3, encap, mode)

    async def up() -> Lab:
        lab = await Lab.create(name, shape, Silent(), place)
        await lab.raise_fabric()
        for namespace in (lab.plan.router, *(node.namespace for node in lab.plan.nodes)):
            raise_sizes(namespace, sizes)
        await bring_up(lab, read_manifests("pods", _PODS))
        await lab.close()
        return lab

    try:
        yield asyncio.run(up()), place
    finally:
        take_down(Journal(name, place))
        shutil.rmtree(place)


def throughput() -> None:
    """Pod to pod in each mode, turn by turn with what it is measured beside."""
    for name, encap, mode, sizes, beside in _IN_CLEAR:
        with lab_of(encap, mode, sizes) as (lab, _), beside(sizes) as rival:
            nodes = lab.plan.nodes
            ways = {
                "pod_to_pod": pods_of(lab),
                "underlay": Way(nodes[0].namespace, nodes[1].namespace, nodes[1].address_text),
                "plain_pods": rival.pods,
                "plain_nodes": rival.nodes,
            }
            ratios = [("pod_to_pod", other) for other in ("underlay", "plain_pods")]
            for algorithm in algorithms():
                found = in_turn(ways, Sending(True, algorithm))
                tell(f"{name}.{algorithm}", found, *ratios, ("plain_pods", "plain_nodes"))
    if shutil.which("wireguard-go") is not None:
        encrypted("wireguard_2022" if is_debians() else "wireguard")
    if (recent := recent_wireguard_go()) is not None:
        with path_begins(recent):
            encrypted("wireguard")


def encrypted(name: str) -> None:
    """Pod to pod by WireGuard, turn by turn with wireguard-go alone (what is found first)."""
    with lab_of(Encap.WIREGUARD, "CrossSubnet") as (lab, place), wireguard() as rival:
        ways = {
            "pod_to_pod": pods_of(lab),
            "wireguard_go_alone": rival.nodes,
            "wireguard_go_alone_with_pods": rival.pods,
        }
        with first_of_all((*rival.pids, *processes_below(place / lab.plan.name / "nodes"))):
            others = ("wireguard_go_alone", "wireguard_go_alone_with_pods")
            found = in_turn(ways, Sending(False, algorithms()[-1]))
            tell(name, found, *(("pod_to_pod", one) for one in others))


def pods_of(lab: Lab) -> Way:
    """From the pod of the first node to that of the second."""
    pods = [lab.journal.workloads()[f"default/p{number}"] for number in (1, 2)]
    return Way(pods[0].netns, pods[1].netns, pods[1].addresses[0])


def is_debians() -> bool:
    """Whether the wireguard-go that is found first is older than offloads on TUN devices."""
    said = subprocess.run(["wireguard-go", "--version"], capture_output=True, text=True)
    return "0.0.2022" in said.stdout + said.stderr


@contextmanager
def path_begins(place: Path) -> Iterator[None]:
    """Programs of this folder are found first."""
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{place}:{before}"
    try:
        yield
    finally:
        os.environ["PATH"] = before


def joining() -> None:
    """How long after its agent's start a node is reached by all others through VXLAN."""
    with lab_of(Encap.VXLAN, "Always") as (lab, place):

        async def grow(count: int) -> Joined:
            grown = await Lab.create(lab.plan.name, lab.plan.shape.grown(count), Silent(), place)
            try:
                return await join(grown)
            finally:
                await grown.close()

        before = len(lab.plan.nodes)
        found = [asyncio.run(grow(before + number + 1)) for number in range(JOINS)]
    for name, values in zip(Joined._fields, zip(*found, strict=True), strict=True):
        emit(f"node_added.{name}", statistics.median(values), "s")


def large() -> None:
    """Many routes from nothing and again; the peers and blocks of many nodes; one change."""
    gateway = parse_prefix("172.16.1.3").address
    base = parse_prefix("10.0.0.0").address
    routes = {
        prefix: Route(prefix, RouteKind.DIRECT, gateway, "n")
        for prefix in (Prefix(4, base + 64 * number, 26) for number in range(ROUTES))
    }
    driver = RouteDriver()
    driver.resync()
    emit("routes_65536.from_nothing", seconds(lambda: driver.apply(Delta(routes=routes))), "s")
    driver.resync()
    looks = [seconds(driver.resync) for _ in range(ROUNDS)]
    emit("routes_65536.resync", statistics.median(looks), "s")
    restarted = RouteDriver()
    restarted.fold(Delta(routes=routes))
    emit("routes_65536.adopted_by_a_new_agent", seconds(restarted.resync), "s")
    for each in (driver, restarted):
        each.close()
    with NetlinkSocket() as sock:
        assert len(Routes(sock).dump(4, table=254, protocol=80)) == ROUTES


def peers() -> None:
    """500 other nodes' tunnel ends and blocks."""
    base, under = parse_prefix("10.64.0.0").address, parse_prefix("172.16.4.0").address
    ends = {
        f"n{number}": Vtep(
            f"n{number}",
            Prefix.single(4, base + 64 * number),
            Prefix.single(4, under + number),
            f"66:00:00:00:{number >> 8:02x}:{number & 255:02x}",
        )
        for number in range(NODES)
    }
    routes = {
        (block := Prefix(4, end.address.address, 26)): Route(
            block, RouteKind.VXLAN, end.address.address, end.node
        )
        for end in ends.values()
    }
    local = Vtep("me", parse_prefix("10.63.0.1"), parse_prefix("172.16.1.2"), "66:ff:00:00:00:01")
    everything = Delta(vteps=ends, local_vtep=(local,), routes=routes)
    tunnel, driver = VxlanDriver(), RouteDriver()

    def write(delta: Delta) -> None:
        assert not tunnel.apply(delta).failed
        assert not driver.apply(delta).failed

    emit("vxlan_500_nodes.programmed", seconds(lambda: write(everything)), "s")
    singles = []
    for number in range(SINGLES):
        node = f"more{number}"
        address = base + 64 * (NODES + number)
        end = Vtep(
            node,
            Prefix.single(4, address),
            Prefix.single(4, under + 1000 + number),
            f"66:01:00:00:00:{number:02x}",
        )
        block = Prefix(4, address, 26)
        one = Delta(vteps={node: end}, routes={block: Route(block, RouteKind.VXLAN, address, node)})
        singles.append(seconds(partial(write, one)))
    emit("vxlan_500_nodes.one_change_p50", 1000 * statistics.median(singles), "ms")
    emit("vxlan_500_nodes.one_change_max", 1000 * max(singles), "ms")


@contextmanager
def node() -> Iterator[None]:
    """A namespace with an underlay, for drivers in this process."""
    name = f"tortie-bench-network-{os.getpid()}"
    path = namespaces.create_named(name)
    try:
        with namespaces.in_namespace(path), NetlinkSocket() as sock:
            links = Links(sock)
            links.create_veth("eth0", "far0")
            for each in ("eth0", "far0"):
                links.set_up(each)
            links.add_address("eth0", parse_prefix("172.16.1.2/16"))
            yield
    finally:
        namespaces.delete_named(name)


def main() -> None:
    """Print all figures."""
    collect_seldom()  # as an agent does
    for work in (large, peers):
        with node():
            work()
    joining()
    throughput()


if __name__ == "__main__":
    main()
