"""How packets travel in every mode, by real packets and what is on the wire: the table."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from network.cluster import PORT, Cluster
from network.probe import Found, call, token
from network.table import LEGS, Way, expected, lines, pod_mtu
from network.wire import Wire
from tortie.lab.plan import Encap, Families, Mode, shape_of
from vm.features import in_guest, missing

pytestmark = pytest.mark.root
TOO_WIDE = 1600  # bytes: more than any way takes
FAMILIES = {(4,): Families.IPV4, (6,): Families.IPV6, (4, 6): Families.DUAL}
_found: dict[tuple[str, int, str], str] = {}


@pytest.fixture(scope="module", autouse=True)
def printed(request: pytest.FixtureRequest) -> Iterator[None]:
    """The table, when it is complete."""
    yield
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("\n\nHow packets travel, and the greatest that passes whole:\n")
        print("\n".join(lines(_found)), flush=True)


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
        cluster.widen("a", TOO_WIDE)
        wrong = [
            problem
            for version in versions
            for leg in LEGS
            if (problem := _look(cluster, wire, mode, leg, version, versions))
        ]
    assert not wrong, "\n".join(wrong)


_ENDS = {
    "same node": ("a", "mate"),
    "same subnet": ("a", "near"),
    "other subnet": ("a", "far"),
    "host to pod": ("node-1", "near"),
    "host to pod beyond": ("node-1", "far"),
    "outside": ("a", "outside"),
}


def _look(
    cluster: Cluster,
    wire: Wire,
    mode: str,
    leg: str,
    version: int,
    versions: tuple[int, ...],
) -> str:
    """Try a leg and note it; what is wrong with it, or nothing."""
    wanted = expected(mode, leg, version, versions)
    source, target = _ENDS[leg]
    where = cluster.namespace(source)
    address = cluster.address(target, version)
    mark = token()
    wire.frames()
    small = call(where, version, address, PORT, 200, mark)
    carriers = wire.carriers(mark)
    full = call(where, version, address, PORT, wanted.mtu, token())
    over = call(where, version, address, PORT, wanted.mtu + 1, token())
    named = f"default/{target}" if target != "outside" else target
    found = Way("+".join(sorted(carriers)), _greatest(wanted.mtu, full, over))
    _found[f"{mode}{'' if len(versions) > 1 else ' alone'}", version, leg] = (
        f"{found.carrier or 'local'} {found.mtu or '?'}"
    )
    problems = []
    if small.answered_by != named:
        problems.append(f"not reached: {small}")
    if leg == "outside" and small.seen_as != cluster.address("node-1", version):
        problems.append(f"not by the node's address, but as {small.seen_as}")
    if found != wanted:
        problems.append(f"{found}, not {wanted}")
    if full.answered_by != named:
        problems.append(f"a packet of {wanted.mtu} bytes does not pass: {full}")
    if (over.answered_by, over.mtu) != ("", wanted.mtu):
        problems.append(f"one of a byte more: {over}")
    if source == "a" and not over.by_icmp:
        problems.append("no router said that it is too big")
    return f"{mode}, IPv{version}, {leg}: {'; '.join(problems)}" if problems else ""


def _greatest(mtu: int, full: Found, over: Found) -> int:
    """The greatest packet that passed, of two; else what a router says that would; 0: nothing."""
    if over.answered_by:
        return mtu + 1
    return mtu if full.answered_by else full.mtu
