"""A check leaves the machine as it found it, whatever becomes of the check."""

import itertools
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from requirements.machine_state import descendants, state
from tortie.linux.namespaces import create_named, delete_named, in_namespace, path_of

pytestmark = pytest.mark.root

CHECK = [sys.executable, "-m", "tortie.cli", "node", "check", "--datastore", "memory:"]
WAYS = "ipip,vxlan,wireguard,bgp"
KILLS = int(os.environ.get("TORTIE_CHECK_KILLS", "6"))
_NUMBERS = itertools.count(1)


@pytest.fixture
def place() -> Iterator[Path]:
    """A namespace of our own, which no other test changes meanwhile."""
    name = f"check{os.getpid()}-{next(_NUMBERS)}"
    create_named(name)
    yield path_of(name)
    delete_named(name)


def start(dataplane: str) -> subprocess.Popen[bytes]:
    command = [*CHECK, "--dataplane", dataplane, "--encap", WAYS]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def wait_for(done: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end, f"{what}, after half a minute"
        time.sleep(0.02)


@pytest.mark.parametrize("dataplane", ["nftables", "iptables", "bpf"])
def test_nothing_is_left_of_a_check(place: Path, dataplane: str) -> None:
    with in_namespace(place):
        before = state()
        process = start(dataplane)
        _, errors = process.communicate(timeout=120)
        assert process.returncode in (0, 1, 3), errors.decode()
        assert state() == before


@pytest.mark.parametrize("seed", range(KILLS))
def test_nothing_is_left_of_a_check_that_was_killed(place: Path, seed: int) -> None:
    with in_namespace(place):
        before = state()
        process = start(("iptables", "nftables", "bpf")[seed % 3])
        wait_for(lambda: bool(descendants(process.pid)), "nothing is tried")
        children: set[int] = set()
        for _ in range(random.Random(seed).randrange(12)):
            children.update(descendants(process.pid))
            time.sleep(0.02)
        children.update(descendants(process.pid))
        process.kill()
        process.communicate()
        wait_for(
            lambda: not any(_is_alive(pid) for pid in children), f"{children} outlive the check"
        )
        assert state() == before


def _is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat[stat.rindex(")") + 2] not in "ZX"
