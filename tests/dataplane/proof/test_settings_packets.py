"""Settings that change what becomes of packets, with all firewalls."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from dataplane.hostlab import NODE, HostLab
from dataplane.packets import Sent
from dataplane.programming import whole
from dataplane.proof.firewalls import Firewall, wipe
from dataplane.proof.world import prepared
from strategies.loose_programs import with_open_peer
from strategies.programs import HOSTS4, HOSTS6, OUTSIDE
from tortie.dataplane.nftables import NftSettings
from tortie.engine.delta import ALL_HOSTS, ALL_POOLS, MASQ_POOLS, SetContents
from tortie.net import parse_network
from tortie.net.protocols import ICMP, ICMPV6, UDP
from tortie.policy import Packet, Path, Program
from tortie.policy.program import SetKind

pytestmark = pytest.mark.root

POD4, POD6 = HOSTS4[3], HOSTS6[3]  # open: policy allows it everything
UNASKED = [  # replies to a question that nobody sent
    Packet(4, POD4.address, OUTSIDE[0].address, ICMP, icmp_type=0, icmp_code=0),
    Packet(6, POD6.address, OUTSIDE[1].address, ICMPV6, icmp_type=129, icmp_code=0),
]
POOL = parse_network("10.65.0.0/24")


@pytest.fixture(scope="module")
def lab() -> Iterator[HostLab]:
    with HostLab() as made:
        yield prepared(made)


def program(lab: HostLab, firewall: Firewall, settings: NftSettings) -> None:
    """pod-3 is open, and of a pool with natOutgoing; the outside is a node's."""
    wipe(lab)
    lab.forget_connections()
    delta = whole(with_open_peer(Program()))
    pool = SetContents(SetKind.NET, frozenset({POOL}))
    hosts = SetContents(SetKind.NET, frozenset({OUTSIDE[0]}))
    sets = {**delta.sets, MASQ_POOLS: pool, ALL_POOLS: pool, ALL_HOSTS: hosts}
    with lab.inside(), firewall.driver(settings) as driver:
        driver.fold(replace(delta, sets=sets))
        assert driver.resync().failed == ()


@pytest.mark.parametrize("firewall", Firewall)
@pytest.mark.parametrize("drops", [True, False])
def test_what_tracking_calls_invalid_is_dropped_unless_a_setting_says_otherwise(
    lab: HostLab, firewall: Firewall, drops: bool
) -> None:
    program(lab, firewall, NftSettings(drop_invalid=drops))
    assert lab.deliver(Sent("cali3", one) for one in UNASKED) == [not drops] * 2


@pytest.mark.parametrize("firewall", Firewall)
@pytest.mark.parametrize("to_hosts", [True, False])
def test_what_leaves_for_a_node_is_translated_as_a_setting_says(
    lab: HostLab, firewall: Firewall, to_hosts: bool
) -> None:
    program(lab, firewall, NftSettings(masquerade_to_hosts=to_hosts))
    away = Packet(4, POD4.address, OUTSIDE[0].address, UDP, 4000, 53)
    other = replace(away, destination=HOSTS4[5].address)  # beyond the pool, and nobody's
    (to_node, to_other) = lab.sources_seen(Sent("cali3", one) for one in (away, other))
    own = {one.address for one in NODE}
    assert (to_node in own) == to_hosts
    assert to_other in own


@pytest.mark.parametrize("firewall", Firewall)
@pytest.mark.parametrize("openstack", [True, False])
def test_with_openstack_workloads_reach_the_nodes_dhcp_and_dns(
    lab: HostLab, firewall: Firewall, openstack: bool
) -> None:
    program(lab, firewall, NftSettings(openstack=openstack))
    asked = Packet(4, POD4.address, NODE[0].address, UDP, 68, 67, path=Path.TO_HOST)
    names = replace(asked, source_port=4000, destination_port=53)
    other = replace(names, destination_port=54)
    sent = [Sent("cali3", one) for one in (asked, names, other)]
    assert lab.deliver(sent) == [openstack, openstack, False]
