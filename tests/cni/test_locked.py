"""While a datastore is being migrated, pods come and go later; what runs goes on."""

import json

import pytest

from cni.node import until
from cni.traffic import reaches
from tortie.api import Key
from tortie.datastore.migrate.locking import lock, unlock
from tortie.ipam import IPAM
from tortie.kubernetes import names

pytestmark = pytest.mark.root


def refused(done):
    """The error of a call that a runtime is to repeat."""
    assert done.returncode == 1, done.stdout
    error = json.loads(done.stdout)
    assert error["code"] == 11
    assert "migrated" in error["msg"]
    assert "unlock" in error["msg"]


def test_add_and_del_are_put_off_and_what_is_attached_stays(ready_node):
    node = ready_node
    first, second = node.attach("first"), node.attach("second")
    node.pod("late")
    late = node.namespace("late")
    links = node.links()
    node.store(lambda store: lock(store, "0.1.0"))

    async def state(store):
        pod = (await store.get(Key("Pod", "default", "first"))).metadata.annotations
        return pod[names.POD_IPS], await IPAM(store).addresses_of("k8s-pod-network.id-first")

    before = node.store(state)
    refused(node.cni("ADD", "id-late", late, "late"))
    refused(node.cni("DEL", "id-first", first[0], "first"))
    status = node.cni("STATUS", cniVersion="1.1.0")
    assert json.loads(status.stdout)["code"] == 50
    assert node.links() == links
    assert node.store(state) == before
    assert node.cni("CHECK", "id-first", first[0], "first").returncode == 0
    assert reaches(first, second, 7000)

    node.store(unlock)
    assert node.cni("ADD", "id-late", late, "late").returncode == 0
    assert node.cni("DEL", "id-first", first[0], "first").returncode == 0


def test_an_agent_that_starts_waits_and_says_so_one_that_runs_goes_on(ready_node):
    node = ready_node
    node.store(lambda store: lock(store, "0.1.0"))
    assert node.is_ready()
    node.kill()
    node.start()

    def waits():
        try:
            said = node.ask("status")
        except (OSError, ValueError):
            return False
        return not said["ready"] and "locked" in said["datastore"]["reason"]

    until(waits, "the agent's word that it waits")
    node.store(unlock)
    until(node.is_ready, "the agent's readiness")
