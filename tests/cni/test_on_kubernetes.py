"""Records of containers in a real kube-apiserver: annotations of their Pods, and nothing else."""

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


def test_a_further_interface_is_refused_and_spares_the_first(kube):
    async def work(records):
        found = await records.find(workload())
        await records.write(workload(), found, "net", ("10.0.0.1/32",), "")
        further = await records.find(workload("net1"))
        with pytest.raises(CniError) as caught:
            await records.write(workload("net1"), further, "net", ("10.0.0.2/32",), "")
        await records.clear(workload("net1"))
        return further, caught.value, await records.find(workload())

    further, error, first = with_records(kube, work)
    assert (further.container_id, further.addresses) == ("", ())
    assert (error.code, "pods have one interface" in error.message) == (7, True)
    assert (first.container_id, first.addresses) == ("c1", ("10.0.0.1/32",))


@pytest.mark.parametrize(
    ("lonely", "code", "said"),
    [
        (workload(name="static"), 11, "there is no Pod default/static, or none yet"),
        (Workload(NODE, "default", "c1", "cni", "c1"), 7, "nothing else has any"),
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
