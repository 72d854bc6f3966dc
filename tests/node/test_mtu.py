"""The MTU of workloads follows the uplinks, and what tunnels are on."""

import pytest

from tortie.linux.netlink.rtlink import Link
from tortie.node.mtu import MtuFile, PodMtu


def plain(mtu):
    return mtu.through((), {})


def test_the_least_uplink_decides():
    mtu = PodMtu()
    assert plain(mtu) == 1500
    mtu.link_changed(Link(2, "eth0", mtu=9000))
    assert plain(mtu) == 9000
    mtu.link_changed(Link(3, "enp0s1", mtu=1400))
    assert plain(mtu) == 1400
    mtu.link_gone("enp0s1")
    assert plain(mtu) == 9000


@pytest.mark.parametrize(
    ("tunnels", "wanted"),
    [
        ({"ipip"}, 1480),
        ({"vxlan"}, 1450),
        ({"vxlan", "vxlan-v6"}, 1430),
        ({"wireguard"}, 1440),
        ({"wireguard-v6", "vxlan"}, 1420),
    ],
)
def test_the_tunnel_that_leaves_least_decides(tunnels, wanted):
    assert PodMtu().through(tunnels, {}) == wanted


def test_a_tunnels_mtu_that_is_set_holds():
    assert PodMtu().through({"vxlan"}, {"vxlan": 1300, "ipip": 1000}) == 1300
    assert PodMtu().through({"vxlan"}, {"vxlan": 0}) == 1450


def test_links_that_are_no_uplinks_do_not_count():
    mtu = PodMtu()
    for name in ("lo", "cali0123456789a", "vxlan.calico", "docker0", "veth1"):
        mtu.link_changed(Link(2, name, mtu=100))
    assert plain(mtu) == 1500


def test_another_pattern_finds_other_uplinks_among_links_that_are_there():
    mtu = PodMtu()
    mtu.link_changed(Link(2, "bond0", mtu=1300))
    assert plain(mtu) == 1500
    mtu.configure("^bond")
    assert plain(mtu) == 1300


def test_other_programs_read_it_from_a_file(tmp_path):
    file = MtuFile(tmp_path / "mtu")
    assert file.tell(1450)
    assert (tmp_path / "mtu").read_text() == "1450\n"
    assert not file.tell(1450)
    assert file.tell(1400)
    assert [path.name for path in tmp_path.iterdir()] == ["mtu"]
