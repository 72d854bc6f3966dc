"""How long an address of another plugin's interface counts as used."""

import asyncio
from collections.abc import Mapping

import pytest

from strategies.ipam import ask, pool
from tortie.api import Node, NodeSpec, ObjectMeta, Pod, PodSpec, PodStatus
from tortie.datastore.memory import MemoryDatastore
from tortie.ipam import IPAM
from tortie.ipam.audit import audit
from tortie.ipam.loans import POD_UID
from tortie.ipam.records import read_records

NOTED = {"plugin": "ptp", "network": "lan", "container": "c1", "interface": "net1", "node": "n1"}
WEB = {**NOTED, "namespace": "shop", "pod": "web"}
OURS = {**WEB, POD_UID: "u1"}


def pod(uid: str = "u1", node: str = "n1", phase: str = "Running", ip: str = "") -> Pod:
    told = ({"ip": ip},) if ip else ()
    return Pod(
        metadata=ObjectMeta(namespace="shop", name="web", uid=uid),
        spec=PodSpec(node_name=node),
        status=PodStatus(phase=phase, pod_ips=told),
    )


def found(about: Mapping[str, str], *there: Pod, node: str = "n1") -> tuple[list[str], list[str]]:
    """(What is wrong, who uses the address), with these Pods and this node."""

    async def body() -> tuple[list[str], list[str]]:
        store = MemoryDatastore()
        await store.create(pool("p", "10.0.0.0/28", block_size=28))
        await store.create(Node(metadata=ObjectMeta(name=node), spec=NodeSpec()))
        made = {one.metadata.uid: await store.create(one) for one in there}
        uids = {name: one.metadata.uid for name, one in made.items()}  # the store's own
        noted = {name: uids.get(value, value) for name, value in about.items()}
        await IPAM(store).auto_assign(ask(attributes=noted))
        report = audit(await read_records(store))
        (held,) = report.allocations
        return [one.what for one in report.findings], [user.name for user in held.users]

    return asyncio.run(body())


@pytest.mark.parametrize(
    ("about", "there", "user"),
    [
        (OURS, [pod()], "Pod shop/web (net1 of ptp)"),
        (OURS, [pod(phase="Pending")], "Pod shop/web (net1 of ptp)"),
        (WEB, [], "Pod shop/web (net1 of ptp)"),  # a Pod that the datastore did not have
        (WEB, [pod("u2")], "Pod shop/web (net1 of ptp)"),
        (NOTED, [], "container c1 (net1 of ptp)"),
    ],
)
def test_what_may_be_in_use_is(about: Mapping[str, str], there: list[Pod], user: str) -> None:
    assert found(about, *there) == ([], [user])


@pytest.mark.parametrize(
    "there", [[], [pod("u2")], [pod(phase="Succeeded")], [pod(phase="Failed")], [pod(node="n2")]]
)
def test_a_pod_that_is_over_or_another_one_uses_it_no_more(there: list[Pod]) -> None:
    assert found(OURS, *there) == (["leaked"], [])


def test_on_a_node_that_is_gone_nothing_is_used() -> None:
    assert "leaked" in found(NOTED, node="n2")[0]


def test_a_pod_whose_status_tells_of_it_counts_once() -> None:
    """As where another plugin makes the pod's first interface."""
    every = [pod(ip=f"10.0.0.{number}") for number in range(16)]
    results = [found(OURS, one) for one in every]
    assert all("doubled" not in wrong for wrong, _ in results)
    assert [users for _, users in results].count(["Pod shop/web"]) == 1
