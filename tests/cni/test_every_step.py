"""Every step of ADD and DEL fails, before it is done and after: nothing is left.

The steps are those that an undisturbed call takes, as recorded; so they are all, whatever the code
becomes. `TORTIE_CNI_LONG=1` tries more kinds of workloads, and outages that last.
"""

import asyncio
import json
import os
from contextlib import suppress

import pytest
from msgspec.structs import replace

from cni.struck import AFTER, ALWAYS, BEFORE, Fault, Faults, StruckAgent, StruckStore, strike_kernel
from cni.test_machines import registered
from strategies.ipam import check_consistent, pool
from tortie.agent.waiters import NotReady
from tortie.api import Namespace, ObjectMeta, Pod, PodSpec
from tortie.cni import departing
from tortie.cni.addresses import Addresses
from tortie.cni.attachment import Attacher
from tortie.cni.errors import CniError
from tortie.cni.records import Records
from tortie.cni.request import parse_request
from tortie.datastore import DatastoreError
from tortie.datastore.memory import MemoryDatastore
from tortie.ipam import IPAM, IpamError
from tortie.ipam.audit import audit
from tortie.ipam.records import read_records
from tortie.kubernetes import names
from tortie.kubernetes.pods import attached_further
from tortie.linux.links import Links
from tortie.linux.namespaces import create_named, delete_named, in_namespace
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.rules import Rules
from tortie.node.resource import ensure_node

pytestmark = pytest.mark.root
LONG = os.environ.get("TORTIE_CNI_LONG", "") not in ("", "0")
FAILURES = (CniError, IpamError, DatastoreError, NotReady)

PODS = {"CNI_ARGS": "K8S_POD_NAMESPACE=default;K8S_POD_NAME=web"}
KINDS = {  # environment, annotations, families
    "a pod": (PODS, {}, ("4", "6")),
    "a pod with an address by name": (PODS, {"ipAddrs": '["10.9.0.77"]'}, ("4",)),
    "a further interface": ({**PODS, "CNI_IFNAME": "net1"}, {}, ("4",)),
    "no pod": ({}, {}, ("4",)),
}
long_only = pytest.mark.skipif(not LONG, reason="many runs: set TORTIE_CNI_LONG=1")


@pytest.fixture(scope="module")
def spaces():
    """A node's network namespace and a container's."""
    made = [create_named(f"tt{os.getpid()}-step-{name}") for name in ("node", "inside")]
    try:
        yield made
    finally:
        for path in made:
            delete_named(path.name)


class Scene:
    """A node and a container that is to be attached, of one kind; one after another."""

    def __init__(self, spaces, kind, faults):
        self.node, self.inside = spaces
        self.kind = kind
        self.faults = faults

    def play(self, fault, act):
        """Run `await act(self)` on a new node with a fault; the steps that were taken."""

        async def body():
            await self._begin()
            try:
                steps = await act(self, fault)
            finally:
                await self.attacher.reaper.close()
            return steps

        with in_namespace(self.node):
            return asyncio.run(body())

    async def _begin(self):
        self.faults.tell(None)
        self.inner = MemoryDatastore()
        _, about, _ = KINDS[self.kind]
        asked = {f"cni.projectcalico.org/{key}": value for key, value in about.items()}
        metadata = ObjectMeta(name="web", namespace="default", annotations=asked)
        for one in (
            pool("p4", "10.9.0.0/24"),
            pool("p6", "fd09::/64"),
            Namespace(metadata=ObjectMeta(name="default")),
            Pod(metadata=metadata, spec=PodSpec(node_name="n1")),
        ):
            await self.inner.create(one)
        await ensure_node(self.inner, "n1", "172.31.0.2/24")
        store = StruckStore(self.inner, self.faults)
        addresses = Addresses(IPAM(store), store, registered("n1"))
        self.attacher = Attacher(
            "n1", StruckAgent(self.faults), addresses, Records(store), lambda: 1500
        )

    def request(self, command):
        environ, _, families = KINDS[self.kind]
        ipam = {f"assign_ipv{one}": str(one in families).lower() for one in "46"}
        config = {"cniVersion": "1.0.0", "name": "net", "ipam": {"type": "calico-ipam", **ipam}}
        called = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": "c1",
            "CNI_NETNS": str(self.inside),
            "CNI_IFNAME": "eth0",
            **environ,
        }
        return parse_request(called, json.dumps(config).encode())

    async def add(self, **changes):
        return await self.attacher.add(replace(self.request("ADD"), **changes))

    async def delete(self, **changes):
        return await self.attacher.delete(replace(self.request("DEL"), **changes))

    async def left(self):
        """What there is of the container, wherever."""
        await self.attacher.reaper.purged()
        found = {"records": await self._recorded(), "audit": await self._findings()}
        for name, path in (("node", self.node), ("container", self.inside)):
            with in_namespace(path), NetlinkSocket() as sock:
                found[name] = [one.name for one in Links(sock).list() if one.name != "lo"]
                rules = [one for family in (4, 6) for one in Rules(sock).list(family)]
                found[f"rules of the {name}"] = [one for one in rules if one.source is not None]
        return {what: value for what, value in found.items() if value}

    async def _recorded(self):
        await check_consistent(self.inner)
        pods = (await self.inner.list("Pod")).resources
        attached = [
            one.metadata.name
            for one in pods
            if one.metadata.annotations.get(names.CONTAINER_ID) or attached_further(one)
        ]
        blocks = (await self.inner.list("IPAMBlock")).resources
        taken = [str(one.spec.attributes) for one in blocks if one.spec.attributes]
        others = [
            one.metadata.name
            for kind in ("IPAMHandle", "WorkloadEndpoint")
            for one in (await self.inner.list(kind)).resources
        ]
        return attached + taken + others

    async def _findings(self):
        return [str(one) for one in audit(await read_records(self.inner)).findings]


