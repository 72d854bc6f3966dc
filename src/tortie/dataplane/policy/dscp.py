"""Who marks what leaves the cluster with a class of service (DSCP). Pure.

Leaving is: to where no pool is. It is the source's address that tells whose packet it is, before
any NAT of it: forwarded packets and the node's own, new ones and answers alike.
"""

from collections.abc import Iterable, Iterator, Mapping

from tortie.dataplane.policy.families import Family
from tortie.dataplane.policy.interfaces import Addresses
from tortie.dataplane.policy.names import ChainName
from tortie.net import Prefix
from tortie.policy.program import EVERY_INTERFACE, Endpoint, HostEndpoint

CLASS_CHAIN = ChainName("cali-egress-dscp")
_LOOPBACK = "lo"


def sources_by_class(
    endpoints: Iterable[Endpoint],
    hosts: Iterable[HostEndpoint],
    addresses: Addresses,
    family: Family,
) -> Mapping[int, tuple[Prefix, ...]]:
    """DSCP → the addresses whose packets bear it, of an IP version, sorted.

    An address that several have is the first workload's, else the first host endpoint's, by id.
    """
    classes: dict[Prefix, int] = {}
    for workload in sorted(endpoints, key=lambda one: one.id):
        if workload.qos is not None and isinstance(workload.qos.dscp, int):
            for one in workload.addresses:
                classes.setdefault(_single(one), workload.qos.dscp)
    for host in sorted(hosts, key=lambda one: one.id):
        if host.dscp is not None:
            for one in _of_host(host, addresses):
                classes.setdefault(_single(one), host.dscp)
    grouped: dict[int, list[Prefix]] = {}
    for address, value in classes.items():
        if address.version == family.version:
            grouped.setdefault(value, []).append(address)
    return {value: tuple(sorted(grouped[value])) for value in sorted(grouped)}


def _of_host(host: HostEndpoint, addresses: Addresses) -> Iterator[Prefix]:
    """The addresses that it names, else those of its interface."""
    yield from host.addresses
    if not host.addresses:
        for interface, found in addresses.items():
            if interface == host.interface or (
                host.interface == EVERY_INTERFACE and interface != _LOOPBACK
            ):
                yield from found


def asks_for_addresses(host: HostEndpoint) -> bool:
    """Whether its class depends on the addresses that its interface has."""
    return host.dscp is not None and not host.addresses


def _single(address: Prefix) -> Prefix:
    return Prefix.single(address.version, address.address)
