"""Objects are where Calico has them, and what is there is the object that was put."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tortie.api import Key
from tortie.api.registry import KINDS
from tortie.datastore.etcd.layout import (
    IPAM_KINDS,
    WATCHED,
    Claim,
    claim_of,
    key_of,
    needs_search,
    path_of,
    paths_of,
    spans,
)
from tortie.ipam.names import Owner, affinity_key, block_key, handle_key
from tortie.net import parse_network

V3 = "/calico/resources/v3/projectcalico.org"
PLACES = {
    Key("GlobalNetworkPolicy", "", "deny"): f"{V3}/globalnetworkpolicies/deny",
    Key("NetworkPolicy", "shop", "web"): f"{V3}/networkpolicies/shop/web",
    Key("WorkloadEndpoint", "shop", "n1-k8s-web--1-eth0"): (
        f"{V3}/workloadendpoints/shop/n1-k8s-web--1-eth0"
    ),
    Key("Profile", "", "kns.shop"): f"{V3}/profiles/kns.shop",
    Key("Node", "", "n1"): f"{V3}/nodes/n1",
    Key("Tier", "", "default"): f"{V3}/tiers/default",
    Key("IPPool", "", "pool"): f"{V3}/ippools/pool",
    Key("FelixConfiguration", "", "default"): f"{V3}/felixconfigurations/default",
    Key("ClusterInformation", "", "default"): f"{V3}/clusterinformations/default",
    Key("StagedKubernetesNetworkPolicy", "a", "b"): f"{V3}/stagedkubernetesnetworkpolicies/a/b",
    Key("KubernetesNetworkPolicy", "a", "b"): f"{V3}/kubernetesnetworkpolicies/a/b",
    Key("KubernetesClusterNetworkPolicy", "", "b"): f"{V3}/kubernetesclusternetworkpolicies/b",
    Key("EndpointSlice", "a", "b"): f"{V3}/kubernetesendpointslices/a/b",
    Key("Service", "a", "b"): f"{V3}/kubernetesservice/a/b",
    Key("Pod", "a", "b"): f"{V3}/pods/a/b",
    Key("Pod", "a/b", "50%"): f"{V3}/pods/a%2fb/50%25",
    Key("IPAMBlock", "", "10-0-0-64-26"): "/calico/ipam/v2/assignment/ipv4/block/10.0.0.64-26",
    Key("IPAMBlock", "", "fd00--40-122"): "/calico/ipam/v2/assignment/ipv6/block/fd00::40-122",
    Key("IPAMBlock", "", "fd00---122"): "/calico/ipam/v2/assignment/ipv6/block/fd00::-122",
    Key("IPAMHandle", "", "k8s-pod-network.0a1b"): "/calico/ipam/v2/handle/k8s-pod-network.0a1b",
    Key("IPAMConfiguration", "", "default"): "/calico/ipam/v2/config",
    Key("BlockAffinity", "", "node-1-10-0-0-64-26"): (
        "/calico/ipam/v2/host/node-1/ipv4/block/10.0.0.64-26"
    ),
}


@pytest.mark.parametrize(("key", "place"), PLACES.items(), ids=str)
def test_each_kind_is_where_calico_has_it(key: Key, place: str) -> None:
    assert place.encode() in paths_of(key)
    assert key_of(place.encode()) == key


def test_a_virtual_hosts_claim_is_found_beside_a_hosts() -> None:
    key = Key("BlockAffinity", "", "load-balancer-10-0-0-0-26")
    virtual = b"/calico/ipam/v2/virtual/load-balancer/ipv4/block/10.0.0.0-26"
    assert virtual in paths_of(key)
    assert claim_of(virtual) == Claim("virtual", "load-balancer", "10.0.0.0/26")


def test_a_claim_of_ipv6_is_found_however_its_name_can_be_read() -> None:
    key = Key("BlockAffinity", "", "n-1-2---122")
    assert set(paths_of(key)) >= {
        b"/calico/ipam/v2/host/n-1/ipv6/block/2::-122",
        b"/calico/ipam/v2/host/n/ipv6/block/1:2::-122",
    }


@pytest.mark.parametrize(
    "path",
    [
        b"/calico/v1/Ready",
        b"/calico/felix/v2/no-region/host/n1/status",
        b"/calico/resources/v3/projectcalico.org/unheardof/a",
        b"/calico/resources/v3/projectcalico.org/ipamconfigurations/a",
        b"/registry/pods/a/b",
        b"\xff\xfe",
    ],
)
def test_what_is_not_ours_is_no_object(path: bytes) -> None:
    assert key_of(path) is None


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
plain = st.sampled_from([kind for kind in KINDS.values() if kind.name not in IPAM_KINDS])


@given(plain, texts, texts)
def test_any_name_comes_back_and_stands_in_its_kinds_range(kind, namespace, name) -> None:
    key = Key(kind.name, namespace if kind.namespaced else "", name)
    (path,) = paths_of(key)
    assert key_of(path) == key
    for span in (WATCHED, *spans(kind.name), *spans(kind.name, key.namespace or None)):
        assert span.start <= path < span.end


@given(plain, texts, texts, texts)
def test_a_namespace_holds_none_of_another(kind, namespace, other, name) -> None:
    if namespace != other:
        (path,) = paths_of(Key(kind.name, other, name))
        (span,) = spans(kind.name, namespace)
        assert not span.start <= path < span.end


# No IPv6 addresses of ::/16: the forms of IPv4 in them are nobody's blocks.
blocks = st.one_of(
    st.builds(
        lambda address: ipaddress.ip_network((address, 26), strict=False),
        st.integers(0, 2**32 - 1),
    ),
    st.builds(
        lambda address: ipaddress.ip_network((address, 122), strict=False),
        st.one_of(
            st.integers(2**112, 2**128 - 1), st.integers(1, 2**20 - 1).map(lambda n: n << 108)
        ),
    ),
)
nodes = st.text("ab1-.", min_size=1, max_size=12) | st.just("n" * 250)


@given(blocks, nodes, st.sampled_from(["host", "virtual"]))
def test_ipams_own_names_lead_to_calicos_keys_and_back(block, node, kind) -> None:
    cidr = parse_network(str(block))
    flat, family = str(block).replace("/", "-"), f"ipv{block.version}"
    place = f"/calico/ipam/v2/assignment/{family}/block/{flat}".encode()
    assert paths_of(block_key(cidr)) == (place,)
    assert key_of(place) == block_key(cidr)
    claim = f"/calico/ipam/v2/{kind}/{node}/{family}/block/{flat}".encode()
    key = affinity_key(Owner(node), cidr)
    assert key_of(claim) == key
    assert needs_search(key) or claim in paths_of(key)


@given(texts)
def test_any_handle_comes_back(handle: str) -> None:
    key = handle_key(handle)
    assert [key_of(path) for path in paths_of(key)] == [key]


def test_a_misnamed_block_is_refused_with_the_name_that_it_must_have() -> None:
    from tortie.api import IPAMBlock, ObjectMeta
    from tortie.datastore import Invalid
    from tortie.ipam.block import empty_block

    spec = empty_block(parse_network("10.0.0.0/30"), "host:n1", False, "2026-01-01T00:00:00Z")
    with pytest.raises(Invalid, match="name it '10-0-0-0-30'"):
        path_of(IPAMBlock(metadata=ObjectMeta(name="mine"), spec=spec))
