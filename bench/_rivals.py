"""What a lab's streams are measured beside: the same namespaces and cables with nothing of ours.

Two nodes on a bridge, a pod behind each: routes by hand, no firewall, no agent. With VXLAN packets
between the pods go through a device that is made by hand, too; those between nodes don't. With
WireGuard the nodes have a device of wireguard-go, and all but its own packets goes through it.
"""

import os
import shutil
import subprocess
import tempfile
from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench._streams import Way
from tortie.dataplane.wireguard import process, public_key
from tortie.dataplane.wireguard.keys import new_key
from tortie.linux import namespaces, sysctl
from tortie.linux.links import Links
from tortie.linux.netlink.rtlink import AS_BORN, PacketSizes
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.wguapi import UserspaceWireguard
from tortie.linux.wireguard import DeviceChange, Endpoint, PeerChange
from tortie.net import parse_network, parse_prefix

# The first with segmentation offloads on its TUN device was of 2023; Debian 12 has one of 2022.
MODULE = "golang.zx2c4.com/wireguard"
VERSION = "v0.0.0-20260522210424-ecfc5a8d5446"
_WIREGUARD_MTU = 1440
_BUILD_SECONDS = 300


class Rival(NamedTuple):
    """Where to stream, from node to node and from pod to pod; processes that carry it."""

    nodes: Way
    pods: Way
    pids: tuple[int, ...] = ()


@contextmanager
def plain(sizes: PacketSizes = AS_BORN) -> Iterator[Rival]:
    """Without encapsulation; all interfaces with these packet sizes."""
    with _two_nodes() as (nodes, pods):
        for name in (*nodes, *pods, nodes[0].replace("-node-1", "-bridge")):
            raise_sizes(name, sizes)
        for number, name in enumerate(nodes):
            other = 1 - number
            _ip(name, f"route add {_pod(other)} via {_node(other)}")
        yield Rival(Way(nodes[0], nodes[1], _node(1)), Way(pods[0], pods[1], _pod(1)))


@contextmanager
def vxlan(sizes: PacketSizes = AS_BORN) -> Iterator[Rival]:
    """By a VXLAN device on each node, with entries written by hand."""
    with plain(sizes) as rival:
        for number, name in enumerate((rival.nodes.source, rival.nodes.target)):
            own, other = (f"02:00:00:00:00:0{one + 1}" for one in (number, 1 - number))
            _ip(
                name,
                f"link add vx0 address {own} type vxlan id 4096 dstport 4789 nolearning",
                f"address add 10.8.0.{number + 1}/24 dev vx0",
                "link set vx0 mtu 1450 up",
                f"neighbour add 10.8.0.{2 - number} lladdr {other} dev vx0",
                f"route replace {_pod(1 - number)} via 10.8.0.{2 - number} dev vx0",
            )
            entry = f"{other} dev vx0 dst {_node(1 - number)} self permanent"
            subprocess.run(["bridge", "-n", name, "fdb", "append", *entry.split()], check=True)
        for name in (rival.pods.source, rival.pods.target):
            _ip(name, "link set eth0 mtu 1450")
        yield rival


@contextmanager
def wireguard() -> Iterator[Rival]:
    """By the wireguard-go that is found first."""
    with _two_nodes() as (nodes, pods), ExitStack() as stack:
        place = Path(tempfile.mkdtemp(prefix="tb-"))
        stack.callback(shutil.rmtree, place)
        keys = [new_key() for _ in nodes]
        for number, name in enumerate(nodes):
            directory = place / name
            with namespaces.in_namespace(namespaces.path_of(name)), NetlinkSocket() as sock:
                process.start(directory, "wg0", partial(_is_there, Links(sock)))
                stack.callback(process.end, directory, "wg0")
                peer = _peer(public_key(keys[1 - number]), 1 - number)
                UserspaceWireguard(process.socket_of(directory, "wg0")).write(
                    DeviceChange(keys[number], 51820, None, [peer])
                )
            _ip(name, f"link set wg0 up mtu {_WIREGUARD_MTU}")
            _ip(name, f"address add 10.9.0.{number + 1}/24 dev wg0")
            _ip(name, f"route add {_pod(1 - number)} dev wg0")
        streams = Way(nodes[0], nodes[1], "10.9.0.2"), Way(pods[0], pods[1], _pod(1))
        yield Rival(*streams, processes_below(place))


