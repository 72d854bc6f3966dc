"""A virtual machine's address in the plugin: taken over by each pod that runs it, kept by DEL."""

import asyncio
import json

import pytest
from msgspec.structs import replace

from strategies.ipam import configuration, pool
from tortie.api import Key, Node, NodeBgp, NodeSpec, ObjectMeta, decode
from tortie.cni.addresses import Addresses
from tortie.cni.attachment import Attacher
from tortie.cni.records import Records
from tortie.cni.registration import Registration
from tortie.cni.request import CniRequest, NetworkConfig
from tortie.cni.workload import Workload, told_of
from tortie.datastore.memory import MemoryDatastore
from tortie.ipam import IPAM, AlreadyAssigned

HANDLE = "n.vmi.shop.db"
OWNER = {"kind": "VirtualMachineInstance", "apiVersion": "kubevirt.io/v1", "name": "db"}


def registered(name: str) -> Registration:
    bgp = NodeBgp(ipv4_address="172.16.0.1/24")
    made = Registration(name)
    made.saw(
        [(Key("Node", "", name), Node(metadata=ObjectMeta(name=name), spec=NodeSpec(bgp=bgp)))]
    )
    return made


class World:
    """A node whose plugin is asked; pods by name."""

    def __init__(self) -> None:
        self.store = MemoryDatastore()
        self.ipam = IPAM(self.store)
        self.addresses = Addresses(self.ipam, self.store, registered("n1"))

    async def begin(self, persistence: str) -> None:
        await self.store.create(pool("p", "10.0.0.0/24", block_size=28))
        await self.store.create(configuration(kube_virt_vm_address_persistence=persistence))
        for name in ("n1", "n2"):
            await self.store.create(Node(metadata=ObjectMeta(name=name), spec=NodeSpec()))

    def request(self, command: str, pod: str) -> CniRequest:
        arguments = {"K8S_POD_NAMESPACE": "shop", "K8S_POD_NAME": pod}
        return CniRequest(command, f"c-{pod}", "/x", "eth0", arguments, NetworkConfig(name="n"))

    async def add(self, pod, node="n1", owner=OWNER, **metadata):
        body = {
            "metadata": {"name": pod, "namespace": "shop", "ownerReferences": [owner], **metadata},
            "spec": {"nodeName": node, "containers": [{"name": "c"}]},
        }
        found = await self.store.create(decode("Pod", json.dumps(body).encode()))
        workload = Workload(node, "shop", pod, "k8s", f"c-{pod}")
        lease = await self.addresses.assign(self.request("ADD", pod), workload, found, ())
        again = await self.addresses.assign(self.request("ADD", pod), workload, found, ())
        assert again == lease
        by = told_of(self.request("CHECK", pod), node)
        held = await self.addresses.held(self.request("CHECK", pod), found, (), by)
        assert held == lease.addresses
        assert await self.addresses.knows(self.request("GC", pod), by)
        return list(map(str, lease.addresses))

    async def remove(self, pod, gone=False):
        if gone:
            await self.store.delete(Key("Pod", "shop", pod))
        request = self.request("DEL", pod)
        await self.addresses.release(request, told_of(request, "n1"))

    async def owners(self):
        (found,) = (await self.ipam.owners_of(HANDLE)).values()
        return found.active.get("pod", ""), found.alternate.get("pod", "")


def run(story, persistence="Enabled"):
    async def body():
        world = World()
        await world.begin(persistence)
        await story(world)

    asyncio.run(body())


MOVING = {"labels": {"kubevirt.io/migrationJobUID": "u"}}


def test_a_machine_keeps_its_address_through_restarts_and_moves():
    async def story(world):
        first = await world.add("virt-launcher-a")
        await world.remove("virt-launcher-a")
        assert await world.owners() == ("", "")
        assert await world.add("virt-launcher-b") == first
        assert await world.add("virt-launcher-c", "n2", **MOVING) == first
        assert await world.owners() == ("virt-launcher-b", "virt-launcher-c")
        await world.remove("virt-launcher-b")
        assert await world.owners() == ("virt-launcher-c", "")
        await world.remove("virt-launcher-c", gone=True)
        assert list(map(str, await world.ipam.addresses_of(HANDLE))) == first

    run(story)


def test_the_end_of_an_earlier_container_leaves_the_machine_to_its_pod():
    """A runtime makes a pod's sandbox anew; the DEL of the one before comes late."""

    async def story(world):
        await world.add("virt-launcher-a")
        records = Records(world.store)
        workload = Workload("n1", "shop", "virt-launcher-a", "k8s", "c-virt-launcher-a")
        await records.write(workload, await records.find(workload), "n", ("10.0.0.1/32",), "")
        attacher = Attacher("n1", None, world.addresses, records, lambda: 1500)
        earlier = replace(world.request("DEL", "virt-launcher-a"), container_id="earlier")
        await attacher.delete(earlier)
        assert await world.owners() == ("virt-launcher-a", "")

    run(story)


def test_an_address_asked_for_by_name_is_the_machines_too():
    asked = {"annotations": {"cni.projectcalico.org/ipAddrs": '["10.0.0.77"]'}}

    async def story(world):
        assert await world.add("virt-launcher-a", **asked) == ["10.0.0.77/32"]
        await world.remove("virt-launcher-a")
        assert await world.add("virt-launcher-b", **asked) == ["10.0.0.77/32"]
        other = {**OWNER, "name": "other"}
        with pytest.raises(AlreadyAssigned):
            await world.add("virt-launcher-x", owner=other, **asked)

    run(story)


@pytest.mark.parametrize(
    ("persistence", "name", "owner"),
    [
        ("Disabled", "virt-launcher-a", OWNER),
        ("", "virt-launcher-a", OWNER),
        ("Enabled", "virt-launcher-a", {**OWNER, "kind": "ReplicaSet"}),
        ("Enabled", "web", OWNER),
    ],
)
def test_other_pods_give_theirs_back(persistence, name, owner):
    async def story(world):
        await world.add(name, owner=owner)
        assert await world.ipam.addresses_of(HANDLE) == ()
        await world.remove(name)
        assert (await world.store.list("IPAMHandle")).resources == ()

    run(story, persistence)
