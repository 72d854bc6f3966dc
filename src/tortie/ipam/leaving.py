"""How a node goes: the endpoints of its workloads, then its Node, then what it held of addresses.

The order is what makes an end half way harmless: after the Node nothing would lead to its
endpoints, and while an endpoint has an address nobody else may. What is not given back any more
counts as leaked, since the node is gone: the controllers see to it, and `tortie ipam check` tells
of it. Calico's client has a Node go with the same.
"""

from typing import cast

from tortie.api import Key, WorkloadEndpoint
from tortie.datastore import Conflict, Datastore, NotFound
from tortie.datastore.cluster import check_unlocked
from tortie.ipam.audit import audit
from tortie.ipam.records import read_records
from tortie.ipam.service import IPAM


async def retire_node(store: Datastore, key: Key) -> None:
    """Delete the Node of that key, and what nobody but it can have: stored endpoints, addresses
    that nobody uses, claims to blocks.

    Raises NotFound and other DatastoreErrors, Locked before anything is changed; IpamError.
    """
    await check_unlocked(store)
    await store.get(key)
    await _end_endpoints(store, key.name)
    await store.delete(key)
    await _give_back(store, key.name)


async def _end_endpoints(store: Datastore, node: str) -> None:
    derived: frozenset[str] = getattr(store, "derived", frozenset())
    if "WorkloadEndpoint" in derived:  # Pods, which are Kubernetes' to delete
        return
    endpoints = cast(tuple[WorkloadEndpoint, ...], (await store.list("WorkloadEndpoint")).resources)
    for one in endpoints:
        if one.spec.node == node:
            try:
                await store.delete(one.key, int(one.metadata.resource_version))
            except NotFound:
                continue
            except Conflict:
                raise Conflict(
                    f"{one.key} changed just now: does {node} still run? retry"
                ) from None


async def _give_back(store: Datastore, node: str) -> None:
    found = audit(await read_records(store))
    ipam = IPAM(store)
    await ipam.release(one.release for one in found.leaked if one.attributes.get("node") == node)
    await ipam.release_node(node)
