"""Sets of a kind that the program never makes, beside its own."""

import subprocess
from collections.abc import Iterator

import pytest

from dataplane.packets import PacketLab
from dataplane.programming import WORKLOADS, whole
from strategies.loose_programs import with_open_peer
from tortie.dataplane.iptables import Backend, IptablesDataplane, IptablesSettings
from tortie.policy import Program

pytestmark = [pytest.mark.root, pytest.mark.vm("ip_set_hash_netnet")]


@pytest.fixture
def lab() -> Iterator[PacketLab]:
    with PacketLab(WORKLOADS) as made:
        yield made


def ipset(lab: PacketLab, *command: str) -> str:
    with lab.inside():
        done = subprocess.run(["ipset", *command], check=True, capture_output=True, text=True)
    return done.stdout


def test_pairs_of_nets_are_left_to_others_and_removed_where_they_bear_our_name(
    lab: PacketLab,
) -> None:
    for name in ("theirs", "cali40s:left-behind"):
        ipset(lab, "create", name, "hash:net,net")
        ipset(lab, "add", name, "10.0.0.0/8,192.0.2.0/24")
    theirs = ipset(lab, "save", "theirs")
    with lab.inside():
        driver = IptablesDataplane(IptablesSettings(backend=Backend.LEGACY))
    with driver:
        driver.fold(whole(with_open_peer(Program())))
        assert driver.resync().failed == ()
    assert ipset(lab, "save", "theirs") == theirs
    assert "left-behind" not in ipset(lab, "list", "-n")
