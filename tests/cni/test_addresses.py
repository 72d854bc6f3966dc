"""Which addresses a container asks for."""

import asyncio
import json

import pytest

from cni.test_machines import registered
from strategies.ipam import pool
from tortie.api import Node, NodeSpec, ObjectMeta, Pod, PodSpec
from tortie.cni.addresses import Addresses, fixed_addresses
from tortie.cni.errors import CniError
from tortie.cni.request import CniRequest, NetworkConfig
from tortie.cni.workload import Workload
from tortie.datastore.memory import MemoryDatastore
from tortie.ipam import IPAM, FixedRequest
from tortie.net import parse_prefix

ANNOTATION = "cni.projectcalico.org/ipAddrs"


def request(**arguments):
    return CniRequest("ADD", "c1", "/x", "eth0", arguments, NetworkConfig(name="n"))


def pod(asked):
    annotations = {} if asked is None else {ANNOTATION: asked}
    return Pod(
        metadata=ObjectMeta(name="p", namespace="d", annotations=annotations), spec=PodSpec()
    )


@pytest.mark.parametrize(
    ("asked", "arguments", "expected"),
    [
        (None, {}, []),
        (json.dumps(["10.0.0.1"]), {}, ["10.0.0.1"]),
        (json.dumps(["fd00::1", "10.0.0.1"]), {}, ["10.0.0.1", "fd00::1"]),
        (None, {"IP": "10.0.0.2"}, ["10.0.0.2"]),
        (json.dumps(["10.0.0.1"]), {"IP": "10.0.0.2"}, ["10.0.0.1"]),
    ],
)
def test_an_address_may_be_asked_for(asked, arguments, expected):
    found = fixed_addresses(request(**arguments), pod(asked))
    assert list(found) == [parse_prefix(one) for one in expected]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("10.0.0.1", "use a JSON list"),
        ('{"a":1}', "use a JSON list"),
        ('["10.0.0"]', "'10.0.0' is not an IP address"),
        ('["10.0.0.1/24"]', "is not an IP address"),
        ('["10.0.0.1","10.0.0.2"]', "two IPv4 addresses"),
    ],
)
def test_what_is_no_list_of_addresses_is_refused(asked, said):
    with pytest.raises(CniError) as caught:
        fixed_addresses(request(), pod(asked))
    assert caught.value.code == 7
    assert said in caught.value.message


def test_who_died_between_two_addresses_asked_for_has_both_the_next_time():
    async def story():
        store = MemoryDatastore()
        for one in (pool("p4", "10.0.0.0/24"), pool("p6", "fd00::/120")):
            await store.create(one)
        await store.create(Node(metadata=ObjectMeta(name="n1"), spec=NodeSpec()))
        addresses = Addresses(ipam := IPAM(store), store, registered("n1"))
        workload = Workload("n1", "shop", "web", "k8s", "c")
        asked = CniRequest(
            "ADD", "c", "/x", "eth0", {"IP": "10.0.0.77,fd00::77"}, NetworkConfig(name="n")
        )
        first, second = fixed_addresses(asked, None)
        mine = workload.attributes
        begun = FixedRequest(address=first, node="n1", handle=asked.handle, attributes=mine)
        await ipam.assign_fixed(begun)
        for _ in range(2):
            lease = await addresses.assign(asked, workload, None, ())
            assert lease.addresses == (first, second)
        assert await ipam.addresses_of(asked.handle) == (first, second)

    asyncio.run(story())
