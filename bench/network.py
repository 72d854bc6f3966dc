"""Networking between nodes: throughput by mode, routes and peers of large clusters, a new node.

Prints one JSON object a line: {"name", "value", "unit"}. Needs root. Throughput is one TCP stream
from pod to pod in a lab, beside the same stream from node to node in the same run (the underlay);
WireGuard's beside wireguard-go alone between two namespaces.
"""

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from tortie.api.manifests import read_manifests
from tortie.cli.commands.lab_up import bring_up
from tortie.dataplane.routes import RouteDriver
from tortie.dataplane.tunnels import VxlanDriver
from tortie.dataplane.wireguard import process, public_key
from tortie.dataplane.wireguard.keys import new_key
from tortie.engine.delta import Delta, Route, RouteKind, Vtep
from tortie.lab.cluster import Lab, take_down
from tortie.lab.journal import Journal
from tortie.lab.plan import Encap, Mode, shape_of
from tortie.lab.progress import Silent
from tortie.linux import namespaces
from tortie.linux.links import Links
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.routes import Routes
from tortie.linux.wguapi import UserspaceWireguard
from tortie.linux.wireguard import DeviceChange, Endpoint, PeerChange
from tortie.net import Prefix, parse_network, parse_prefix

ROUTES = 65_536
NODES = 500
SINGLES = 50
ROUNDS = 5
STREAM_SECONDS = 1.0
PORT = 5_500
_MODES: tuple[tuple[str, Encap, Mode], ...] = (
    ("none", Encap.NONE, "CrossSubnet"),
    ("vxlan", Encap.VXLAN, "Always"),
    ("wireguard", Encap.WIREGUARD, "CrossSubnet"),
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
# One TCP stream: the sender tells its seconds, the receiver how many bytes came in how long.
_RECEIVE = """
import socket, sys, time
s = socket.create_server((sys.argv[1], int(sys.argv[2]))); print("ready", flush=True)
c, _ = s.accept(); buffer = memoryview(bytearray(1 << 20)); total = 0; first = time.perf_counter()
while count := c.recv_into(buffer): total += count
print(total / (time.perf_counter() - first))
"""
_SEND = """
import socket, sys, time
c = socket.create_connection((sys.argv[1], int(sys.argv[2]))); data = bytes(1 << 20)
end = time.perf_counter() + float(sys.argv[3])
while time.perf_counter() < end: c.sendall(data)
"""


def emit(name: str, value: float, unit: str) -> None:
    """One figure."""
    print(
        json.dumps({"name": f"network.{name}", "value": round(value, 4), "unit": unit}), flush=True
    )


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def stream(source: str, target: str, address: str) -> float:
    """Bytes a second of one TCP stream between two namespaces."""
    inside = ["nsenter", f"--net={namespaces.path_of(target)}"]
    command = [*inside, sys.executable, "-I", "-S", "-c", _RECEIVE, address, str(PORT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdout is not None
        receiver.stdout.readline()
        inside = ["nsenter", f"--net={namespaces.path_of(source)}"]
        words = [address, str(PORT), str(STREAM_SECONDS)]
        subprocess.run(
            [*inside, sys.executable, "-I", "-S", "-c", _SEND, *words], check=True, timeout=60
        )
        return float(receiver.stdout.readline())


@contextmanager
def lab_of(encap: Encap, mode: Mode) -> Iterator[tuple[Lab, Path]]:
    """A lab of two nodes on one subnet, with a pod on each."""
    name, place = f"bench-net-{os.getpid()}", Path(tempfile.mkdtemp(prefix="tb-"))
    shape = shape_of(3, encap, mode)

    async def up() -> Lab:
        lab = await Lab.create(name, shape, Silent(), place)
        await bring_up(lab, read_manifests("pods", _PODS))
        await lab.close()
        return lab

    try:
        yield asyncio.run(up()), place
    finally:
        take_down(Journal(name, place))
        shutil.rmtree(place)


def throughput() -> None:
    """Pod to pod in each mode, turn by turn with node to node."""
    for name, encap, mode in _MODES:
        if encap is Encap.WIREGUARD and shutil.which("wireguard-go") is None:
            continue
        with ExitStack() as stack:
            lab, _ = stack.enter_context(lab_of(encap, mode))
            pods = [lab.journal.workloads()[f"default/p{number}"] for number in (1, 2)]
            nodes = lab.plan.nodes
            ways = {
                "pod_to_pod": (pods[0].netns, pods[1].netns, pods[1].addresses[0]),
                "underlay": (nodes[0].namespace, nodes[1].namespace, nodes[1].address_text),
            }
            if encap is Encap.WIREGUARD:
                ways["wireguard_go_alone"] = stack.enter_context(wireguard_alone())
            found: dict[str, list[float]] = {way: [] for way in ways}
            for _ in range(ROUNDS):
                for way, ends in ways.items():
                    found[way].append(stream(*ends))
        rates = {way: statistics.median(each) for way, each in found.items()}
        for way, rate in rates.items():
            emit(f"{name}.{way}", rate * 8 / 1e9, "Gbit/s")
        beside = "wireguard_go_alone" if encap is Encap.WIREGUARD else "underlay"
        emit(f"{name}.of_{beside}", rates["pod_to_pod"] / rates[beside], "times")


@contextmanager
def wireguard_alone() -> Iterator[tuple[str, str, str]]:
    """wireguard-go between two namespaces, with nothing of ours around it; where to stream.

    They are on a bridge in a third, as a lab's nodes are.
    """
    with ExitStack() as stack:
        place = Path(tempfile.mkdtemp(prefix="tb-"))
        stack.callback(shutil.rmtree, place)
        names = [f"tortie-bench-wg{number}-{os.getpid()}" for number in (1, 2)]
        bridge = f"tortie-bench-bridge-{os.getpid()}"
        for name in (bridge, *names):
            namespaces.create_named(name)
            stack.callback(namespaces.delete_named, name)
        with namespaces.in_namespace(namespaces.path_of(bridge)), NetlinkSocket() as sock:
            links = Links(sock)
            links.create_bridge("br0")
            links.set_up("br0")
            for number, name in enumerate(names):
                with open(namespaces.path_of(name)) as far:
                    links.create_veth(f"port{number}", "eth0", far.fileno())
                links.set_master(f"port{number}", "br0")
                links.set_up(f"port{number}")
        keys = [new_key() for _ in names]
        for number, name in enumerate(names):
            with namespaces.in_namespace(namespaces.path_of(name)), NetlinkSocket() as sock:
                links = Links(sock)
                links.add_address("eth0", parse_prefix(f"172.16.1.{number + 1}/24"))
                links.set_up("eth0")
                links.set_up("lo")
                directory = place / name
                process.start(directory, "wg0", partial(_is_there, links))
                stack.callback(process.end, directory, "wg0")
                other = b64decode(public_key(keys[1 - number]))
                endpoint = Endpoint(parse_prefix(f"172.16.1.{2 - number}"), 51820)
                allowed = frozenset({parse_network(f"10.9.0.{2 - number}/32")})
                peer = PeerChange(other, False, endpoint, None, allowed)
                UserspaceWireguard(process.socket_of(directory, "wg0")).write(
                    DeviceChange(keys[number], 51820, None, [peer])
                )
                links.set_mtu("wg0", 1440)
                links.add_address("wg0", parse_prefix(f"10.9.0.{number + 1}/24"))
                links.set_up("wg0")
        yield names[0], names[1], "10.9.0.2"


def _is_there(links: Links) -> bool:
    return links.find("wg0") is not None


def joining() -> None:
    """How long after a node's agent starts until every other node's tunnel knows it."""
    with lab_of(Encap.VXLAN, "Always") as (lab, place):
        shape = lab.plan.shape.grown(4)
        times: dict[str, float] = {}

        async def grow() -> None:
            grown = await Lab.create(lab.plan.name, shape, Silent(), place)
            try:
                await grown.raise_fabric()
                started = time.perf_counter()
                await grown.await_agents()
                times["ready"] = time.perf_counter() - started
                revision = await grown.store.revision()
                published = time.perf_counter()
                await grown.await_revision(revision)
                times["known"] = time.perf_counter() - published
            finally:
                await grown.close()

        asyncio.run(grow())
        emit("node_added.agent_ready", times["ready"], "s")
        emit("node_added.known_to_all_after_publication", times["known"], "s")


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
    for work in (large, peers):
        with node():
            work()
    joining()
    throughput()


if __name__ == "__main__":
    main()
