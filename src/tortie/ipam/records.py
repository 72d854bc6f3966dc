"""Everything that address management knows, read at once, and who uses addresses."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, cast

from tortie.api import (
    BlockAffinity,
    IPAMBlock,
    IPAMHandle,
    IPPool,
    IPReservation,
    Node,
    Pod,
    Resource,
    WorkloadEndpoint,
)
from tortie.api.kube.service import Service
from tortie.datastore import Datastore, Forbidden, Listing, Malformed
from tortie.ipam.loans import Loan, living, loans, used
from tortie.ipam.machines import GROUP, Machine, is_machines
from tortie.kubernetes.pods import pod_addresses
from tortie.net import Prefix, parse_address

USING_KINDS = ("WorkloadEndpoint", "Pod", "Node", "Service")


class User(NamedTuple):
    """Who uses an address: `name` for people, such as "Pod shop/web-1"."""

    name: str
    node: str


class Records(NamedTuple):
    """One picture of a datastore."""

    pools: tuple[IPPool, ...]
    reservations: tuple[IPReservation, ...]
    blocks: tuple[IPAMBlock, ...]
    claims: tuple[BlockAffinity, ...]
    handles: tuple[IPAMHandle, ...]
    nodes: frozenset[str]
    users: dict[Prefix, list[User]]
    services: bool = True
    """Whether Services are in this datastore at all: else nothing is known of their addresses."""
    machines: frozenset[Machine] | None = None
    """The virtual machines that there are; None: nobody can know."""
    unread: tuple[Malformed, ...] = ()
    """What is there and can't be read: it may use addresses, or hold them."""


async def read_records(store: Datastore) -> Records:
    """Read them. Who uses addresses is read last: what was given meanwhile does not look leaked.

    It may look unallocated then, and what is given back meanwhile looks leaked: look again before
    anything is done about it.
    """
    listings = [
        await store.list(kind)
        for kind in ("IPPool", "IPReservation", "BlockAffinity", "IPAMHandle", "IPAMBlock")
    ]
    pools, reservations, claims, handles, blocks = [one.resources for one in listings]
    unread = [bad for one in listings for bad in one.malformed]
    nodes: set[str] = set()
    users: dict[Prefix, list[User]] = {}
    services = False
    machines = await _machines(store, handles)
    lent = tuple(loans(cast(tuple[IPAMBlock, ...], blocks)))
    wanted = frozenset(one.pod for one in lent)
    pods: dict[str, str] = {}
    derived: frozenset[str] = getattr(store, "derived", frozenset())
    for kind in USING_KINDS:
        if kind in derived:  # its sources are read: each user counts once
            continue
        async for page in store.pages(kind):  # pods are many and large: none of them is kept
            nodes.update(_nodes(page))
            unread += page.malformed
            services = services or (kind == "Service" and bool(page.resources))
            note_users(page.resources, users)
            pods.update(living(page.resources, wanted))
    _note_loans(used(lent, pods, nodes), users)
    return Records(
        cast(tuple[IPPool, ...], pools),
        cast(tuple[IPReservation, ...], reservations),
        cast(tuple[IPAMBlock, ...], blocks),
        cast(tuple[BlockAffinity, ...], claims),
        cast(tuple[IPAMHandle, ...], handles),
        frozenset(nodes),
        users,
        services,
        machines,
        tuple(unread),
    )


def _nodes(page: Listing) -> Iterator[str]:
    """Those that can't be read are there all the same: nothing of theirs is a gone node's."""
    yield from (one.metadata.name for one in page.resources if isinstance(one, Node))
    yield from (bad.key.name for bad in page.malformed if bad.key.kind == "Node")


async def _machines(store: Datastore, handles: Iterable[Resource]) -> frozenset[Machine] | None:
    """Asked for only where a handle is a machine's, before who uses addresses, which can be pods
    of a machine that is made meanwhile.
    """
    names = (one.spec.handle_id for one in handles if isinstance(one, IPAMHandle))
    list_names = getattr(getattr(store, "inner", store), "names", None)
    if list_names is None or not any(map(is_machines, names)):
        return None
    found: set[Machine] = set()
    for plural in ("virtualmachines", "virtualmachineinstances"):
        try:
            found.update(Machine(*one) for one in await list_names(f"{GROUP}/v1", plural))
        except Forbidden:
            return None
    return frozenset(found)


def note_users(resources: Iterable[Resource], users: dict[Prefix, list[User]]) -> None:
    """Add who uses which address, each a /32 or /128. What is no address is passed over."""
    for resource in resources:
        for text, user in _uses(resource):
            try:
                version, address = parse_address(text.partition("/")[0])
            except ValueError:
                continue
            users.setdefault(Prefix.single(version, address), []).append(user)


def _note_loans(found: Iterable[Loan], users: dict[Prefix, list[User]]) -> None:
    """A pod whose status tells of the address as well counts once."""
    for one in found:
        users.setdefault(one.address, [User(one.user, one.about.get("node", ""))])


def _uses(resource: Resource) -> Iterator[tuple[str, User]]:
    match resource:
        case Node():
            yield from _tunnel_ends(resource)
        case Pod():
            if texts := pod_addresses(resource):
                user = User(_named("Pod", resource), resource.spec.node_name)
                yield from ((text, user) for text in texts)
        case WorkloadEndpoint():
            user = User(_named("WorkloadEndpoint", resource), resource.spec.node)
            yield from ((text, user) for text in resource.spec.ip_networks)
        case Service():
            user = User(_named("Service", resource), "")
            yield from ((text, user) for text in balanced(resource))


def balanced(service: Service) -> Iterator[str]:
    """Its load balancer's addresses: `status.loadBalancer.ingress[].ip`."""
    status = service.status if isinstance(service.status, dict) else {}
    balancer = status.get("loadBalancer")
    ingress = balancer.get("ingress") if isinstance(balancer, dict) else None
    for entry in ingress if isinstance(ingress, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("ip"), str):
            yield entry["ip"]


def _named(kind: str, resource: Resource) -> str:
    return f"{kind} {resource.metadata.namespace}/{resource.metadata.name}"


def _tunnel_ends(node: Node) -> Iterator[tuple[str, User]]:
    spec, name = node.spec, node.metadata.name
    ends = {
        "VXLAN": (spec.ipv4_vxlan_tunnel_addr, spec.ipv6_vxlan_tunnel_addr),
        "IPIP": (spec.bgp.ipv4_ipip_tunnel_addr,) if spec.bgp else (),
        "WireGuard": (spec.wireguard.interface_ipv4_address, spec.wireguard.interface_ipv6_address)
        if spec.wireguard
        else (),
    }
    for what, texts in ends.items():
        yield from ((text, User(f"Node {name} ({what})", name)) for text in texts if text)
