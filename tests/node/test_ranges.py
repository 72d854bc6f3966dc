"""A default pool clashes with nothing that is known; and why it is where it is can be read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tortie.net import Prefix, parse_network
from tortie.node.kubeadm import subnets
from tortie.node.ranges import NoRange, Taken, choose, overlap

HERE = Taken(parse_network("192.168.1.0/24"), "on interface eth0")
SERVICES = Taken(parse_network("172.16.0.0/12"), "kubeadm's serviceSubnet")


def test_the_usual_range_is_taken_where_it_is_free() -> None:
    found = choose(4, "", (), [Taken(parse_network("10.0.0.0/8"), "on interface eth0")])
    assert str(found.network) == "192.168.0.0/16"
    assert found.clashes == ()


def test_what_the_machine_and_services_have_is_left_alone() -> None:
    found = choose(4, "", (), [HERE, SERVICES])
    assert str(found.network) == "10.0.0.0/16"
    assert "192.168.1.0/24 (on interface eth0)" in found.reason
    assert "172.16.0.0/12 (kubeadm's serviceSubnet)" in found.reason


def test_kubeadms_range_goes_before_ours_and_the_operators_before_all() -> None:
    pods = (parse_network("fd10::/48"), parse_network("10.244.0.0/16"))
    assert str(choose(4, "", pods, []).network) == "10.244.0.0/16"
    assert str(choose(6, "", pods, []).network) == "fd10::/48"
    assert str(choose(4, "10.9.0.0/16", pods, []).network) == "10.9.0.0/16"


def test_a_range_that_was_told_is_kept_and_its_clashes_are_named() -> None:
    found = choose(4, "192.168.0.0/16", (), [HERE, SERVICES])
    assert str(found.network) == "192.168.0.0/16"
    (line,) = found.clashes
    assert "192.168.0.0/16" in line
    assert "on interface eth0" in line


@pytest.mark.parametrize("text", ["10.0.0.0", "fd00::/48", "10.0.0.0/40", "pods"])
def test_what_is_no_range_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="CALICO_IPV4POOL_CIDR"):
        choose(4, text, (), [])


def test_without_a_free_range_it_is_said_what_to_do() -> None:
    everywhere = Taken(parse_network("0.0.0.0/0"), "on interface tun0")
    with pytest.raises(NoRange, match=r"tun0.*CALICO_IPV4POOL_CIDR"):
        choose(4, "", (), [everywhere])


def test_ipv6_is_a_random_local_range_drawn_again_on_a_clash() -> None:
    draws = iter([1, 2])
    taken = Taken(parse_network("fd00:0:1::/64"), "on interface eth0")
    found = choose(6, "", (), [taken], lambda bits: next(draws) if bits == 40 else 0)
    assert str(found.network) == "fd00:0:2::/48"
    one, other = (choose(6, "", (), []).network for _ in range(2))
    assert one != other
    assert all(parse_network("fd00::/8").contains(net) for net in (one, other))


networks = st.builds(
    lambda address, length: Prefix(4, address, length).network,
    st.sampled_from([0x0A, 0xAC, 0xC0]).flatmap(
        lambda first: st.integers(first << 24, (first << 24) + 0xFFFFFF)
    ),
    st.integers(8, 32),
)


@given(st.lists(networks, max_size=40))
def test_no_choice_ever_clashes(taken: list[Prefix]) -> None:
    known = [Taken(one, "somebody's") for one in taken]
    try:
        found = choose(4, "", (), known)
    except NoRange:
        candidates = ["192.168.0.0/16", *(f"10.{number}.0.0/16" for number in range(256))]
        assert all(any(overlap(parse_network(one), each) for each in taken) for one in candidates)
        return
    assert not any(overlap(found.network, one) for one in taken)


CONFIGURATION = """\
apiServer: {}
kind: ClusterConfiguration
networking:
  dnsDomain: cluster.local
  podSubnet: 10.244.0.0/16, fd00:10:244::/56
  serviceSubnet: 10.96.0.0/12
"""


@pytest.mark.parametrize(
    ("text", "pods", "services"),
    [
        (CONFIGURATION, ["10.244.0.0/16", "fd00:10:244::/56"], ["10.96.0.0/12"]),
        ("kind: ClusterStatus\n---\n" + CONFIGURATION, ["10.244.0.0/16", "fd00:10:244::/56"], None),
        ("networking: {podSubnet: nonsense}", [], []),
        ("networking: [1]", [], []),
        ("{broken", [], []),
        ("", [], []),
    ],
)
def test_kubeadms_ranges_are_read(text: str, pods: list[str], services: list[str] | None) -> None:
    found = subnets({"ClusterConfiguration": text, "other": "x"})
    assert list(map(str, found.pods)) == pods
    if services is not None:
        assert list(map(str, found.services)) == services
