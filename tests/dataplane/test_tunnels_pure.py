"""Tunnels without a kernel: which ends there are, and what a device carries."""

import pytest

from tortie.dataplane.tunnels import VXLAN_V6, VxlanDriver, VxlanSettings
from tortie.dataplane.tunnels.desired import DesiredTunnels
from tortie.dataplane.tunnels.underlay import Refused, inner_mtu
from tortie.engine.delta import Delta, Vtep
from tortie.linux.netlink.rtlink import Link
from tortie.net import parse_prefix

ETH0 = Link(2, "eth0", mtu=1500)


def vtep(node: str, number: int, mac: str = "") -> Vtep:
    found = mac or f"66:00:00:00:00:{number:02x}"
    address, underlay = f"10.65.{number}.1", f"172.16.1.{number}"
    return Vtep(node, parse_prefix(address), parse_prefix(underlay), found)


def test_the_ends_of_each_ip_version_come_and_go_by_themselves() -> None:
    ends = {4: DesiredTunnels(4), 6: DesiredTunnels(6)}
    here, there = Delta(vteps={"b": vtep("b", 2)}), Delta(vteps_v6={"b": vtep("b", 3)})
    for desired in ends.values():
        desired.fold(here)
        desired.fold(there)
    assert len(ends[4].keys()) == len(ends[6].keys()) == 2
    assert ends[4].keys().isdisjoint(ends[6].keys())
    gone = {4: Delta(vteps_removed=frozenset({"b"})), 6: Delta(vteps_v6_removed=frozenset({"b"}))}
    for version, desired in ends.items():
        assert desired.fold(gone[10 - version]) == set()
        assert len(desired.fold(gone[version])) == 2
        assert desired.keys() == set()


def test_a_mac_is_the_same_however_it_is_written() -> None:
    """The kernel tells of it in small letters: what is there would be taken for another's."""
    desired = DesiredTunnels()
    desired.fold(Delta(vteps={"b": vtep("b", 2, "66:AA:00:00:00:0F")}))
    assert [one.node for one in desired.claims("66:aa:00:00:00:0f")] == ["b"]
    desired.fold(Delta(local_vtep=(vtep("me", 1, "66:AA:00:00:00:0F"),)))
    assert desired.is_own("66:aa:00:00:00:0f")


def test_no_end_of_our_own_is_no_end_any_more() -> None:
    desired = DesiredTunnels()
    desired.fold(Delta(local_vtep=(vtep("me", 1),)))
    assert desired.local
    desired.fold(Delta())
    assert desired.local
    desired.fold(Delta(local_vtep=(None,)))
    assert desired.local is None


@pytest.mark.parametrize(
    ("overhead", "version", "given", "mtu"),
    [
        (50, 4, 0, 1450),
        (70, 6, 0, 1430),
        (20, 4, 0, 1480),
        (50, 4, 1300, 1300),
        (70, 6, 1280, 1280),
    ],
)
def test_a_device_carries_what_is_left_or_what_is_set(
    overhead: int, version: int, given: int, mtu: int
) -> None:
    assert inner_mtu(ETH0, overhead, version, given) == mtu


def test_too_little_is_refused_with_what_is_to_be_changed() -> None:
    small = Link(2, "eth0", mtu=1349)
    assert inner_mtu(small, 70, 4, 0) == 1279
    with pytest.raises(Refused, match=r"eth0 has an MTU of 1349.*IPv6 needs 1280.*give eth0"):
        inner_mtu(small, 70, 6, 0)
    with pytest.raises(Refused, match=r"MTU is set to 1200, and IPv6 needs 1280; set a greater"):
        inner_mtu(ETH0, 70, 6, 1200)
    with pytest.raises(Refused, match="IPv4 needs 68"):
        inner_mtu(Link(2, "eth0", mtu=100), 50, 4, 0)


def test_the_two_drivers_have_names_ports_and_devices_of_their_own() -> None:
    """The names are told with failures, the devices' are Calico's."""
    drivers = VxlanDriver(), VxlanDriver(VXLAN_V6)
    assert [one.name for one in drivers] == ["vxlan", "vxlan-v6"]
    assert (VXLAN_V6.device, VxlanSettings().device) == ("vxlan-v6.calico", "vxlan.calico")
    assert {(one.vni, one.port) for one in (VXLAN_V6, VxlanSettings())} == {(4096, 4789)}
