"""Interfaces of other plugins: which are taken under policy, and what a failure leaves."""

import asyncio
import itertools
import os

import pytest

from tortie.api import Key, ObjectMeta, Pod, PodSpec
from tortie.cni import adopting
from tortie.cni.chained import Chained
from tortie.cni.errors import CniError
from tortie.cni.records import Records
from tortie.cni.request import CniRequest, NetworkConfig
from tortie.cni.workload import Workload
from tortie.datastore.memory import MemoryDatastore
from tortie.kubernetes import names
from tortie.linux.links import Links
from tortie.linux.namespaces import create_named, delete_named, in_namespace
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.net import parse_prefix

_numbers = itertools.count()
POD = Key("Pod", "default", "web")


@pytest.fixture
def spaces():
    """Makes namespaces; a fresh one counts its interfaces as any other."""
    made = []

    def make():
        made.append(create_named(f"tt{os.getpid()}a{next(_numbers)}"))
        return made[-1]

    yield make
    for path in made:
        delete_named(path.name)


def pair(inside, name, outside, peer):
    """A veth pair, its first end up and with an address."""
    with open(outside) as opened, in_namespace(inside), NetlinkSocket() as sock:
        links = Links(sock)
        links.create_veth(name, peer, opened.fileno())
        links.set_up(name)
        links.add_address(name, parse_prefix("10.0.0.1/32"))


def index_of(netns, name):
    with in_namespace(netns), NetlinkSocket() as sock:
        return Links(sock).get(name).index


@pytest.mark.root
def test_an_end_elsewhere_is_not_taken_for_one_of_the_node_with_the_same_numbers(spaces):
    node, container, elsewhere, other = spaces(), spaces(), spaces(), spaces()
    pair(container, "eth0", elsewhere, "far")
    pair(other, "eth0", node, "near")
    assert index_of(node, "near") == index_of(elsewhere, "far")
    assert index_of(container, "eth0") == index_of(other, "eth0")
    with in_namespace(node):
        assert adopting.find(str(other), "eth0").host == "near"
        with pytest.raises(CniError, match="no veth pair with an end on this node"):
            adopting.find(str(container), "eth0")


class Refusing:
    """An agent that never has anything ready."""

    async def wait_ready(self, *_):
        raise CniError(11, "not ready")


def test_a_failed_add_leaves_its_interface_under_no_earlier_record(monkeypatch):
    """Once it has the pod's name, policy of the earlier container would hold for it."""
    address = parse_prefix("10.0.0.2/32")

    def rename(_before, _name):
        raise CniError(5, "can't be renamed")

    monkeypatch.setattr(adopting, "find", lambda *_: adopting.Adopted((address,), "", "veth1"))
    monkeypatch.setattr(adopting, "rename", rename)

    async def work():
        store = MemoryDatastore()
        await store.create(
            Pod(metadata=ObjectMeta(name="web", namespace="default"), spec=PodSpec(node_name="n1"))
        )
        records = Records(store)
        earlier = Workload("n1", "default", "web", "k8s", "earlier")
        await records.write(earlier, await records.find(earlier), "net", ("10.0.0.1/32",), "")
        config = NetworkConfig(name="net", policy_only=True, prev_result={})
        arguments = {"K8S_POD_NAMESPACE": "default", "K8S_POD_NAME": "web"}
        request = CniRequest("ADD", "later", "/x", "eth0", arguments, config)
        with pytest.raises(CniError, match="renamed"):
            await Chained("n1", Refusing(), records).add(request)
        return (await store.get(POD)).metadata.annotations

    found = asyncio.run(work())
    assert (found[names.CONTAINER_ID], found[names.POD_IPS]) == ("", "")
