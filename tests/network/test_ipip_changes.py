"""IPIP on a live cluster: every leg, a pool's change to it and from it, what is lost and left.

Needs the module ipip, so it runs in the virtual machine, where a cluster takes its time: one for
all of it. Both rows of the table and a few changes in `make test`, every pair of modes by
`make test-vm-network`.
"""

import itertools
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest

from network.changing import NODES, PATIENCE, Costs, await_carrier, circuit, felix, set_mode, until
from network.cluster import PODS, Cluster
from network.legs import Legs
from network.nodes import blocks, ends, picture, wanted
from network.stream import MARK, Stream
from network.table import pod_mtu
from network.wire import Wire
from tortie.lab.plan import Encap, Families, shape_of

pytestmark = [pytest.mark.root, pytest.mark.vm("ipip", "vxlan")]
MODES = ("ipip Always", "none", "ipip CrossSubnet", "vxlan Always", "vxlan CrossSubnet")
VERSIONS = (4, 6)
costs, legs = Costs(), Legs()

long = pytest.mark.skipif(
    "TORTIE_LONG_NETWORK" not in os.environ,
    reason="takes minutes in the virtual machine: `make test-vm-network` runs it",
)


@pytest.fixture(scope="module", autouse=True)
def printed(request: pytest.FixtureRequest) -> Iterator[None]:
    """The table and what was lost, when all has been tried."""
    with legs.told(request.config), costs.printed(request):
        yield


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Its nodes program plain routes, too, so that a block's route moves between devices."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FELIX_PROGRAMCLUSTERROUTES", "Enabled")
        shape = shape_of(3, Encap.IPIP, "Always", Families.DUAL)
        with closing(Cluster(f"ipip-{os.getpid()}", shape)) as made:
            yield made


@pytest.mark.parametrize(
    "tour",
    [
        ("ipip Always",),
        ("ipip Always", "none", "ipip CrossSubnet"),
        ("ipip CrossSubnet", "vxlan Always", "ipip Always"),
    ],
    ids=" then ".join,
)
def test_a_pool_becomes_ipip_under_traffic_and_every_leg_travels_so(
    cluster: Cluster, tour: Sequence[str]
) -> None:
    mode = tour[-1]
    change(cluster, tour)
    assert cluster.mtu("mate", "eth0") == pod_mtu(mode, VERSIONS)
    with Wire([cluster.namespace("node-1")]) as wire:
        wrong = legs.problems(cluster, wire, mode, VERSIONS)
    assert not wrong, "\n".join(wrong)


@long
def test_every_mode_becomes_every_other_under_traffic(cluster: Cluster) -> None:
    change(cluster, circuit(MODES))


def change(cluster: Cluster, tour: Sequence[str]) -> None:
    """Have the pool take one mode after the other; what each change costs is noted."""
    with Wire([cluster.namespace("node-1")]) as wire:
        await_mode(cluster, wire, tour[0])
        for before, mode in itertools.pairwise(tour):
            with Stream(cluster, "a", "near") as near, Stream(cluster, "a", "far") as far:
                set_mode(cluster, **fields(mode))
                await_mode(cluster, wire, mode)
            costs.tell(f"{before} becomes {mode}, same subnet", near)
            costs.tell(f"{before} becomes {mode}, other subnet", far)


def fields(mode: str) -> dict[str, str]:
    """The pool's fields that say a mode."""
    encap, _, when = mode.partition(" ")
    return {encap: when} if when else {}


def await_mode(cluster: Cluster, wire: Wire, mode: str) -> None:
    """Return once packets are carried so, and no node has anything of another mode."""
    encap, _, when = mode.partition(" ")
    for target in ("near", "far"):
        plain = encap == "none" or (when == "CrossSubnet" and target == "near")
        await_carrier(cluster, wire, "plain" if plain else encap, 4, target)
    for node in NODES:
        await_picture(cluster, mode, node)


def await_picture(cluster: Cluster, mode: str, node: str) -> None:
    """Return once a node has what this mode needs and nothing else."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = picture(cluster, node)
        try:
            assert found == wanted(cluster, mode, node, blocks(cluster, PODS))
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        else:
            return


@long
@pytest.mark.vm("wireguard")
def test_wireguard_comes_and_goes_over_ipip_and_nothing_is_in_clear(cluster: Cluster) -> None:
    with Wire([cluster.namespace("node-1")]) as wire:
        await_mode(cluster, wire, "ipip Always")
        with Stream(cluster, "a", "near") as near, Stream(cluster, "a", "far") as far:
            felix(cluster, wireguardEnabled=True)
            for target in ("near", "far"):
                await_carrier(cluster, wire, "wireguard", 4, target)
        costs.tell("WireGuard on over IPIP, same subnet", near)
        costs.tell("WireGuard on over IPIP, other subnet", far)
        wire.frames()
        with Stream(cluster, "a", "near") as near, Stream(cluster, "a", "far") as far:
            for mode in ("none", "vxlan Always", "ipip CrossSubnet", "ipip Always"):
                set_mode(cluster, **fields(mode))
                until(lambda mode=mode: is_published(cluster, mode), f"the ends of {mode}")
        costs.tell("four changes of mode under WireGuard, same subnet", near)
        costs.tell("four changes of mode under WireGuard, other subnet", far)
        assert not any(MARK in frame for frame in wire.frames()), "in clear"
        with Stream(cluster, "a", "near") as near, Stream(cluster, "a", "far") as far:
            felix(cluster, wireguardEnabled=False)
            await_mode(cluster, wire, "ipip Always")
        costs.tell("WireGuard off over IPIP, same subnet", near)
        costs.tell("WireGuard off over IPIP, other subnet", far)


def is_published(cluster: Cluster, mode: str) -> bool:
    """Whether every Node tells its end of this mode's tunnel and of no other."""
    encap = mode.partition(" ")[0]
    try:
        found = ends(cluster, encap)
    except AssertionError:
        return False
    return encap == "none" or all(address for address, _ in found.values())
