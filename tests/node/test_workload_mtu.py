"""What new workloads get: asked at each turn of things, told to a file, and trouble with that."""

import asyncio

import pytest
from msgspec.structs import replace

from tortie.daemon.health import Health
from tortie.engine.configuration import resolve
from tortie.linux.netlink.monitor import LinkState
from tortie.linux.netlink.rtlink import Link
from tortie.node import workload_mtu
from tortie.node.mtu import MtuFile
from tortie.node.workload_mtu import PART, Node, WorkloadMtu

ETH0 = Link(2, "eth0", mtu=1500)


class Machine:
    """A node whose tunnels and settings are as the test says."""

    def __init__(self, folder):
        self.path, self.flannel = folder / "mtu", folder / "subnet.env"
        self.config, self.tunnels, self.warned = resolve([]).configuration, set(), []
        self.health = Health()
        node = Node(lambda: self.config, lambda: self.tunnels, self.flannel)
        self.mtu = WorkloadMtu(node, MtuFile(self.path), self.health, self.warned.append)
        self.mtu.begin([ETH0])

    def told(self):
        return self.path.read_text().strip()

    def waits(self):
        return any(line.startswith(f"{PART}: can't write") for line in self.health.not_ready())


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_it_follows_links_tunnels_and_settings(machine):
    machine.mtu.tell()
    assert machine.told() == "1500"
    machine.mtu.link_event(replace(ETH0, mtu=9000), LinkState.UP)
    assert machine.told() == "9000"
    machine.tunnels = {"vxlan"}
    machine.mtu.tell()
    assert machine.told() == "8950"
    machine.config = replace(machine.config, vxlan_mtu=1300)
    assert machine.mtu.now() == 1300
    machine.mtu.link_event(Link(3, "bond0", mtu=1200), LinkState.DOWN)
    machine.config = replace(machine.config, vxlan_mtu=0, mtu_iface_pattern="^(eth|bond)")
    assert machine.mtu.now() == 1150
    machine.mtu.link_event(Link(3, "bond0", mtu=1200), LinkState.GONE)
    assert machine.told() == "8950"


def test_a_link_that_was_renamed_counts_by_its_new_name_alone(machine):
    machine.mtu.link_event(replace(ETH0, name="eth5", mtu=9000), LinkState.UP)
    assert machine.told() == "9000"
    machine.mtu.link_event(replace(ETH0, name="old0"), LinkState.UP)
    assert machine.mtu.followed() == ()


def test_beside_flannel_it_is_what_flannel_leaves(machine):
    machine.flannel.write_text("FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_MTU=1440\n")
    assert machine.mtu.now() == 1440
    assert machine.mtu.followed() == ()


def test_packet_sizes_follow_the_uplinks_while_there_is_no_tunnel(machine):
    assert machine.mtu.followed() == ("eth0",)
    machine.tunnels = {"vxlan"}
    assert machine.mtu.followed() == ()


class Later:
    """Timers that the test lets go off."""

    def __init__(self, monkeypatch):
        self.due = []
        monkeypatch.setattr(workload_mtu.asyncio, "get_running_loop", lambda: self)

    def call_later(self, _seconds, work):
        self.due.append(work)
        return self

    def cancel(self):
        self.due.pop()


@pytest.mark.parametrize("is_required", [True, False])
def test_a_file_that_can_not_be_written_is_told_and_tried_again(machine, monkeypatch, is_required):
    later = Later(monkeypatch)
    machine.config = replace(machine.config, require_mtu_file=is_required)
    machine.path.mkdir()
    for _ in range(3):  # however much news there is
        machine.mtu.tell()
    assert len(later.due) == 1
    assert "can't write the MTU of workloads" in machine.warned[-1]
    assert machine.waits() is is_required
    machine.path.rmdir()
    later.due[0]()
    assert machine.told() == "1500"
    assert not machine.waits()


def test_a_try_is_made_by_itself(machine, monkeypatch):
    async def test():
        monkeypatch.setattr(workload_mtu, "_AGAIN", 0)
        machine.path.mkdir()
        machine.mtu.tell()
        machine.path.rmdir()
        async with asyncio.timeout(60):
            while not machine.path.exists():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0)
        assert machine.told() == "1500"

    asyncio.run(test())
