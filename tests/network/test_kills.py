"""An agent is killed and started again under traffic: nobody loses a packet by it.

Once with VXLAN in `make test`; TORTIE_KILLS=50 kills so often in every mode.
"""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from network.changing import Costs, raised, reached, until
from network.cluster import Cluster
from network.nodes import unread
from network.stream import MARK, Loss, Stream
from network.wire import Wire
from tortie.lab.plan import Encap, Families, shape_of
from tortie.lab.processes import is_alive
from vm.features import in_guest, missing, patience

pytestmark = pytest.mark.root
KILLS = int(os.environ.get("TORTIE_KILLS", "0"))
MOST_LOST = 5  # packets: what a busy machine loses by itself
costs = Costs()

often = pytest.mark.skipif(not KILLS, reason="one mode is enough: TORTIE_KILLS=50 tries them all")
needs_bird = pytest.mark.skipif(
    shutil.which("bird") is None and not Path("/usr/sbin/bird").exists(),
    reason="needs BIRD (Debian's package bird2)",
)
needs_wireguard = pytest.mark.skipif(
    shutil.which("wireguard-go") is None and bool(missing(("wireguard",))),
    reason="needs wireguard-go (Debian's package), or WireGuard in the kernel",
)


@pytest.fixture(scope="module", autouse=True)
def printed(request: pytest.FixtureRequest) -> Iterator[None]:
    """What was lost, when all has been tried."""
    with costs.printed(request):
        yield


@pytest.mark.timeout(patience(300 + 30 * KILLS))
@pytest.mark.parametrize(
    "mode",
    [
        "vxlan Always",
        pytest.param("none", marks=often),
        pytest.param("vxlan CrossSubnet", marks=often),
        pytest.param("bgp", marks=[often, needs_bird]),
        pytest.param("wireguard", marks=[often, needs_wireguard]),
        pytest.param("ipip Always", marks=[often, pytest.mark.vm("ipip")]),
    ],
)
def test_an_agent_is_killed_and_traffic_goes_on(mode: str) -> None:
    """Of the sending and of the receiving node, with traffic of both IP versions in turn."""
    if in_guest() and not KILLS:
        pytest.skip("a lab takes its time in the virtual machine: give TORTIE_KILLS")
    encap, _, when = mode.partition(" ")
    tunnel = "CrossSubnet" if when == "CrossSubnet" else "Always"
    shape = shape_of(3, Encap(encap), tunnel, Families.DUAL)
    with closing(Cluster(f"k{encap}{len(when)}-{os.getpid()}", shape)) as cluster:
        losses = [_kill(cluster, encap, number) for number in range(KILLS or 1)]
    lost = [one.lost.lost - one.unread for one in losses]
    sent, missed = sum(one.lost.sent for one in losses), sum(one.unread for one in losses)
    told = f"{sum(lost)} of {sent} packets lost, {max(lost)} at most in one kill"
    starved = f"; {missed} more, as wireguard-go got no processor" if missed else ""
    costs.tell(f"{mode}: an agent is killed {len(lost)} times", told + starved)
    assert max(lost) <= MOST_LOST, lost


class Kill(NamedTuple):
    """What one kill cost; `unread`: how many of these because their reader got no processor."""

    lost: Loss
    unread: int


def _kill(cluster: Cluster, encap: str, number: int) -> Kill:
    """Of node-1 or node-3 in turn, while pod a calls pod far."""
    version, node = (4, 6)[number // 2 % 2], ("node-3", "node-1")[number % 2]
    until(lambda: reached(cluster, "far", version), "it is reached before")
    before = unread(cluster)
    with Wire([cluster.namespace("node-1")]) as wire, Stream(cluster, "a", "far", version) as made:
        process = cluster.journal.process(f"agent-{node}")
        assert process is not None
        killed = time.monotonic()
        os.kill(process.pid, signal.SIGKILL)
        until(lambda: not is_alive(cluster.journal.process(f"agent-{node}")), "its end")
        time.sleep(0.3)  # traffic without it
        started = time.monotonic()
        cluster.run(raised)
        ready = time.monotonic()
        frames = wire.frames()
    in_clear = any(MARK in frame for frame in frames)
    assert in_clear is (encap != "wireguard"), f"{len(frames)} frames"
    gaps = ", ".join(f"{begin - killed:.3f} to {end - killed:.3f}" for begin, end in made.loss.gaps)
    print(
        f"{number + 1}. {made.loss}{f' at {gaps} s' if gaps else ''}. {node}'s agent, IPv{version}:"
        f" started again at {started - killed:.3f}, ready at {ready - killed:.3f}",
        flush=True,  # pytest -s: to see how far it is
    )
    return Kill(made.loss, unread(cluster) - before)
