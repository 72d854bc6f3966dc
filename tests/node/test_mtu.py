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
    mtu.link_gone(Link(3, "enp0s1"))
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
    assert (tmp_path / "mtu").stat().st_mode & 0o777 == 0o644


def test_what_could_not_be_written_is_written_later(tmp_path):
    file = MtuFile(tmp_path / "run" / "mtu")
    with pytest.raises(FileNotFoundError):
        file.tell(1450)
    (tmp_path / "run").mkdir()
    assert file.tell(1450)


def test_readers_never_see_half_a_file(tmp_path):
    """It is another file: who has the one of before open reads on."""
    file = MtuFile(tmp_path / "mtu")
    file.tell(1450)
    with (tmp_path / "mtu").open() as before:
        file.tell(1400)
        assert before.read() == "1450\n"


def test_a_link_counts_by_its_last_name_and_not_before_its_mtu_is_known():
    mtu = PodMtu()
    mtu.link_changed(Link(2, "eth0", mtu=1300))
    mtu.link_changed(Link(2, "eth1", mtu=9000))
    assert mtu.uplinks() == ("eth1",)
    assert plain(mtu) == 9000
    mtu.link_changed(Link(3, "eth2"))
    assert plain(mtu) == 9000


@pytest.mark.parametrize(
    ("name", "is_uplink"),
    [(one, True) for one in ("eth0", "ens5", "enp3s0f0np0", "eno1", "wlan0", "ibp1s0", "enP2p1")]
    + [(one, False) for one in ("ib0", "bond0", "tunl0", "wireguard.cali", "flannel.1", "xeth0")],
)
def test_these_are_uplinks_by_default(name, is_uplink):
    mtu = PodMtu()
    mtu.link_changed(Link(2, name, mtu=1234))
    assert (plain(mtu) == 1234) is is_uplink
