"""The Node resource: that there is one, with the addresses that its operator gave."""

from collections.abc import Mapping
from typing import cast

from msgspec.structs import replace

from tortie.api import Key, Node, NodeBgp, NodeSpec, ObjectMeta, Resource, checks
from tortie.api.calico.node import OrchRef
from tortie.datastore import (
    AlreadyExists,
    Datastore,
    NotFound,
    update_with,
)
from tortie.net import parse_prefix


async def ensure_node(
    store: Datastore, name: str, address4: str | None = None, address6: str | None = None
) -> Node:
    """Create or correct the Node; what is not named here stays as it is.

    Addresses have their subnet's length: "172.16.1.2/24"; None leaves them alone. Raises
    ValueError for what is no address of its family, DatastoreError.
    """
    for address, version in ((address4, 4), (address6, 6)):
        if address is not None:
            check_address(address, version)
    key = Key("Node", "", name)

    def correct(current: Resource) -> Resource | None:
        node = cast(Node, current)
        wanted = _addressed(node, address4, address6)
        return None if wanted == node else wanted

    try:
        return cast(Node, await update_with(store, key, correct))
    except NotFound:
        pass
    try:
        return cast(Node, await store.create(_addressed(_new_node(name), address4, address6)))
    except AlreadyExists:
        return cast(Node, await update_with(store, key, correct))


async def register(
    store: Datastore,
    name: str,
    addresses: Mapping[int, str],
    as_number: str = "",
    reference: str = "",
) -> Node:
    """Create or correct the Node of a node that starts; what is not said stays as it is.

    `addresses` by IP version; `reference` is its name at Kubernetes: "" on a machine that is not
    Kubernetes', which then nobody takes for a node that left it. Raises ValueError, DatastoreError.
    """

    def correct(current: Resource) -> Resource | None:
        wanted = _started(cast(Node, current), addresses, as_number, reference)
        return None if wanted == current else wanted

    key = Key("Node", "", name)
    try:
        return cast(Node, await update_with(store, key, correct))
    except NotFound:
        pass
    try:
        return cast(
            Node, await store.create(_started(_new_node(name), addresses, as_number, reference))
        )
    except AlreadyExists:
        return cast(Node, await update_with(store, key, correct))


def _started(node: Node, addresses: Mapping[int, str], as_number: str, reference: str) -> Node:
    node = _addressed(node, addresses.get(4), addresses.get(6))
    if as_number:
        number = checks.as_number(as_number)
        node = replace(
            node, spec=replace(node.spec, bgp=replace(node.spec.bgp or NodeBgp(), as_number=number))
        )
    if reference:
        references = (OrchRef(node_name=reference, orchestrator="k8s"),)
        node = replace(node, spec=replace(node.spec, orch_refs=references))
    return node


def _new_node(name: str) -> Node:
    return Node(metadata=ObjectMeta(name=name), spec=NodeSpec())


def _addressed(node: Node, address4: str | None, address6: str | None) -> Node:
    if address4 is None and address6 is None:
        return node
    bgp = node.spec.bgp or NodeBgp()
    bgp = replace(
        bgp,
        ipv4_address=bgp.ipv4_address if address4 is None else address4,
        ipv6_address=bgp.ipv6_address if address6 is None else address6,
    )
    return replace(node, spec=replace(node.spec, bgp=bgp))


def check_address(address: str, version: int) -> None:
    """Raise ValueError for what is no address with its subnet's length."""
    prefix = parse_prefix(address)
    if prefix.version != version:
        raise ValueError(f"{address!r} is not an IPv{version} address")
    if prefix.is_single and "/" not in address:
        raise ValueError(f"{address!r} has no subnet: write it as {address}/24, with its length")
