"""A check leaves the machine as it found it, whatever becomes of the check."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from requirements.machine_state import Place, descendants, place_of_our_own

pytestmark = pytest.mark.root

CHECK = [sys.executable, "-m", "tortie.cli", "node", "check", "--datastore", "memory:"]
WAYS = "ipip,vxlan,wireguard,bgp"
KILLS = int(os.environ.get("TORTIE_CHECK_KILLS", "6"))


@pytest.fixture
def place() -> Iterator[Place]:
    with place_of_our_own() as made:
        yield made


def start(place: Place, dataplane: str) -> subprocess.Popen[bytes]:
    command = [*place.enter, *CHECK, "--dataplane", dataplane, "--encap", WAYS]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def wait_for(done: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end, f"{what}, after a minute"
        time.sleep(0.002)


@pytest.mark.parametrize("dataplane", ["nftables", "iptables", "bpf"])
def test_nothing_is_left_of_a_check(place: Place, dataplane: str) -> None:
    before = place.state()
    process = start(place, dataplane)
    _, errors = process.communicate(timeout=120)
    assert process.returncode in (0, 1, 3), errors.decode()
    assert place.state() == before


@pytest.mark.parametrize("seed", range(KILLS))
def test_nothing_is_left_of_a_check_that_was_killed(place: Place, seed: int) -> None:
    before = place.state()
    process = start(place, ("iptables", "nftables", "bpf")[seed % 3])
    wait_for(lambda: bool(descendants(process.pid)), "nothing is tried")
    children: set[int] = set()
    for _ in range(random.Random(seed).randrange(12)):
        children.update(descendants(process.pid))
        time.sleep(0.02)
    children.update(descendants(process.pid))
    process.kill()
    process.communicate()
    wait_for(lambda: not any(map(_is_alive, children)), f"{children} outlive the check")
    assert place.state() == before


def test_what_is_left_would_be_seen(place: Place) -> None:
    """Or the tests above hold nothing."""
    before = place.state()
    for command, what in (
        ("ip link add trial0 type veth peer trial1", "devices"),
        ("nft add table inet trial", "tables"),
        ("iptables-legacy -A FORWARD -j ACCEPT", "legacy tables"),
        ("ipset create trial hash:ip", "sets"),
        ("touch /run/other", "run"),
        ("mkdir -p /run/netns && touch /run/netns/trial", "run"),
        ("mkdir /sys/fs/bpf/trial", "sys/fs/bpf"),
        ("mount -t tmpfs trial /mnt", "mounts"),
    ):
        subprocess.run([*place.enter, "sh", "-c", command], check=True)
        assert place.state()[what] != before[what]


def _is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat[stat.rindex(")") + 2] not in "ZX"
