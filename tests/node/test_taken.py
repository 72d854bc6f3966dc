"""Ranges that default pools are to keep away from, from wherever they are known."""

import asyncio

import pytest

from tortie.api import Node, NodeSpec, ObjectMeta
from tortie.api.calico.bgp_configuration import (
    BGPConfiguration,
    BGPConfigurationSpec,
    ServiceBlock,
)
from tortie.api.calico.node import NodeBgp
from tortie.datastore.memory import MemoryDatastore
from tortie.net import parse_network, parse_prefix
from tortie.node.autodetect import Held
from tortie.node.taken import taken_ranges


def node(name: str, bgp: NodeBgp | None) -> Node:
    return Node(metadata=ObjectMeta(name=name), spec=NodeSpec(bgp=bgp))


def services(*cidrs: str) -> BGPConfiguration:
    blocks = tuple(ServiceBlock(cidr=cidr) for cidr in cidrs)
    spec = BGPConfigurationSpec(service_cluster_ips=blocks)
    return BGPConfiguration(metadata=ObjectMeta(name="default"), spec=spec)


@pytest.mark.parametrize(
    ("stored", "host", "wanted"),
    [
        ((), "", {}),
        (
            (node("n2", NodeBgp(ipv4_address="10.1.2.3/16", ipv6_address="fd01::2/64")),),
            "",
            {"10.1.0.0/16": "node n2's", "fd01::/64": "node n2's"},
        ),
        (
            (
                node("bad", NodeBgp(ipv4_address="nonsense", ipv6_address="fd02::2/64")),
                node("bare", None),
                services("also nonsense", "10.96.0.1/12"),
            ),
            "",
            {
                "fd02::/64": "node bad's",
                "10.96.0.0/12": "BGPConfiguration's serviceClusterIPs",
            },
        ),
        (
            (),
            "10.43.0.1",
            {"10.43.0.0/16": "around the address of Kubernetes' own Service"},
        ),
        (
            (),
            "fd03::1:1",
            {"fd03::1:0/112": "around the address of Kubernetes' own Service"},
        ),
        ((), "kubernetes.default.svc", {}),
    ],
)
def test_each_range_is_known_with_whose_it_is(
    stored: tuple[Node | BGPConfiguration, ...], host: str, wanted: dict[str, str]
) -> None:
    """What another wrote and is no address ends no start."""

    async def body() -> dict[str, str]:
        store = MemoryDatastore()
        for one in stored:
            await store.create(one)
        held = (Held("eth0", parse_prefix("192.0.2.5/24"), True),)
        kubeadms = (parse_network("10.112.0.0/12"),)
        environ = {"KUBERNETES_SERVICE_HOST": host} if host else {}
        found = await taken_ranges(store, held, kubeadms, environ)
        return {str(one.network): one.whose for one in found}

    always = {"192.0.2.0/24": "on interface eth0", "10.112.0.0/12": "kubeadm's serviceSubnet"}
    assert asyncio.run(body()) == always | wanted