async def struck(scene, fault):
    """An ADD under a fault: whether it failed, and its steps."""
    scene.faults.tell(fault)
    failed = False
    try:
        await scene.add()
    except FAILURES:
        failed = True
    steps = scene.faults.steps
    scene.faults.tell(None)
    return failed, steps


async def added(scene, fault):
    """An ADD that fails has taken all back; of an outage that lasts, DEL takes the rest."""
    before = await scene.left()
    failed, steps = await struck(scene, fault)
    if failed and fault.when != ALWAYS:
        assert await scene.left() in ({}, before)
    assert failed or fault is None or fault.when != ALWAYS
    await scene.delete()
    assert await scene.left() == {}
    return steps


async def added_again(scene, fault):
    """The same for an ADD of what is attached already; or else it is still as it was."""
    await scene.add()
    return await added(scene, fault)


async def replaced(scene, fault):
    """An ADD in the place of an earlier container of the pod; that one's DEL comes afterwards."""
    await scene.add(container_id="c0")
    before = await scene.left()
    failed, steps = await struck(scene, fault)
    if not failed or fault.when == ALWAYS:
        await scene.delete()
    elif (left := await scene.left()) != before:
        assert not {"node", "container"} & set(left)  # it would count as the earlier one's
    await scene.delete(container_id="c0")
    assert await scene.left() == {}
    return steps


async def deleted(scene, fault):
    """A DEL that failed is repeated; the namespace may be gone by then."""
    await scene.add()
    scene.faults.tell(fault)
    with suppress(*FAILURES):
        await scene.delete()
    steps = scene.faults.steps
    scene.faults.tell(None)
    await scene.delete()
    assert await scene.left() == {}
    return steps


def try_all(spaces, monkeypatch, kind, act, when):
    """Let each recorded step fail so; how many there were."""
    monkeypatch.setattr(departing, "_GATHER", 0)
    faults = Faults()
    strike_kernel(monkeypatch, faults)
    scene = Scene(spaces, kind, faults)
    steps = scene.play(None, act)
    assert len(set(steps)) == len(steps)
    for step in steps:
        fault = Fault(step, when)
        try:
            scene.play(fault, act)
        except Exception as problem:
            raise AssertionError(f"{kind}: {step} fails {when}: {problem}") from problem
    return len(steps)


@pytest.mark.parametrize("when", [BEFORE, AFTER])
@pytest.mark.parametrize("act", [added, deleted])
def test_a_step_that_fails_leaves_nothing(spaces, monkeypatch, act, when):
    assert try_all(spaces, monkeypatch, "a pod", act, when) > 10


@long_only
@pytest.mark.parametrize("when", [BEFORE, AFTER, ALWAYS])
@pytest.mark.parametrize("act", [added, added_again, deleted])
@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_workload_leaves_anything(spaces, monkeypatch, kind, act, when):
    assert try_all(spaces, monkeypatch, kind, act, when) > 10


@long_only
@pytest.mark.parametrize("when", [BEFORE, AFTER, ALWAYS])
@pytest.mark.parametrize("kind", ["a pod", "a further interface"])
def test_a_container_in_the_place_of_an_earlier_one_leaves_nothing(spaces, monkeypatch, kind, when):
    assert try_all(spaces, monkeypatch, kind, replaced, when) > 10
