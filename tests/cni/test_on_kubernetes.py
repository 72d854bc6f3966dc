"""Records of containers in a real kube-apiserver: their Pods tell of them, and nothing else."""

import asyncio

import pytest

from tortie.cni.errors import CniError
from tortie.cni.records import Records
from tortie.cni.workload import Workload
from tortie.datastore import open_datastore
from tortie.kubernetes import names

NODE = "node-1"
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"nodeName": NODE, "containers": [{"name": "c", "image": "i"}]},
}


def workload(ifname="eth0", name="web", container="c1"):
    return Workload(NODE, "default", name, "k8s", container, ifname=ifname)


def with_records(kube, work):
    """Run `await work(records)` on a server that has the Pod."""

    async def run():
        store = await open_datastore(kube.client())
        try:
            return await work(Records(store))
        finally:
            await store.close()

    kube.api.create(POD)
    return asyncio.run(run())


def test_a_pods_record_is_written_found_and_cleared(kube):
    async def work(records):
        found = await records.find(workload())
        await records.write(workload(), found, "net", ("10.0.0.1/32",), "")
        there = await records.find(workload())
        await records.clear(workload())
        return there, await records.find(workload())

    there, after = with_records(kube, work)
    assert (there.container_id, there.addresses) == ("c1", ("10.0.0.1/32",))
    assert there.pod.metadata.annotations[names.POD_IP] == "10.0.0.1/32"
    assert (after.container_id, after.addresses) == ("", ())


def test_a_further_interface_is_recorded_beside_the_first_and_cleared_alone(kube):
    async def work(records):
        found = await records.find(workload())
        await records.write(workload(), found, "net", ("10.0.0.1/32",), "")
        further = await records.find(workload("net1"))
        mac = "02:00:00:00:00:02"
        revision = await records.write(workload("net1"), further, "lan", ("10.0.0.2/32",), mac)
        there = await records.find(workload("net1"))
        await records.clear(workload("net1", container="c2"))  # a later one's would stay
        stays = await records.find(workload("net1"))
        await records.clear(workload("net1"), there.pod)
        gone, first = await records.find(workload("net1")), await records.find(workload())
        return further, revision, there, stays, gone, first

    further, revision, there, stays, gone, first = with_records(kube, work)
    assert (further.container_id, further.addresses) == ("", ())
    assert (there.container_id, there.addresses) == ("c1", ("10.0.0.2/32",))
    assert revision == int(there.pod.metadata.resource_version)
    assert stays == there
    assert (gone.container_id, gone.addresses) == ("", ())
    assert (first.container_id, first.addresses) == ("c1", ("10.0.0.1/32",))


def test_a_pod_that_moved_on_keeps_what_others_wrote_of_it(kube):
    """The Pod as it was found is a write behind: what is recorded goes over what is there now."""

    async def work(records):
        found = await records.find(workload("net1"))
        await records.write(workload(), await records.find(workload()), "net", ("10.0.0.1/32",), "")
        await records.write(workload("net1"), found, "lan", ("10.0.0.2/32",), "")
        await records.write(workload("net2"), found, "lan", ("10.0.0.3/32",), "")
        return [(await records.find(workload(one))).addresses for one in ("eth0", "net1", "net2")]

    assert with_records(kube, work) == [("10.0.0.1/32",), ("10.0.0.2/32",), ("10.0.0.3/32",)]


@pytest.mark.parametrize(
    ("lonely", "code", "said"),
    [
        (workload(name="static"), 11, "there is no Pod default/static, or none yet"),
        (workload("net1", "static"), 11, "there is no Pod default/static, or none yet"),
        (Workload(NODE, "default", "c1", "cni", "c1"), 7, "only pods have interfaces"),
    ],
)
def test_a_container_that_no_pod_describes_has_no_place(kube, lonely, code, said):
    async def work(records):
        with pytest.raises(CniError) as caught:
            await records.write(lonely, await records.find(lonely), "net", ("10.0.0.2/32",), "")
        await records.clear(lonely)
        return caught.value

    error = with_records(kube, work)
    assert (error.code, said in error.message) == (code, True)
