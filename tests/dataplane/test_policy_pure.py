"""What both firewalls share: marks that tell endpoints apart, tunnels' ends, own addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tortie.dataplane.nftables import NftSettings
from tortie.dataplane.policy.families import IPV4, IPV6
from tortie.dataplane.policy.marks import endpoint_marks
from tortie.dataplane.policy.node import IPVS_DEVICE, TunnelEnd, own_addresses, tunnel_ends
from tortie.engine.delta import Encapsulation
from tortie.net import parse_network

NAMES = st.sets(st.from_regex(r"cali[0-9a-f]{1,11}", fullmatch=True), max_size=40)
MASKS = st.integers(0, 0xFFFFFFFF)


@given(NAMES, MASKS)
def test_marks_are_within_the_mask_and_tell_interfaces_apart(names: set[str], mask: int) -> None:
    found = endpoint_marks(names, mask)
    marks = [*found.marks.values(), found.others]
    assert all(one & ~mask == 0 for one in marks)
    assert len(set(marks)) == len(marks)
    assert 0 not in found.marks.values()
    assert found.marks.keys() | set(found.left_out) == names
    assert not found.left_out or len(found.marks) == max((1 << mask.bit_count()) - 2, 0)


@given(NAMES, MASKS)
def test_equal_interfaces_get_equal_marks(names: set[str], mask: int) -> None:
    assert endpoint_marks(sorted(names), mask) == endpoint_marks(sorted(names)[::-1], mask)


VXLAN, IPIP = TunnelEnd(17, 4789, True), TunnelEnd(4, None, True)


@pytest.mark.parametrize(
    ("asked", "settings", "ipv4", "ipv6"),
    [
        (Encapsulation(), {}, (), ()),
        (Encapsulation(vxlan=True), {}, (VXLAN,), ()),
        (Encapsulation(vxlan_v6=True), {}, (), (VXLAN,)),
        (Encapsulation(ipip=True), {}, (IPIP,), ()),
        (
            Encapsulation(),
            {"wireguard_port": 51820, "wireguard_port_v6": 51821},
            (TunnelEnd(17, 51820, False),),
            (TunnelEnd(17, 51821, False),),
        ),
    ],
)
def test_tunnels_end_here_where_they_are_asked_for(
    asked: Encapsulation,
    settings: dict[str, object],
    ipv4: tuple[TunnelEnd, ...],
    ipv6: tuple[TunnelEnd, ...],
) -> None:
    chosen = NftSettings(**settings)
    assert tunnel_ends(IPV4, asked, chosen) == ipv4
    assert tunnel_ends(IPV6, asked, chosen) == ipv6


def test_own_addresses_are_not_those_of_services_workloads_and_excluded_interfaces() -> None:
    one, two, three, four, five = (parse_network(f"10.0.0.{n}") for n in range(1, 6))
    addresses = {
        "eth0": frozenset({one, parse_network("fd00::1")}),
        IPVS_DEVICE: frozenset({two}),
        "cali1": frozenset({three}),
        "dummy7": frozenset({four}),
        "br-x": frozenset({five}),
    }
    settings = NftSettings(excluded_interfaces=("/^dummy/", "br-x", "eth"))
    assert own_addresses(addresses, IPV4, settings) == (one,)
    assert own_addresses(addresses, IPV6, settings) == (parse_network("fd00::1"),)
