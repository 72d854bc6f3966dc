"""What a live cluster loses while it changes: a pool's mode, a key, a link, a node.

The losses are printed: what stops, and for how long.
"""

import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from network.changing import (
    PATIENCE,
    Costs,
    await_carrier,
    carried,
    circuit,
    devices,
    felix,
    raised,
    reached,
    set_mode,
    until,
)
from network.cluster import Cluster
from network.stream import MARK, Stream
from network.wire import Wire
from tortie.api import Key, Node
from tortie.lab.cluster import Lab
from tortie.lab.plan import Encap, Families, shape_of
from tortie.lab.wire import ask
from tortie.linux.links import Links
from tortie.linux.namespaces import in_namespace, path_of
from tortie.linux.neighbours import Neighbours
from tortie.linux.netlink.rtnetlink import Forwarding
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.processes import start_of
from tortie.linux.routes import Routes
from tortie.linux.rules import Rules
from vm.features import missing

pytestmark = pytest.mark.root
REPEATED = 5.0  # seconds, after which WireGuard begins a handshake anew
TRIES = 20  # of packets where none may go by another way
costs = Costs()


@pytest.fixture(scope="module", autouse=True)
def printed(request: pytest.FixtureRequest) -> Iterator[None]:
    """What was lost, when all has been tried."""
    with costs.printed(request):
        yield


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    shape = shape_of(3, Encap.VXLAN, "Always", Families.DUAL)
    with closing(Cluster(f"changes-{os.getpid()}", shape)) as made:
        yield made


@pytest.mark.parametrize("version", [4, 6])
def test_a_pools_mode_changes_under_traffic(cluster: Cluster, version: int) -> None:
    tour = circuit(("Always", "CrossSubnet", "Never"))
    with Wire([cluster.namespace("node-1")]) as wire:
        assert carried(cluster, wire, "near", version, TRIES) == {"vxlan"}
        for before, mode in itertools.pairwise(tour):
            with Stream(cluster, "a", "near", version) as stream:
                set_mode(cluster, version, vxlan=mode)
                await_carrier(cluster, wire, "vxlan" if mode == "Always" else "plain", version)
            costs.tell(f"VXLAN {before} becomes {mode}, IPv{version}", stream)


def test_port_and_vni_change_live(cluster: Cluster) -> None:
    with Stream(cluster, "a", "far") as stream:
        felix(cluster, vxlanPort=4790, vxlanVNI=77)
        for name in ("vxlan.calico", "vxlan-v6.calico"):
            until(
                lambda name=name: (
                    [(one.vxlan.port, one.vxlan.vni) for one in devices(cluster, name) if one.vxlan]
                    == [(4790, 77)] * 3
                ),
                f"{name} with another port and VNI",
            )
        until(lambda: reached(cluster, "far", 4) and reached(cluster, "far", 6), "all is reached")
    costs.tell("VXLAN's port and VNI change", stream)
    felix(cluster, vxlanPort=4789, vxlanVNI=4096)
    until(
        lambda: (
            [one.vxlan.port for one in devices(cluster, "vxlan.calico") if one.vxlan] == [4789] * 3
        ),
        "the port before",
    )


def test_a_smaller_mtu_of_the_uplink_is_followed_live(cluster: Cluster) -> None:
    until(lambda: devices(cluster, "vxlan.calico")[0].mtu == 1450, "VXLAN's MTU")
    mtu_file = cluster.journal.node_dir("node-1") / "mtu"
    until(lambda: mtu_file.read_text() == "1430\n", "the MTU for workloads")
    with in_namespace(path_of(cluster.namespace("node-1"))), NetlinkSocket() as sock:
        Links(sock).set_mtu("eth0", 1400)
        until(lambda: Links(sock).get("vxlan.calico").mtu == 1350, "a smaller MTU")
        until(lambda: Links(sock).get("vxlan-v6.calico").mtu == 1330, "a smaller MTU, IPv6")
        until(lambda: mtu_file.read_text() == "1330\n", "a smaller MTU for workloads")
        Links(sock).set_mtu("eth0", 1500)
        until(lambda: Links(sock).get("vxlan.calico").mtu == 1450, "the MTU before")


def test_a_cable_is_cut_and_mended(cluster: Cluster) -> None:
    with Stream(cluster, "a", "far") as stream:
        cluster.run(lambda lab: lab.set_link("node-3", up=False))
        time.sleep(0.5)
        cluster.run(lambda lab: lab.set_link("node-3", up=True))
        until(lambda: reached(cluster, "far", 4), "it is reached again")
    costs.tell("a cable is cut for half a second", stream)


def test_a_node_is_killed_and_comes_back(cluster: Cluster) -> None:
    with Stream(cluster, "a", "far") as stream, Stream(cluster, "a", "near") as other:
        cluster.run(lambda lab: lab.kill("node-3"))
        time.sleep(0.3)
        cluster.run(_mended)
        until(lambda: reached(cluster, "far", 4) and reached(cluster, "far", 6), "it is back")
    costs.tell("a node is killed and comes back", stream)
    costs.tell("meanwhile between two others", other)
    assert other.loss.lost <= 5


