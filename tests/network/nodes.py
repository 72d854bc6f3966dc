"""What there is on a node of the ways to the others, by iproute2's word, and what should be."""

import json
import subprocess
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple

from network.cluster import Cluster
from tortie.api import Key, Node
from tortie.lab.cluster import Lab
from tortie.lab.plan import Plan, plan_lab
from tortie.linux.namespaces import in_namespace, path_of

_TUNNELS = ("tunl0", "vxlan.calico", "wireguard.cali")
_OURS = "80"  # the protocol of our routes
_MTU = {"tunl0": 1480, "vxlan.calico": 1450}
_DEVICE = {"ipip": "tunl0", "vxlan": "vxlan.calico"}


class Tunnel(NamedTuple):
    """A device that is up, or has addresses."""

    name: str
    mtu: int
    addresses: tuple[str, ...]


class Way(NamedTuple):
    """A route to another node's block."""

    block: str
    gateway: str
    device: str
    onlink: bool


class Picture(NamedTuple):
    """All that is of the ways between nodes. `entries` are VXLAN's of other nodes: (MAC, node)."""

    tunnels: tuple[Tunnel, ...]
    ways: tuple[Way, ...]
    rules: tuple[int, ...]
    entries: tuple[tuple[str, str], ...]
    neighbours: tuple[tuple[str, str], ...]


def picture(cluster: Cluster, node: str) -> Picture:
    """What a node has now."""
    asked = {
        what: _asked(cluster, node, *words.split())
        for what, words in {
            "links": "ip -j -4 address",
            "routes": f"ip -j -4 route show table all proto {_OURS}",
            "rules": "ip -j -4 rule",
            "entries": "bridge -j fdb show",
            "neighbours": "ip -j -4 neigh show nud permanent",
        }.items()
    }
    return Picture(
        tuple(filter(None, map(_tunnel, asked["links"]))),
        tuple(sorted(_way(one) for one in asked["routes"] if one.get("type") != "blackhole")),
        tuple(sorted(one["priority"] for one in asked["rules"])),
        tuple(sorted((one["mac"], one["dst"]) for one in asked["entries"] if one.get("dst"))),
        tuple(sorted((one["dst"], one["lladdr"]) for one in asked["neighbours"] if _is_far(one))),
    )


def _asked(cluster: Cluster, node: str, *command: str) -> list[dict[str, Any]]:
    with in_namespace(path_of(cluster.namespace(node))):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return found


def _tunnel(link: dict[str, Any]) -> Tunnel | None:
    """The kernel's own tunl0 is always there: down and without an address it is nothing."""
    held = tuple(sorted(one["local"] for one in link.get("addr_info", ())))
    used = held or "UP" in link.get("flags", ())
    is_one = link.get("ifname") in _TUNNELS and used
    return Tunnel(link["ifname"], link["mtu"], held) if is_one else None


def _way(route: dict[str, Any]) -> Way:
    onlink = "onlink" in route.get("flags", ())
    return Way(route["dst"], route.get("gateway", ""), route.get("dev", ""), onlink)


def _is_far(entry: dict[str, Any]) -> bool:
    return entry["dev"] == "vxlan.calico"


def ends(cluster: Cluster, encap: str) -> dict[str, tuple[str, str]]:
    """The address of each node's end of a tunnel, with its MAC, as the Node publishes it."""

    async def read(lab: Lab) -> dict[str, tuple[str, str]]:
        found = {}
        for name in (node.name for node in lab.plan.nodes):
            node = await lab.store.get(Key("Node", "", name))
            assert isinstance(node, Node)
            ipip = node.spec.bgp.ipv4_ipip_tunnel_addr if node.spec.bgp else ""
            vxlan = node.spec.ipv4_vxlan_tunnel_addr
            mac = node.spec.vxlan_tunnel_mac_addr
            found[name] = {"ipip": (ipip, ""), "vxlan": (vxlan, mac), "none": ("", "")}[encap]
            others = {"ipip": vxlan, "vxlan": ipip, "none": vxlan + ipip}[encap]
            assert not others, f"{name} still publishes {others}"
        return found

    return cluster.run(read)


def wanted(cluster: Cluster, mode: str, node: str, blocks: dict[str, str]) -> Picture:
    """What a node should have where the pool is of this mode. `blocks` are those of each node.

    Raises AssertionError while a Node publishes another tunnel's end.
    """
    encap, _, when = mode.partition(" ")
    found = ends(cluster, encap)
    plan = _plan(cluster)
    own = plan.node(node)
    tunnels, ways, entries, neighbours = [], [], [], []
    if encap != "none":
        device = _DEVICE[encap]
        tunnels.append(Tunnel(device, _MTU[device], (found[node][0],)))
    for other in plan.nodes:
        if other.name == node:
            continue
        main, (end, mac) = other.address_text, found[other.name]
        near = other.subnet == own.subnet
        if encap == "vxlan":
            entries.append((mac, main))
            neighbours.append((end, mac))
        if encap != "none" and not (near and when == "CrossSubnet"):
            gateway = end if encap == "vxlan" else main
            ways.append(Way(blocks[other.name], gateway, _DEVICE[encap], onlink=True))
        elif near:
            ways.append(Way(blocks[other.name], main, "eth0", onlink=False))
    return Picture(
        tuple(tunnels),
        tuple(sorted(ways)),
        (0, 32766, 32767),
        tuple(sorted(entries)),
        tuple(sorted(neighbours)),
    )


def blocks(cluster: Cluster, pods: dict[str, str]) -> dict[str, str]:
    """The block of each node, where each has one: by the address of a pod of it."""
    return {
        node: str(ip_network(f"{cluster.address(pod, 4)}/26", strict=False))
        for pod, node in pods.items()
    }


def unread(cluster: Cluster) -> int:
    """Packets that nodes' sockets and tunnels had no room for, so far.

    Who should have read them got no processor: Debian's wireguard-go has room for 280.
    """
    return sum(map(_unread, (cluster.namespace(node.name) for node in _plan(cluster).nodes)))


def _plan(cluster: Cluster) -> Plan:
    return plan_lab(cluster.name, cluster.shape)


def _unread(namespace: str) -> int:
    with in_namespace(path_of(namespace)):
        here = Path("/proc/thread-self/net")
        sockets = [(here / name).read_text().splitlines()[1:] for name in ("udp", "udp6")]
        devices = (here / "dev").read_text().splitlines()[2:]
    dropped = sum(int(line.split()[-1]) for lines in sockets for line in lines)
    return dropped + sum(int(line.split()[12]) for line in devices if "cali:" in line.split()[0])
