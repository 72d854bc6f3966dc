"""The MTU of workloads follows the uplinks."""

from tortie.linux.netlink.rtlink import Link
from tortie.node.mtu import PodMtu


def test_the_least_uplink_decides():
    mtu = PodMtu()
    assert (mtu.without_tunnel(), mtu.through_vxlan()) == (1500, 1450)
    mtu.link_changed(Link(2, "eth0", mtu=9000))
    assert (mtu.without_tunnel(), mtu.through_vxlan()) == (9000, 8950)
    mtu.link_changed(Link(3, "enp0s1", mtu=1400))
    assert mtu.without_tunnel() == 1400
    mtu.link_gone("enp0s1")
    assert mtu.without_tunnel() == 9000


def test_links_that_are_no_uplinks_do_not_count():
    mtu = PodMtu()
    for name in ("lo", "cali0123456789a", "vxlan.calico", "docker0", "veth1"):
        mtu.link_changed(Link(2, name, mtu=100))
    assert mtu.without_tunnel() == 1500
