"""The ranges that are somebody's already: the machine's, other nodes', services'."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import cast

from tortie.api import Key, Node
from tortie.api.calico.bgp_configuration import BGPConfiguration
from tortie.datastore import Datastore, Forbidden, NotFound
from tortie.net import Prefix, parse_address, parse_prefix
from tortie.node.autodetect import Held
from tortie.node.ranges import Taken

_SERVICES = {4: 16, 6: 112}  # lengths of a range of which one address is known


async def taken_ranges(
    store: Datastore,
    held: Sequence[Held],
    services: Sequence[Prefix],
    environ: Mapping[str, str],
) -> list[Taken]:
    """All that is known. `services` are kubeadm's. Raises DatastoreError."""
    return [
        *_of_interfaces(held),
        *(await _of_nodes(store)),
        *(Taken(one, "kubeadm's serviceSubnet") for one in services),
        *_around_kubernetes(environ),
        *(await _of_bgp(store)),
    ]


def _of_interfaces(held: Sequence[Held]) -> Iterator[Taken]:
    for one in held:
        yield Taken(one.address.network, f"on interface {one.interface}")


def _around_kubernetes(environ: Mapping[str, str]) -> Iterator[Taken]:
    """The API server's own Service has an address of the services' range."""
    try:
        version, address = parse_address(environ.get("KUBERNETES_SERVICE_HOST", ""))
    except ValueError:
        return
    network = Prefix(version, address, _SERVICES[version]).network
    yield Taken(network, "around the address of Kubernetes' own Service")


async def _of_nodes(store: Datastore) -> list[Taken]:
    nodes = cast(tuple[Node, ...], (await store.list("Node")).resources)
    return [
        Taken(net, f"node {node.metadata.name}'s")
        for node in nodes
        if (bgp := node.spec.bgp) is not None
        for net in _networks((bgp.ipv4_address, bgp.ipv6_address))
    ]


async def _of_bgp(store: Datastore) -> list[Taken]:
    """What is said to be services' to BGP peers."""
    try:
        found = await store.get(Key("BGPConfiguration", "", "default"))
    except (NotFound, Forbidden):
        return []
    told = [one.cidr for one in cast(BGPConfiguration, found).spec.service_cluster_ips]
    return [Taken(net, "BGPConfiguration's serviceClusterIPs") for net in _networks(told)]


def _networks(texts: Iterable[str]) -> Iterator[Prefix]:
    """What is no address is nobody's: a word that another wrote must not end this node's start."""
    for text in texts:
        with suppress(ValueError):
            yield parse_prefix(text).network
