"""What a live cluster with BGP loses: a pool goes into VXLAN and out of it, BIRD is killed."""

import asyncio
import itertools
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from network.changing import Costs, await_carrier, circuit, reached, set_mode, until
from network.cluster import Cluster
from network.stream import Stream
from network.wire import Wire
from tortie.bgp.control import BirdAway, BirdControl
from tortie.bgp.processes import SOCKET
from tortie.lab.plan import Encap, Families, shape_of

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        shutil.which("bird") is None and not Path("/usr/sbin/bird").exists(),
        reason="needs BIRD (Debian's package bird2)",
    ),
]
SESSIONS = 4  # of a node, with two others in both IP versions
costs = Costs()


@pytest.fixture(scope="module", autouse=True)
def printed(request: pytest.FixtureRequest) -> Iterator[None]:
    """What was lost, when all has been tried."""
    with costs.printed(request):
        yield


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    shape = shape_of(3, Encap.BGP, "Always", Families.DUAL)
    with closing(Cluster(f"bgpc-{os.getpid()}", shape)) as made:
        yield made


@pytest.mark.parametrize("version", [4, 6])
def test_a_pool_goes_from_bgp_into_vxlan_and_back_under_traffic(
    cluster: Cluster, version: int
) -> None:
    tour = circuit(("Never", "Always", "CrossSubnet"))
    with Wire([cluster.namespace("node-1")]) as wire:
        await_mode(cluster, wire, tour[0], version)
        for before, mode in itertools.pairwise(tour):
            with (
                Stream(cluster, "a", "near", version) as near,
                Stream(cluster, "a", "far", version) as far,
            ):
                set_mode(cluster, version, vxlan=mode)
                await_mode(cluster, wire, mode, version)
            what = f"VXLAN {before} becomes {mode} beside BGP, IPv{version}"
            costs.tell(f"{what}, same subnet", near)
            costs.tell(f"{what}, other subnet", far)


def await_mode(cluster: Cluster, wire: Wire, mode: str, version: int) -> None:
    """Return once packets are carried as it says."""
    await_carrier(cluster, wire, "vxlan" if mode == "Always" else "plain", version)
    await_carrier(cluster, wire, "plain" if mode == "Never" else "vxlan", version, "far")


def test_bird_is_killed_and_traffic_goes_on(cluster: Cluster) -> None:
    """Of the node that sends and of the one that is called."""
    for node in ("node-1", "node-3"):
        before = bird(cluster, node)
        assert before
        # The other end of a session may know of it a moment earlier.
        until(lambda node=node: established(cluster, node) >= SESSIONS, f"sessions of {node}")
        with Stream(cluster, "a", "far") as stream:
            os.kill(before, signal.SIGKILL)
            until(lambda node=node, before=before: bird(cluster, node) not in (0, before), "BIRD")
            until(lambda node=node: established(cluster, node) >= SESSIONS, "its sessions")
        costs.tell(f"BIRD of {node} is killed", stream)
        for version in (4, 6):
            until(lambda version=version: reached(cluster, "far", version), f"IPv{version} after")
        assert stream.loss.lost <= 5


def bird(cluster: Cluster, node: str) -> int:
    """The process of a node's BIRD; 0 for none that answers."""

    async def ask() -> int:
        async with await BirdControl.open(_socket(cluster, node)) as control:
            return control.process

    try:
        return asyncio.run(ask())
    except BirdAway:
        return 0


def established(cluster: Cluster, node: str) -> int:
    """How many sessions a node's BIRD has."""

    async def ask() -> int:
        async with await BirdControl.open(_socket(cluster, node)) as control:
            reply = await control.ask("show protocols")
        return sum("Established" in line.text for line in reply.lines)

    try:
        return asyncio.run(ask())
    except BirdAway:
        return 0


def _socket(cluster: Cluster, node: str) -> str:
    return str(cluster.journal.node_dir(node) / "bgp" / "bird" / SOCKET)