async def _mended(lab: Lab) -> None:
    await lab.set_link("node-3", up=True)
    await raised(lab)


@pytest.mark.skipif(
    shutil.which("wireguard-go") is None and bool(missing(("wireguard",))),
    reason="needs wireguard-go (Debian's package), or WireGuard in the kernel",
)
def test_encryption_is_switched_on_and_keys_change_under_traffic(cluster: Cluster) -> None:
    with Wire([cluster.namespace("node-1")]) as wire:
        with Stream(cluster, "a", "near") as stream:
            felix(cluster, wireguardEnabled=True, wireguardEnabledV6=True)
            await_carrier(cluster, wire, "wireguard", 4)
            await_carrier(cluster, wire, "wireguard", 6)
        costs.tell("WireGuard is switched on", stream)
        with Stream(cluster, "a", "near") as stream:
            wire.frames()
            keys = cluster.run(_rotated)
            until(lambda: cluster.run(_published) == keys, "other keys published")
            until(lambda: reached(cluster, "near", 4), "it is reached with them")
        costs.tell("a node's keys of WireGuard change", stream)
        assert stream.loss.longest < REPEATED, "they waited for WireGuard's own next attempt"
        assert not any(MARK in frame for frame in wire.frames()), "in clear"
        assert carried(cluster, wire, "near", tries=TRIES) == {"wireguard"}
        for damage in ("rule del priority 99", "route flush table 1", "-6 rule del priority 99"):
            _damage(cluster, "node-1", damage)
            until(lambda: _is_whole(cluster, "node-1"), f"repair of `ip {damage}`")
        with Stream(cluster, "a", "near") as stream:
            wire.frames()
            killed = _kill_wireguard_go(cluster, "node-1")
            until(lambda: not killed or carried_on(cluster), "it is reached again")
        if killed:
            costs.tell("wireguard-go is killed", stream)
        assert not any(MARK in frame for frame in wire.frames()), "in clear"
        with Stream(cluster, "a", "near") as stream:
            felix(cluster, wireguardEnabled=False, wireguardEnabledV6=False)
            await_carrier(cluster, wire, "vxlan", 4)
            until(lambda: not devices(cluster, "wireguard.cali"), "no device is left")
        costs.tell("WireGuard is switched off", stream)


def _damage(cluster: Cluster, node: str, words: str) -> None:
    place = f"--net={path_of(cluster.namespace(node))}"
    subprocess.run(["nsenter", place, "ip", *words.split()], check=True)


def _is_whole(cluster: Cluster, node: str) -> bool:
    """Whether rules and tables lead to WireGuard, by the kernel's own word."""
    with in_namespace(path_of(cluster.namespace(node))), NetlinkSocket() as sock:
        ruled = all(
            any(rule.priority == 99 for rule in Rules(sock).list(version)) for version in (4, 6)
        )
        return ruled and len(Routes(sock).list(4, table=1)) >= 4


def carried_on(cluster: Cluster) -> bool:
    return len(devices(cluster, "wireguard.cali")) == 3 and reached(cluster, "near", 4)


def _kill_wireguard_go(cluster: Cluster, node: str) -> bool:
    """Whether there was one: the device is the kernel's otherwise."""
    record = cluster.journal.node_dir(node) / "wireguard" / "wireguard.cali.pid"
    if not record.exists():
        return False
    os.kill(int(record.read_text().split()[0]), signal.SIGKILL)
    until(lambda: _restarted(record), "its successor")
    return True


def _restarted(record: Path) -> bool:
    try:
        pid, start = map(int, record.read_text().split())
    except (FileNotFoundError, ValueError):  # taken away, or not whole yet
        return False
    return start_of(pid) == start


async def _rotated(lab: Lab) -> list[str]:
    socket_path = lab.journal.agent_socket("node-2")
    reply = await ask(socket_path, {"verb": "rotate-wireguard-keys"}, PATIENCE)
    assert reply["ok"]
    return list(reply["public_keys"])


async def _published(lab: Lab) -> list[str]:
    node = await lab.store.get(Key("Node", "", "node-2"))
    assert isinstance(node, Node)
    assert node.status
    return [node.status.wireguard_public_key, node.status.wireguard_public_key_v6]


def test_a_node_is_added_to_a_live_cluster(cluster: Cluster) -> None:
    started = time.monotonic()
    shape = cluster.shape.grown(4)
    cluster.grow(shape)
    costs.tell("a node is added: ready after", f"{time.monotonic() - started:.1f} s")
    assert len(cluster.run(_entries)) == 3


async def _entries(lab: Lab) -> list[Forwarding]:
    """What the new node's tunnel knows of the others."""
    with in_namespace(path_of(lab.namespace_of("node-4"))), NetlinkSocket() as sock:
        index = Links(sock).get("vxlan.calico").index
        return [one for one in Neighbours(sock).forwarding(index) if one.remote]
