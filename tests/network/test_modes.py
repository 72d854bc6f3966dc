"""How packets travel in every mode, by real packets and what is on the wire: the table."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from network.cluster import Cluster
from network.legs import Legs
from network.table import pod_mtu
from network.wire import Wire
from tortie.lab.plan import Encap, Families, Mode, shape_of
from vm.features import in_guest, missing

pytestmark = pytest.mark.root
FAMILIES = {(4,): Families.IPV4, (6,): Families.IPV6, (4, 6): Families.DUAL}
legs = Legs()


@pytest.fixture(scope="module", autouse=True)
def printed(request: pytest.FixtureRequest) -> Iterator[None]:
    """The table, when all has been tried."""
    with legs.told(request.config):
        yield


needs_wireguard = pytest.mark.skipif(
    shutil.which("wireguard-go") is None and bool(missing(("wireguard",))),
    reason="needs wireguard-go (Debian's package), or WireGuard in the kernel",
)

needs_bird = pytest.mark.skipif(
    shutil.which("bird") is None and not Path("/usr/sbin/bird").exists(),
    reason="needs BIRD (Debian's package bird2)",
)
slow_in_guest = pytest.mark.skipif(
    in_guest() and "TORTIE_LONG_NETWORK" not in os.environ,
    reason="a lab needs minutes in the virtual machine: `make test-vm-network` runs it there",
)


@pytest.mark.parametrize(
    ("mode", "versions"),
    [
        ("none", (4, 6)),
        pytest.param("bgp", (4, 6), marks=needs_bird),
        ("vxlan CrossSubnet", (4, 6)),
        ("vxlan Always", (4, 6)),
        ("vxlan Always", (4,)),
        ("none", (6,)),
        pytest.param("bgp", (6,), marks=needs_bird),
        ("vxlan CrossSubnet", (6,)),
        ("vxlan Always", (6,)),
        pytest.param("wireguard", (4,), marks=needs_wireguard),
        pytest.param("wireguard", (6,), marks=needs_wireguard),
        pytest.param("wireguard", (4, 6), marks=needs_wireguard),
        pytest.param("ipip CrossSubnet", (4,), marks=[pytest.mark.vm("ipip"), slow_in_guest]),
        pytest.param("ipip Always", (4, 6), marks=[pytest.mark.vm("ipip"), slow_in_guest]),
    ],
    ids=str,
)
def test_every_leg_travels_as_its_mode_says(mode: str, versions: tuple[int, ...]) -> None:
    encap, _, when = mode.partition(" ")
    tunnel: Mode = "Always" if when == "Always" else "CrossSubnet"
    shape = shape_of(3, Encap(encap), tunnel, FAMILIES[versions])
    with ExitStack() as stack:
        cluster = stack.enter_context(closing(Cluster(f"{encap}{len(when)}-{os.getpid()}", shape)))
        wire = stack.enter_context(Wire([cluster.namespace("node-1")]))
        assert cluster.mtu("a", "eth0") == pod_mtu(mode, versions)
        wrong = legs.problems(cluster, wire, mode, versions)
    assert not wrong, "\n".join(wrong)