def _peer(public: str, other: int) -> PeerChange:
    allowed = (f"10.9.0.{other + 1}/32", f"{_pod(other)}/32")
    endpoint = Endpoint(parse_prefix(_node(other)), 51820)
    return PeerChange(
        b64decode(public), False, endpoint, None, frozenset(map(parse_network, allowed))
    )


def raise_sizes(namespace: str, sizes: PacketSizes) -> None:
    """Have every interface of a namespace handle packets of these sizes."""
    with namespaces.in_namespace(namespaces.path_of(namespace)), NetlinkSocket() as sock:
        links = Links(sock)
        for link in links.list():
            links.set_sizes(link.name, sizes)


def processes_below(place: Path) -> tuple[int, ...]:
    """The wireguard-go processes that are written down somewhere in a directory."""
    return tuple(int(path.read_text().split()[0]) for path in place.rglob("*.pid"))


def recent_wireguard_go() -> Path | None:
    """The folder of one with offloads, built once and kept; None where there is no Go."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    place = Path(base) / "tortie" / "wireguard-go" / VERSION
    if not (place / "wireguard-go").exists():
        go = shutil.which("go")
        if go is None:
            return None
        place.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [go, "install", f"{MODULE}@{VERSION}"],
            env={**os.environ, "GOBIN": str(place)},
            check=True,
            timeout=_BUILD_SECONDS,
        )
        (place / "wireguard").rename(place / "wireguard-go")
    return place


def _is_there(links: Links) -> bool:
    return links.find("wg0") is not None


def _node(number: int) -> str:
    return f"172.16.1.{number + 11}"


def _pod(number: int) -> str:
    return f"10.65.{number}.2"


@contextmanager
def _two_nodes() -> Iterator[tuple[list[str], list[str]]]:
    """Names of the nodes' and the pods' namespaces."""
    unique = f"tortie-bench-{os.getpid()}"
    bridge = f"{unique}-bridge"
    nodes, pods = ([f"{unique}-{kind}-{number}" for number in (1, 2)] for kind in ("node", "pod"))
    with ExitStack() as stack:
        for name in (bridge, *nodes, *pods):
            namespaces.create_named(name)
            stack.callback(namespaces.delete_named, name)
            _ip(name, "link set lo up")
        _ip(bridge, "link add br0 type bridge", "link set br0 up")
        for number, (node, pod) in enumerate(zip(nodes, pods, strict=True)):
            _wire(bridge, node, pod, number)
        yield nodes, pods


def _wire(bridge: str, node: str, pod: str, number: int) -> None:
    """As a lab wires a node and its pod."""
    with namespaces.in_namespace(namespaces.path_of(node)):
        sysctl.write("net.ipv4.ip_forward", "1")
    _ip(
        node,
        f"link add eth0 type veth peer name port{number} netns {bridge}",
        f"address add {_node(number)}/24 dev eth0",
        "link set eth0 up",
        f"link add pod0 type veth peer name eth0 netns {pod}",
        "link set pod0 up",
        "address add 169.254.1.1/32 dev pod0",
        f"route add {_pod(number)} dev pod0",
    )
    _ip(bridge, f"link set port{number} master br0 up")
    _ip(
        pod,
        f"address add {_pod(number)}/32 dev eth0",
        "link set eth0 up",
        "route add 169.254.1.1 dev eth0",
        "route add default via 169.254.1.1",
    )


def _ip(namespace: str, *commands: str) -> None:
    text = "\n".join(commands)
    subprocess.run(["ip", "-n", namespace, "-batch", "-"], input=text, text=True, check=True)
